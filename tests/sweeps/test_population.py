"""Trials trained side by side by one worker: each as it would be alone, whatever the others come to."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rnnlab.backends.numpy import NumpyBackend, NumpyModel
from rnnlab.inspection.doctor import examine
from rnnlab.sweeps import SweepFolder
from rnnlab.sweeps.events import TrialEnded, TrialStarted
from rnnlab.sweeps.pool import TrialStepped, Worker, WorkerPool
from rnnlab.sweeps.runner import run_sweep
from rnnlab.sweeps.status import sweep_status
from rnnlab.training.blocks import Answer, Request
from rnnlab.training.population import Population
from rnnlab.training.stopping import Stop
from tests.sweeps.test_soak import disturb
from tests.sweeps.trying import ENDLESS, QUICK, SLOW, Undisturbed, accounts, make_sweep, run

COMPILED = "numpy: {compiled: true}\n"

# Solved early or not at all, at a rate where they diverge, or to the end of the budget; two groups.
MIXED = """\
task: adding
shape: {timesteps: 8}
cell: {type: simple, units: 4, activation: linear}
training:
  {steps: 300, batch_size: 4, evaluate_every: 70, optimizer: sgd, stop_when_solved: true}
evaluation: {sequences: 20}
sweep:
  population: %s
  axes: {training.optimizer.learning_rate: [0.003, 2.0], cell.units: [3, 4]}
  seeds: 3
"""


def with_population(config: str, seeds: int, size: int | str) -> str:
    return f"{config}sweep: {{seeds: {seeds}, population: {size}}}\n"


@pytest.fixture
def most_together(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many trials a worker had at a time, at most."""
    counts = [0]
    train = Worker.train

    def counted(self: Worker, *given: object, **more: object) -> None:
        train(self, *given, **more)  # type: ignore[arg-type]
        counts.append(len(self.assigned))

    monkeypatch.setattr(Worker, "train", counted)
    return lambda: max(counts)


def clean(sweep: SweepFolder) -> bool:
    reports = [examine(sweep.run(trial)) for trial in sweep.read_plan().trials]
    return not [finding for report in reports for finding in report.findings if finding.result == "bad"]


@pytest.mark.parametrize("engine", ["", COMPILED], ids=["numpy", "compiled"])
def test_each_ends_as_it_would_alone(place: Path, most_together: Callable[[], int], engine: str) -> None:
    """Some diverge, some are done early: another takes their place, of the same group alone."""
    if engine:
        pytest.importorskip("llvmlite", reason="makes machine code")
    mixed = engine + MIXED
    alone = make_sweep(place, mixed % "off", "alone")
    states = dict(run(alone))
    assert most_together() == 1
    together = make_sweep(place, mixed % 4, "together")
    assert dict(run(together, workers=1)) == states
    assert most_together() == 4
    assert set(states.values()) == {"completed", "diverged"}
    for one, other in zip(together.read_plan().trials, alone.read_plan().trials, strict=True):
        ours, theirs = together.run(one), alone.run(other)
        assert ours.read_status().message == theirs.read_status().message
        for which in ("best", "last"):
            found, expected = ours.load_weights(which)[0], theirs.load_weights(which)[0]
            assert {name: array.tobytes() for name, array in found.items()} == {
                name: array.tobytes() for name, array in expected.items()
            }
    assert clean(together)


def test_a_trial_that_fails_leaves_the_others_alone(place: Path) -> None:
    sweep = make_sweep(place, with_population(QUICK, 4, 4))
    first, second, *_ = sweep.read_plan().trials
    sweep.config(first).write_text("task: [")
    sweep.run(second).path.mkdir(parents=True)
    (sweep.run(second).path / "stranger").write_text("")
    ends = dict(run(sweep, workers=1))
    assert [ends[trial.name] for trial in sweep.read_plan().trials] == ["failed", "failed", "completed", "completed"]


def test_a_stop_saves_all_and_they_resume(place: Path, undisturbed: Undisturbed) -> None:
    sweep, stop, seen = make_sweep(place, with_population(SLOW, 3, 3)), Stop(), set[str]()
    for event in run_sweep(sweep, workers=1, stop=stop):
        if isinstance(event, TrialStepped) and (seen.add(event.trial.name) or len(seen) == 3):
            stop.ask("a test")
    assert [one.state for one in sweep_status(sweep).trials] == ["interrupted"] * 3
    assert all(one.step > 0 for one in sweep_status(sweep).trials)
    run(sweep, workers=1)
    assert accounts(sweep) == undisturbed(SLOW)
    assert clean(sweep)


def test_one_that_takes_too_long_ends_alone(place: Path) -> None:
    """The time of each is its own: the last one begins when another is done."""
    axes = "sweep: {axes: {training.steps: [1000000000, 1, 2]}, population: 2}\n"
    sweep = make_sweep(place, ENDLESS + axes)
    assert dict(run(sweep, workers=1, timeout=3.0)) == {
        "0001-steps1000000000": "failed", "0002-steps1": "completed", "0003-steps2": "completed",
    }  # fmt: skip


def test_those_of_a_killed_worker_are_resumed_alone(
    place: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: Undisturbed
) -> None:
    """One of them may be the reason."""
    sweep = make_sweep(place, with_population(SLOW, 3, 3))
    pools: list[WorkerPool] = []
    make_pool = WorkerPool
    monkeypatch.setattr(
        "rnnlab.sweeps.runner.WorkerPool",
        lambda size: pools.append(make_pool(size)) or pools[-1],  # type: ignore[func-returns-value]
    )
    ends: list[tuple[str, str]] = []
    together: list[int] = []
    for event in run_sweep(sweep, workers=1):
        if isinstance(event, TrialStepped) and not ends:
            os.kill(pools[0].workers[0].pid, signal.SIGKILL)
        if isinstance(event, TrialStarted) and ends:
            together.append(len(pools[0].workers[0].assigned))
        if isinstance(event, TrialEnded):
            ends.append((event.status.trial.name, event.status.state))
    names = [trial.name for trial in sweep.read_plan().trials]
    assert ends[:3] == [(name, "interrupted") for name in reversed(names)]
    assert sorted(ends[3:]) == [(name, "completed") for name in names]
    assert together == [1, 1, 1]
    assert accounts(sweep) == undisturbed(SLOW)


def test_an_error_in_a_block_ends_those_that_it_is_of(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls, because the batches of the third differ; the one that fails is raised in its own trainings."""
    backend, population, ended = NumpyBackend(), Population[str](), []

    def lane(name: str, model: NumpyModel, size: int) -> Iterator[Request]:
        from tests.networks import batch

        request = Request(backend, model, batch(model.network, batch_size=4 * size), 4)
        try:
            answer = yield request
            assert isinstance(answer, Answer)
        except MemoryError as error:
            return f"{name}: {error}"
        return f"{name}: {len(answer.result.losses)}"

    def train_blocks(models, batches, *, updates):
        if batches[0].size == 4 * 3:
            raise MemoryError("none left")
        return AbstractTrainBlocks(backend, models, batches, updates=updates)

    from tests.networks import network, parameters, training

    AbstractTrainBlocks = type(backend).train_blocks
    monkeypatch.setattr(backend, "train_blocks", train_blocks)
    net = network("simple")
    for name, size in (("a", 3), ("b", 3), ("c", 2)):
        model = backend.build(net, parameters=parameters(net), training=training())
        assert population.add(lane(name, model, size)) is None
    ended = population.train_block()
    assert sorted(ended) == ["a: none left", "b: none left", "c: 4"]
    assert not population


LOTTERY = """\
task: adding
shape: {timesteps: [5, 10]}
cell: {units: 4}
training: {steps: 1500, batch_size: 1, evaluate_every: 500, stop_when_solved: false, checkpoint: {every_seconds: 0.02}}
evaluation: {sequences: 20}
"""


def lottery(place: Path, config: str, undisturbed: Undisturbed, *, seeds: int, kills: int, calm: float) -> None:
    killed = 0
    for number in range(10**6):
        sweep = make_sweep(place, with_population(config, seeds, 3), f"s{number}")
        killed += disturb(sweep, seed=random.Random(number).randrange(10**9), calm=calm).total()
        assert accounts(sweep) == undisturbed(config, seeds)
        assert clean(sweep)
        if killed >= kills:
            return


def test_kill_lottery(place: Path, undisturbed: Undisturbed) -> None:
    lottery(place, LOTTERY, undisturbed, seeds=4, kills=1, calm=0.5)


@pytest.mark.soak
def test_long_kill_lottery(place: Path, undisturbed: Undisturbed) -> None:
    pytest.importorskip("llvmlite", reason="makes machine code")
    lottery(place, COMPILED + LOTTERY.replace("1500", "60000"), undisturbed, seeds=9, kills=50, calm=1.0)
