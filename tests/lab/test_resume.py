"""Interrupted and resumed, a training ends as if it had never been interrupted, to the bit; and what it refuses."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.config.experiment import Experiment
from rnnlab.core.errors import (
    DivergedError,
    EnvironmentFault,
    RnnlabError,
    RunLockedError,
    StoppedError,
    UsageError,
    VerificationError,
)
from rnnlab.core.success import Streak
from rnnlab.lab.events import Evaluated, Event, Finished, Started, Stepped
from rnnlab.lab.resume import resume, train_into
from rnnlab.lab.stopping import Stop
from rnnlab.lab.train import train
from rnnlab.runs import RunFolder
from rnnlab.tasks.parity import Parity
from tests.lab.test_endings import EXPLODES

Make = Callable[..., Experiment]
TIMED = {"seconds", "steps_per_second", "solved_at"}


def to_the_end(events: Iterable[Event]) -> list[Event]:
    return list(events)


def until(events: Iterable[Event], step: int, stop: Stop) -> None:
    """Ask to stop once `step` steps are done."""

    def watched() -> None:
        for event in events:
            if isinstance(event, Stepped | Evaluated) and event.step >= step:
                stop.ask("a test")

    with pytest.raises(StoppedError):
        watched()


def begin(experiment: Experiment, folder: Path, *, stop_at: int | None = None) -> RunFolder:
    """Train into `folder`, to the end or up to a step."""
    stop = Stop()
    events = train_into(folder, experiment, config=b"", argv=["x"], stop=stop)
    if stop_at is None:
        to_the_end(events)
    else:
        until(events, stop_at, stop)
    return RunFolder(folder)


def account(run: RunFolder) -> dict[str, Any]:
    """All that a run comes to, down to the bits, without what a clock decides."""
    summary, at = run.read_summary(), run.read_summary()["solved_at"]
    newest = run.checkpoints().load(run.checkpoints().steps()[0])
    return {
        "records": [{k: v for k, v in record.items() if k != "seconds"} for record in run.read_metrics().records],
        "summary": {k: v for k, v in summary.items() if k not in TIMED | {"run"}},
        "solved": at and (at["step"], at["sequences"]),
        "best": bits(run.load_weights("best")[0]),
        "last": bits(run.load_weights("last")[0]),
        "state": {part: bits(values) for part, values in newest.state.items()},
    }


def bits(values: Any) -> dict[str, Any]:
    return {
        name: value.tobytes() if isinstance(value, np.ndarray) else value
        for name, value in values.items()
        if name not in TIMED
    }


VARIANTS = {
    "plain": (),
    "mid-schedule": ("training.schedule={type: cosine, warmup_steps: 3}", "training.optimizer=rmsprop"),
    "lengths": ("shape.timesteps=[2, 9]", "cell.type=carry", "precision=float64"),
    "truncated": ("task=flip_flop", "training.bptt_steps=2", "training.clip_norm=0.1", "training.optimizer=adamw"),
    "plateau": ("training.stop_on_plateau={evaluations: 3, min_improvement: 100}", "training.steps=50"),
    "momentum": ("training.optimizer={type: sgd, momentum: 0.9, nesterov: true}", "cell.layers=2"),
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
    assert [one["step"] for one in run.read_provenance()["attempts"]] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("window", [4, 45])
def test_a_streak_of_successes_goes_on_where_it_was(
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


def resumed(run: RunFolder, **more: Any) -> RunFolder:
    to_the_end(resume(run, argv=[], **more))
    return run


@pytest.mark.parametrize(("stop_at", "score"), [(0, 1), (4, 3)])
def test_stopped_in_the_middle_of_an_evaluation(
    experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int, score: int
) -> None:
    """The evaluation is left, and made again by the process that goes on."""
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


def killed(experiment: Experiment, folder: Path, step: int) -> RunFolder:
    """Leave a run as kill -9 after `step` steps would, its lock held by a process that is gone."""
    events = train_into(folder, experiment, config=b"", argv=[])
    for event in events:
        if isinstance(event, Stepped) and event.step == step:
            break
    run = RunFolder(folder)
    left = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    events.close()
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()
    for path, data in left.items():
        path.write_bytes(data.replace(b'"process_started": "', b'"process_started": "0'))
    return run


def test_killed_it_goes_on_from_the_checkpoint_and_counts_no_record_twice(experiment: Make, tmp_path: Path) -> None:
    asked = experiment("training.checkpoint={every_steps: 3, every_seconds: null}", "training.steps=9")
    whole = account(begin(asked, tmp_path / "whole"))
    for step in range(1, 9):
        run = killed(asked, tmp_path / str(step), step)
        status = run.read_status()
        saved = (step - 1) // 3 * 3  # a checkpoint is written after the event of its step
        assert (status.state, status.step, run.is_stale(status)) == ("running", saved, True)
        started = to_the_end(resume(run, argv=[]))[0]
        assert isinstance(started, Started)
        assert started.step == saved
        assert account(run) == whole


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def test_a_damaged_checkpoint_is_set_aside_and_what_is_lost_is_told(experiment: Make, tmp_path: Path) -> None:
    asked = experiment("training.checkpoint={every_steps: 2}")
    whole = account(begin(asked, tmp_path / "whole"))
    run = begin(asked, tmp_path / "cut", stop_at=3)
    damage(run.checkpoints().path(3))
    started = to_the_end(resume(run, argv=[]))[0]
    assert isinstance(started, Started)
    assert (started.step, started.notes) == (
        2,
        (
            "step-0000000003.safetensors was changed since it was written: its content does not match its SHA-256",
            "going on from the checkpoint of step 2: 1 step will be trained again",
        ),
    )
    assert (run.path / "checkpoints" / "step-0000000003.safetensors.corrupt").exists()
    assert account(run) == whole


def refusal(kind: type[RnnlabError], run: RunFolder, **more: Any) -> str:
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(kind) as refused:
        to_the_end(resume(run, argv=[], **more))
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
    return str(refused.value).removeprefix(f"{run.path}")


def test_without_a_good_checkpoint_nothing_begins_anew(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "cut", stop_at=3)
    for step in run.checkpoints().steps():
        damage(run.checkpoints().path(step))
    changed = "was changed since it was written: its content does not match its SHA-256"
    for _ in range(2):
        assert refusal(VerificationError, run) == (
            f"/checkpoints: no checkpoint can be used: step-0000000003.safetensors {changed}; "
            f"step-0000000000.safetensors {changed} — bring a copy back, or start a new run from resolved.yaml"
        )
    for step in run.checkpoints().steps():
        run.checkpoints().path(step).unlink()
    assert "there is no checkpoint, though the run got to step 3" in refusal(VerificationError, run)


def test_metrics_that_are_damaged_or_too_short(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "cut", stop_at=4)
    path = run.path / "metrics.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])  # the record of step 4; the checkpoint of step 0 has no need of it
    assert resumed(run).read_summary()["steps"] == 5
    assert [record["step"] for record in run.read_metrics().records] == [0, 2, 4, 5]
    run = begin(experiment(), tmp_path / "other", stop_at=4)
    path = run.path / "metrics.jsonl"
    path.write_bytes(path.read_bytes().replace(b"sequences", b"sequencez", 1))
    told = refusal(VerificationError, run)
    assert told.startswith(
        "/checkpoints: no checkpoint can be used: metrics.jsonl:1 the record is damaged: its checksum"
    )
    assert told.count("metrics.jsonl") == 1


def test_a_run_without_checkpoint_yet_begins_at_step_0_and_says_so(experiment: Make, tmp_path: Path) -> None:
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
    assert run.read_summary()["steps"] == 5


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


@pytest.mark.parametrize("override", ["seed=1", "training.batch_size=3", "training={steps: 9}", "name=y"])
def test_only_the_budget_can_be_changed(experiment: Make, tmp_path: Path, override: str) -> None:
    run = begin(experiment(), tmp_path / "run", stop_at=2)
    problem = "a run is resumed with its own config; only training.steps and training.max_seconds can be changed"
    told = refusal(UsageError, run, overrides=[override])
    assert told.startswith(f"--set {override}: {problem} — ")


def test_fewer_steps_than_are_done(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "run", stop_at=3)
    told = refusal(UsageError, run, overrides=["training.steps=2"])
    assert told == "training.steps=2 is fewer than the 3 steps done — ask for more, or for none"


def test_a_config_that_was_edited(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "run", stop_at=3)
    run.write_resolved(run.read_resolved().replace("seed: 0", "seed: 1"))
    told = refusal(VerificationError, run)
    assert told.startswith("/resolved.yaml: was changed since the run began: provenance.json tells of another config")
    run.write_resolved("seed: [")
    assert refusal(VerificationError, run).startswith("/resolved.yaml: is damaged: ")


def test_a_checkpoint_of_another_run_or_network(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "run", stop_at=3)
    same = begin(experiment(), tmp_path / "same", stop_at=3)
    for step in (0, 3):
        run.checkpoints().path(step).write_bytes(same.checkpoints().path(step).read_bytes())
    assert "step-0000000003.safetensors is of another run; " in refusal(VerificationError, run)


def test_a_diverged_run_would_only_diverge_again(experiment: Make, tmp_path: Path) -> None:
    with pytest.raises(DivergedError) as first:
        begin(experiment(*EXPLODES), tmp_path / "run")
    assert first.value.problem in refusal(DivergedError, RunFolder(tmp_path / "run"))


def test_a_run_that_is_being_trained(experiment: Make, tmp_path: Path) -> None:
    events = train_into(tmp_path / "run", experiment(), config=b"", argv=[])
    next(events)
    with pytest.raises(RunLockedError, match="is being trained by process"):
        to_the_end(resume(RunFolder(tmp_path / "run"), argv=[]))
    with pytest.raises(RunLockedError, match="is being trained by process"):
        to_the_end(train_into(tmp_path / "run", experiment(), config=b"", argv=[]))
    events.close()


def test_who_was_overtaken_writes_nothing_more(experiment: Make, tmp_path: Path) -> None:
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


def test_leftovers_of_a_killed_process_are_removed(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "run", stop_at=2)
    for folder in (run.path, run.path / "weights", run.path / "checkpoints"):
        (folder / ".x.0123456789abcdef.tmp").write_bytes(b"half")
    (run.path / "mine.tmp").write_bytes(b"not rnnlab's")
    resumed(run)
    assert [path.name for path in run.path.rglob("*.tmp")] == ["mine.tmp"]


def test_into_refuses_the_run_of_another_config(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "run", stop_at=2)
    with pytest.raises(UsageError) as refused:
        begin(experiment("seed=1", "training.steps=9"), run.path)
    assert refused.value.problem == (
        "holds the run of another config: seed: 0 there, 1 here, training.steps: 5 there, 9 here"
    )
    assert run.read_status().state == "interrupted"


def test_into_takes_another_rhythm_of_saving(experiment: Make, tmp_path: Path) -> None:
    run = begin(experiment(), tmp_path / "run", stop_at=2)
    run = begin(experiment("training.checkpoint={every_steps: 1}", "training.max_seconds=1000"), run.path)
    assert account(run) == account(begin(experiment(), tmp_path / "whole"))


@pytest.mark.parametrize("there", ["a file", "a folder"])
def test_into_refuses_a_folder_that_is_no_run(experiment: Make, tmp_path: Path, there: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes").mkdir() if there == "a folder" else (tmp_path / "run" / "notes").write_text("mine")
    with pytest.raises(UsageError, match="is not a run, and not empty: it holds notes"):
        begin(experiment(), tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes"]


def test_into_begins_where_a_start_was_cut_short(experiment: Make, tmp_path: Path) -> None:
    """Killed between the making of the folder and the first status, the same command begins again."""
    whole = account(begin(experiment(), tmp_path / "whole"))
    for left in ([], ["config.yaml"], ["config.yaml", "resolved.yaml", "provenance.json", "metrics.jsonl", "log.txt"]):
        folder = tmp_path / str(len(left))
        folder.mkdir()
        for name in left:
            (folder / name).write_bytes(b"")
        assert account(begin(experiment(), folder)) == whole


def test_the_time_budget(experiment: Make, tmp_path: Path) -> None:
    asked = experiment("training.steps=1000000", "training.max_seconds=1")
    with pytest.raises(StoppedError, match=r"stopped by training\.max_seconds=1 at step"):
        begin(asked, tmp_path / "run")
    status = RunFolder(tmp_path / "run").read_status()
    assert (status.state, status.exit_code) == ("interrupted", 75)
    assert 0.5 < (status.updated - status.started).total_seconds() < 1


@pytest.mark.parametrize("missing", ["provenance.json", "resolved.yaml"])
def test_into_begins_again_what_failed_while_it_was_made(
    experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """A disk was full before all was stored that a start stores; the status says so, and no step was done."""
    refused = "write_provenance" if missing == "provenance.json" else "write_resolved"

    def refuse(*_: object) -> None:
        raise EnvironmentFault("no space")

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, refused, refuse)
        with pytest.raises(EnvironmentFault):
            begin(experiment(), tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    assert (run.read_status().state, (run.path / missing).exists()) == ("failed", False)
    assert account(begin(experiment(), run.path)) == account(begin(experiment(), tmp_path / "whole"))
    (run.path / missing).unlink()
    with pytest.raises(VerificationError, match=f"{missing}: is missing"):
        begin(experiment(), run.path)
