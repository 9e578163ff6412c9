"""What a training recipe promises: clipping, schedules, truncation, optimisers, precision, seen from a run's record."""

import math

import numpy as np
import pytest

from rnnlab.training.source import Source
from tests.small import Fit

RATE = 0.5
ONE_STEP = [
    "precision=float64",
    "training.steps=1",
    f"training.optimizer={{type: sgd, learning_rate: {RATE}}}",
    "cell.units=8",
]
DISTANT_ORDER = [
    "task=temporal_order",
    "shape.timesteps=20",
    "precision=float64",
    "cell={units: 8, initializers: {recurrent_kernel: {type: orthogonal, scale: 0.5}}}",
    "training={steps: 1200, batch_size: 16, evaluate_every: 300, stop_when_solved: false, clip_norm: 1, "
    "optimizer: {type: adam, learning_rate: 0.01}}",
    "evaluation.sequences=100",
    "seed=1",
]


def moved(fit: Fit, *overrides: str) -> tuple[np.ndarray, float]:
    """Return the applied gradient of one step of plain gradient descent, and the norm that was recorded."""
    run = fit(*ONE_STEP, *overrides)
    experiment = run.experiment()
    before, after = experiment.network().draw(0), run.weights("last")
    applied = [(before[name] - after[name]).ravel() / RATE for name in before]
    return np.concatenate(applied), run.records[-1]["gradient_norm"]


def test_clip_norm_bounds_the_whole_gradient_and_keeps_its_direction(fit: Fit) -> None:
    free, norm = moved(fit)
    clipped, same_norm = moved(fit, "training.clip_norm=0.01")
    assert np.linalg.norm(free) == pytest.approx(norm, rel=1e-12)
    assert same_norm == norm > 0.01
    np.testing.assert_allclose(clipped, free * 0.01 / norm, rtol=1e-9, atol=1e-15)


def test_clip_value_bounds_each_gradient(fit: Fit) -> None:
    free, _ = moved(fit)
    limit = float(np.median(np.abs(free[free != 0])))
    clipped, _ = moved(fit, f"training.clip_value={limit!r}")
    np.testing.assert_allclose(clipped, np.clip(free, -limit, limit), rtol=1e-9, atol=1e-15)


def test_the_norm_is_clipped_first(fit: Fit) -> None:
    free, norm = moved(fit)
    scaled = free * min(1, 0.1 / norm)
    limit = float(np.abs(scaled).max() / 2)
    clipped, _ = moved(fit, "training.clip_norm=0.1", f"training.clip_value={limit!r}")
    np.testing.assert_allclose(clipped, np.clip(scaled, -limit, limit), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ("constant", [1, 1, 1, 1]),
        ("cosine", [(1 + math.cos(math.pi * s / 4)) / 2 for s in range(4)]),
        ("{type: cosine, warmup_steps: 2}", [1 / 2, 1, 1, 1 / 2]),
    ],
)
def test_the_schedule_is_on_record(fit: Fit, schedule: str, factors: list[float]) -> None:
    rate = "training.optimizer.learning_rate=0.02"
    run = fit("training.steps=4", "training.evaluate_every=1", rate, f"training.schedule={schedule}")
    assert [record["learning_rate"] for record in run.records[1:]] == pytest.approx(
        [0.02 * factor for factor in factors], rel=1e-12
    )


def test_what_lies_beyond_the_cut_is_not_learnt(fit: Fit) -> None:
    """The second symbol comes eight steps before the answer: out of reach of a cut of three, not of the whole."""
    whole, cut = (fit(*DISTANT_ORDER, f"training.bptt_steps={steps}").summary for steps in ("null", 3))
    assert whole.baseline == pytest.approx(math.log(4))
    assert whole.loss < 0.1
    assert cut.loss > 0.95 * whole.baseline


def test_both_precisions_start_at_the_same_point(fit: Fit) -> None:
    single, double = (
        fit(f"precision={precision}").records[0]["validation/loss"] for precision in ("float32", "float64")
    )
    assert single == pytest.approx(double, rel=1e-6)
    assert single != double


def test_lengths_are_drawn_over_the_whole_range(fit: Fit) -> None:
    """300 sequences of 2 to 4 steps: each length 100 times, give or take five standard deviations of 8.2."""
    run = fit("shape.timesteps=[2, 4]", "training.batch_size=60")
    experiment, task = run.experiment(), run.experiment().build_task()
    assert experiment.timesteps == (2, 4)
    assert run.summary.timesteps == [2, 4]
    source = Source(task, batch_size=60, timesteps=experiment.timesteps, seed=0)
    lengths = np.concatenate([source.batches(n, 1).lengths for n in range(5)])
    assert np.bincount(lengths, minlength=5)[2:] == pytest.approx([100] * 3, abs=41)
