"""Training that is limited in streams, and the streams that networks are scored on."""

from pathlib import Path

import numpy as np
import pytest

import rnnlab
from rnnlab.backends._recipe import Reset, Stream
from rnnlab.backends.base import Network
from rnnlab.backends.numpy import NumpyBackend
from rnnlab.cells.simple import Simple, SimpleOptions
from rnnlab.config.experiment import Experiment
from rnnlab.core.streams import stream
from rnnlab.inspection.doctor import examine
from rnnlab.tasks.base import Part
from rnnlab.tasks.continual_reber import ContinualReber
from rnnlab.training import stream_set
from rnnlab.training.events import Finished
from rnnlab.training.population import Population, watched
from rnnlab.training.resume import training_into
from rnnlab.training.stream_set import StreamSet
from tests.training.resuming import Make, account, begin, killed, resumed

# A network that makes errors now and then, by the tolerance that the fixture sets.
STREAMS = (
    "task=continual_reber",
    "shape.timesteps=[9, 20]",
    "cell={type: indrnn, units: 4}",
    "training={update: step, reset: error, batch_size: 1, streams: 9, evaluate_every: 4}",
    "training.optimizer={type: sgd, learning_rate: 1.0}",
    "evaluation={sequences: 20, streams: 4}",
)


@pytest.fixture
def tolerance(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(ContinualReber, "tolerance", 0.8)
    return 0.8


def test_each_evaluation_is_between_two_streams(experiment: Make, tmp_path: Path, tolerance: float) -> None:
    """After every fourth stream and after the last; a stream has some sequences, and nothing is cut."""
    run = begin(experiment(*STREAMS), tmp_path / "run")
    records, summary = run.read_metrics().records, run.read_summary()
    assert [record["streams"] for record in records] == [0, 4, 8, 9]
    assert summary.stopped == "budget"
    assert summary.steps == records[-1]["step"] > 9
    assert not [finding for finding in examine(run).findings if finding.result == "bad"]
    before = account(run)
    assert account(resumed(run)) == before  # there is nothing left to do
    assert run.read_status().attempt == 1


def test_steps_that_are_given_are_a_limit_too(experiment: Make, tmp_path: Path, tolerance: float) -> None:
    run = begin(experiment(*STREAMS, "training.steps=3"), tmp_path / "run")
    assert (run.read_summary().steps, run.read_summary().stopped) == (3, "budget")
    assert not [finding for finding in examine(run).findings if finding.result == "bad"]
    longer = rnnlab.resume(run.path, ["training.steps=12"])
    assert (longer.summary.steps, longer.config["training.evaluate_at"]) == (12, [3])
    again = rnnlab.train(run.path / "resolved.yaml", runs=tmp_path)
    assert account(again.folder) == account(longer.folder)


@pytest.mark.parametrize("reset", ["error", "both"])
def test_side_by_side_and_killed_each_ends_as_alone(
    experiment: Make, tmp_path: Path, tolerance: float, reset: Reset
) -> None:
    """Four in one call of machine code, one of which was killed before."""
    pytest.importorskip("llvmlite", reason="makes machine code")
    every = ("numpy.compiled=true", f"training.reset={reset}")
    asked = [experiment(*STREAMS, *every, f"seed={n}", f"training.evaluate_every={n + 1}") for n in range(4)]
    alone = [account(begin(one, tmp_path / f"alone{n}")) for n, one in enumerate(asked)]
    killed(asked[2], tmp_path / "2", 5)
    population, ended = Population[Finished | None](), list[Finished | None]()
    for n, one in enumerate(asked):
        lane = watched(training_into(tmp_path / f"{n}", one, config=b"", argv=["x"]), lambda _: None)
        assert population.add(lane) is None
    while len(population):
        ended += population.train_block()
    runs = {one.run.path.name: one.run for one in ended if one}
    assert [account(runs[f"{n}"]) for n in range(4)] == alone


def by_hand(
    parameters: dict[str, np.ndarray], task: ContinualReber, *, part: Part, sizes: list[int], reset: Reset
) -> tuple[list[int], bool]:
    """Return the steps of four streams before the first error of each, and whether there is one; of the simple cell."""
    p, free, any_wrong = parameters, [0] * 4, False
    for row in range(4):
        state, is_wrong = np.zeros(4), False
        for stage, size in enumerate(sizes):
            if not size:
                continue
            drawn = task.sample(stream(7, f"data/{part}", stage), batch_size=4 * size, timesteps=(9, 20))
            for string in range(row * size, (row + 1) * size):
                state = np.zeros(4) if reset == "both" else state
                for t in range(int(drawn.lengths[string])):
                    state = np.tanh(
                        drawn.inputs[string, t] @ p["layers.0.W"] + state @ p["layers.0.U"] + p["layers.0.b"]
                    )
                    outputs = 1 / (1 + np.exp(-(state @ p["head.W"] + p["head.b"])))
                    is_wrong = is_wrong or bool((np.abs(outputs - drawn.targets[string, t]) > task.tolerance).any())
                    free[row] += not is_wrong
        any_wrong = any_wrong or is_wrong
    return free, any_wrong


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("reset", ["error", "both"])
def test_streams_are_scored_to_their_first_error(
    monkeypatch: pytest.MonkeyPatch, tolerance: float, reset: Reset, part: Part
) -> None:
    """Of 1, 2 and then 15 sequences; during training up to where one of them has an error."""
    task = ContinualReber(ContinualReber.Options())
    network = Network(Simple(SimpleOptions(units=4)), 7, 7, True, task.loss, "float64")
    parameters = network.draw(8)
    parameters["head.W"] *= 1.5
    model = NumpyBackend().build(network, parameters=parameters)
    along = Stream(reset, tolerance=tolerance)
    streams = StreamSet(task, sequences=60, streams=4, timesteps=(9, 20), seed=7, along=along, part=part)
    for stages in [4] if part == "test" else [1, 3, 4]:
        sizes = [1, 0, 1, 13][:stages]
        expected, any_wrong = by_hand(parameters, task, part=part, sizes=sizes, reset=reset)
        if any_wrong:
            break
    assert len(set(expected)) > 2
    found = streams.score(model)
    assert found["error_free_steps"] == np.mean(expected)
    assert found == streams.score(model)
    # Where they take too much memory they are drawn anew.
    monkeypatch.setattr(stream_set, "_KEPT_BYTES", 0)
    assert found == streams.score(model)


def test_the_budget_of_a_config(experiment: Make) -> None:
    asked: Experiment = experiment(*STREAMS)
    assert asked.training.budget == (9, "stream")
    assert asked.training.steps == 10**9
    assert experiment().training.budget == (5, "step")
