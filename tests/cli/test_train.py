"""`rnnlab train`: one config to one complete and true run folder."""

import json
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnlab as package
from rnnlab.config.load import load_experiment
from rnnlab.runs import RunFolder
from tests.cli.program import DIVERGING, ENDLESS, TINY, child, rnnlab, start

FILES = [
    "checkpoints/step-0000000000.safetensors", "checkpoints/step-0000000020.safetensors",
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


def trained(here: Path, text: str, *options: str) -> RunFolder:
    """Train a config and return its run, the newest."""
    (here / "x.yaml").write_text(text)
    result = rnnlab("train", "x.yaml", *options)
    assert result.code == 0, result.stderr
    return newest(here)


def newest(here: Path) -> RunFolder:
    return RunFolder(max((here / "runs").iterdir(), key=lambda path: path.stat().st_mtime_ns))


def weights(run: RunFolder, which: Any) -> dict[str, bytes]:
    arrays, _ = run.load_weights(which)
    return {name: array.tobytes() for name, array in arrays.items()}


def untimed(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


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


@pytest.mark.parametrize(
    "text",
    [
        TINY,
        TINY.replace("{units: 4}", "{type: carry, units: 3, layers: 2}").replace("adding", "parity"),
        TINY.replace(
            "task: adding\nshape: {timesteps: [5, 10]}\n", "task: {type: forecast, csv: CSV}\nprecision: float64\n"
        ),
    ],
    ids=["simple", "carry", "csv"],
)
def test_the_resolved_config_trains_to_the_same_numbers(here: Path, text: str) -> None:
    csv = here / "wave.csv"
    csv.write_text("".join(f"{np.sin(n / 3):.6f},{n % 7}\n" for n in range(600)))
    first = trained(here, text.replace("CSV", str(csv)), "--set", "seed=3")
    assert rnnlab("train", first.path / "resolved.yaml", "--runs", here / "again").code == 0
    (path,) = (here / "again").iterdir()
    again = RunFolder(path)
    assert untimed(again.read_metrics().records) == untimed(first.read_metrics().records)
    assert weights(again, "best") == weights(first, "best")
    assert weights(again, "last") == weights(first, "last")
    assert again.read_resolved() == first.read_resolved()


def test_the_status_tells_who_when_and_how_far(here: Path) -> None:
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
    assert set(records[0]) == {"step", "sequences", "seconds", "validation/loss", "validation/error_rate"}
    assert set(records[1]) - set(records[0]) == {"train/loss", "train/error_rate", "gradient_norm", "learning_rate"}


def test_the_provenance_tells_command_versions_and_config(here: Path) -> None:
    run = trained(here, TINY, "--set", "seed=5")
    told = run.read_provenance()
    assert told["argv"] == ["rnnlab", "train", "x.yaml", "--set", "seed=5"]
    assert told["seed"] == 5
    assert told["config_sha256"] == load_experiment(run.path / "resolved.yaml").experiment.sha256()
    assert told["versions"]["rnnlab"] == package.__version__
    assert told["versions"]["numpy"] == np.__version__
    assert told["versions"]["python"] == sys.version.split()[0]
    assert told["git"] is None
    assert told["cpu"]["logical_cores"] >= 1
    assert told["blas"][0]["num_threads"] >= 1


def test_the_repository_around_the_config_is_told(here: Path) -> None:
    git = ("git", "-c", "user.name=x", "-c", "user.email=x@example.org")
    (here / "x.yaml").write_text(TINY)
    for command in (["init", "-q"], ["add", "x.yaml"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    told = trained(here, TINY).read_provenance()["git"]
    assert (told["commit"], told["dirty"]) == (commit, False)
    told = trained(here, TINY + "seed: 1\n").read_provenance()["git"]
    assert (told["commit"], told["dirty"]) == (commit, True)
    assert "+seed: 1\n" in told["diff"]


def test_the_summary_agrees_with_the_metrics(here: Path) -> None:
    run = trained(here, TINY)
    summary, records = run.read_summary(), run.read_metrics().records
    assert (summary["state"], summary["stopped"], summary["steps"], summary["sequences"]) == (
        "completed",
        "budget",
        20,
        80,
    )
    assert summary["loss"] == summary["metrics"]["loss"] == records[-1]["validation/loss"]
    assert summary["best"]["metrics"]["loss"] == min(record["validation/loss"] for record in records)
    assert summary["baseline"] == pytest.approx(1 / 6)
    assert (summary["solved"], summary["solved_at"]) == (False, None)
    assert summary["parameters"] == 2 * 4 + 4 * 4 + 4 + 4 + 1


def test_a_solved_task_stops_and_tells_when(here: Path) -> None:
    (here / "easy.yaml").write_text(EASY)
    told = json.loads(rnnlab("train", "easy.yaml", "--json").stdout)
    assert (told["stopped"], told["solved"], told["state"]) == ("solved", True, "completed")
    assert (told["solved_at"]["step"], told["solved_at"]["sequences"]) == (told["steps"], 32 * told["steps"])
    assert told["steps"] < 3000
    assert rnnlab("train", "easy.yaml").stdout.startswith(
        f"SOLVED at step {told['steps']}, after {32 * told['steps']:,} sequences and 0."
    )
    longer = json.loads(rnnlab("train", "easy.yaml", "--json", "--set", "training.stop_when_solved=false").stdout)
    assert (longer["stopped"], longer["solved"], longer["steps"]) == ("budget", True, 3000)
    assert longer["solved_at"]["step"] == told["steps"]


@pytest.mark.parametrize(
    ("options", "label"),
    [
        (["--name", "mine"], "mine"),
        (["--name=007"], "007"),
        (["--name=null"], "null"),
        (["--set", "name=two"], "two"),
        ([], "x"),
    ],
)
def test_what_the_run_is_called(here: Path, options: list[str], label: str) -> None:
    run = trained(here, TINY, *options)
    assert run.label == label
    assert load_experiment(run.path / "resolved.yaml").experiment.name == label


def test_single_values_are_set(here: Path) -> None:
    run = trained(here, TINY, "--set", "training.steps=7", "--set", "cell={type: carry, units: 3}", "--set", "seed=1")
    experiment = load_experiment(run.path / "resolved.yaml").experiment
    assert (experiment.training.steps, experiment.cell.type, experiment.cell.units, experiment.seed) == (
        7,
        "carry",
        3,
        1,
    )
    assert run.read_status().step == 7
    assert run.read_config().decode() == TINY


def test_where_the_runs_are_kept(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "x.yaml").write_text(TINY)
    assert rnnlab("train", "x.yaml", "--runs", "flag").code == 0
    monkeypatch.setenv("RNNLAB_RUNS", str(here / "variable"))
    assert rnnlab("train", "x.yaml").code == 0
    monkeypatch.setenv("RNNLAB_RUNS", "")
    assert rnnlab("train", "x.yaml").code == 0
    assert [len(list((here / name).iterdir())) for name in ("flag", "variable", "runs")] == [1, 1, 1]


def test_json_is_one_object_on_stdout_and_all_else_is_on_stderr(here: Path) -> None:
    (here / "x.yaml").write_text(TINY)
    result = child("train", "x.yaml", "--json")
    told = json.loads(result.stdout)
    assert {"run", "state", "steps", "loss", "baseline", "solved", "metrics", "seconds"} <= set(told)
    assert told == {**newest(here).read_summary(), "run": told["run"]}
    assert (here / told["run"]).samefile(newest(here).path)
    assert (told["state"], told["steps"], told["solved"]) == ("completed", 20, False)
    assert 0 < told["seconds"] < 30
    assert result.stderr.startswith("run runs/")


def test_quiet_shows_only_the_result(here: Path) -> None:
    (here / "x.yaml").write_text(TINY)
    result = rnnlab("train", "x.yaml", "--quiet")
    assert result.stderr == ""
    assert result.stdout.startswith("not solved: the budget is spent (20 steps in ")
    assert result.stdout.splitlines()[-1] == f"run  {newest(here).path.relative_to(here)}"


def test_a_diverging_training_keeps_the_last_finite_weights(here: Path) -> None:
    (here / "x.yaml").write_text(DIVERGING)
    result = rnnlab("train", "x.yaml")
    run = newest(here)
    assert (result.code, result.stdout) == (7, "")
    message = result.stderr.splitlines()[-1]
    told = re.fullmatch(
        r"rnnlab: error\[E_DIVERGED\]: (\S+): diverged at step (\d+): (training loss|gradient norm) is (nan|inf), "
        r"expected a finite number — weights/last\.safetensors there holds the last finite weights, of step (\d+); "
        r"lower training\.optimizer\.learning_rate or set training\.clip_norm",
        message,
    )
    assert told, message
    assert (here / told[1]).samefile(run.path)
    status = run.read_status()
    assert (status.state, status.exit_code, status.step) == ("diverged", 7, int(told[2]))
    arrays, description = run.load_weights("last")
    assert description["step"] == int(told[5]) < int(told[2])
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert run.read_summary()["state"] == "diverged"
    assert run.read_metrics().torn is False


@pytest.mark.parametrize("quiet", [True, False])
def test_ctrl_c_leaves_a_readable_run(here: Path, quiet: bool) -> None:
    (here / "x.yaml").write_text(ENDLESS)
    with start("train", "x.yaml", *(["--quiet"] if quiet else [])) as process:
        wait_for_a_record(here)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    run = newest(here)
    status, path = run.read_status(), run.path.relative_to(here)
    assert (process.returncode, out) == (75, "")
    assert err.splitlines()[-1] == (
        f"{path}: stopped by SIGINT at step {status.step:,}, and the state is saved"
        f" — `rnnlab train --resume {path}` goes on"
    )
    assert "Traceback" not in err
    assert (status.state, status.exit_code, status.message) == ("interrupted", 75, "stopped by SIGINT")
    assert len(run.read_metrics().records) >= 2
    assert weights(run, "last").keys() == weights(run, "best").keys()
    assert run.read_summary()["steps"] == status.step


def wait_for_a_record(here: Path) -> None:
    for _ in range(600):
        if any(len(file.read_bytes().splitlines()) > 2 for file in (here / "runs").glob("*/metrics.jsonl")):
            return
        time.sleep(0.05)
    raise AssertionError("no training began in 30 s")


def test_eight_trainings_at_once_are_eight_runs(here: Path) -> None:
    (here / "x.yaml").write_text(TINY.replace("steps: 20", "steps: 1"))
    processes = [start("train", "x.yaml", "--json") for _ in range(8)]
    told = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * 8
    assert len({one["run"] for one in told}) == len(list((here / "runs").iterdir())) == 8
    assert len({one["loss"] for one in told}) == 1


def test_a_divergence_is_one_json_object_too(here: Path) -> None:
    (here / "x.yaml").write_text(DIVERGING)
    result = rnnlab("train", "x.yaml", "--json")
    assert result.code == 7
    told = json.loads(result.stdout)
    assert (told["state"], told["stopped"], told["loss"], told["solved"]) == ("diverged", "diverged", None, False)
    assert told["run"] == str(Path("runs") / newest(here).name)


def test_the_provenance_tells_the_threads_that_training_had(here: Path) -> None:
    told = trained(here, TINY).read_provenance()["blas"]
    libraries = [library for library in told if library["user_api"] == "blas"]
    assert libraries
    assert {library["num_threads"] for library in libraries} == {1}


def test_a_csv_is_found_from_the_config_that_names_it(here: Path) -> None:
    (here / "data").mkdir()
    rows = "\n".join(f"{n % 7},{n % 3}" for n in range(200))
    (here / "data" / "series.csv").write_text(f"{rows}\n")
    task = "task: {type: forecast, csv: series.csv}\nshape: {timesteps: 10}\n"
    training = "training: {steps: 2, batch_size: 4}\nevaluation: {sequences: 4}\n"
    (here / "data" / "x.yaml").write_text(task + training)
    result = rnnlab("train", "data/x.yaml")
    assert result.code == 0, result.stderr
    assert newest(here).read_provenance()["task"]["csv_sha256"]
    again = rnnlab("train", newest(here).path / "resolved.yaml")
    assert again.code == 0, again.stderr
