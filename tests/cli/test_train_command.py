"""`rnnlab train`: its options, its output and its exit codes."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from rnnlab.config.load import load_experiment
from tests.cli.program import DIVERGING, TINY, child, rnnlab, start
from tests.cli.training import newest, trained


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
    found = json.loads(result.stdout)
    assert {"run", "state", "steps", "loss", "baseline", "solved", "metrics", "seconds"} <= set(found)
    assert found == {
        "format": "rnnlab-train/1",
        **newest(here).read_summary().model_dump(),
        "run": newest(here).name,
        "path": found["path"],
    }
    assert (here / found["path"]).samefile(newest(here).path)
    assert (found["state"], found["steps"], found["solved"]) == ("completed", 20, False)
    assert 0 < found["seconds"] < 30
    assert result.stderr.startswith("run runs/")


def test_quiet_shows_only_the_result(here: Path) -> None:
    (here / "x.yaml").write_text(TINY)
    result = rnnlab("train", "x.yaml", "--quiet")
    assert result.stderr == ""
    assert result.stdout.startswith("not solved: all training steps are done (20 steps in ")
    assert result.stdout.splitlines()[-1] == f"run  {newest(here).path.relative_to(here)}"


def test_a_diverging_training_keeps_the_last_finite_weights(here: Path) -> None:
    (here / "x.yaml").write_text(DIVERGING)
    result = rnnlab("train", "x.yaml", "--json")
    run = newest(here)
    assert result.code == 7
    shown = json.loads(result.stdout)
    assert (shown["state"], shown["stopped"], shown["loss"], shown["solved"]) == ("diverged", "diverged", None, False)
    assert (shown["run"], shown["path"]) == (run.name, f"runs/{run.name}")
    message = result.stderr.splitlines()[-1]
    found = re.fullmatch(
        r"rnnlab: error\[E_DIVERGED\]: (\S+): diverged at step (\d+): (training loss|gradient norm) is (nan|inf), "
        r"expected a finite number — weights/last\.safetensors there has the last finite weights, of step (\d+); "
        r"lower training\.optimizer\.learning_rate or set training\.clip_norm",
        message,
    )
    assert found, message
    assert (here / found[1]).samefile(run.path)
    status = run.read_status()
    assert (status.state, status.exit_code, status.step) == ("diverged", 7, int(found[2]))
    arrays, description = run.load_weights("last")
    assert description["step"] == int(found[5]) < int(found[2])
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert run.read_summary().state == "diverged"
    assert run.read_metrics().torn is False


@pytest.mark.parametrize("count", [4, pytest.param(8, marks=pytest.mark.soak)])
def test_trainings_at_once_are_as_many_runs(here: Path, count: int) -> None:
    (here / "x.yaml").write_text(TINY.replace("steps: 20", "steps: 1"))
    processes = [start("train", "x.yaml", "--json") for _ in range(count)]
    found = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * count
    assert len({one["run"] for one in found}) == len(list((here / "runs").iterdir())) == count
    assert len({one["loss"] for one in found}) == 1
