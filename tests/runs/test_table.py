import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rnnlab.core.errors import RunNotFoundError, UsageError
from rnnlab.runs.choosing import choose, order
from rnnlab.runs.filter import parse
from rnnlab.runs.rows import COLUMNS, Row, read_table
from tests.stored_runs import START, store

SOLVED = {"solved": True, "solved_at": {"step": 64, "sequences": 2048, "seconds": 0.5}}


def test_a_row_tells_the_summary_the_status_and_the_age(tmp_path: Path) -> None:
    run = store(tmp_path, "one-aaaaaa", summary=SOLVED)
    [row] = read_table(tmp_path, now=START + timedelta(hours=2)).rows
    assert row.values == {
        "run": "aaaaaa", "name": "one", "path": str(run.path), "task": "adding@urnn", "timesteps": [50, 50],
        "backend": "numpy", "cell": "carry", "seed": 7, "state": "completed", "stopped": "budget", "steps": 3000,
        "sequences": 96000, "seconds": 8.0, "steps_per_second": 375.0, "parameters": 1489, "loss": 0.125,
        "best_loss": 0.0625, "baseline": 1 / 6, "solved": True, "solved_step": 64, "solved_sequences": 2048,
        "solved_seconds": 0.5, "started": "2026-11-22T10:25:31.000000Z", "age": 7200,
        "metrics": {"loss": 0.125, "error_rate": 0.75},
    }  # fmt: skip
    assert tuple(row.values) == COLUMNS
    assert row.config["training"]["optimizer"]["learning_rate"] == 0.003


def test_a_running_run_is_told_by_its_config_and_its_newest_record(tmp_path: Path) -> None:
    store(tmp_path, "now-aaaaaa", state="running", step=0)
    folder = store(tmp_path, "then-bbbbbb", state="running", pid=os.getpid(), step=1000)
    with folder.metrics_writer() as writer:
        writer.write({"step": 1500, "sequences": 48000, "seconds": 4.0, "validation/loss": float("nan")})
    begun, later = (row.values for row in read_table(tmp_path).rows)
    assert (begun["steps"], begun["loss"], begun["metrics"]["error_rate"]) == (0, 1.0, 1.0)
    assert (later["steps"], later["loss"], later["seconds"], later["solved"]) == (1500, None, 4.0, None)
    assert (later["task"], later["cell"], later["timesteps"], later["seed"]) == ("adding@urnn", "carry", [50, 50], 7)


def test_what_cannot_be_read_is_named_with_its_reason(tmp_path: Path) -> None:
    store(tmp_path, "fine-aaaaaa")
    (store(tmp_path, "lost-bbbbbb").path / "summary.json").unlink()
    (store(tmp_path, "torn-cccccc").path / "summary.json").write_bytes(b"[1]")
    table = read_table(tmp_path)
    assert [row.values["run"] for row in table.rows] == ["aaaaaa"]
    assert [(path.name[17:], reason) for path, reason in table.broken] == [
        ("lost-bbbbbb", "summary.json is missing"),
        ("torn-cccccc", "summary.json:1 holds a list, expected an object"),
    ]


@pytest.mark.parametrize(
    "changes",
    [{"best": [], "solved_at": 3, "metrics": None}, {"best": {"metrics": 1}, "loss": "x", "steps": "many"}],
)
def test_a_summary_of_strange_values_is_no_crash(tmp_path: Path, changes: dict[str, Any]) -> None:
    store(tmp_path, "odd-aaaaaa", summary=changes)
    [row] = read_table(tmp_path).rows
    assert (row.values["steps"], row.values["best_loss"], row.values["solved_step"]) == (3000, None, None)


def test_a_renamed_run_goes_by_its_folder(tmp_path: Path) -> None:
    store(tmp_path, "x-aaaaaa").path.rename(tmp_path / "mine")
    [row] = read_table(tmp_path).rows
    assert (row.values["run"], row.values["name"]) == ("mine", "mine")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RunNotFoundError):
        read_table(tmp_path / "none")


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    store(tmp_path, "a-aaaaaa", summary={"loss": 0.5, "seed": 2})
    store(tmp_path, "b-bbbbbb", summary={"loss": 0.25, "seed": 1} | SOLVED, config={"cell": {"type": "x", "units": 64}})
    store(tmp_path, "c-cccccc", summary={"loss": None, "task": "parity", "timesteps": [1, 40], "seed": 3})
    return read_table(tmp_path).rows


def names(rows: list[Row]) -> str:
    return "".join(row.values["name"] for row in rows)


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
def test_conditions_choose(rows: list[Row], conditions: list[str], kept: str) -> None:
    assert names(choose(rows, [parse(text) for text in conditions])) == kept


@pytest.mark.parametrize(
    ("key", "expected"),
    [("loss", "bac"), ("-loss", "abc"), ("-seed", "cab"), ("cell.units", "acb"), ("-cell.units", "bac"),
     ("solved_step", "bac"), ("task", "abc"), ("-name", "cba"), ("started", "abc")],
)  # fmt: skip
def test_keys_order_and_the_unknown_comes_last(rows: list[Row], key: str, expected: str) -> None:
    assert names(order(rows, key)) == expected


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("lss=1", "--filter: no run has a 'lss' — did you mean 'loss'?"),
        ("cell.unit=1", "--filter: no run has a 'cell.unit' — did you mean 'cell.units'?"),
        ("metrics.eror_rate=1", "--filter: no run has a 'metrics.eror_rate' — did you mean 'metrics.error_rate'?"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(rows: list[Row], condition: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose(rows, [parse(condition)])
    assert str(caught.value) == message


def test_a_key_like_no_other_lists_the_columns(rows: list[Row]) -> None:
    with pytest.raises(UsageError) as caught:
        order(rows, "zzz\x1b")
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
    table = read_table(tmp_path / "runs")
    assert len(table.rows) == 10_000
    assert time.perf_counter() - start < 5
