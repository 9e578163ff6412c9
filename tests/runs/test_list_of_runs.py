import os
import time
from pathlib import Path
from typing import Any

import pytest

from rnnlab.core.errors import RunNotFoundError, UsageError
from rnnlab.runs.columns import choose, order, row
from rnnlab.runs.filter import parse
from rnnlab.runs.find import read_runs
from rnnlab.runs.run import Run
from tests.stored_runs import store

SOLVED = {"solved": True, "solved_at": {"step": 64, "sequences": 2048, "seconds": 0.5}}


def test_a_row_has_the_figures_of_summary_and_status(tmp_path: Path) -> None:
    run = store(tmp_path, "one-aaaaaa", summary=SOLVED)
    [found] = read_runs(tmp_path).runs
    values = row(found)
    assert values.pop("age") > 0
    assert values == {
        "run": run.name, "name": "one", "path": str(run.path), "task": "adding@urnn", "timesteps": [50, 50],
        "backend": "numpy", "cell": "carry", "seed": 7, "state": "completed", "stopped": "budget", "steps": 3000,
        "sequences": 96000, "seconds": 8.0, "steps_per_second": 375.0, "parameters": 1489, "loss": 0.125,
        "best_loss": 0.0625, "baseline": 1 / 6, "solved": True, "solved_step": 64, "solved_sequences": 2048,
        "solved_seconds": 0.5, "started": "2026-11-22T10:25:31.000000Z",
        "metrics": {"loss": 0.125, "error_rate": 0.75},
    }  # fmt: skip
    assert found.config["training.optimizer.learning_rate"] == 0.003


def test_a_run_that_has_not_ended_has_its_config_and_its_newest_record(tmp_path: Path) -> None:
    store(tmp_path, "now-aaaaaa", state="running", step=0)
    folder = store(tmp_path, "then-bbbbbb", state="running", pid=os.getpid(), step=1000)
    with folder.metrics_writer(folder.read_status().id) as writer:
        writer.write({"step": 1500, "sequences": 48000, "seconds": 4.0, "validation/loss": float("nan")})
    begun, later = map(row, read_runs(tmp_path).runs)
    assert (begun["steps"], begun["loss"], begun["metrics"]["error_rate"]) == (0, 1.0, 1.0)
    assert (later["steps"], later["loss"], later["seconds"], later["solved"]) == (1500, None, 4.0, None)
    assert (later["task"], later["cell"], later["timesteps"], later["seed"]) == ("adding@urnn", "carry", [50, 50], 7)


def test_a_run_that_failed_at_its_start_is_listed(tmp_path: Path) -> None:
    folder = store(tmp_path, "full-aaaaaa", state="failed", step=0, message="disk full")
    for name in ("summary.json", "metrics.jsonl", "resolved.yaml"):
        (folder.path / name).unlink()
    [run] = read_runs(tmp_path).runs
    assert (run.state, run.message, row(run)["task"]) == ("failed", "disk full", None)


@pytest.mark.parametrize(
    "changes",
    [{"best": []}, {"best": {"step": 1, "metrics": 1}}, {"loss": "x"}, {"steps": "many"}, {"state": "diverged"},
     {"steps": 2999}, {"metrics": {"loss": [0.1]}}],
)  # fmt: skip
def test_a_summary_of_other_values_is_damage(tmp_path: Path, changes: dict[str, Any]) -> None:
    store(tmp_path, "odd-aaaaaa", summary=changes)
    [damaged] = read_runs(tmp_path).damaged
    assert damaged.reason.startswith("summary.json: is ")


def test_what_cannot_be_read_does_not_stop_the_list(tmp_path: Path) -> None:
    store(tmp_path, "fine-aaaaaa")
    (store(tmp_path, "lost-bbbbbb").path / "summary.json").unlink()
    (store(tmp_path, "torn-cccccc").path / "summary.json").write_bytes(b"[1]")
    (store(tmp_path, "void-dddddd").path / "status.json").write_bytes(b"{")
    (tmp_path / "20260101T000000Z-dead-eeeeee").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "20261122T102531Z-fine-aaaaaa")
    (tmp_path / "to nothing").symlink_to("none")
    (tmp_path / "to itself").symlink_to("to itself")
    (tmp_path / "to a file").symlink_to("/etc/hostname")
    (tmp_path / "to no run").symlink_to("other")
    table = read_runs(tmp_path)
    assert [run.label for run in table.runs] == ["fine", "link"]
    assert [(one.name[17:28], one.reason[:40]) for one in table.damaged] == [
        ("dead-eeeeee", "is not an rnnlab run"),
        ("lost-bbbbbb", "summary.json: is missing"),
        ("torn-cccccc", "summary.json:1: is a list, expected an o"[:40]),
        ("void-dddddd", "status.json:1: is not valid JSON: Expect"),
    ]


def test_a_renamed_run_goes_by_its_folder(tmp_path: Path) -> None:
    store(tmp_path, "x-aaaaaa").path.rename(tmp_path / "mine")
    [run] = read_runs(tmp_path).runs
    assert (row(run)["run"], row(run)["name"]) == ("mine", "mine")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RunNotFoundError):
        read_runs(tmp_path / "none")


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    store(tmp_path, "a-aaaaaa", summary={"loss": 0.5, "seed": 2})
    store(tmp_path, "b-bbbbbb", summary={"loss": 0.25, "seed": 1} | SOLVED, config={"cell": {"type": "x", "units": 64}})
    store(tmp_path, "c-cccccc", summary={"loss": None, "task": "parity", "timesteps": [1, 40], "seed": 3})
    return read_runs(tmp_path).runs


def names(runs: list[Run]) -> str:
    return "".join(run.label for run in runs)


@pytest.mark.parametrize(
    ("conditions", "kept"),
    [
        (["task=parity"], "c"), (["task==parity"], "c"), (["task!=parity"], "ab"), (["task=adding"], ""),
        (["task=adding*"], "ab"), (["task!=add*"], "c"), (["loss<0.5"], "b"), (["loss<=0.5"], "ab"),
        (["loss>2.5e-1"], "a"), (["loss=null"], "c"), (["loss!=null"], "ab"), (["solved=true"], "b"),
        (["solved=1"], "b"), (["seed>=2"], "ac"),
        (["timesteps=50"], "ab"), (["timesteps=[1, 40]"], "c"), (["cell.units=64"], "b"), (["cell.units!=64"], "ac"),
        (["training.optimizer.type=adam", "cell.units<64", "loss<1"], "a"), (["metrics.error_rate=0.75"], "abc"),
        ([" name = a "], "a"), (["name>a"], "bc"), (["started>2026-11-22"], "abc"), (["state=running"], ""),
        (["task=parity or loss<0.5"], "bc"), (["(task=parity or loss<0.5) and cell.units=64"], "b"), ([], "abc"),
    ],
)  # fmt: skip
def test_conditions_choose(runs: list[Run], conditions: list[str], kept: str) -> None:
    assert names(choose(runs, [parse(text) for text in conditions])) == kept


@pytest.mark.parametrize(
    ("key", "expected"),
    [("loss", "bac"), ("-loss", "abc"), ("-seed", "cab"), ("cell.units", "acb"), ("-cell.units", "bac"),
     ("solved_step", "bac"), ("task", "abc"), ("-name", "cba"), ("started", "abc")],
)  # fmt: skip
def test_keys_order_and_the_unknown_comes_last(runs: list[Run], key: str, expected: str) -> None:
    assert names(order(runs, key)) == expected


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("lss=1", "--filter: no run has a 'lss' — did you mean 'loss'?"),
        ("cell.unit=1", "--filter: no run has a 'cell.unit' — did you mean 'cell.units'?"),
        ("metrics.eror_rate=1", "--filter: no run has a 'metrics.eror_rate' — did you mean 'metrics.error_rate'?"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(runs: list[Run], condition: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose(runs, [parse(condition)])
    assert str(caught.value) == message


def test_a_key_like_no_other_lists_the_columns(runs: list[Run]) -> None:
    with pytest.raises(UsageError) as caught:
        order(runs, "zzz\x1b")
    assert str(caught.value).startswith(
        r"--sort: no run has a 'zzz\x1b' — columns: run, name, path, task, timesteps, backend, cell, seed, state, "
    )


def test_ten_thousand_runs_in_a_few_seconds(tmp_path: Path) -> None:
    model = store(tmp_path / "model", "x-aaaaaa").path
    status, summary = ((model / name).read_bytes() for name in ("status.json", "summary.json"))
    for n in range(10_000):
        path = tmp_path / "runs" / f"20261122T102531Z-x-{n:06}"
        path.mkdir(parents=True)
        (path / "status.json").write_bytes(status)
        (path / "summary.json").write_bytes(summary)
    start = time.perf_counter()
    table = read_runs(tmp_path / "runs")
    assert len(table.runs) == 10_000
    assert time.perf_counter() - start < 5
