"""The scripts of job arrays: as long as the cluster allows, each trial once, and good bash."""

import subprocess
from pathlib import Path

import pytest

from rnnlab.sweeps.slurm.jobs import SlurmFolder
from rnnlab.sweeps.slurm.script import JobArray, Request, script_text
from rnnlab.sweeps.slurm.submit import draft


def drafted(trials: int, *, largest: int = 1001, request: Request | None = None) -> list[JobArray]:
    names = [f"{n:04d}" for n in range(1, trials + 1)]
    return draft("tiny", names, request or Request(), first=3, max_array_size=largest)


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
