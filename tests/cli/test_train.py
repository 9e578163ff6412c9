"""`rnnlab train`: one config to one complete and true run folder."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

import rnnlab as package
from rnnlab.config.load import load_experiment
from tests.cli.program import TINY, rnnlab
from tests.cli.training import newest, trained, weights
from tests.small import needs_pandas

FILES = [
    "checkpoints/step-0000000000-0001.safetensors", "checkpoints/step-0000000020-0001.safetensors",
    "config.yaml", "log.txt", "metrics.jsonl", "provenance.json", "resolved.yaml", "status.json", "summary.json",
    "weights/best.safetensors", "weights/last.safetensors",
]  # fmt: skip
EASY = """\
task: parity
shape: {timesteps: 1}
cell: {units: 4}
training: {steps: 3000, batch_size: 32, evaluate_every: 50, optimizer: {learning_rate: 0.02}}
evaluation: {sequences: 100}
"""


def test_the_run_folder_is_complete(here: Path) -> None:
    run = trained(here, TINY)
    files = sorted(str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file())
    assert files == FILES
    assert re.fullmatch(r"\d{8}T\d{6}Z-x-[a-z0-9]{6}", run.name)


def test_the_config_is_kept_byte_for_byte(here: Path) -> None:
    raw = b"\xef\xbb\xbf# mine\r\n" + TINY.replace("\n", "\r\n").encode() + b"\n\n"
    (here / "x.yaml").write_bytes(raw)
    assert rnnlab("train", "x.yaml").code == 0
    assert newest(here).read_config() == raw


def test_the_status_has_times_and_progress(here: Path) -> None:
    began = datetime.now(UTC)
    status = trained(here, TINY).read_status()
    assert (status.state, status.step, status.exit_code, status.message) == ("completed", 20, 0, "")
    assert began - timedelta(seconds=1) <= status.started <= status.updated <= datetime.now(UTC)
    assert status.updated.utcoffset() == timedelta(0)


def test_the_metrics_hold_a_record_for_every_evaluation(here: Path) -> None:
    records = trained(here, TINY).read_metrics().records
    assert [(record["step"], record["sequences"]) for record in records] == [(0, 0), (10, 40), (20, 80)]
    assert [record["seconds"] for record in records] == sorted(record["seconds"] for record in records)
    assert all(0 < record["validation/loss"] < 10 for record in records)
    assert set(records[0]) == {
        "step",
        "sequences",
        "seconds",
        "validation/loss",
        "validation/error_rate",
        "validation/mae",
    }
    assert set(records[1]) - set(records[0]) == {"train/loss", "train/error_rate", "gradient_norm", "learning_rate"}


def test_the_provenance_has_command_versions_and_config(here: Path) -> None:
    run = trained(here, TINY, "--set", "seed=5")
    found = run.read_provenance()
    assert found.argv == ["rnnlab", "train", "x.yaml", "--set", "seed=5"]
    assert found.seed == 5
    assert found.config_sha256 == load_experiment(run.path / "resolved.yaml").experiment.sha256()
    assert found.versions["rnnlab"] == package.__version__
    assert found.versions["numpy"] == np.__version__
    assert found.versions["python"] == sys.version.split()[0]
    assert found.git is None
    assert found.cpu.logical_cores
    assert {library.num_threads for library in found.blas if library.user_api == "blas"} == {1}


def test_the_repository_around_the_config_is_recorded(here: Path) -> None:
    git = ("git", "-c", "user.name=x", "-c", "user.email=x@example.org")
    (here / "x.yaml").write_text(TINY)
    for command in (["init", "-q"], ["add", "x.yaml"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    found = trained(here, TINY).read_provenance().git
    assert (found.commit, found.dirty) == (commit, False)
    found = trained(here, TINY + "seed: 1\n").read_provenance().git
    assert (found.commit, found.dirty) == (commit, True)
    assert "+seed: 1\n" in found.diff


def test_a_solved_task_stops(here: Path) -> None:
    (here / "easy.yaml").write_text(EASY)
    found = json.loads(rnnlab("train", "easy.yaml", "--json").stdout)
    assert (found["stopped"], found["solved"], found["state"]) == ("solved", True, "completed")
    assert (found["solved_at"]["step"], found["solved_at"]["sequences"]) == (found["steps"], 32 * found["steps"])
    assert found["steps"] < 3000
    assert rnnlab("train", "easy.yaml").stdout.startswith(
        f"SOLVED at step {found['steps']}, after {32 * found['steps']:,} sequences and 0."
    )
    longer = json.loads(rnnlab("train", "easy.yaml", "--json", "--set", "training.stop_when_solved=false").stdout)
    assert (longer["stopped"], longer["solved"], longer["steps"]) == ("budget", True, 3000)
    assert longer["solved_at"]["step"] == found["steps"]


@needs_pandas
def test_a_csv_is_found_from_the_config_that_names_it(here: Path) -> None:
    (here / "data").mkdir()
    rows = "a,b\n" + "\n".join(f"{n % 7},{n % 3}" for n in range(200))
    (here / "data" / "series.csv").write_text(f"{rows}\n")
    task = "task: {type: forecast, csv: series.csv, target: a}\nshape: {timesteps: 10}\n"
    training = "training: {steps: 2, batch_size: 4}\nevaluation: {sequences: 4}\n"
    (here / "data" / "x.yaml").write_text(task + training)
    result = rnnlab("train", "data/x.yaml")
    assert result.code == 0, result.stderr
    assert newest(here).read_provenance().task["csv_sha256"]
    first = newest(here)
    assert rnnlab("train", first.path / "resolved.yaml").code == 0
    again = newest(here)
    assert again.name != first.name
    for which in ("best", "last"):
        assert weights(again, which) == weights(first, which)
    assert again.read_resolved() == first.read_resolved()
