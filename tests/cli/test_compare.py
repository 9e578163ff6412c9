import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.comparison.runs_by_hand import UNSOLVED, make_run

CARRY, SIMPLE = "20260101T000000Z-carry-aaaaaa", "20260101T000001Z-simple-bbbbbb"
TO_SIMPLE = {"cell.type": "simple", "cell.forget_bias": None}


def rnnlab(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"RNNLAB_RUNS": str(root), "COLUMNS": "80", "PYTHONIOENCODING": "utf-8", **environment}
    return subprocess.run(
        [sys.executable, "-m", "rnnlab", "compare", *arguments],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, **settings},
        check=False,
    )


@pytest.fixture
def two(tmp_path: Path) -> Path:
    make_run(tmp_path, CARRY)
    make_run(tmp_path, SIMPLE, config=TO_SIMPLE, losses=[0.8, 0.6, 0.5], summary=UNSOLVED)
    return tmp_path


def test_two_runs_stand_side_by_side(two: Path) -> None:
    done = rnnlab(two, "carry", "simple")
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[: lines.index("validation/loss over steps")] == [
        "Config differences",
        "                   carry   simple",
        "─────────────────────────────────",
        "cell.type          carry   simple",
        "cell.forget_bias     1.0        —",
        "",
        "Results",
        "                                   carry              simple",
        "────────────────────────────────────────────────────────────",
        "state                  completed: solved   completed: budget",
        "steps                                200                 200",
        "loss, final                         0.08                 0.5",
        "loss, best                          0.04                 0.5",
        "baseline                            0.16                0.16",
        "final / baseline                     0.5               3.125",
        "best / baseline                     0.25               3.125",
        "error_rate, final                   0.04                0.25",
        "error_rate, best                    0.02                0.25",
        "solved                               yes                  no",
        "sequences to success               2,000                   —",
        "seconds to success                   3.5                   —",
        "parameters                           133                 133",
        "steps per second                      50                  50",
        "",
    ]
    assert lines[-5:] == [
        "           a carry  b simple  ┄┄ baseline 0.16",
        "",
        "carry solved adding@urnn (T=20) after 2,000 sequences; simple did not within",
        "2,000 sequences (loss 0.5, error rate 0.25). One run each: an anecdote, not",
        "evidence.",
    ]


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
@pytest.mark.parametrize("count", [2, 4, 20])
def test_no_line_is_wider_than_the_terminal(tmp_path: Path, columns: int, count: int) -> None:
    for n in range(count):
        make_run(tmp_path, f"20260101T000000Z-run{n}-aaaaaa", config={"seed": n, "cell.units": n % 3 + 1})
    done = rnnlab(tmp_path, *(f"run{n}-" for n in range(count)), COLUMNS=str(columns))
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= columns
    assert "\x1b" not in done.stdout


def test_many_runs_stand_below_each_other(tmp_path: Path) -> None:
    for n in range(5):
        make_run(tmp_path, f"20260101T000000Z-run{n}-aaaaaa", config={"cell.units": n + 1}, losses=[0.5 - n / 100])
    done = rnnlab(tmp_path, *(f"run{n}-" for n in range(5)))
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert lines[:10] == [
        "Config differences",
        "       cell.",
        "       units",
        "────────────",
        "run4       5",
        "run3       4",
        "run2       3",
        "run1       2",
        "run0       1",
        "",
    ]
    assert lines[10:15] == [
        "Results",
        "                                    loss   loss               final /     best /",
        "                   state   steps   final   best   baseline   baseline   baseline",
        "────────────────────────────────────────────────────────────────────────────────",
        "run4   completed: solved     200    0.46   0.46       0.16      2.875      2.875",
    ]


def test_without_braille_all_is_ascii(two: Path) -> None:
    done = rnnlab(two, "carry", "simple", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert "           a carry  b simple  - - baseline 0.16" in done.stdout.splitlines()
    assert "cell.forget_bias | " in done.stdout


def test_json_is_exact(tmp_path: Path) -> None:
    make_run(tmp_path, CARRY)
    diverged = {"state": "diverged", "step": 130, "message": "diverged at step 130: loss is nan"}
    make_run(tmp_path, SIMPLE, config=TO_SIMPLE, losses=[0.8, float("nan")], summary=None, **diverged)
    done = rnnlab(tmp_path, "simple", "carry", "--json")
    value = json.loads(done.stdout)
    assert done.stderr == "rnnlab: warning: simple diverged at step 130: loss is nan\n"
    assert [run.pop("path") for run in value["runs"]] == [str(tmp_path / CARRY), str(tmp_path / SIMPLE)]
    assert value == {
        "format": "rnnlab-compare/1",
        "metric": "validation/loss",
        "runs": [_carry(), _simple()],
        "groups": [],
        "contrasts": [],
        "pivot": None,
        "differences": {"cell.type": {CARRY: "carry", SIMPLE: "simple"}, "cell.forget_bias": {CARRY: 1.0}},
        "metrics": {
            CARRY: {"final": 0.08, "best": 0.04, "baseline": 0.16, "curve": [[0, 0.8], [100, 0.04], [200, 0.08]]},
            SIMPLE: {"final": None, "best": 0.8, "baseline": 0.16666666666666666, "curve": [[0, 0.8], [100, None]]},
        },
        "warnings": ["simple diverged at step 130: loss is nan"],
        "damaged": [],
        "verdict": "carry solved adding@urnn (T=20) after 2,000 sequences; simple diverged after 1,000 sequences. "
        "One run each: an anecdote, not evidence.",
    }


def _carry() -> dict[str, Any]:
    return {
        "name": CARRY,
        "heading": "carry",
        "state": "completed",
        "stopped": "solved",
        "message": "",
        "task": "adding@urnn",
        "timesteps": 20,
        "seed": 0,
        "steps": 200,
        "sequences": 2000,
        "seconds": 4.0,
        "steps_per_second": 50.0,
        "parameters": 133,
        "baseline": 0.16,
        "solved": True,
        "solved_at": {"step": 200, "sequences": 2000, "seconds": 3.5},
        "final": {"loss": 0.08, "error_rate": 0.04},
        "best": {"step": 100, "metrics": {"loss": 0.04, "error_rate": 0.02}},
    }


def _simple() -> dict[str, Any]:
    return {
        "name": SIMPLE,
        "heading": "simple",
        "state": "diverged",
        "stopped": "diverged",
        "message": "diverged at step 130: loss is nan",
        "task": "adding@urnn",
        "timesteps": 20,
        "seed": 0,
        "steps": 130,
        "sequences": 1000,
        "seconds": 2.0,
        "steps_per_second": 50.0,
        "parameters": 33,
        "baseline": 0.16666666666666666,
        "solved": None,
        "solved_at": None,
        "final": {"loss": None, "error_rate": None},
        "best": {"step": 0, "metrics": {"loss": 0.8, "error_rate": 0.4}},
    }


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["carry"], 2, "error[E_USAGE]: two runs or more wanted, got 1 — `rnnlab list` shows the runs"),
        (["carry", CARRY], 2, f"error[E_USAGE]: the run {CARRY} is given 2 times — "),
        (["carry", "simple", "--metric", "los"], 2, "no run recorded the metric 'los' — did you mean 'loss'?"),
        (["carry", "nosuch"], 3, "error[E_RUN]: "),
        ([], 2, "Missing argument 'RUN"),
    ],
)
def test_a_wrong_request_has_its_exit_code(two: Path, arguments: list[str], code: int, message: str) -> None:
    done = rnnlab(two, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr


def test_a_damaged_run_is_left_out(two: Path) -> None:
    make_run(two, "20260101T000002Z-third-cccccc")
    (two / CARRY / "metrics.jsonl").unlink()
    (two / SIMPLE / "status.json").write_text("{")
    done = rnnlab(two, "carry", "simple", "third")
    first, second = done.stderr.splitlines()
    assert first == f"rnnlab: warning: {CARRY} is damaged and left out: metrics.jsonl: is missing"
    assert second.startswith(f"rnnlab: warning: simple is damaged and left out: {two / SIMPLE / 'status.json'}:1: ")
    assert done.returncode == 4
    assert "third solved adding@urnn (T=20) after 2,000 sequences." in done.stdout
    done = rnnlab(two, "carry", "simple")
    assert (done.returncode, done.stdout) == (4, "")
    assert f"error[E_DATA]: no run can be read: {CARRY}: metrics.jsonl: is missing; simple: " in done.stderr


def test_text_from_a_run_cannot_act(tmp_path: Path) -> None:
    make_run(tmp_path, CARRY, state="failed", message="\x1b[31mboo\n[bold]")
    make_run(tmp_path, SIMPLE, config={"training.note": "[red]:smile:[/red]"})
    done = rnnlab(tmp_path, "carry", "simple")
    assert "\x1b" not in done.stdout + done.stderr
    assert r"rnnlab: warning: carry failed at step 200: \x1b[31mboo\n[bold]" in done.stderr
    assert "[red]:smile:[/red]" in done.stdout


def test_comparing_loads_nothing_heavy(two: Path) -> None:
    code = (
        "import sys; sys.argv = ['rnnlab', 'compare', 'carry', 'simple', '--json']\n"
        "from rnnlab.cli.main import app\n"
        "app(standalone_mode=False)\n"
        "assert not {'tensorflow', 'keras', 'matplotlib', 'scipy'} & set(sys.modules)"
    )
    environment = {**os.environ, "RNNLAB_RUNS": str(two)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def four(tmp_path: Path) -> Path:
    """Two groups of three runs; one name, and one value, are meant to harm."""
    for seed in range(3):
        make_run(tmp_path, f"20260101T000000Z-carry-00000{seed}", config={"seed": seed, "training.note": "=1+1"})
        changes = {**TO_SIMPLE, "seed": seed, "training.note": "a_b|<b>$x$"}
        make_run(tmp_path, f"20260101T000000Z-simple-00000{seed}", config=changes, losses=[0.8, -0.5], summary=UNSOLVED)
    return tmp_path


def test_groups_stand_in_place_of_many_runs(four: Path) -> None:
    done = rnnlab(four, str(four))
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    at = lines.index("Success")
    assert [line.split() for line in lines[at + 1 : at + 5]] == [
        ["group", "runs", "solved", "95", "%", "sequences"],
        ["─" * len(lines[at + 2])],
        ["carry", "3", "3/3", "44%", "to", "100%", "2,000"],
        ["simple", "3", "0/3", "0%", "to", "56%", "—"],
    ]
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.stdout


def test_csv_holds_no_formula_and_keeps_numbers(four: Path) -> None:
    done = rnnlab(four, str(four), "--format", "csv")
    head, *rows = list(csv.reader(done.stdout.splitlines()))
    first = dict(zip(head, rows[0], strict=True))
    assert (first["group"], first["loss"], first["solved"], first["training.note"]) == (
        "simple", "-0.5", "false", "a_b|<b>$x$",
    )  # fmt: skip
    assert {row[head.index("training.note")] for row in rows} == {"'=1+1", r"a_b|<b>$x$"}
    assert (done.returncode, len(rows)) == (0, 6)


def test_markdown_and_latex_take_text_as_text(four: Path) -> None:
    markdown = rnnlab(four, str(four), "--format", "markdown").stdout
    assert r"a\_b\|\<b\>\$x\$" in markdown
    assert "| carry | 3 | 3/3 | 44% to 100% | 2,000 |" in markdown
    latex = rnnlab(four, str(four), "--format", "latex").stdout
    assert r"a\_b|\textless{}b\textgreater{}\$x\$" in latex
    assert r"carry & 3 & 3/3 & 44\% to 100\% & 2,000 \\" in latex
    assert "\x1b" not in markdown + latex


def test_two_runs_in_other_formats(two: Path) -> None:
    assert "| solved | yes | no |" in rnnlab(two, "carry", "simple", "--format", "markdown").stdout
    assert r"cell.forget\_bias & 1.0 & --- \\" in rnnlab(two, "carry", "simple", "--format", "latex").stdout


@pytest.mark.parametrize(
    ("condition", "code", "told"),
    [
        ("val_loss > 0.01", 9, "val_loss > 0.01: carry seed 0 (0.08), carry seed 1 (0.08), carry seed 2 (0.08)"),
        ("loss >= 0.0800001", 0, ""),
        ("solved_rate < 0.8", 9, "solved_rate < 0.8: simple (0)"),
        ("median(loss) > 0.07", 9, "median(loss) > 0.07: carry (0.08)"),
        ("iqm(validation/loss) < -0.6", 0, ""),
        ("solved == 0", 9, "solved == 0: simple seed 0 (0), simple seed 1 (0), simple seed 2 (0)"),
        ("lss > 1", 2, "no run recorded the metric 'lss' — did you mean 'loss'?"),
        ("loss > NaN", 2, "'loss > NaN' is no condition"),
        ("__import__('os')", 2, "is no condition"),
        ("", 2, "is no condition"),
    ],
)
def test_a_gate(four: Path, condition: str, code: int, told: str) -> None:
    done = rnnlab(four, str(four), "--fail-if", condition)
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_number_that_is_not_known_fails_a_gate(tmp_path: Path) -> None:
    make_run(tmp_path, CARRY)
    make_run(tmp_path, SIMPLE, config=TO_SIMPLE, losses=[0.8, float("nan")], summary=None, state="diverged")
    done = rnnlab(tmp_path, "carry", "simple", "--fail-if", "loss > 100")
    assert (done.returncode, "loss > 100: simple (unknown)" in done.stderr) == (9, True)


@pytest.mark.parametrize(
    "arguments", [("--json", "--format", "csv"), ("--by", "cell.type"), ("--format", "html"), ("--baseline", "none")]
)
def test_what_cannot_be_asked(four: Path, arguments: tuple[str, ...]) -> None:
    done = rnnlab(four, str(four), *arguments)
    assert (done.returncode, done.stdout) == (2, "")


def test_json_tells_groups(four: Path) -> None:
    told = json.loads(rnnlab(four, str(four), "--json").stdout)
    assert [group["heading"] for group in told["groups"]] == ["carry", "simple"]
    assert told["groups"][0]["solved"] == {"runs": 3, "of": 3, "interval": pytest.approx([0.4385, 1], abs=1e-4)}
    (contrast,) = told["contrasts"]
    assert contrast["p"]["solved"] == contrast["p_holm"]["solved"] == pytest.approx(0.1)
