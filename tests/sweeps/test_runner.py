"""Running a sweep: workers that are killed, hang or get a bad config, and a runner that is stopped."""

import os
import signal
from pathlib import Path

import pytest

from rnnlab.config.load import load_experiment
from rnnlab.core.errors import EnvironmentFault
from rnnlab.storage import RunFolder
from rnnlab.sweeps import SweepFolder, pool
from rnnlab.sweeps.events import Event, SweepEnded, TrialEnded, TrialStarted
from rnnlab.sweeps.pool import TrialStepped, WorkerPool
from rnnlab.sweeps.runner import run_sweep, run_sweeps
from rnnlab.sweeps.status import sweep_status
from rnnlab.training.resume import train_into
from rnnlab.training.stopping import Stop
from tests.sweeps.trying import ENDLESS, QUICK, SLOW, Undisturbed, accounts, make, make_sweep, run, states
from tests.training.resuming import account

NAMES = [f"{number:04d}-seed{number - 1}" for number in range(1, 301)]


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> list[WorkerPool]:
    """The worker pools that are made, to get at their processes."""
    made: list[WorkerPool] = []
    monkeypatch.setattr(
        "rnnlab.sweeps.runner.WorkerPool",
        lambda size: made.append(WorkerPool(size)) or made[-1],  # type: ignore[func-returns-value]
    )
    return made


def kill(pools: list[WorkerPool], trial: str, number: signal.Signals = signal.SIGKILL) -> None:
    (worker,) = (worker for worker in pools[0].workers if trial in worker.assigned)
    os.kill(worker.pid, number)


def reasons(sweep: SweepFolder) -> dict[str, tuple[str, str]]:
    return {one.trial.name: (one.state, one.reason) for one in sweep_status(sweep).trials if one.reason}


def test_all_trials_are_trained_as_rnnlab_train_would(place: Path) -> None:
    sweep = make(place, QUICK)
    assert run(sweep) == [(name, "completed") for name in NAMES[:3]]
    for trial in sweep.read_plan().trials:
        config = sweep.config(trial)
        list(train_into(place / "alone" / trial.name, load_experiment(config).experiment, config=b"", argv=["x"]))
        assert account(sweep.run(trial)) == account(RunFolder(place / "alone" / trial.name))
        facts = sweep.run(trial).read_provenance()
        assert facts.argv == ["rnnlab", "train", str(config), "--into", str(sweep.run(trial).path)]
        assert facts.threads["OPENBLAS_NUM_THREADS"] == "1"
        assert "tensorflow" not in facts.versions
    before = [sweep.run(trial).read_status() for trial in sweep.read_plan().trials]
    assert run(sweep) == []
    assert [sweep.run(trial).read_status() for trial in sweep.read_plan().trials] == before


def test_only_what_is_missing_interrupted_or_failed_is_trained(place: Path) -> None:
    sweep = make(place, QUICK, seeds=4)
    first, second, third, fourth = sweep.read_plan().trials
    done = load_experiment(sweep.config(first)).experiment
    list(train_into(sweep.run(first).path, done, config=b"", argv=["x"]))
    run_ = sweep.run(second)
    list(train_into(run_.path, load_experiment(sweep.config(second)).experiment, config=b"", argv=["x"]))
    run_.write_status(run_.read_status().changed(state="interrupted"))
    sweep.write_failure(sweep.read_plan(), third, "a test")
    assert reasons(sweep) == {third.name: ("failed", "a test")}
    assert run(sweep) == [(trial.name, "completed") for trial in (second, third, fourth)]
    assert reasons(sweep) == {}


def test_a_killed_worker_is_replaced_and_its_trial_resumed(
    place: Path, pools: list[WorkerPool], undisturbed: Undisturbed
) -> None:
    sweep, lost = make(place, SLOW), list[str]()

    def watch(event: Event) -> None:
        if isinstance(event, TrialStepped) and event.trial.number == 2 and not lost:
            kill(pools, NAMES[1])
        if isinstance(event, TrialEnded) and event.status.state == "interrupted":
            lost.append(f"{event.status.trial.name}: {event.status.reason}")

    ends = run(sweep, watch)
    assert [end for end in ends if end[1] == "completed"] == [(name, "completed") for name in NAMES[:3]]
    assert lost == [f"{NAMES[1]}: its worker died (killed by SIGKILL); another resumes it"]
    assert accounts(sweep) == undisturbed(SLOW)
    assert [sweep.run(trial).read_status().attempt for trial in sweep.read_plan().trials] == [1, 2, 1]


def test_a_trial_that_kills_two_workers_fails_alone(place: Path, pools: list[WorkerPool]) -> None:
    sweep = make(place, SLOW)

    def watch(event: Event) -> None:
        if isinstance(event, TrialStepped) and event.trial.number == 1:
            kill(pools, NAMES[0])

    ends = run(sweep, watch)
    states_ = ["failed", "interrupted", "completed", "completed"]
    assert ends == list(zip([NAMES[0], *NAMES[:3]], states_, strict=True))
    assert reasons(sweep) == {NAMES[0]: ("failed", "2 workers died while training it, the last killed by SIGKILL")}
    assert run(sweep) == [(NAMES[0], "completed")]
    assert reasons(sweep) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("task: [", "invalid YAML: "),
        (QUICK + "sede: 1\n", "unknown key 'sede'"),
        (QUICK.replace("units: 4", "units: 5"), "was changed since the sweep was planned"),
    ],
    ids=["no yaml", "no config", "another"],
)
def test_a_bad_config_fails_its_own_trial_alone(place: Path, text: str, reason: str) -> None:
    sweep = make(place, QUICK)
    sweep.config(sweep.read_plan().trials[1]).write_text(text)
    assert run(sweep) == [(NAMES[0], "completed"), (NAMES[1], "failed"), (NAMES[2], "completed")]
    ((name, (state, ends)),) = reasons(sweep).items()
    assert (name, state) == (NAMES[1], "failed")
    assert reason in ends


def test_a_trial_without_enough_memory_fails_alone(place: Path) -> None:
    axes = "sweep: {axes: {cell.units: [4, 60000]}}\n"
    sweep = make_sweep(place, QUICK.replace("units: 4", "layers: 10") + axes)
    assert [state for _, state in run(sweep)] == ["completed", "failed"]
    ((_, (_, reason)),) = reasons(sweep).items()
    assert "training needs about " in reason


def test_a_trial_that_takes_too_long_is_saved_and_failed(place: Path) -> None:
    sweep = make(place, ENDLESS, seeds=1)
    assert run(sweep, timeout=1.5) == [("0001", "failed")]
    assert reasons(sweep) == {"0001": ("failed", "not done within --timeout 1.5 s")}
    status = sweep.run(sweep.read_plan().trials[0]).read_status()
    assert (status.state, status.step > 0) == ("interrupted", True)
    assert status.message == "stopped by --timeout=1.5"


def test_a_worker_that_does_not_respond_is_killed(
    place: Path, pools: list[WorkerPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_KILL_SECONDS", 0.5)
    sweep = make(place, ENDLESS, seeds=1)

    def watch(event: Event) -> None:
        if isinstance(event, TrialStepped):
            kill(pools, "0001", signal.SIGSTOP)

    assert run(sweep, watch, timeout=1.0) == [("0001", "failed")]
    assert reasons(sweep) == {"0001": ("failed", "not done within --timeout 1 s, and not responding")}


def test_fail_fast_stops_at_the_first_failure(place: Path) -> None:
    sweep = make(place, ENDLESS, seeds=4)
    sweep.config(sweep.read_plan().trials[0]).write_text("task: [")
    *_, over = run_sweep(sweep, workers=2, fail_fast=True)
    assert isinstance(over, SweepEnded)
    assert over.stop_reason == f"--fail-fast: {NAMES[0]} failed"
    assert states(over)[0] == "failed"
    assert "completed" not in states(over)
    assert states(over)[3] == "missing"


def test_closing_stops_at_once(place: Path, pools: list[WorkerPool]) -> None:
    sweep = make(place, ENDLESS, seeds=2)
    going = run_sweep(sweep, workers=2)
    for event in going:
        if isinstance(event, TrialStepped):
            break
    going.close()
    assert pools[0].workers == []
    assert {one.state for one in sweep_status(sweep).trials} <= {"stale", "missing"}


def test_of_two_runners_the_second_takes_other_trials(place: Path) -> None:
    """The first is stopped in the middle of its trial, which the second leaves alone until it is free."""
    sweep, stop = make(place, SLOW, seeds=4), Stop()
    first, ends = run_sweep(sweep, workers=1, stop=stop), list[str]()
    for event in first:
        if isinstance(event, TrialStepped):
            break
    second = run_sweep(sweep, workers=1)
    for event in second:
        if isinstance(event, TrialStarted):
            ends.append(event.trial.name)
        if isinstance(event, TrialEnded) and event.status.trial.name == NAMES[1]:
            break
    stop.ask("a test")
    for _ in first:
        pass
    *_, over = second
    assert ends == [NAMES[1]]
    assert states(over) == ["completed"] * 4
    attempts = [sweep.run(trial).read_status().attempt for trial in sweep.read_plan().trials]
    assert attempts[0] <= 2
    assert attempts[1:] == [1, 1, 1]


def test_a_worker_that_is_free_begins_the_next_sweep(place: Path) -> None:
    """Both have a trial of the same name; the one of the first is stopped once the second sweep has ended."""
    first, second, stop = make(place, ENDLESS, seeds=1, name="a"), make(place, QUICK, seeds=3, name="b"), Stop()
    events = list[tuple[str, str]]()
    for sweep, event in run_sweeps([first, second], workers=2, stop=stop):
        if isinstance(event, TrialEnded):
            events.append((sweep.path.name, event.status.state))
        elif isinstance(event, SweepEnded):
            events.append((sweep.path.name, event.stop_reason or "all"))
            stop.ask("a test")
    assert events == [*[("b", "completed")] * 3, ("b", "all"), ("a", "interrupted"), ("a", "a test")]
    assert [one.state for one in sweep_status(first).trials] == ["interrupted"]


def test_trials_that_another_process_finished(place: Path) -> None:
    sweep, ends = make(place, QUICK, seeds=2), list[TrialEnded]()
    second = sweep.read_plan().trials[1]

    def watch(event: Event) -> None:
        if isinstance(event, TrialStarted) and event.trial.number == 1:
            experiment = load_experiment(sweep.config(second)).experiment
            list(train_into(sweep.run(second).path, experiment, config=b"", argv=["x"]))
        if isinstance(event, TrialEnded):
            ends.append(event)

    run(sweep, watch, workers=1)
    assert [(one.status.trial.number, one.status.state, one.seconds is None) for one in ends] == [
        (1, "completed", False),
        (2, "completed", True),
    ]


def test_trials_that_others_train_for_long_are_left_to_them(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.sweeps.runner._WAIT_SECONDS", 1.5)
    sweep = make(place, QUICK, seeds=2)
    trial = sweep.read_plan().trials[0]
    run(sweep)
    with sweep.run(trial).locked() as held:
        held.write_status(held.read_status().changed(state="running", attempt=held.attempt))
        *_, over = run_sweep(sweep, workers=2)
    assert states(over) == ["running", "completed"]


def test_workers_that_cannot_start_are_an_error(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = place / "broken" / "rnnlab"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('half of rnnlab')\n")
    monkeypatch.setattr(pool, "worker_environment", lambda given: {**given, "PYTHONPATH": str(broken.parent)})
    sweep = make(place, QUICK, seeds=1)
    with pytest.raises(
        EnvironmentFault,
        match=r"^workers cannot start: ended with exit code 1: ImportError: half of rnnlab — try `rnnlab train`",
    ):
        run(sweep)
