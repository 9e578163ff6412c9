"""Running a sweep: workers that are killed, hang or meet a poisoned config, and a controller that is stopped."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from rnnlab.config.load import load_experiment
from rnnlab.core.errors import EnvironmentFault
from rnnlab.storage import RunFolder
from rnnlab.sweeps import SweepFolder, crew
from rnnlab.sweeps.account import read_account
from rnnlab.sweeps.crew import Crew, Member
from rnnlab.sweeps.events import Begun, Event, Lost, Over, TrialBegun, TrialEnded, TrialStepped
from rnnlab.sweeps.running import run_sweep
from rnnlab.sweeps.states import standings
from rnnlab.training.resume import train_into
from rnnlab.training.stopping import Stop
from tests.sweeps.trying import ENDLESS, QUICK, SLOW, accounts, make, run, states
from tests.training.resuming import account

NAMES = [f"{number:04d}-seed{number - 1}" for number in range(1, 301)]


@pytest.fixture
def crews(monkeypatch: pytest.MonkeyPatch) -> list[Crew]:
    """The crews that controllers make, to get at their workers."""
    made: list[Crew] = []
    monkeypatch.setattr(
        "rnnlab.sweeps.running.Crew",
        lambda size: made.append(Crew(size)) or made[-1],  # type: ignore[func-returns-value]
    )
    return made


def kill(crews: list[Crew], trial: str, number: signal.Signals = signal.SIGKILL) -> None:
    (member,) = (member for member in crews[0].members if member.trial and member.trial.name == trial)
    os.kill(member.pid, number)


def reasons(sweep: SweepFolder) -> dict[str, tuple[str, str]]:
    return {one.trial.name: (one.state, one.reason) for one in standings(sweep, sweep.read_plan()) if one.reason}


def test_all_trials_are_trained_as_rnnlab_train_would(place: Path) -> None:
    sweep = make(place, QUICK)
    assert run(sweep) == [(name, "completed") for name in NAMES[:3]]
    for trial in sweep.read_plan().trials:
        config = sweep.config(trial)
        list(train_into(place / "alone" / trial.name, load_experiment(config).experiment, config=b"", argv=["x"]))
        assert account(sweep.run(trial)) == account(RunFolder(place / "alone" / trial.name))
        told = sweep.run(trial).read_provenance()
        assert told["argv"] == ["rnnlab", "train", str(config), "--into", str(sweep.run(trial).path)]
        assert told["threads"]["OPENBLAS_NUM_THREADS"] == "1"
        assert "tensorflow" not in told["versions"]


def test_what_is_completed_is_not_trained_again(place: Path) -> None:
    sweep = make(place, QUICK)
    run(sweep)
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
    sweep.write_failure(third, "a test")
    assert reasons(sweep) == {third.name: ("failed", "a test")}
    assert run(sweep) == [(trial.name, "completed") for trial in (second, third, fourth)]
    assert reasons(sweep) == {}


def test_a_worker_that_is_killed_is_replaced_and_its_trial_goes_on(place: Path, crews: list[Crew]) -> None:
    whole = make(place, SLOW, name="whole")
    run(whole)
    sweep, lost = make(place, SLOW), list[Lost]()

    def watch(event: Event) -> None:
        if isinstance(event, TrialStepped) and event.trial.number == 2 and not lost:
            os.kill(next(one.pid for one in crews[1].members if one.trial == event.trial), signal.SIGKILL)
        if isinstance(event, Lost):
            lost.append(event)

    assert run(sweep, watch) == [(name, "completed") for name in NAMES[:3]]
    assert [(one.trial.name, one.how) for one in lost] == [(NAMES[1], "killed by SIGKILL")]
    assert accounts(sweep) == accounts(whole)
    assert [sweep.run(trial).read_status().attempt for trial in sweep.read_plan().trials] == [1, 2, 1]


def test_a_trial_that_costs_two_workers_is_given_up_and_the_others_are_not(place: Path, crews: list[Crew]) -> None:
    sweep = make(place, SLOW)

    def watch(event: Event) -> None:
        if isinstance(event, TrialStepped) and event.trial.number == 1:
            kill(crews, NAMES[0])

    told = run(sweep, watch)
    assert told == [(NAMES[0], "failed"), (NAMES[1], "completed"), (NAMES[2], "completed")]
    assert reasons(sweep) == {NAMES[0]: ("failed", "two workers died of it, the last killed by SIGKILL")}
    assert run(sweep) == [(NAMES[0], "completed")]
    assert reasons(sweep) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("task: [", "not YAML: "),
        (QUICK + "sede: 1\n", "unknown key 'sede'"),
        (QUICK.replace("units: 4", "units: 60000, layers: 10"), "training needs about "),
    ],
    ids=["no yaml", "no config", "memory"],
)
def test_a_poisoned_config_costs_its_own_trial_alone(place: Path, text: str, reason: str) -> None:
    sweep = make(place, QUICK)
    sweep.config(sweep.read_plan().trials[1]).write_text(text)
    assert run(sweep) == [(NAMES[0], "completed"), (NAMES[1], "failed"), (NAMES[2], "completed")]
    ((name, (state, told)),) = reasons(sweep).items()
    assert (name, state) == (NAMES[1], "failed")
    assert reason in told


def test_a_trial_that_takes_too_long_is_saved_and_failed(place: Path) -> None:
    sweep = make(place, ENDLESS, seeds=1)
    assert run(sweep, timeout=1.5) == [("0001", "failed")]
    assert reasons(sweep) == {"0001": ("failed", "not done within the --timeout of 1.5 s")}
    status = sweep.run(sweep.read_plan().trials[0]).read_status()
    assert (status.state, status.step > 0) == ("interrupted", True)
    assert status.message == "stopped by --timeout=1.5"


def test_a_worker_that_does_not_hear_is_killed(place: Path, crews: list[Crew], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "_PATIENCE", 0.5)
    sweep = make(place, ENDLESS, seeds=1)

    def watch(event: Event) -> None:
        if isinstance(event, TrialStepped):
            kill(crews, "0001", signal.SIGSTOP)

    assert run(sweep, watch, timeout=1.0) == [("0001", "failed")]
    assert reasons(sweep) == {"0001": ("failed", "not done within the --timeout of 1 s, and deaf")}


def test_fail_fast_stops_at_the_first_failure(place: Path) -> None:
    sweep = make(place, ENDLESS, seeds=4)
    sweep.config(sweep.read_plan().trials[0]).write_text("task: [")
    *_, over = run_sweep(sweep, workers=2, fail_fast=True)
    assert isinstance(over, Over)
    assert over.stopped == f"--fail-fast: {NAMES[0]} failed"
    assert states(over)[0] == "failed"
    assert "completed" not in states(over)
    assert states(over)[3] == "missing"


def test_whoever_asks_it_to_stop_finds_all_saved(place: Path) -> None:
    sweep, stop, asked, told_of = make(place, ENDLESS, seeds=5), Stop(), 0.0, list[str]()

    def watch(event: Event) -> None:
        nonlocal asked
        if isinstance(event, TrialStepped) and not asked:
            stop.ask("a test")
            asked = time.monotonic()
        if isinstance(event, TrialEnded):
            told_of.append(event.reason)

    told = run(sweep, watch, stop=stop)
    assert time.monotonic() - asked < 5
    assert told == [(NAMES[0], "interrupted"), (NAMES[1], "interrupted")]
    assert all(re.fullmatch(r"stopped by a test at step [\d,]+, and the state is saved", reason) for reason in told_of)
    found = standings(sweep, sweep.read_plan())
    assert [one.state for one in found] == ["interrupted"] * 2 + ["missing"] * 3
    assert [one.reason for one in found[:2]] == ["stopped by a test"] * 2


def test_to_close_it_is_to_stop_at_once_and_nothing_is_lost(place: Path, crews: list[Crew]) -> None:
    sweep = make(place, ENDLESS, seeds=2)
    going = run_sweep(sweep, workers=2)
    for event in going:
        if isinstance(event, TrialStepped):
            break
    going.close()
    assert crews[0].members == []
    assert {one.state for one in standings(sweep, sweep.read_plan())} <= {"stale", "missing"}


def test_a_wish_to_cancel_is_heard(place: Path) -> None:
    sweep = make(place, ENDLESS, seeds=2)
    sweep.write_cancel({"token": "an old one"})

    def watch(event: Event) -> None:
        if isinstance(event, TrialStepped):
            sweep.write_cancel({"token": "a new one"})

    assert run(sweep, watch) == [(NAMES[0], "interrupted"), (NAMES[1], "interrupted")]


def test_of_two_controllers_the_second_takes_other_trials(place: Path) -> None:
    """The first is stopped in the middle of its trial, which the second leaves alone until it is free."""
    sweep, stop = make(place, SLOW, seeds=4), Stop()
    first, told = run_sweep(sweep, workers=1, stop=stop), list[str]()
    for event in first:
        if isinstance(event, TrialStepped):
            break
    second = run_sweep(sweep, workers=1)
    for event in second:
        if isinstance(event, TrialBegun):
            told.append(event.trial.name)
        if isinstance(event, TrialEnded) and event.trial.name == NAMES[1]:
            break
    stop.ask("a test")
    for _ in first:
        pass
    *_, over = second
    assert told == [NAMES[1]]
    assert states(over) == ["completed"] * 4
    attempts = [sweep.run(trial).read_status().attempt for trial in sweep.read_plan().trials]
    assert attempts[0] <= 2
    assert attempts[1:] == [1, 1, 1]


def test_what_another_process_has_trained_meanwhile_is_told_as_such(place: Path) -> None:
    sweep, told = make(place, QUICK, seeds=2), list[TrialEnded]()
    second = sweep.read_plan().trials[1]

    def watch(event: Event) -> None:
        if isinstance(event, TrialBegun) and event.trial.number == 1:
            experiment = load_experiment(sweep.config(second)).experiment
            list(train_into(sweep.run(second).path, experiment, config=b"", argv=["x"]))
        if isinstance(event, TrialEnded):
            told.append(event)

    run(sweep, watch, workers=1)
    assert [(one.trial.number, one.state, one.seconds is None) for one in told] == [
        (1, "completed", False),
        (2, "completed", True),
    ]


def test_trials_that_others_train_on_and_on_are_left_to_them(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.sweeps.running._FOREIGN", 1.5)
    sweep = make(place, QUICK, seeds=2)
    trial = sweep.read_plan().trials[0]
    run(sweep)
    held = sweep.run(trial)
    lock = held.lock()
    held.write_status(held.read_status().changed(state="running", attempt=lock.attempt))
    *_, over = run_sweep(sweep, workers=2)
    lock.release()
    assert states(over) == ["running", "completed"]


def test_workers_that_cannot_start_are_told_of(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = place / "broken" / "rnnlab"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('half of rnnlab')\n")
    monkeypatch.setattr(crew, "environment", lambda given: {**given, "PYTHONPATH": str(broken.parent)})
    sweep = make(place, QUICK, seeds=1)
    with pytest.raises(
        EnvironmentFault,
        match=r"^workers cannot start: ended with exit code 1: ImportError: half of rnnlab — `rnnlab t",
    ):
        run(sweep)


def test_a_worker_whose_controller_is_gone_saves_and_leaves(place: Path) -> None:
    sweep = make(place, ENDLESS, seeds=1)
    trial = sweep.read_plan().trials[0]
    member = Member()
    member.train(trial, crew.Train(trial.name, str(sweep.config(trial)), str(sweep.run(trial).path), "loss"))
    while not sweep.run(trial).is_run():
        time.sleep(0.01)
    assert member.close() == "ended with exit code 0"
    (found,) = standings(sweep, sweep.read_plan())
    assert (found.state, found.reason) == ("interrupted", "stopped by the end of its controller")


def test_the_account_of_a_sweep(place: Path) -> None:
    sweep = make(place, QUICK, seeds=4)
    events = list(run_sweep(sweep, workers=2))
    assert isinstance(events[0], Begun)
    assert [one.state for one in events[0].standings] == ["missing"] * 4
    sweep.write_failure(sweep.read_plan().trials[3], "a test")  # of a run that is complete, it tells nothing
    told = read_account(sweep)
    losses = {trial.name: sweep.run(trial).read_summary()["loss"] for trial in sweep.read_plan().trials}
    assert told.results == losses
    assert told.best == min(losses, key=losses.__getitem__)
    assert told.counts == {"completed": 4}
    assert (told.failures, told.seconds_left) == ([], None)
    results = {event.trial.name: event.result for event in events if isinstance(event, TrialEnded)}
    assert results == losses
