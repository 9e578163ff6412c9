"""Sweeps on a real Slurm: every trial is trained once, bit-identical, whatever happens to its job."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from rnnlab.storage import RunFolder
from rnnlab.sweeps import Plan, SweepFolder
from rnnlab.sweeps.slurm import script
from rnnlab.sweeps.slurm.client import sbatch
from rnnlab.sweeps.slurm.jobs import SlurmFolder, jobs_of, with_jobs
from rnnlab.sweeps.slurm.script import Request
from rnnlab.sweeps.slurm.submit import submit
from rnnlab.sweeps.status import TrialStatus, sweep_status
from tests.cli.program import rnnlab
from tests.slurm.cluster import Cluster
from tests.slurm.conftest import go_to, sweep_of, undisturbed, wait_until, write
from tests.training.resuming import account

pytestmark = pytest.mark.slurm

Submitted = tuple[Path, SweepFolder, Plan]


def trials(sweep: SweepFolder) -> Sequence[TrialStatus]:
    status = sweep_status(sweep)
    return with_jobs(status, jobs_of(sweep, [one.trial.name for one in status.trials])).trials


def states(sweep: SweepFolder) -> Counter[str]:
    return Counter(one.state for one in trials(sweep))


@pytest.fixture(scope="module", autouse=True)
def limited(cluster: Cluster, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Submitted:
    """A folder, and a sweep submitted there that reaches its time limit, which Slurm looks at twice a minute only."""
    folder = tmp_path_factory.mktemp("limited")
    with pytest.MonkeyPatch.context() as patch:
        go_to(folder, cluster, package, patch)
        patch.setenv("SLOW_SECONDS", "0.02")
        sweep, plan = sweep_of("seeds: 2", steps=1500)
        submit(sweep, Request(time="1", extra=("#SBATCH --signal=B:USR1@55",)).check())
    return folder, sweep, plan


def test_thirty_trials(desk: Cluster, tmp_path: Path) -> None:
    config = write("seeds: 30", steps=4)
    submitted = rnnlab("sweep", config, "--slurm", "--array-limit", "8")
    (job,) = re.findall(r"^runs/tiny: 30 trials submitted as job (\d+); status: `rnnlab sweep status", submitted.stdout)
    sweep = SweepFolder(Path("runs/tiny"))
    plan = sweep.read_plan()
    assert re.search(rf"^0020-seed19 +queued +0 +{job}_20 +PENDING", rnnlab("sweep", "status", "tiny").stdout, re.M)
    nothing = "runs/tiny: nothing to submit, every trial is finished, running or queued\n"
    assert rnnlab("sweep", config, "--slurm").stdout == nothing
    wait_until(lambda: states(sweep) == {"completed": 30})
    assert rnnlab("sweep", "resume", "tiny").stdout == nothing
    for trial in plan.trials[::10]:
        assert account(sweep.run(trial)) == undisturbed(sweep, trial, tmp_path / "twin")
    facts = sweep.run(plan.trials[6]).read_provenance().slurm
    assert (facts["SLURM_ARRAY_JOB_ID"], facts["SLURM_ARRAY_TASK_ID"], facts["SLURM_CPUS_PER_TASK"]) == (job, "7", "1")


def history(sweep: SweepFolder, number: int, plan: Plan) -> list[str]:
    """What the script noted of a trial, without the time and the job."""
    path = sweep.slurm / "history" / f"{plan.trials[number - 1].name}.txt"
    return [line.split(" ", 2)[2] for line in path.read_text().splitlines()] if path.exists() else []


def has_begun(sweep: SweepFolder, *, step: int = 1) -> bool:
    return all(one.state == "running" and one.step >= step for one in sweep_status(sweep).trials)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty steps a second, whatever the machine."""
    monkeypatch.setenv("SLOW_SECONDS", "0.02")


def test_failing_trials(desk: Cluster) -> None:
    sweep, _ = sweep_of("axes: {task.ends: [well, killed, failed]}", steps=4)
    submit(sweep, Request())
    wait_until(lambda: states(sweep) == {"completed": 1, "failed": 2})
    completed, killed, failed = trials(sweep)
    assert completed.reason == ""
    assert killed.reason.startswith("killed, probably out of memory (job ")
    assert failed.reason == "RuntimeError: poison"


def test_a_job_without_progress_fails(desk: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "STARTS_AT_ONE_STEP", 2)
    sweep, plan = sweep_of("seeds: 1", steps=4)
    config = sweep.config(plan.trials[0])
    config.write_text(config.read_text().replace("max_seconds: null", "max_seconds: 0.000001"))
    submit(sweep, Request())
    wait_until(lambda: states(sweep) == {"failed": 1}, seconds=90)
    assert trials(sweep)[0].reason == "it started 2 times at step 0 without any progress"


def test_more_trials_than_an_array_may_have(desk: Cluster) -> None:
    config = write("seeds: 1100", steps=4)
    stdout = rnnlab("sweep", config, "--slurm", "--extra", "#SBATCH --hold").stdout
    (jobs,) = re.findall(r"^runs/tiny: 1,100 trials submitted as jobs (\d+, \d+);", stdout)
    queue = desk.run("squeue", "-h", "-r", "-o", "%F", f"--jobs={jobs.replace(' ', '')}").split()
    assert Counter(queue) == dict(zip(jobs.split(", "), (1000, 100), strict=True))
    assert rnnlab("sweep", config, "--slurm").stdout.startswith("runs/tiny: nothing to submit")
    assert rnnlab("sweep", "status", "tiny").stdout.startswith("runs/tiny: 1,100 queued, of 1,100 trials\n")
    assert rnnlab("sweep", "cancel", "tiny").stderr.startswith(f"runs/tiny: cancelled jobs {jobs}; ")
    assert rnnlab("sweep", "status", "tiny").stdout.startswith("runs/tiny: 1,100 missing, of 1,100 trials\n")


def test_options_that_slurm_rejected_are_not_used_again(desk: Cluster) -> None:
    config = write("seeds: 1", steps=4)
    rejected = rnnlab("sweep", config, "--slurm", "--partition", "nowhere")
    assert rejected.code == 5
    assert "Invalid partition name specified — change --partition, --time" in rejected.stderr
    assert rnnlab("sweep", config, "--slurm").code == 0
    sweep = SweepFolder(Path("runs/tiny"))
    wait_until(lambda: states(sweep) == {"completed": 1})


BATCH = """\
#!/bin/bash
#SBATCH --cpus-per-task=1
#SBATCH --output=job.log
#SBATCH --open-mode=append
exec PYTHON -m rnnlab train job.yaml --into job
"""


def test_a_batch_script_written_by_hand(desk: Cluster, slow: None, tmp_path: Path) -> None:
    sweep, plan = sweep_of("seeds: 1", steps=300)
    Path("job.yaml").write_bytes(sweep.config(plan.trials[0]).read_bytes())
    Path("job.sh").write_text(BATCH.replace("PYTHON", sys.executable))
    run = RunFolder(Path("job"))
    first = sbatch(Path("job.sh"), folder=tmp_path)
    wait_until(lambda: run.is_run() and run.read_status().step > 0)
    desk.run("scancel", "--batch", "--signal=USR1", str(first))
    wait_until(lambda: "ExitCode=75:0" in desk.run("scontrol", "show", "job", str(first)))
    second = sbatch(Path("job.sh"), folder=tmp_path)
    wait_until(lambda: "JobState=COMPLETED" in desk.run("scontrol", "show", "job", str(second)))
    assert account(run) == undisturbed(sweep, plan.trials[0], tmp_path / "twin")
    facts = run.read_provenance()
    ids = [int(one.slurm["SLURM_JOB_ID"]) for one in facts.processes]
    assert (ids, facts.slurm["SLURM_CPUS_PER_TASK"]) == ([first, second], "1")
    log = Path("job.log").read_text()
    assert re.search(r"^job: stopped by SIGUSR1 at step \d+, and the state is saved", log, re.M)
    assert re.search(r"^step 300 ", log, re.M)
    assert not {"\r", "\x1b"} & set(log)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_before_or_after_sbatch(
    desk: Cluster, when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, plan = sweep_of("seeds: 3", steps=4)
    killer = tmp_path / "bin" / "sbatch"
    killer.parent.mkdir()
    commands = ("kill -9 $PPID", 'PATH=${PATH#*:} sbatch "$@"')
    killer.write_text("#!/bin/bash\n" + "\n".join(commands if when == "before" else reversed(commands)) + "\n")
    if when == "before":
        killer.write_text("#!/bin/bash\nkill -9 $PPID\n")
    killer.chmod(0o755)
    code = (
        "from pathlib import Path; from rnnlab.sweeps import SweepFolder\n"
        "from rnnlab.sweeps.slurm.script import Request; from rnnlab.sweeps.slurm.submit import submit\n"
        "sweep = SweepFolder(Path('runs/tiny')); submit(sweep, Request())"
    )
    environment = {**os.environ, "PATH": f"{killer.parent}:{os.environ['PATH']}"}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == -9
    again = submit(sweep, None)
    assert (again == []) == (when == "after")
    wait_until(lambda: all(len(history(sweep, n, plan)) == 2 for n in (1, 2, 3)))
    assert len(desk.run("squeue", "-h", "-r", "-t", "all", "-o", "%i", "--name", _names(sweep)).split()) == 3
    assert [[line.split()[0] for line in history(sweep, n, plan)] for n in (1, 2, 3)] == [["starts", "ends"]] * 3


def test_the_time_limit(desk: Cluster, limited: Submitted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Submitted before the tests above, which do not disturb it; those below would."""
    folder, sweep, plan = limited
    monkeypatch.chdir(folder)
    done = [["ends with exit code 0 at step 1500"]] * 2
    wait_until(lambda: [history(sweep, n, plan)[-1:] for n in (1, 2)] == done, seconds=120)
    for number, trial in enumerate(plan.trials, 1):
        lines = history(sweep, number, plan)
        assert lines[1].startswith("ends with exit code 75 at step ")
        assert lines[2] == "requeues itself"
        assert account(sweep.run(trial)) == undisturbed(sweep, trial, folder / "twin")
        assert sweep.run(trial).read_provenance().attempts[0].slurm["SLURM_RESTART_COUNT"] == "1"


def test_preemption(desk: Cluster, slow: None, tmp_path: Path) -> None:
    sweep, plan = sweep_of("seeds: 2", steps=400)
    submit(sweep, Request(partition="main"))
    wait_until(lambda: has_begun(sweep))
    desk.run("sbatch", "--partition=high", "--exclusive", "--nodes=2", "--output=/dev/null", "--wrap", "sleep 2")
    wait_until(lambda: states(sweep)["queued"] == 2)
    wait_until(lambda: states(sweep) == {"completed": 2})
    for number, trial in enumerate(plan.trials, 1):
        began = [line for line in history(sweep, number, plan) if line.startswith("starts")]
        assert [line.split()[3] == "0" for line in began] == [True, False]
        assert account(sweep.run(trial)) == undisturbed(sweep, trial, tmp_path / "twin")


def test_cancelled_and_resumed(desk: Cluster, slow: None, tmp_path: Path) -> None:
    sweep, plan = sweep_of("seeds: 4", steps=200)
    (first,) = submit(sweep, Request(array_limit=2))
    job = first.job
    wait_until(lambda: [one.step > 0 for one in sweep_status(sweep).trials] == [True, True, False, False])
    stderr = f"runs/tiny: cancelled job {job}; the state of the trials is saved, `rnnlab sweep resume` resumes them\n"
    assert rnnlab("sweep", "cancel", "tiny").stderr == stderr
    wait_until(lambda: [one.state for one in trials(sweep)] == ["interrupted"] * 2 + ["missing"] * 2)
    assert [one.reason for one in trials(sweep)][1:3] == ["stopped by SIGTERM", f"cancelled (job {job}_3)"]
    rnnlab("sweep", "resume", "tiny")
    again = SlurmFolder(sweep.slurm).arrays()[1]
    assert (again.request, again.trials) == (first.request, first.trials)
    wait_until(lambda: states(sweep) == {"completed": 4})
    assert account(sweep.run(plan.trials[0])) == undisturbed(sweep, plan.trials[0], tmp_path / "twin")


@pytest.mark.parametrize(("steps", "set_down"), [(600, True), pytest.param(3000, False, marks=pytest.mark.soak)])
def test_a_lost_node(desk: Cluster, slow: None, tmp_path: Path, steps: int, set_down: bool) -> None:
    """Its job resumes on another; the old process still runs, as behind a broken network, and must not write.

    Slurm notices a lost daemon within half a minute; the short version sets the node down.
    """
    sweep, plan = sweep_of("seeds: 1", steps=steps)
    submit(sweep, Request())
    wait_until(lambda: has_begun(sweep))
    node = history(sweep, 1, plan)[0].split()[-1]
    desk.kill_node(node)
    if set_down:
        desk.run("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")
    try:
        wait_until(lambda: sum(line.startswith("starts") for line in history(sweep, 1, plan)) == 2, seconds=120)
        wait_until(lambda: states(sweep) == {"completed": 1})
    finally:
        desk.start_node(node)
        wait_until(desk.is_idle)
    (log,) = (sweep.slurm / "logs").iterdir()
    assert f"error[E_LOCKED]: trials/{plan.trials[0].name}: was taken over by process " in log.read_text()
    assert account(sweep.run(plan.trials[0])) == undisturbed(sweep, plan.trials[0], tmp_path / "twin")


def _names(sweep: SweepFolder) -> str:
    return ",".join(array.name for array in SlurmFolder(sweep.slurm).arrays())
