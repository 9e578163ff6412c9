"""What a row's trials are tested on, and how its result is compared with the printed one."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from rnnlab.runs.run import Run
from rnnlab.sweeps import SweepFolder
from tests.cli.jobs import everything
from tests.cli.program import rnnlab
from tests.reproduction.tiny import FOLDER, ROW, document


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
