"""`rnnlab reproduce`: what it lists, trains, tests, compares and writes, and how it ends."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from rnnlab.reproduction.rows import row_names
from rnnlab.runs.run import Run
from rnnlab.sweeps import SweepFolder
from tests.cli.jobs import everything
from tests.cli.program import rnnlab, start
from tests.reproduction.tiny import FOLDER, ROW, document

# Each trial takes some seconds and is saved often, so that a kill finds some complete and others begun.
LONG = (
    ROW.replace("steps: 2000", "steps: 3000, checkpoint: {every_seconds: 0.1}, stop_when_solved: false")
    .replace("evaluate_every: 20", "evaluate_every: 1500")
    .replace("task: parity\nshape: {timesteps: 1}", "task: parity\nshape: {timesteps: 20}")
)


def test_the_list_has_a_line_for_each_row(here: Path) -> None:
    result = rnnlab("reproduce")
    assert result.code == 0
    lines = result.stdout.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "hs1997/  Hochreiter, Schmidhuber 1997, Long short-term memory" in lines
    (line,) = [line for line in lines if line.startswith("table7_100 ")]
    assert re.match(r"table7_100 +74,000 +not run +~\d+ s +adding prob", line)
    assert sum(" not run " in line for line in lines) == len(row_names())
    assert lines[-1] == f"{len(row_names())} rows: {len(row_names())} not run"
    assert not Path("runs").exists()


def test_a_damaged_plan_does_not_stop_the_others(here: Path) -> None:
    plan = Path("runs", "reproduce", "hs1997", "table7_100", "plan.json")
    plan.parent.mkdir(parents=True)
    plan.write_text("{")
    result = rnnlab("reproduce")
    assert result.code == 0
    assert f"warning: {plan}:1: " in result.stderr
    assert re.search(r"^table7_100 .* damaged ", result.stdout, re.MULTILINE)
    assert result.stdout.endswith(f"{len(row_names()) - 1} not run, 1 damaged\n")
    for more in ((), ("--dry-run",)):
        one = rnnlab("reproduce", "hs1997/table7_100", *more)
        assert one.code == 4
        assert f"{plan}:1: " in one.stderr
    assert plan.read_text() == "{"


def test_a_damaged_trial_does_not_stop_the_others(trained: Path) -> None:
    damaged = sorted(Path("runs", "reproduce", "paper", "row", "trials").glob("*/summary.json"))[1]
    damaged.write_text(damaged.read_text() + "x")
    other = trained.with_name("other.yaml")
    other.write_text(trained.read_text())
    result = rnnlab("reproduce", "paper/row.yaml", "paper/other.yaml")
    assert result.code == 8
    assert "1 trial failed, diverged or damaged, of paper/row" in result.stderr
    assert (state_of(trained), state_of(other)) == ("partly", "finished")
    text = "".join(rnnlab("reproduce", "paper/row.yaml", "--dry-run").stdout.split())
    assert f"damaged:{damaged}:" in text


def test_a_dry_run_shows_the_row_and_creates_nothing(row: Path) -> None:
    result = rnnlab("reproduce", "paper/row.yaml", "--dry-run")
    assert (result.code, result.stderr) == (0, "")
    text = " ".join(result.stdout.split())
    assert "at least 90% of the trials are solved; the ratio to the printed value is from 0.5 to 2" in text
    assert "3 trials of at most 2,000 steps each" in text
    assert "5 weights (as printed), on parity" in text
    assert not Path("runs").exists()


def test_killed_and_repeated_it_trains_only_what_is_missing(row: Path) -> None:
    row.write_text(LONG)
    process = start("reproduce", "paper/row.yaml", "--workers", "1", start_new_session=True)
    sweep, deadline = SweepFolder(Path(FOLDER)), time.monotonic() + 40
    done = Path(FOLDER, "trials", "0001-seed0", "summary.json")
    begun = Path(FOLDER, "trials", "0002-seed1", "checkpoints")
    while not (done.exists() and begun.exists() and list(begun.glob("step-*"))):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    trials = sweep.read_plan().trials

    def states() -> dict[str, str]:
        return {one.name: Run(sweep.run(one)).state for one in trials if sweep.run(one).is_run()}

    while "running" in states().values():  # its worker notices within moments
        assert time.monotonic() < deadline
        time.sleep(0.01)
    found = states()
    before = {name: everything(Path(FOLDER, "trials", name)) for name in found if found[name] == "completed"}
    assert before
    assert state_of(row) == "partly"
    again = rnnlab("reproduce", "paper/row.yaml", "--workers", "1")
    assert again.code == 0
    assert f"3 trials, {len(before)} already finished, {3 - len(before)} to train" in again.stderr
    assert state_of(row) == "finished"
    for name, files in before.items():  # its test alone may have been added
        now = everything(Path(FOLDER, "trials", name))
        assert {path: data for path, data in now.items() if path in files} == files
        assert {Path(path).name for path in now.keys() - files.keys()} <= {"evaluations.jsonl"}
    begun_before = {name for name, state in found.items() if state != "completed"}
    assert {one.name: Run(sweep.run(one)).status.attempt for one in trials} == {
        one.name: 2 if one.name in begun_before else 1 for one in trials
    }


def state_of(row: Path) -> object:
    result = rnnlab("reproduce", str(row), "--dry-run", "--json")
    return json.loads(result.stdout)["rows"][0]["state"]


def test_a_killed_test_is_made_again(trained: Path) -> None:
    document("paper/row.yaml")
    whole = document("paper/row.yaml")
    record = Path(FOLDER, "trials", "0002-seed1", "evaluations.jsonl")
    record.write_bytes(record.read_bytes()[:40])  # half a line, as after a power cut
    assert state_of(trained) == "partly"
    again = document("paper/row.yaml")
    assert (again["state"], again["test"]) == ("finished", whole["test"])


def test_a_time_limit_stops_with_the_state_saved(row: Path) -> None:
    endless = LONG.replace("steps: 3000", "steps: 1000000000")
    row.write_text(endless)  # no estimate: it is trained as far as it comes
    began = time.monotonic()
    result = rnnlab("reproduce", "paper/row.yaml", "--within", "1s", "--workers", "1")
    assert result.code == 75
    assert 1 <= time.monotonic() - began < 15
    assert "stopped by --within 1 s: paper/row not finished" in result.stderr
    row.write_text(endless + "  minutes: 1\n")
    left_out = rnnlab("reproduce", "paper/row.yaml", "--within", "90s", "--workers", "1")
    assert left_out.code == 0
    assert "--within 1 min 30 s: left out by their estimates: paper/row" in left_out.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("hs1997/tabel7_100",), 2, "there is no row 'hs1997/tabel7_100' — did you mean 'hs1997/table7_100'?"),
        (("",), 2, "there is no row ''"),
        (("nothing.yaml",), 2, "nothing.yaml: no such file"),
        (("paper/row.yaml", "--within", "soon"), 2, "got 'soon', expected a time such as 90s, 30min, 1h or 1h30min"),
        (("paper/row.yaml", "--report", "paper/row.yaml"), 2, "exists and is not a page of results of rnnlab"),
        (("paper/row.yaml", "--dry-run", "--report", "x.html"), 2, "--dry-run: creates nothing"),
        (("paper/row.yaml", "--all"), 2, "got --all and paper/row.yaml, expected one of them"),
        (("--variants",), 2, "--variants: needs a ROW, --all or --within"),
    ],
)
def test_errors_before_anything_is_made(row: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    result = rnnlab("reproduce", *arguments)
    assert result.code == code
    assert message in result.stderr
    assert not Path("runs").exists()


def test_a_trial_that_diverges_counts_as_not_solved(row: Path) -> None:
    row.write_text(
        ROW.replace("units: 1,", "units: 1, activation: linear,")
        .replace("kernel: {type: uniform, scale: 1.0}", "recurrent_kernel: {type: identity, scale: 3.0}")
        .replace("learning_rate: 1.0", "learning_rate: 100")
        .replace("timesteps: 1", "timesteps: 30")
    )
    result = rnnlab("reproduce", "paper/row.yaml", "-q", "-j", "1")
    assert result.code == 8
    assert "failed, diverged" in result.stderr


def test_the_pages(trained: Path) -> None:
    trained.write_text(ROW + "  notes: |\n    Tried <b>first</b>.\n\n    Then this.\n")
    result = rnnlab("reproduce", "paper/row.yaml", "-q", "--report", "r.html", "--markdown", "r.md")
    assert result.code == 0
    page, text = Path("r.html").read_text(), Path("r.md").read_text()
    for part in ("a tiny row", "40 sequences", "3 of 3 trials solved", "A departure with its reason.", "Then this."):
        assert part in page
        assert part.replace("(", "\\(") in text
    assert "<b>first" not in page
    assert "&lt;b&gt;first" in page
    assert r"\<b\>first" in text
    assert str(Path.cwd()) not in page + text
    assert os.uname().nodename not in page + text
    again = rnnlab("reproduce", "paper/row.yaml", "-q", "--report", "r.html", "--markdown", "r.md")
    assert (again.code, Path("r.html").read_text(), Path("r.md").read_text()) == (0, page, text)
