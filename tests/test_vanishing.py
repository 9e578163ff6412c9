"""The vanishing gradient, as the tutorial and configs/vanishing_*.yaml describe it: trained, and each claim measured.

Soak: the seeds 0 to 2 of the claims about who stays at chance, which train to the end of the budget.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import rnnlab
from rnnlab.runs.run import Run
from rnnlab.tasks import task_class
from tests.docs.blocks import environment
from tests.once import Once

CONFIGS = Path(__file__).parent.parent / "configs"
CHANCE = np.log(4)
DEFAULT_CARRY = ("cell.forget_bias=1.0", "cell.initializers.recurrent_kernel={type: orthogonal, scale: 1.0}")
LONG, SWAPPED_AT = 400, 200  # steps; the networks are trained on at most 200

Train = Callable[..., Run]


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory, once: Once) -> Train:
    runs = tmp_path_factory.mktemp("vanishing")

    @cache
    def trained(name: str, *overrides: str) -> Run:
        if not overrides:  # the pages of the docs train it too
            folder = once.folder(f"rnnlab train vanishing_{name} --quiet", environment=environment())
            (run,) = folder.glob("left/runs/*-vanishing-*")
            return rnnlab.open_run(run)
        # One shard: the last bits of the results do not depend on how many processors there are.
        return rnnlab.train(CONFIGS / f"vanishing_{name}.yaml", [*overrides, "numpy.shards=1"], runs=runs)

    return trained


def error_rate(run: Run, timesteps: str) -> float:
    changes = [f"shape.timesteps={timesteps}", "evaluation.sequences=500"]
    return float(rnnlab.evaluate(run, changes, weights="last").metrics["error_rate"])


@pytest.mark.parametrize("name", ["irnn", "carry"])
def test_who_solves_it(train: Train, name: str) -> None:
    run = train(name)
    assert run.summary.solved
    assert error_rate(run, "[50, 200]") < 0.01


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("name", "overrides"), [("simple", ()), ("carry", DEFAULT_CARRY)], ids=["simple", "carry"])
def test_who_stays_at_chance(train: Train, name: str, overrides: tuple[str, ...], seed: int) -> None:
    run = train(name, *overrides, f"seed={seed}")
    assert not run.summary.solved
    assert run.summary.loss == pytest.approx(CHANCE, abs=0.02)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["irnn", "carry"])
def test_who_solves_it_with_every_seed(train: Train, name: str, seed: int) -> None:
    run = train(name, f"seed={seed}")
    assert run.summary.solved
    assert name == "irnn" or error_rate(run, "[50, 400]") < 0.02


@pytest.mark.soak
@pytest.mark.parametrize(("name", "rate"), [("irnn", 3e-4), ("irnn", 3e-3), ("carry", 3e-4)])
def test_the_other_learning_rates_of_the_search_that_solve_it(train: Train, name: str, rate: float) -> None:
    assert train(name, f"training.optimizer.learning_rate={rate}").summary.solved


def test_the_carry_network_answers_a_question_that_comes_much_later(train: Train) -> None:
    """At up to 400 steps, after training on at most 200; but symbols at other places than trained are lost."""
    run = train("carry")
    assert error_rate(run, "[50, 400]") < 0.02
    assert error_rate(run, "200") > 0.3  # there the symbols come at steps 20–40 and 100–120
    found = rnnlab.diagnose(run, ["lengths"])["lengths"]  # `diagnose` and the report show the same
    assert dict(zip(found.timesteps.tolist(), found.solved, strict=True))[200]
    assert found.metrics["error_rate"][found.timesteps.tolist().index(LONG)] < 0.05  # of 100 sequences


def test_its_answer_is_in_the_carry(train: Train) -> None:
    """Swap the carries of two sequences half way, and the answers are swapped; swap the outputs: nothing changes."""
    run = train("carry")
    inputs, targets = delayed(256, LONG)
    other = np.roll(np.arange(256), 1)
    answers = {swapped: answer(run, inputs, swapped, other) for swapped in ("", "h", "c")}
    assert (answers[""] == targets).mean() > 0.97
    assert (answers["h"] == answers[""]).mean() > 0.97
    assert (answers["c"] == answers[""][other]).mean() > 0.97  # by chance a quarter


def delayed(count: int, steps: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return sequences (count, steps, 8) whose symbols come where they were trained, and their classes."""
    random = np.random.default_rng(1)
    task = task_class("temporal_order@hs1997")
    short = task(task.Options()).sample(random, batch_size=count, timesteps=(50, 50))
    inputs = np.eye(8)[random.integers(2, 6, size=(count, steps))]
    inputs[:, :49], inputs[:, -1] = short.inputs[:, :49], short.inputs[:, 49]
    return inputs, short.targets


def answer(run: Run, inputs: NDArray[np.float64], swapped: str, other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the classes that the network names, by the cell's own equation in float64."""
    cell, weights = run.network().cell, weights_of(run)
    state = cell.initial_state(np, len(inputs), "float64")
    for t in range(inputs.shape[1]):
        if swapped and t == SWAPPED_AT:
            state = {**state, swapped: state[swapped][other]}
        step = cell.step(np, weights, inputs[:, t], state)
        state = step.state
    return np.asarray((step.output @ weights["head.W"] + weights["head.b"]).argmax(axis=1))


def weights_of(run: Run) -> dict[str, NDArray[np.float64]]:
    return {name.removeprefix("layers.0."): array.astype(np.float64) for name, array in run.weights("last").items()}


def test_the_gradient_more_than_100_steps_back(train: Train) -> None:
    left = {}  # of a sequence's gradient at the nearest lag
    for name in ("simple", "irnn", "carry"):
        found = rnnlab.diagnose(train(name), ["gradient"])["gradient"]
        left |= {(name, state): shares[-1] for state, shares in found.share.items()}
        assert found.lags[-1] > 100
    assert left["simple", "layers.0.h"] < 1e-6
    assert left["irnn", "layers.0.h"] > 1
    assert left["carry", "layers.0.c"] > 0.1


def test_the_carry_is_renewed(train: Train) -> None:
    """By f alone the classes would be 1/e as far apart after about 50 steps; they are as far apart after 200 more."""
    run = train("carry")
    kept = rnnlab.diagnose(run, ["gates"])["gates"]["layers.0.f"].kept
    assert 30 < np.median(kept) < 80
    assert kept[-1] < 150
    apart = distances(run, (200, 400))
    assert apart[1] > 0.8 * apart[0]


def distances(run: Run, steps: tuple[int, ...]) -> list[float]:
    """Return how far apart the mean carries of the four classes are at these steps, among distractors only."""
    inputs, targets = delayed(256, max(steps) + 2)
    cell, parameters = run.network().cell, weights_of(run)
    state, apart = cell.initial_state(np, len(inputs), "float64"), []
    for t in range(max(steps) + 1):
        if t in steps:
            means = np.array([state["c"][targets == one].mean(axis=0) for one in range(4)])
            apart.append(float(np.linalg.norm(means - means.mean(axis=0))))
        state = cell.step(np, parameters, inputs[:, t], state).state
    return apart
