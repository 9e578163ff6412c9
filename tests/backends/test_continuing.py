"""A run begun on one backend resumes on the other, with the results of a run that stayed where it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.config.experiment import Experiment
from rnnlab.config.load import load_experiment
from rnnlab.config.yaml import dump_yaml
from rnnlab.storage import RunFolder
from rnnlab.storage.provenance import backends
from rnnlab.training.events import Started
from rnnlab.training.resume import resume
from tests.backends.contenders import TOLERANCES
from tests.cli.program import rnnlab
from tests.training.resuming import Make, begin, to_the_end

RECIPE = {
    "optimizer": {"type": "adam", "amsgrad": True},
    "schedule": {"type": "cosine", "warmup_steps": 2, "decay_steps": 12},
}
TINY: dict[str, Any] = {
    "task": "temporal_order",
    "cell": {"type": "carry", "units": 6, "layers": 2},
    "shape": {"timesteps": [20, 24]},
    "training": {"steps": 8, "batch_size": 8, "evaluate_every": 3, "clip_norm": 0.5, **RECIPE},
    "evaluation": {"sequences": 30},
}


@pytest.fixture
def on(engine: str, tmp_path: Path) -> Make:
    """The tiny config on one backend, in the finest precision that Keras has on this engine."""

    def made(backend: str) -> Experiment:
        precision = "float64" if engine == "tensorflow" else "float32"
        path = tmp_path / f"{backend}.yaml"
        path.write_text(dump_yaml({**TINY, "name": "x", "engine": engine, "precision": precision, "backend": backend}))
        return load_experiment(path, []).experiment

    return made


def records(run: RunFolder) -> list[dict[str, Any]]:
    return [{k: v for k, v in record.items() if k not in {"seconds", "crc"}} for record in run.read_metrics().records]


def assert_alike(run: RunFolder, whole: RunFolder, tolerance: float) -> None:
    """Compare every metric, and all that is in the newest checkpoints: weights and the optimiser's slots."""
    for mine, right in zip(records(run), records(whole), strict=True):
        assert mine == pytest.approx(right, rel=tolerance)
    mine, right = (dict(one.checkpoints().load(8).state["model"]) for one in (run, whole))
    assert mine.keys() == right.keys()
    assert {name for name in mine if name.startswith("optimizer/")} >= {"optimizer/step", "optimizer/velocity_hat"}
    for name, array in right.items():
        np.testing.assert_allclose(mine[name], array, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize(("first", "then"), [("numpy", "keras"), ("keras", "numpy")])
def test_a_run_resumes_on_the_other_backend(on: Make, engine: str, tmp_path: Path, first: str, then: str) -> None:
    stayed = begin(on(first), tmp_path / "stayed")
    run = begin(on(first), tmp_path / "moved", stop_at=4)
    # With an engine, for those under test that are not the default.
    events = to_the_end(resume(run, overrides=[f"backend={then}", f"engine={engine}"], argv=["x"]))
    names = {"numpy": "numpy", "keras": f"keras on {engine}"}
    assert isinstance(events[0], Started)
    assert (events[0].step, events[0].experiment.backend) == (4, then)
    assert events[0].notes == (
        f"computed by {names[first]} until now and by {names[then]} from here on: "
        "the results agree within rounding, but are not bit-identical",
    )
    assert_alike(run, stayed, TOLERANCES[on(first).precision]["trained"])
    assert backends(run.read_provenance()) == [(0, names[first]), (4, names[then])]
    assert run.read_summary().backend == then

    assert to_the_end(resume(run, overrides=["training.steps=9"], argv=["x"]))[0].experiment.backend == then
    shown = rnnlab("show", str(run.path)).stdout
    assert f"backends  {names[first]} from step 0; {names[then]} from step 4" in shown
    assert rnnlab("doctor", str(run.path)).code == 0
    assert rnnlab("evaluate", str(run.path)).code == 0
