"""The pages of the docs that need a cluster."""

from pathlib import Path

import pytest

from tests.docs.blocks import Tour
from tests.docs.test_pages import TEXTS, needs
from tests.slurm.cluster import Cluster

pytestmark = pytest.mark.slurm


@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if "slurm" in needs(text)])
def test_the_blocks_give_what_they_show(desk: Cluster, tmp_path: Path, name: str) -> None:
    Tour(name, tmp_path).run(TEXTS[name], provided=("slurm",))
