"""The scripts of job arrays: as long as the cluster allows, each trial once, and good bash."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from rnnlab.sweeps.slurm.folder import SlurmFolder, Submission
from rnnlab.sweeps.slurm.script import Request
from rnnlab.sweeps.slurm.submit import draft, script_of


def drafted(trials: int, *, largest: int = 1001, request: Request | None = None) -> Submission:
    names = [f"{number:04d}-seed{number}" for number in range(1, trials + 1)]
    return draft("tiny", names, request or Request(), number=3, max_array_size=largest)


@pytest.mark.parametrize(
    ("trials", "largest", "sizes"),
    [(1, 1001, [1]), (1000, 1001, [1000]), (1001, 1001, [1000, 1]), (2500, 1001, [1000, 1000, 500]), (5, 3, [2, 2, 1])],
)
def test_arrays_are_as_long_as_allowed(trials: int, largest: int, sizes: list[int]) -> None:
    submission = drafted(trials, largest=largest)
    assert [len(array.trials) for array in submission.arrays] == sizes
    assert set(Counter(name for array in submission.arrays for name in array.trials).values()) == {1}
    assert [array.stem for array in submission.arrays] == [f"0003-{i}" for i in range(1, len(sizes) + 1)]
    assert len({array.name for array in submission.arrays} | {drafted(1).arrays[0].name}) == len(sizes) + 1
    for array, size in zip(submission.arrays, sizes, strict=True):
        assert f"\n#SBATCH --array=1-{size}\n" in script_of(submission, array)


def test_the_head_of_a_script() -> None:
    submission = drafted(30, request=Request(array_limit=8, extra=("#SBATCH --signal=B:USR1@300",)))
    head, body = script_of(submission, submission.arrays[0]).split("\n\n", 1)
    assert head.splitlines()[0] == "#!/bin/bash"
    assert [line for line in head.splitlines() if line.startswith("#SBATCH")] == [
        f"#SBATCH --job-name={submission.arrays[0].name}",
        "#SBATCH --array=1-30%8",
        "#SBATCH --output=slurm/logs/0003-1-%A_%a.log",
        "#SBATCH --open-mode=append",
        "#SBATCH --requeue",
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks=1",
        "#SBATCH --signal=B:USR1@120",
        "#SBATCH --cpus-per-task=1",
        "#SBATCH --signal=B:USR1@300",
    ]
    assert "@" not in body.replace("[@]", "").replace("$@", "")  # no placeholder is left


def test_it_is_bash(tmp_path: Path) -> None:
    submission = drafted(2)
    folder = SlurmFolder(tmp_path / "slurm")
    for array in submission.arrays:
        folder.write_job(array, script_of(submission, array))
    script = folder.script(submission.arrays[0])
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert script.with_suffix(".txt").read_text() == "0001-seed1\n0002-seed2\n"
