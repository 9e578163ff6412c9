"""The same experiment gives the same bits: again, in another process, from its own resolved config."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnlab
from rnnlab.tasks import task_class
from rnnlab.training.source import Source
from rnnlab.training.validation import ValidationSet
from tests.small import SMALL, Fit

CLOCK = {"seconds", "steps_per_second", "run", "id", "attempt"}
OVERRIDES = [
    (),
    ("cell={type: carry, units: 6, layers: 2}", "shape.timesteps=[2, 9]", "training.clip_norm=0.5"),
    ("task=flip_flop", "training.bptt_steps=3", "precision=float64"),
]
PROGRAM = """
import json, sys, rnnlab
from tests.training.test_repeat import reported
config, overrides, runs = json.loads(sys.argv[1])
print(reported(rnnlab.train(config, overrides, runs=runs)))
"""


def reported(run: rnnlab.Run) -> str:
    """All that a run found out but for the clock: weights, metrics and summary, as one text."""
    weights = {
        f"{which}/{name}": hashlib.sha256(array.tobytes()).hexdigest()
        for which in ("best", "last")
        for name, array in run.weights(which).items()
    }
    return json.dumps([weights, without_clock(run.records), without_clock(run.summary.model_dump())], sort_keys=True)


def without_clock(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_clock(item) for key, item in value.items() if key not in CLOCK}
    return [without_clock(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("overrides", OVERRIDES)
def test_again(fit: Fit, overrides: tuple[str, ...]) -> None:
    assert reported(fit(*overrides)) == reported(fit(*overrides))


@pytest.mark.parametrize("overrides", OVERRIDES[:2])
def test_in_another_process(fit: Fit, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    given = json.dumps([SMALL, overrides, str(tmp_path / "there")])
    root = Path(rnnlab.__file__).parents[1]
    child = subprocess.run([sys.executable, "-c", PROGRAM, given], capture_output=True, text=True, check=True, cwd=root)
    assert child.stdout.strip() == reported(fit(*overrides))


@pytest.mark.parametrize("overrides", OVERRIDES)
def test_from_the_resolved_config(fit: Fit, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    first = fit(*overrides)
    again = rnnlab.train(first.path / "resolved.yaml", runs=tmp_path / "again")
    assert reported(again) == reported(first)
    assert again.experiment().sha256() == first.experiment().sha256()
    assert again.folder.read_resolved() == first.folder.read_resolved()


def test_another_seed_is_another_training(fit: Fit) -> None:
    one, other = fit(), fit("seed=1")
    for name in ("layers.0.W", "layers.0.U", "head.W"):
        assert np.abs(one.weights("last")[name] - other.weights("last")[name]).min() > 0
    assert one.records[0]["validation/loss"] != other.records[0]["validation/loss"]


@pytest.mark.parametrize("changes", [("training.evaluate_every=1",), ("evaluation.sequences=300",), ("name=other",)])
def test_how_often_and_on_what_it_is_scored_changes_no_weight(fit: Fit, changes: tuple[str, ...]) -> None:
    one, other = fit().weights("last"), fit(*changes).weights("last")
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("sequences", [20, 600])
def test_the_validation_set_is_fixed_and_no_training_sequence_is_in_it(sequences: int) -> None:
    task = task_class("adding")(task_class("adding").Options(type="adding@urnn"))
    drawn = [
        [batch.inputs for batch in ValidationSet(task, sequences=sequences, timesteps=(3, 8), seed=0)._batches()]
        for _ in range(2)
    ]
    assert sum(map(len, drawn[0])) == sequences
    assert all(np.array_equal(one, other) for one, other in zip(*drawn, strict=True))
    source = Source(task, batch_size=20, timesteps=(3, 8), seed=0)
    seen = {row.tobytes() for row in source.batches(0, 200).inputs}
    assert not seen & {row.tobytes() for batch in drawn[0] for row in batch}
    assert len({row.tobytes() for batch in drawn[0] for row in batch}) == sequences
