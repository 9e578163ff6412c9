"""Interrupted and resumed, a training ends bit-identically as if it had never been interrupted."""

from pathlib import Path
from typing import Any

import pytest

from rnnlab.core.errors import EnvironmentFault, RunLockedError, StoppedError, UsageError
from rnnlab.runs.run import Run
from rnnlab.storage import RunFolder, disk
from rnnlab.tasks.base import Streak
from rnnlab.tasks.parity import Parity
from rnnlab.training.events import Finished, Started, Stepped
from rnnlab.training.resume import resume, train_into
from rnnlab.training.stopping import Stop
from rnnlab.training.train import train
from tests.training.resuming import Make, account, begin, damage, killed, resumed, to_the_end

pytestmark = pytest.mark.usefixtures("single_updates")

VARIANTS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "mid-schedule": ("training.schedule={type: cosine, warmup_steps: 3}", "training.optimizer=rmsprop"),
    "lengths": ("shape.timesteps=[2, 9]", "cell.type=carry", "precision=float64"),
    "truncated": ("task=flip_flop", "training.bptt_steps=2", "training.clip_norm=0.1", "training.optimizer=adamw"),
    "plateau": ("training.stop_on_plateau={evaluations: 3, min_improvement: 100}", "training.steps=50"),
    "rate": ("training.schedule={type: plateau, factor: 0.5, patience: 1, min_delta: 10}", "training.evaluate_every=1"),
    "momentum": ("training.optimizer={type: sgd, momentum: 0.9, nesterov: true}", "cell.layers=2"),
    "stream": (
        "task=continual_reber",
        "shape.timesteps=[9, 20]",
        "training.update=step",
        "training.reset=never",
        "training.stream_decay=0.99",
        "training.batch_size=1",
        "cell={type: lstm_1997, truncate: true, units: 4}",
    ),
    "to errors": (
        "task=continual_reber",
        "shape.timesteps=[9, 20]",
        "training.update=step",
        "training.reset=error",
        "training.stream_steps=20",
        "training.batch_size=1",
        "cell={type: indrnn, units: 4}",
        "training.optimizer={type: adam, learning_rate: 0.1}",
    ),
    "streams": (
        "task=continual_reber",
        "shape.timesteps=[9, 20]",
        "training.update=step",
        "training.reset=both",
        "training.stream_decay=0.99",
        "training.streams=5",
        "training.evaluate_every=2",
        "training.batch_size=1",
        "cell={type: indrnn, units: 4}",
        "training.optimizer={type: sgd, learning_rate: 5.0}",
    ),
    "amsgrad": ("training.optimizer={type: adam, amsgrad: true}", "training.clip_value=0.01"),
}


@pytest.mark.parametrize("overrides", VARIANTS.values(), ids=VARIANTS)
def test_stopped_at_any_step_it_ends_the_same(experiment: Make, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    asked = experiment("training.steps=7", *overrides)
    whole = account(begin(asked, tmp_path / "whole"))
    for step in range(whole["summary"]["steps"]):
        run = begin(asked, tmp_path / str(step), stop_at=step)
        events = to_the_end(resume(run, argv=["y"]))
        assert events[0].step == step
        assert account(run) == whole, step


def test_stopped_at_every_step_it_ends_the_same(experiment: Make, tmp_path: Path) -> None:
    asked = experiment()
    for step in range(5):
        begin(asked, tmp_path / "many", stop_at=step)
    run = begin(asked, tmp_path / "many")
    assert account(run) == account(begin(asked, tmp_path / "whole"))
    assert run.read_status().attempt == 6
    assert [one.step for one in run.read_provenance().attempts] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("window", [4, 45])
def test_a_streak_of_successes_resumes_where_it_was(
    experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr(Parity, "solved", Streak(window))
    easy = ("shape.timesteps=1", "training.steps=400", "training.optimizer.learning_rate=0.05")
    asked = experiment(*easy, "training.stop_when_solved=true", "training.evaluate_every=1000")
    whole = account(begin(asked, tmp_path / "whole"))
    last = whole["summary"]["steps"]
    assert whole["summary"]["stopped"] == "solved"
    for step in range(max(0, last - 4), last):
        assert account(resumed(begin(asked, tmp_path / str(step), stop_at=step))) == whole


@pytest.mark.parametrize(("stop_at", "score"), [(0, 1), (4, 3)])
def test_stopped_in_the_middle_of_an_evaluation(
    experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int, score: int
) -> None:
    """The evaluation is left, and made again by the process that resumes."""
    asked, stop, calls = experiment("evaluation.sequences=600"), Stop(), []
    whole = account(begin(asked, tmp_path / "whole"))
    metrics = Parity.metrics

    def count(self: Parity, *given: Any) -> Any:
        calls.append(1)
        if len(calls) == 3 * (score - 1) + 2:  # the second of the three batches
            stop.ask("a test")
        return metrics(self, *given)

    monkeypatch.setattr(Parity, "metrics", count)
    with pytest.raises(StoppedError, match=f"stopped by a test at step {stop_at}, and the state is saved"):
        to_the_end(train_into(tmp_path / "cut", asked, config=b"", argv=[], stop=stop))
    monkeypatch.setattr(Parity, "metrics", metrics)
    run = RunFolder(tmp_path / "cut")
    assert run.read_metrics().records[-1:] == [] or run.read_metrics().records[-1]["step"] < stop_at
    assert account(resumed(run)) == whole


def test_killed_it_resumes_from_the_checkpoint_and_counts_no_record_twice(experiment: Make, tmp_path: Path) -> None:
    asked = experiment("training.checkpoint={every_steps: 3, every_seconds: null}", "training.steps=9")
    whole = account(begin(asked, tmp_path / "whole"))
    for step in range(1, 9):
        run = killed(asked, tmp_path / str(step), step)
        status = run.read_status()
        saved = (step - 1) // 3 * 3  # a checkpoint is written after the event of its step
        assert (status.state, status.step, Run(run).state) == ("running", saved, "stale")
        started = to_the_end(resume(run, argv=[]))[0]
        assert isinstance(started, Started)
        assert started.step == saved
        assert account(run) == whole


def test_a_damaged_checkpoint_is_passed_over_and_what_is_lost_is_reported(experiment: Make, tmp_path: Path) -> None:
    asked = experiment("training.checkpoint={every_steps: 2}")
    whole = account(begin(asked, tmp_path / "whole"))
    run = begin(asked, tmp_path / "cut", stop_at=3)
    damage(run.checkpoints().path(3))
    started = to_the_end(resume(run, argv=[]))[0]
    assert isinstance(started, Started)
    assert (started.step, started.notes) == (
        2,
        (
            "step-0000000003-0001.safetensors was changed since it was written: its content does not match its SHA-256",
            "resuming from the checkpoint of step 2: 1 step will be trained again",
        ),
    )
    assert sorted(path.name for path in (run.path / "checkpoints").iterdir()) == [
        "step-0000000004-0002.safetensors", "step-0000000005-0002.safetensors",
    ]  # fmt: skip
    assert account(run) == whole


def test_a_run_without_checkpoint_yet_begins_at_step_0_and_reports_it(experiment: Make, tmp_path: Path) -> None:
    events = train(experiment(), runs=tmp_path / "runs", config=b"", argv=[])
    run = next(events).run
    for path in (run.path / "metrics.jsonl", run.path / "status.json"):
        path.with_suffix(".kept").write_bytes(path.read_bytes())
    events.close()
    (run.path / "status.kept").rename(run.path / "status.json")
    for path in (run.path / "checkpoints").iterdir():
        path.unlink()
    started = to_the_end(resume(run, argv=[]))[0]
    assert (started.step, started.notes) == (0, ("no checkpoint was written yet: training begins at step 0",))
    assert run.read_summary().steps == 5


def test_a_complete_run_is_left_alone_unless_it_gets_more_steps(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "run")
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    (only,) = to_the_end(resume(run, argv=[]))
    assert isinstance(only, Finished)
    assert (only.already, only.summary) == (True, run.read_summary())
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
    resumed(run, overrides=["training.steps=8"])
    got, long = account(run), account(begin(experiment("training.steps=8"), tmp_path / "long"))
    assert [got[part] for part in ("summary", "last", "best")] == [long[part] for part in ("summary", "last", "best")]
    assert [record["step"] for record in run.read_metrics().records] == [0, 2, 4, 5, 6, 8]
    assert resumed(run).read_status().attempt == 2


def test_a_run_that_is_being_trained(experiment: Make, tmp_path: Path) -> None:
    events = train_into(tmp_path / "run", experiment(), config=b"", argv=[])
    next(events)
    with pytest.raises(RunLockedError, match="is being trained by process"):
        to_the_end(resume(RunFolder(tmp_path / "run"), argv=[]))
    with pytest.raises(RunLockedError, match="is being trained by process"):
        to_the_end(train_into(tmp_path / "run", experiment(), config=b"", argv=[]))
    events.close()


def test_a_process_that_was_overtaken_writes_nothing_more(experiment: Make, tmp_path: Path) -> None:
    """The first process was only paused: it finds the other one's work and stops; what is stored is the other one's."""
    asked = experiment("training.checkpoint={every_steps: 2}")
    whole = account(begin(asked, tmp_path / "whole"))
    slow = train_into(tmp_path / "run", asked, config=b"", argv=[])
    while not isinstance(event := next(slow), Stepped) or event.step < 1:
        pass
    run = resumed(RunFolder(tmp_path / "run"), force_unlock=True)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.name != "log.txt" and path.is_file()}
    with pytest.raises(RunLockedError, match="was taken over by another process"):
        to_the_end(slow)
    assert {path: path.read_bytes() for path in before} == before
    assert account(run) == whole


def test_a_process_that_lost_a_file_to_another_reports_that_and_writes_nothing(
    experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new holder removes unfinished files, and so may that which the old one is about to rename."""
    asked = experiment("training.checkpoint={every_steps: 2}")
    slow = train_into(tmp_path / "run", asked, config=b"", argv=[])
    while not isinstance(event := next(slow), Stepped) or event.step < 1:
        pass
    run, rename = RunFolder(tmp_path / "run"), disk.rename
    before = {}

    def late(source: Path, target: Path) -> None:
        monkeypatch.setattr(disk, "rename", rename)
        resumed(run, force_unlock=True)
        before.update({path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()})
        rename(source, target)

    monkeypatch.setattr(disk, "rename", late)
    with pytest.raises(RunLockedError, match="was taken over by another process"):
        to_the_end(slow)
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
    assert run.read_status().state == "completed"


def test_the_status_is_the_first_thing_that_a_new_attempt_writes(
    experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So who was overtaken finds it, even where the next one had to give up at once and left no lock."""
    slow = train_into(tmp_path / "run", experiment(), config=b"", argv=[])
    next(slow)
    run, rename = RunFolder(tmp_path / "run"), disk.rename
    changed: list[str] = []

    def full(source: Path, target: Path) -> None:
        if not target.name.startswith(".probe."):
            changed.append(target.name)
        if changed and target.name != "status.json":
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(disk, "rename", full)
    with pytest.raises(EnvironmentFault):
        resumed(run, force_unlock=True)
    monkeypatch.undo()
    assert changed[0] == "status.json"
    assert (run.read_status().attempt, run.read_status().state) == (2, "failed")
    with pytest.raises(RunLockedError):
        to_the_end(slow)
    assert (run.read_status().attempt, run.read_status().state) == (2, "failed")


def test_an_attempt_that_failed_before_it_began_costs_the_other_one_nothing(experiment: Make, tmp_path: Path) -> None:
    """It took the lock, found the config changed, and wrote nothing: the first process keeps the run."""
    asked = experiment("training.checkpoint={every_steps: 2}")
    whole = account(begin(asked, tmp_path / "whole"))
    first = train_into(tmp_path / "run", asked, config=b"", argv=[])
    next(first)
    with pytest.raises(UsageError):
        to_the_end(train_into(tmp_path / "run", experiment("seed=3"), config=b"", argv=[], force_unlock=True))
    to_the_end(first)
    assert account(RunFolder(tmp_path / "run")) == whole
    assert RunFolder(tmp_path / "run").read_status().attempt == 1


def test_leftovers_of_a_killed_process_are_removed(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "run", stop_at=2)
    for folder in (run.path, run.path / "weights", run.path / "checkpoints"):
        (folder / ".x.0123456789abcdef.tmp").write_bytes(b"half")
    (run.path / "mine.tmp").write_bytes(b"not rnnlab's")
    resumed(run)
    assert [path.name for path in run.path.rglob("*.tmp")] == ["mine.tmp"]


def test_the_time_budget(experiment: Make, tmp_path: Path) -> None:
    asked = experiment("training.steps=1000000", "training.max_seconds=1")
    with pytest.raises(StoppedError, match=r"stopped by training\.max_seconds=1 at step"):
        begin(asked, tmp_path / "run")
    status = RunFolder(tmp_path / "run").read_status()
    assert (status.state, status.exit_code) == ("interrupted", 75)
    assert 0.5 < (status.updated - status.started).total_seconds() < 2  # a busy machine is late


@pytest.mark.parametrize("edited", [True, False])
def test_a_config_that_was_edited_or_lost_is_reported_and_has_no_effect(
    experiment: Make, tmp_path: Path, edited: bool
) -> None:
    whole = begin(experiment(), tmp_path / "whole")
    run = begin(experiment(), tmp_path / "run", stop_at=3)
    if edited:
        run.write_config(b"task: parity\n")
    else:
        (run.path / "config.yaml").unlink()
    (started,) = [event for event in resume(run, argv=[]) if isinstance(event, Started)]
    problem = "was changed since the run began; what is trained is in resolved.yaml" if edited else "is missing"
    assert started.notes == (f"config.yaml {problem}",)
    assert account(run) == account(whole)
