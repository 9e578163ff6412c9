"""`rnnlab sweep --slurm` without Slurm: errors, the dry run, and the status."""

from pathlib import Path

import pytest

from rnnlab.storage.jsonfile import write_json
from tests.cli.program import TINY, rnnlab

MISSING = "Slurm: 'scontrol' is not installed here"


@pytest.fixture
def config(here: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PATH", str(here))
    Path("tiny.yaml").write_text(f"{TINY}sweep: {{seeds: 3}}\n")
    return "tiny.yaml"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--array-limit", "8"), "--array-limit: is for jobs on a cluster — add --slurm"),
        (("--slurm", "--workers", "2"), "--workers: is for this machine — with --slurm use --array-limit"),
        (("--slurm", "--mem", "lots"), "--mem: got 'lots', expected a size like 500M or 2G"),
    ],
)
def test_errors_before_anything_is_made(config: str, options: tuple[str, ...], message: str) -> None:
    result = rnnlab("sweep", config, *options)
    assert (result.code, result.stderr) == (2, f"rnnlab: error[E_USAGE]: {message}\n")
    assert not Path("runs").exists()


def test_without_slurm_nothing_is_submitted(config: str) -> None:
    result = rnnlab("sweep", config, "--slurm")
    assert (result.code, result.stdout) == (5, "")
    hint = "log in to the cluster; `rnnlab sweep CONFIG --script` prints the commands for any other scheduler"
    assert result.stderr == f"rnnlab: error[E_ENVIRONMENT]: {MISSING} — {hint}\n"
    assert not Path("runs").exists()


def test_the_dry_run_prints_the_script(config: str) -> None:
    result = rnnlab("sweep", config, "--slurm", "--dry-run", "--time", "20", "--cpus", "2")
    warning = "'scontrol' is not installed here, so arrays have Slurm's default limit of 1,000 trials"
    assert (result.code, result.stderr) == (0, f"rnnlab: warning: {warning}\n")
    lines = result.stdout.splitlines()
    assert lines[0] == "#!/bin/bash"
    assert {"#SBATCH --array=1-3", "#SBATCH --time=20", "#SBATCH --cpus-per-task=2"} < set(lines)
    assert not Path("runs").exists()


def test_status_from_the_run_folders(config: str) -> None:
    rnnlab("sweep", config, "--dry-run")
    assert rnnlab("sweep", config, "-q").code == 0
    folder = Path("runs/tiny/slurm")
    folder.mkdir()
    trials = ["0001-seed0", "0002-seed1", "0003-seed2"]
    record = {"number": 1, "name": "tiny-x-1", "request": {}, "tasks": [[trial] for trial in trials], "job": 12}
    write_json(folder / "0001.json", record)
    Path("runs/tiny/trials/0002-seed1/status.json").unlink()
    result = rnnlab("sweep", "status", "tiny")
    assert result.stdout.splitlines()[0] == "runs/tiny: 2 completed, 1 missing, of 3 trials"
    assert result.stderr.startswith("rnnlab: warning: Slurm: 'squeue' is not installed here")


def test_a_damaged_record_is_named(config: str) -> None:
    rnnlab("sweep", config, "--script")
    Path("runs/tiny/slurm").mkdir()
    write_json(Path("runs/tiny/slurm/0001.json"), {"number": 1})
    result = rnnlab("sweep", "resume", "tiny")
    assert result.code == 4
    problem = "runs/tiny/slurm/0001.json: is not a job array of this version of rnnlab: name: Field required"
    assert result.stderr.startswith(f"rnnlab: error[E_DATA]: {problem}")
