"""The scripts of job arrays: as long as the cluster allows, each trial once, and good bash."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from rnnlab.sweeps.slurm import Request, draft
from rnnlab.sweeps.slurm.folder import SlurmFolder, Submission
from rnnlab.sweeps.slurm.submit import script_of


def drafted(trials: int, *, largest: int = 1001, request: Request | None = None) -> Submission:
    names = [f"{number:04d}-seed{number}" for number in range(1, trials + 1)]
    return draft("tiny", names, request or Request(), number=3, largest=largest)


@pytest.mark.parametrize(
    ("trials", "largest", "sizes"),
    [(1, 1001, [1]), (1000, 1001, [1000]), (1001, 1001, [1000, 1]), (2500, 1001, [1000, 1000, 500]), (5, 3, [2, 2, 1])],
)
def test_arrays_are_as_long_as_allowed(trials: int, largest: int, sizes: list[int]) -> None:
    submission = drafted(trials, largest=largest)
    assert [len(chunk.trials) for chunk in submission.chunks] == sizes
    assert set(Counter(name for chunk in submission.chunks for name in chunk.trials).values()) == {1}
    assert [chunk.stem for chunk in submission.chunks] == [f"0003-{i}" for i in range(1, len(sizes) + 1)]
    assert len({chunk.name for chunk in submission.chunks} | {drafted(1).chunks[0].name}) == len(sizes) + 1
    for chunk, size in zip(submission.chunks, sizes, strict=True):
        assert f"\n#SBATCH --array=1-{size}\n" in script_of(submission, chunk)


def test_the_head_of_a_script() -> None:
    submission = drafted(30, request=Request(array_limit=8, extra=("#SBATCH --signal=B:USR1@300",)))
    head, body = script_of(submission, submission.chunks[0]).split("\n\n", 1)
    assert head.splitlines()[0] == "#!/bin/bash"
    assert [line for line in head.splitlines() if line.startswith("#SBATCH")] == [
        f"#SBATCH --job-name={submission.chunks[0].name}",
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
    assert "@" not in body.replace("[@]", "").replace("$@", "")  # no mark was left standing


def test_it_is_bash(tmp_path: Path) -> None:
    submission = drafted(2)
    folder = SlurmFolder(tmp_path / "slurm")
    for chunk in submission.chunks:
        folder.write_job(chunk, script_of(submission, chunk))
    script = folder.script(submission.chunks[0])
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert script.with_suffix(".txt").read_text() == "0001-seed1\n0002-seed2\n"
