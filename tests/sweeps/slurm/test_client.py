"""What Slurm's programs print is the text of others: it is taken only where it is what it should be."""

from pathlib import Path

import pytest

from rnnlab.core.errors import EnvironmentFault
from rnnlab.sweeps.slurm.client import max_array_size, parse_squeue, sbatch, squeue


@pytest.fixture
def printing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose content every program of Slurm prints."""
    text = tmp_path / "text"
    for name in ("sbatch", "squeue", "scontrol"):
        (tmp_path / name).write_text(f'#!/bin/sh\nexec cat "{text}"\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    return text


@pytest.mark.parametrize(
    "line", ["", "12", "12|7", "12|7|x|RUNNING", "١٢|7|x|RUNNING|", f"{'9' * 5000}|7|x|RUNNING|", "|||||"]
)
def test_a_line_of_squeue_that_is_none(printing: Path, line: str) -> None:
    assert parse_squeue(line) is None
    printing.write_text(f"{line}\n12|7|x|RUNNING|{'r' * 100_000}\n")
    (task,) = squeue(["x"])
    assert (task.job, task.index, task.state, len(task.reason)) == (12, 7, "RUNNING", 200)


@pytest.mark.parametrize("text", ["", "Submitted batch job 12", "-1", "١٢", "9" * 5000, "12\x1b[31m"])
def test_a_job_id_that_is_none(printing: Path, text: str) -> None:
    printing.write_text(text)
    with pytest.raises(EnvironmentFault, match="expected a job id"):
        sbatch(Path("x.sh"), folder=Path())
    with pytest.raises(EnvironmentFault, match="does not allow job arrays"):
        max_array_size()


def test_a_program_that_cannot_be_started(printing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(printing.parent))
    (printing.parent / "squeue").chmod(0o644)
    (printing.parent / "squeue").write_text("no program")
    with pytest.raises(EnvironmentFault, match=r"^Slurm: cannot start 'squeue': Permission denied"):
        squeue(["x"])
