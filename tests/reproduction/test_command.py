"""`rnnlab reproduce`: what it lists, trains, tests, compares and writes, and how it ends."""

import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from rnnlab.reproduction.rows import row_names
from rnnlab.runs.run import Run
from rnnlab.sweeps import SweepFolder
from tests.cli.jobs import everything
from tests.cli.program import rnnlab, start
from tests.reproduction.tiny import ROW

FOLDER = "runs/reproduce/paper/row"
# Each trial takes some seconds and is saved often, so that a kill finds some complete and others begun.
LONG = (
    ROW.replace("steps: 2000", "steps: 3000, checkpoint: {every_seconds: 0.1}, stop_when_solved: false")
    .replace("evaluate_every: 20", "evaluate_every: 1500")
    .replace("task: parity\nshape: {timesteps: 1}", "task: parity\nshape: {timesteps: 20}")
)


@pytest.fixture
def row(here: Path) -> Path:
    """A row's file, and an empty folder of runs beside it."""
    (here / "paper").mkdir()
    (here / "paper" / "row.yaml").write_text(ROW)
    return here / "paper" / "row.yaml"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of the row, trained and tested once; not to be changed."""
    place = tmp_path_factory.mktemp("finished")
    (place / "paper").mkdir()
    (place / "paper" / "row.yaml").write_text(ROW)
    runs = place / "runs"
    assert rnnlab("reproduce", place / "paper" / "row.yaml", "--runs", runs, "--workers", "1").code == 0
    return runs


@pytest.fixture
def trained(row: Path, finished: Path) -> Path:
    """A row's file, and a copy of its finished runs beside it."""
    shutil.copytree(finished, "runs")
    return row


def document(*arguments: str) -> dict[str, object]:
    result = rnnlab("reproduce", *arguments, "--json", "--quiet", "--workers", "1")
    (found,) = json.loads(result.stdout)["rows"]
    return {**found, "code": result.code}


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


def test_a_row_is_trained_tested_and_compared(trained: Path) -> None:
    """Checked against the runs' own records: when each was solved, and how many of its test sequences were wrong."""
    first = document("paper/row.yaml")
    assert (first["code"], first["state"], first["ended"]) == (0, "finished", 3)
    sweep = SweepFolder(Path(FOLDER))
    runs = [Run(sweep.run(trial)) for trial in sweep.read_plan().trials]
    solved = sorted(run.summary.sequences_to_success or 0 for run in runs)
    assert first["sequences"]["mean"] == pytest.approx(sum(solved) / 3)
    assert [first["sequences"][key] for key in ("median", "min", "max")] == [solved[1], solved[0], solved[2]]
    assert first["value"] == pytest.approx(sum(solved) / 3)
    assert first["ratio"] == pytest.approx(sum(solved) / 3 / 40)
    # Three of three: the lower end is 3 / (3 + z²), as the share is 1.
    assert first["interval"] == pytest.approx([3 / (3 + 1.959964**2), 1.0], abs=1e-6)
    for run in runs:
        (record,) = run.evaluations
        assert [record[key] for key in ("stream", "weights", "sequences", "step")] == [
            *("test", "last", 50),
            run.summary.steps,
        ]
    assert first["test"]["error_rate"] == sorted(run.evaluations[0]["error_rate"] for run in runs)
    before = everything(Path("runs"))
    assert document("paper/row.yaml") == first
    assert everything(Path("runs")) == before


def test_the_conclusion_is_reported_when_the_last_trial_has_ended(row: Path) -> None:
    other = row.with_name("other.yaml")
    other.write_text(ROW)
    result = rnnlab("reproduce", row, other, "--workers", "1")
    assert result.code == 0
    notes = result.stderr.splitlines()
    (end,) = [
        place for place, line in enumerate(notes) if line.startswith("paper/row: agrees: 3 of 3 trials are solved")
    ]
    assert any(line.startswith("paper/row: ") and "/3 000" in line for line in notes[:end])
    assert notes[-1].startswith("paper/other: agrees: ")
    assert result.stdout.endswith("2 rows: 2 agree\n")


def test_a_test_at_other_lengths_is_made_once(trained: Path) -> None:
    """The parity of one bit is known from its input, that of three is not."""
    trained.write_text(
        ROW.replace("test: {sequences: 50}", "test: {sequences: 500, changes: {shape.timesteps: [3, 3]}}")
    )
    text = " ".join(rnnlab("reproduce", "paper/row.yaml", "--dry-run").stdout.split())
    assert "500 fresh sequences for each trial, with shape.timesteps [3, 3]" in text
    first = document("paper/row.yaml")
    assert (first["state"], first["solved"]) == ("finished", 3)
    assert all(0.3 < rate < 0.7 for rate in first["test"]["error_rate"])
    before = everything(Path("runs"))
    assert document("paper/row.yaml") == first
    assert everything(Path("runs")) == before


def test_another_task_option_is_tested_anew(trained: Path) -> None:
    losses = []
    for noise in (0.1, 0.9, 0.9):
        trained.write_text(ROW.replace("{sequences: 50}", f"{{sequences: 50, changes: {{task.noise: {noise}}}}}"))
        losses.append(document("paper/row.yaml")["test"]["loss"])
    assert losses[1] == losses[2]
    # Inputs that are noisier are as often +1 as -1, and nearer to each other: what the network says is less sure.
    assert all(noisy > clean for noisy, clean in zip(losses[1], losses[0], strict=True))
    sweep = SweepFolder(Path(FOLDER))
    records = [Run(sweep.run(trial)).evaluations for trial in sweep.read_plan().trials]
    made = [None, "task.noise=0.1", "task.noise=0.9"]
    assert [[one.get("overrides") for one in several] for several in records] == [made] * 3


def test_a_file_elsewhere_with_the_same_name_does_not_get_its_results(row: Path) -> None:
    assert document("paper/row.yaml")["state"] == "finished"
    before = everything(Path("runs"))
    shutil.copytree("paper", "elsewhere/paper")
    Path("elsewhere/paper/row.yaml").write_text(ROW.replace("value: 40", "value: 50"))
    other = document("elsewhere/paper/row.yaml")
    assert (other["code"], other["state"], other["runs"]) == (4, "changed", [])
    stderr = rnnlab("reproduce", "elsewhere/paper/row.yaml", "-q").stderr
    assert f"{FOLDER}: the results are of another row with this name, ../../../../paper/row.yaml, and" in stderr
    assert everything(Path("runs")) == before
    shutil.move("elsewhere", "moved")
    shutil.move("runs", "moved/runs")
    shutil.copy("paper/row.yaml", "moved/paper/row.yaml")
    assert document("moved/paper/row.yaml", "--runs", "moved/runs")["state"] == "finished"  # moved together


def test_a_row_may_be_judged_by_a_diagnosis(trained: Path) -> None:
    """The stable points of one unit: where tanh(u·h + b) - h falls through 0, on a grid."""
    text = ROW.replace("{sequences: 50}", "{sequences: 50, diagnosis: fixed-points}")
    text = text.replace("measure: sequences", "measure: test.stable_fixed_points").replace("value: 40", "value: 1")
    trained.write_text(text)
    found = document("paper/row.yaml")
    sweep = SweepFolder(Path(FOLDER))
    counts = []
    for trial in sweep.read_plan().trials:
        weights = Run(sweep.run(trial)).weights("last")
        h = np.linspace(-1, 1, 100_001)
        above = np.tanh(weights["layers.0.U"][0, 0] * h + weights["layers.0.b"][0]) > h
        counts.append(int((above[:-1] & ~above[1:]).sum()))
    assert min(counts) >= 1
    assert found["test"]["stable_fixed_points"] == sorted(counts)
    assert found["value"] == pytest.approx(np.mean(counts))


@pytest.mark.parametrize(
    ("rule", "conclusion", "reason"),
    [
        ("{solved: 0.9, ratio: [0.1, 10]}", "agrees", "3 of 3 trials are solved, the rule asks for 90%; the ratio to"),
        ("{ratio: [0.001, 0.002]}", "differs", "the ratio to the printed value is {}, outside 0.001 to 0.002"),
        ("{value: [1e6, 2e6]}", "differs", "our value is {}, outside 1e+06 to 2e+06"),
    ],
)
def test_the_conclusion_is_by_the_rule_of_the_row(trained: Path, rule: str, conclusion: str, reason: str) -> None:
    trained.write_text(ROW.replace("{solved: 0.9, ratio: [0.5, 2]}", rule))
    found = document("paper/row.yaml", "--fail-if", "differs")
    assert found["conclusion"] == conclusion
    before, _, after = reason.partition("{}")
    assert found["reason"].startswith(before)
    assert after in found["reason"]
    assert found["code"] == (0 if conclusion == "agrees" else 9)


def test_a_limit_that_no_trial_can_meet_is_not_reached(row: Path) -> None:
    row.write_text(ROW.replace("steps: 2000", "steps: 10").replace("timesteps: 1", "timesteps: 20"))
    found = document("paper/row.yaml")
    assert (found["conclusion"], found["value"], found["solved"]) == ("not reached", None, 0)
    assert found["reason"] == "0 of 3 trials are solved, the rule asks for 90%"
    assert found["test"] == {}  # those of trials that are not solved do not count
    row.write_text(row.read_text().replace("{solved: 0.9, ratio: [0.5, 2]}", "{ratio: [0.5, 2]}"))
    assert [*document("paper/row.yaml")["test"]] == ["loss", "error_rate"]  # without a rule for solved trials they do
    assert rnnlab("reproduce", "paper/row.yaml").code == 0


def test_a_row_that_changed_is_never_mixed_with_its_old_results(trained: Path) -> None:
    document("paper/row.yaml")
    before = everything(Path("runs"))
    trained.write_text(ROW.replace("learning_rate: 1.0", "learning_rate: 0.9"))
    found = document("paper/row.yaml")
    assert (found["code"], found["state"], found["conclusion"], found["runs"]) == (4, "changed", None, [])
    result = rnnlab("reproduce", "paper/row.yaml", "-q")
    assert f"{FOLDER}: the results are of another version of the row, and are not used: " in result.stderr
    dry = rnnlab("reproduce", "paper/row.yaml", "--dry-run")
    assert (dry.code, result.stderr) == (4, dry.stderr)
    assert everything(Path("runs")) == before
    # More trials are no other version: those that are there are kept.
    trained.write_text(ROW.replace("seeds: 3", "seeds: 4").replace("trials: 3", "trials: 4"))
    grown = document("paper/row.yaml")
    assert (grown["code"], grown["state"], grown["ended"]) == (0, "finished", 4)
    after = everything(Path("runs"))
    assert {name: after[name] for name in before if "/trials/" in name} == {
        name: data for name, data in before.items() if "/trials/" in name
    }


def test_variants_are_trained_where_asked_for_and_shown_beside_the_row(trained: Path) -> None:
    assert not Path(f"{FOLDER}.adam").exists()
    result = rnnlab("reproduce", "paper/row.yaml", "--variants", "-q", "-j", "1", "--markdown", "r.md")
    assert result.code == 0
    table = [line for line in result.stdout.splitlines() if line.startswith("paper/row") and ": " not in line]
    assert [line.split("  ")[0] for line in table] == ["paper/row", "paper/row, adam"]
    sweep = SweepFolder(Path(f"{FOLDER}.adam"))
    assert Run(sweep.run(sweep.read_plan().trials[0])).config["training.optimizer.type"] == "adam"
    assert "**Variant adam**" in Path("r.md").read_text()


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
