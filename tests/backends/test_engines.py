"""The contract on the engines that this process does not run, and the threads that each may have."""

import importlib.util
import json
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
    chosen = ["tests/backends", "-k", "keras-derived and not activation", "--engine", other]
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


THREADS = """
import json, pathlib, numpy
from rnnlab.backends.keras.engines import start
from tests.networks import network, parameters
from rnnlab.backends.keras import KerasBackend
net = network("simple", precision="float32")
model = KerasBackend(engine={engine!r}).build(net, parameters=parameters(net))
model.predict(numpy.ones((2, 3, 3)))
names = [path.read_text() for path in pathlib.Path("/proc/self/task").glob("*/comm")]
print(json.dumps([start({engine!r}).facts(), sum("XLAEigen" in name for name in names)]))
"""


@pytest.mark.engines
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux")
@pytest.mark.parametrize("engine", ["tensorflow", "jax", "torch"])
def test_threads_follow_the_allocation(engine: str) -> None:
    """One processor is allotted, however many there are."""
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f"needs the extra `{engine}`")
    child = subprocess.run(
        [sys.executable, "-c", THREADS.format(engine=engine)],
        env={**os.environ, "SLURM_CPUS_PER_TASK": "1"},
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    facts, of_xla = json.loads(child.stdout)
    reported = {name: value for name, value in facts.items() if name.endswith("threads")}
    wanted = {"inter_op_threads", "intra_op_threads"} if engine == "tensorflow" else {"threads"}
    assert reported == dict.fromkeys(wanted, 1)
    assert of_xla == (engine == "jax")
