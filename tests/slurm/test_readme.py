"""The README's section on clusters: every command is run in order on a cluster, and must print what it shows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster
from tests.test_readme import CLUSTER, as_pattern, blocks, folded, steps

pytestmark = pytest.mark.slurm


def test_the_page_on_clusters(desk: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("RNNLAB_RUNS")
    ((_, config), *consoles) = blocks(CLUSTER)
    Path("seeds.yaml").write_text(config)
    for command, shown in (step for _, block in consoles for step in steps(block)):
        program = re.sub(r"^rnnlab", f"{sys.executable} -m rnnlab", command)
        done = subprocess.run(program, shell=True, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, (command, done.stderr)
        assert re.fullmatch(as_pattern(shown), folded(done.stdout)), f"{command}\n{shown}\n--- printed\n{done.stdout}"
