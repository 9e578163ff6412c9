"""The contract on the engines that this process does not run."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.engines
@pytest.mark.parametrize("other", ["jax", "torch"])
def test_the_contract_holds_on_the_other_engines(engine: str, other: str) -> None:
    """In a process of its own, of one thread, on the path of `auto`; `-k keras --engine jax` runs all there is."""
    if engine != "tensorflow":
        pytest.skip("this process has been started for one engine")
    if importlib.util.find_spec(other) is None:
        pytest.skip(f"needs the extra `{other}`")
    chosen = ["tests/backends", "-k", "keras-handwritten and not activation", "--engine", other]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    child = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen],
        env={**env, "SLURM_CPUS_PER_TASK": "1"},
        cwd=Path(__file__).parents[2],
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
    )
    assert child.returncode == 0, child.stdout[-5000:] + child.stderr[-1000:]
