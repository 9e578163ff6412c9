"""The status of a trial from its run folder, from Slurm and from the script's history."""

from pathlib import Path

import pytest

from rnnlab.core.errors import RunLockedError
from rnnlab.sweeps import SweepFolder
from rnnlab.sweeps.folder import locked
from rnnlab.sweeps.slurm.jobs import Job, SlurmFolder, jobs_of, with_jobs
from rnnlab.sweeps.slurm.script import JobArray, Request
from rnnlab.sweeps.slurm.submit import cancel
from rnnlab.sweeps.status import State, SweepStatus, TrialStatus
from tests.sweeps.trying import plan, trial

BEGAN = "2026-11-22T23:31:14Z 12_7 starts at step 0 on n1"


def place(
    folder: Path, state: State, job: str, *, history: tuple[str, ...] = (), waits_for: str = ""
) -> tuple[str, str]:
    """Return the state and reason of a trial whose run has one state and whose job has another."""
    sweep, one = SweepFolder(folder), trial(7)
    if history:
        (sweep.slurm / "history").mkdir(parents=True)
        (sweep.slurm / "history" / f"{one.name}.txt").write_text("\n".join(history) + "\n")
    jobs = {one.name: Job("12_7", "slurm/logs/0001-12_7.log", job, waits_for)}
    status = SweepStatus(sweep, plan([]), [TrialStatus(one, state, "of the folder")])
    (found,) = with_jobs(status, jobs).trials
    return found.state, found.reason


@pytest.mark.parametrize(
    ("state", "job", "expected"),
    [
        ("completed", "TIMEOUT", ("completed", "of the folder")),
        ("diverged", "FAILED", ("diverged", "of the folder")),
        ("running", "RUNNING", ("running", "of the folder")),
        ("missing", "RUNNING", ("running", "")),
        ("stale", "COMPLETING", ("running", "")),
        ("failed", "PENDING", ("queued", "Priority")),
        ("interrupted", "REQUEUED", ("queued", "Priority")),
        ("failed", "FAILED", ("failed", "of the folder")),
        ("interrupted", "TIMEOUT", ("interrupted", "of the folder")),
        ("stale", "TIMEOUT", ("interrupted", "its time limit was reached before its state was saved (job 12_7)")),
        ("stale", "PREEMPTED", ("interrupted", "preempted, and not requeued (job 12_7)")),
        ("stale", "NODE_FAIL", ("interrupted", "its node failed, and it was not requeued (job 12_7)")),
        ("stale", "OUT_OF_MEMORY", ("failed", "out of memory: request more with --mem (job 12_7)")),
        ("missing", "CANCELLED", ("missing", "cancelled (job 12_7)")),
        ("missing", "FAILED", ("failed", "its job failed: see slurm/logs/0001-12_7.log")),
        ("stale", "", ("stale", "of the folder")),
    ],
)
def test_each_state_of_slurm(tmp_path: Path, state: State, job: str, expected: tuple[str, str]) -> None:
    assert place(tmp_path, state, job, waits_for="Priority") == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("12_7 ends with exit code 137 at step 40", ("failed", "killed, probably out of memory (job 12_7)")),
        ("12_7 fails: it started 5 times at step 0", ("failed", "it started 5 times at step 0")),
        ("12_7 ends with exit code 1 at step 0", ("failed", "its job failed: see slurm/logs/0001-12_7.log")),
        ("12_7 ends with exit code 75 at step 9", ("stale", "of the folder")),
        ("11_7 fails: an older job", ("stale", "of the folder")),
    ],
)
def test_where_slurm_has_forgotten_the_job_the_history_counts(
    tmp_path: Path, line: str, expected: tuple[str, str]
) -> None:
    assert place(tmp_path, "stale", "", history=(BEGAN, f"2026-11-22T23:41:14Z {line}")) == expected


def test_the_newest_job_of_each_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three tasks squeue knows two; one of them ends, and is not requeued as its job was cancelled."""
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\necho '12|1|tiny-x|RUNNING|None'\necho '12|2|tiny-x|COMPLETING|None'\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    sweep = SweepFolder(tmp_path / "tiny")
    names = tuple(trial(number).name for number in (1, 2, 3))
    folder = SlurmFolder(sweep.slurm)
    with locked(folder.path, ""):  # which makes the folder
        for number in (1, 2):
            tasks = tuple((name,) for name in names[: 2 * number - 1])
            tasks += (names[2 * number - 1 :],) * (number < 2)  # in the older one a task trains two
            array = JobArray(
                number=number, name="tiny-x", request=Request(), tasks=tasks, job=10 + number, cancelled=True
            )
            folder.write(array)
    jobs = jobs_of(sweep, names)
    assert [(jobs[name].id, jobs[name].state) for name in names] == [
        ("12_1", "RUNNING"), ("12_2", "CANCELLED"), ("12_3", ""),
    ]  # fmt: skip


def test_one_process_submits_or_cancels_at_a_time(tmp_path: Path) -> None:
    sweep = SweepFolder(tmp_path)
    with (
        locked(sweep.slurm, "submitted or cancelled"),
        pytest.raises(RunLockedError, match=r"submitted or cancelled .* — wait until it is done"),
    ):
        cancel(sweep)
    assert cancel(sweep) == []
