"""The scripts of job arrays: as long as the cluster allows, each trial once, and good bash."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from rnnlab.storage import RunFolder
from rnnlab.sweeps.populations import Populations
from rnnlab.sweeps.slurm.jobs import SlurmFolder
from rnnlab.sweeps.slurm.script import JobArray, Request, script_text
from rnnlab.sweeps.slurm.submit import draft, tasks
from rnnlab.sweeps.status import sweep_status
from tests.sweeps.trying import SLOW, Undisturbed, accounts, make_sweep


def drafted(trials: int, *, largest: int = 1001, request: Request | None = None) -> list[JobArray]:
    names = [f"{n:04d}" for n in range(1, trials + 1)]
    return draft("tiny", [(name,) for name in names], request or Request(), first=3, max_array_size=largest)


@pytest.mark.parametrize(
    ("trials", "largest", "sizes"), [(1000, 1001, [1000]), (1001, 1001, [1000, 1]), (5, 3, [2, 2, 1])]
)
def test_arrays_are_as_long_as_allowed(trials: int, largest: int, sizes: list[int]) -> None:
    arrays = drafted(trials, largest=largest)
    assert [len(array.trials) for array in arrays] == sizes
    assert [name for array in arrays for name in array.trials] == [f"{n:04d}" for n in range(1, trials + 1)]
    assert [array.number for array in arrays] == list(range(3, 3 + len(sizes)))
    assert len({array.name for array in [*arrays, *drafted(1)]}) == len(sizes) + 1


def test_the_script(tmp_path: Path) -> None:
    request = Request(
        partition="a,b", time="4", cpus=2, mem="2G", account="me", array_limit=8, extra=("#SBATCH --qos=low",)
    )
    (array,) = drafted(30, request=request)
    head, body = script_text(array).split("\n\n", 1)
    assert head.splitlines()[0] == "#!/bin/bash"
    assert [line.removeprefix("#SBATCH --") for line in head.splitlines() if line.startswith("#SBATCH")] == [
        f"job-name={array.name}",
        "array=1-30%8",
        "output=slurm/logs/0003-%A_%a.log",
        "open-mode=append",
        "requeue",
        "nodes=1",
        "ntasks=1",
        "signal=B:USR1@60",
        "cpus-per-task=2",
        "partition=a,b",
        "time=4",
        "mem=2G",
        "account=me",
        "qos=low",
    ]
    assert "@" not in body.replace("[@]", "").replace("$@", "")  # no placeholder is left
    script = SlurmFolder(tmp_path / "slurm").write_script(array)
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert script.with_suffix(".txt").read_text().splitlines() == list(array.trials)


@pytest.mark.usefixtures("here")
def test_a_task_with_several_trials(tmp_path: Path, undisturbed: Undisturbed) -> None:
    """Without Slurm: a signal stops both trials, and the next start resumes them."""
    sweep = make_sweep(tmp_path, SLOW + "sweep: {seeds: 3, population: 2}\n", "sweep")
    plan = sweep.read_plan()
    (array,) = draft("tiny", tasks(plan.trials, Populations(sweep, plan).most), Request(), max_array_size=9)
    assert array.tasks == ((plan.trials[0].name, plan.trials[2].name), (plan.trials[1].name,))
    script = SlurmFolder(sweep.slurm).write_script(array)

    def start(task: int) -> subprocess.Popen[bytes]:
        variables = {"SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": str(task)}
        return subprocess.Popen(["bash", script], cwd=sweep.path, env={**os.environ, **variables})

    with start(1) as first:
        while not all(RunFolder(sweep.run(plan.trials[n]).path / "checkpoints").path.exists() for n in (0, 2)):
            time.sleep(0.05)
        time.sleep(1.2)
        first.send_signal(signal.SIGUSR1)
    assert first.returncode == 75
    assert [one.state for one in sweep_status(sweep).trials] == ["interrupted", "missing", "interrupted"]
    for task in (1, 2):
        with start(task) as process:
            pass
        assert process.returncode == 0
    assert accounts(sweep) == undisturbed(SLOW)
    lines = (sweep.slurm / "history" / f"{plan.trials[2].name}.txt").read_text().splitlines()
    assert [line.split(" ", 2)[2].partition(" at step ")[0] for line in lines] == [
        "starts", "ends with exit code 75", "requeues itself", "is not requeued", "starts", "ends with exit code 0",
    ]  # fmt: skip
