import csv
import json
import os
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from unittest.mock import patch

import jsonschema
import pytest

from tests.cli.program import Result, child, rnnlab
from tests.comparison.runs_by_hand import UNSOLVED, make_run

CARRY, SIMPLE = "20260101T000000Z-carry-aaaaaa", "20260101T000001Z-simple-bbbbbb"
SCHEMA = json.loads(files("rnnlab.cli").joinpath("schemas/compare.json").read_text())
TO_SIMPLE = {"cell.type": "simple", "cell.forget_bias": None}


def compared(root: Path, *arguments: str, run: Callable[..., Result] = rnnlab, **environment: str) -> Result:
    """Compare in this process, or by another `run`."""
    with patch.dict(os.environ, {"RNNLAB_RUNS": str(root), "COLUMNS": "80", **environment}):
        return run("compare", *arguments)


@pytest.fixture
def two(tmp_path: Path) -> Path:
    make_run(tmp_path, CARRY)
    make_run(tmp_path, SIMPLE, config=TO_SIMPLE, losses=[0.8, 0.6, 0.5], summary=UNSOLVED)
    return tmp_path


def test_two_runs_are_columns(two: Path) -> None:
    done = compared(two, "carry", "simple")
    lines = done.stdout.splitlines()
    assert (done.code, done.stderr) == (0, "")
    assert lines[:6] == [
        "Config differences",
        "                   carry   simple",
        "─────────────────────────────────",
        "cell.type          carry   simple",
        "cell.forget_bias     1.0        —",
        "",
    ]
    cells = {line.partition("   ")[0]: line.split()[-2:] for line in lines}
    assert cells["loss, final"] == ["0.08", "0.5"]
    assert cells["sequences to success"] == ["2,000", "—"]
    assert "validation/loss over steps" in lines
    assert lines[-3] == "carry solved adding@urnn (T=20) after 2,000 sequences; simple did not solve it"


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
@pytest.mark.parametrize("count", [2, 4, 20])
def test_no_line_is_wider_than_the_terminal(tmp_path: Path, columns: int, count: int) -> None:
    for n in range(count):
        make_run(tmp_path, f"20260101T000000Z-run{n}-aaaaaa", config={"seed": n, "cell.units": n % 3 + 1})
    done = compared(tmp_path, *(f"run{n}-" for n in range(count)), COLUMNS=str(columns))
    assert done.code == 0
    assert max(map(len, done.stdout.splitlines())) <= columns
    assert "\x1b" not in done.stdout


def test_more_than_four_runs_are_rows(tmp_path: Path) -> None:
    for n in range(5):
        make_run(tmp_path, f"20260101T000000Z-run{n}-aaaaaa", config={"cell.units": n + 1}, losses=[0.5 - n / 100])
    lines = compared(tmp_path, *(f"run{n}-" for n in range(5))).stdout.splitlines()
    assert [line.split() for line in lines[3:8]] == [[f"run{n}", str(n + 1)] for n in (4, 3, 2, 1, 0)]


def test_without_braille_all_is_ascii(two: Path) -> None:
    done = compared(two, "carry", "simple", run=child, PYTHONIOENCODING="ascii")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert "           a carry  b simple  - - baseline 0.16" in done.stdout.splitlines()
    assert "cell.forget_bias     1.0        -" in done.stdout


def test_json_is_what_the_schema_says(tmp_path: Path) -> None:
    make_run(tmp_path, CARRY)
    diverged = {"state": "diverged", "step": 130, "message": "diverged at step 130: loss is nan"}
    make_run(tmp_path, SIMPLE, config=TO_SIMPLE, losses=[0.8, float("nan")], summary=None, **diverged)
    done = compared(tmp_path, "simple", "carry", "--json")
    value = json.loads(done.stdout)
    jsonschema.validate(value, SCHEMA)
    assert done.stderr == "rnnlab: warning: simple diverged at step 130: loss is nan\n"
    first, second = value["runs"]
    assert [first["run"], second["run"]] == [CARRY, SIMPLE]
    assert first["path"] == str(tmp_path / CARRY)
    assert first["final"] == {"loss": 0.08, "error_rate": 0.04}
    assert first["best"] == {"step": 100, "metrics": {"loss": 0.04, "error_rate": 0.02}}
    assert first["solved_at"] == {"step": 200, "sequences": 2000, "seconds": 3.5}
    assert (second["final"]["loss"], second["curve"], second["steps"]) == (None, [[0, 0.8], [100, None]], 130)
    assert value["differences"] == {"cell.type": {CARRY: "carry", SIMPLE: "simple"}, "cell.forget_bias": {CARRY: 1.0}}
    assert value["warnings"] == ["simple diverged at step 130: loss is nan"]


def test_json_of_groups(four: Path) -> None:
    value = json.loads(compared(four, str(four), "--json").stdout)
    jsonschema.validate(value, SCHEMA)
    assert [group["heading"] for group in value["groups"]] == ["carry", "simple"]
    assert value["groups"][0]["solved"] == {"runs": 3, "of": 3, "interval": pytest.approx([0.4385, 1], abs=1e-4)}
    (contrast,) = value["contrasts"]
    # The second smallest of three tests, of 3 of 3 against 0 of 3.
    assert (contrast["p"]["solved"], contrast["p_holm"]["solved"]) == pytest.approx((0.1, 2 * 0.1))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["carry"], 2, "error[E_USAGE]: expected at least 2 runs, got 1 — `rnnlab list` shows the runs"),
        (["carry", CARRY], 2, f"error[E_USAGE]: the run {CARRY} is given 2 times — "),
        (["carry", "simple", "--metric", "los"], 2, "no run recorded the metric 'los' — did you mean 'loss'?"),
        (["carry", "nosuch"], 3, "error[E_RUN]: "),
        ([], 2, "Missing argument 'RUN"),
    ],
)
def test_a_wrong_request_has_its_exit_code(two: Path, arguments: list[str], code: int, message: str) -> None:
    done = compared(two, *arguments)
    assert (done.code, done.stdout) == (code, "")
    assert message in done.stderr


def test_a_damaged_run_is_left_out(two: Path) -> None:
    make_run(two, "20260101T000002Z-third-cccccc")
    (two / CARRY / "metrics.jsonl").unlink()
    (two / SIMPLE / "status.json").write_text("{")
    done = compared(two, "carry", "simple", "third")
    first, second = done.stderr.splitlines()
    assert first == f"rnnlab: warning: {CARRY} is damaged and left out: metrics.jsonl: is missing"
    assert second.startswith(f"rnnlab: warning: simple is damaged and left out: {two / SIMPLE / 'status.json'}:1: ")
    assert done.code == 4
    assert "third solved adding@urnn (T=20) after 2,000 sequences." in done.stdout
    done = compared(two, "carry", "simple")
    assert (done.code, done.stdout) == (4, "")
    assert f"error[E_DATA]: no run can be read: {CARRY}: metrics.jsonl: is missing; simple: " in done.stderr


def test_text_from_a_run_is_escaped(tmp_path: Path) -> None:
    make_run(tmp_path, CARRY, state="failed", message="\x1b[31mboo\n[bold]")
    make_run(tmp_path, SIMPLE, config={"training.note": "[red]:smile:[/red]"})
    done = compared(tmp_path, "carry", "simple")
    assert "\x1b" not in done.stdout + done.stderr
    assert r"rnnlab: warning: carry failed at step 200: \x1b[31mboo\n[bold]" in done.stderr
    assert "[red]:smile:[/red]" in done.stdout


@pytest.fixture
def four(tmp_path: Path) -> Path:
    """Two groups of three runs; one name, and one value, are meant to harm."""
    for seed in range(3):
        make_run(tmp_path, f"20260101T000000Z-carry-00000{seed}", config={"seed": seed, "training.note": "=1+1"})
        changes = {**TO_SIMPLE, "seed": seed, "training.note": "a_b|<b>$x$"}
        make_run(tmp_path, f"20260101T000000Z-simple-00000{seed}", config=changes, losses=[0.8, -0.5], summary=UNSOLVED)
    return tmp_path


def test_groups_are_shown_in_place_of_many_runs(four: Path) -> None:
    lines = compared(four, str(four)).stdout.splitlines()
    at = lines.index("Success")
    assert [line.split() for line in lines[at + 3 : at + 5]] == [
        ["carry", "3", "3/3", "44%", "to", "100%", "2,000"],
        ["simple", "3", "0/3", "0%", "to", "56%", "—"],
    ]
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in "".join(lines)


def test_csv_holds_no_formula_and_keeps_numbers(four: Path) -> None:
    done = compared(four, str(four), "--format", "csv")
    head, *rows = list(csv.reader(done.stdout.splitlines()))
    first = dict(zip(head, rows[0], strict=True))
    assert (first["group"], first["loss"], first["solved"], first["training.note"]) == (
        "simple", "-0.5", "false", "a_b|<b>$x$",
    )  # fmt: skip
    assert {row[head.index("training.note")] for row in rows} == {"'=1+1", r"a_b|<b>$x$"}
    assert (done.code, len(rows)) == (0, 6)


def test_markdown_and_latex_of_groups(four: Path) -> None:
    markdown = compared(four, str(four), "--format", "markdown").stdout
    assert r"a\_b\|\<b\>\$x\$" in markdown
    assert "| carry | 3 | 3/3 | 44% to 100% | 2,000 |" in markdown
    latex = compared(four, str(four), "--format", "latex").stdout
    assert r"a\_b|\textless{}b\textgreater{}\$x\$" in latex
    assert r"carry & 3 & 3/3 & 44\% to 100\% & 2,000 \\" in latex
    assert "\x1b" not in markdown + latex


def test_two_runs_in_other_formats(two: Path) -> None:
    assert "| solved | yes | no |" in compared(two, "carry", "simple", "--format", "markdown").stdout
    assert r"cell.forget\_bias & 1.0 & --- \\" in compared(two, "carry", "simple", "--format", "latex").stdout


@pytest.mark.parametrize(
    ("condition", "code", "message"),
    [
        ("val_loss > 0.01", 9, "val_loss > 0.01: carry seed 0 (0.08), carry seed 1 (0.08), carry seed 2 (0.08)"),
        ("loss >= 0.0800001", 0, ""),
        ("solved_rate < 0.8", 9, "solved_rate < 0.8: simple (0)"),
        ("median(loss) > 0.07", 9, "median(loss) > 0.07: carry (0.08)"),
        ("iqm(validation/loss) < -0.6", 0, ""),
        ("solved == 0", 9, "solved == 0: simple seed 0 (false), simple seed 1 (false), simple seed 2 (false)"),
        ("lss > 1", 2, "no run recorded the metric 'lss' — did you mean 'loss'?"),
        ("loss > NaN", 2, "--fail-if, character 8: loss is a number, got 'NaN'"),
        ("__import__('os')", 2, "--fail-if, character 11: got '('os')'"),
        ("", 2, "--fail-if, character 1: got nothing, expected a name"),
        ("mean(loss) > 1", 2, "--fail-if: there is no mean(…) — known: median(METRIC), iqm(METRIC)"),
        ("loss > 0 and cell.type = carry and seed = 1", 9, ": carry seed 1 (loss 0.08, cell.type carry, seed 1)"),
        ("loss > 1 or solved_rate < 1", 9, "simple seed 0 (loss -0.5, solved_rate 0), simple seed 1"),
    ],
)
def test_a_gate(four: Path, condition: str, code: int, message: str) -> None:
    done = compared(four, str(four), "--fail-if", condition)
    assert done.code == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_number_fails_a_gate(tmp_path: Path) -> None:
    make_run(tmp_path, CARRY)
    make_run(tmp_path, SIMPLE, config=TO_SIMPLE, losses=[0.8, float("nan")], summary=None, state="diverged")
    done = compared(tmp_path, "carry", "simple", "--fail-if", "loss > 100")
    assert (done.code, "loss > 100: simple (unknown)" in done.stderr) == (9, True)


@pytest.mark.parametrize(
    "arguments", [("--json", "--format", "csv"), ("--by", "cell.type"), ("--format", "html"), ("--baseline", "none")]
)
def test_what_cannot_be_asked(four: Path, arguments: tuple[str, ...]) -> None:
    done = compared(four, str(four), *arguments)
    assert (done.code, done.stdout) == (2, "")
