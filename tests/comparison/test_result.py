import math
from pathlib import Path

import pytest

from rnnlab.comparison import Damaged, Result, read_result
from tests.comparison.runs_by_hand import make_run

LOSS, ERROR = "validation/loss", "validation/error_rate"
SIMPLE = {"cell.type": "simple", "cell.forget_bias": None}


def result_of(*arguments: object, **options: object) -> Result:
    result = read_result(make_run(*arguments, **options))  # type: ignore[arg-type]
    assert isinstance(result, Result), result
    return result


def test_an_ended_run_is_its_summary_and_its_record(tmp_path: Path) -> None:
    result = result_of(tmp_path)
    assert (result.label, result.state, result.stopped, result.steps) == ("carry", "completed", "solved", 200)
    assert (result.sequences, result.seconds, result.steps_per_second) == (2000, 4.0, 50.0)
    assert (result.parameters, result.baseline, result.solved) == (133, 0.16, True)
    assert result.solved_at
    assert (result.solved_at.step, result.solved_at.sequences, result.solved_at.seconds) == (200, 2000, 3.5)
    assert result.config["cell.units"] == 4
    assert result.config["training.optimizer.learning_rate"] == 0.01
    assert result.curve(LOSS) == [(0, 0.8), (100, 0.04), (200, 0.08)]
    assert result.metrics() == [LOSS, ERROR]


def test_best_is_the_evaluation_of_the_lowest_loss_for_every_metric(tmp_path: Path) -> None:
    result = result_of(tmp_path, losses=[0.8, 0.04, 0.08, 0.04])
    assert (result.best_step, result.best(LOSS), result.best(ERROR), result.final(LOSS)) == (100, 0.04, 0.02, 0.04)


def test_a_run_without_summary_has_what_its_record_and_config_tell(tmp_path: Path) -> None:
    result = result_of(tmp_path, summary=None, state="running", step=150, config=SIMPLE)
    assert (result.state, result.stopped, result.steps) == ("running", "running", 200)
    assert (result.sequences, result.seconds, result.steps_per_second) == (2000, 4.0, 50.0)
    assert (result.solved, result.solved_at) == (None, None)
    # W (2, 4), U (4, 4), b (4,), then the head (4, 1) and its bias; and the variance of the sum of two uniforms.
    assert result.parameters == 8 + 16 + 4 + 4 + 1
    assert result.baseline == pytest.approx(1 / 6, rel=1e-12)


def test_a_run_that_has_only_begun_has_no_numbers(tmp_path: Path) -> None:
    result = result_of(tmp_path, summary=None, state="running", losses=[])
    assert (result.steps, result.sequences, result.final(LOSS), result.best(LOSS)) == (0, None, None, None)
    assert (result.best_step, result.curve(LOSS), result.steps_per_second) == (None, [], None)


def test_a_task_this_rnnlab_cannot_build_leaves_the_baseline_open(tmp_path: Path) -> None:
    result = result_of(tmp_path, summary=None, state="running", config={"task.type": "adding@tomorrow"})
    assert (result.baseline, result.parameters, result.final(LOSS)) == (None, None, 0.08)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_none_and_never_the_best(tmp_path: Path, value: float) -> None:
    result = result_of(tmp_path, losses=[0.8, value])
    assert (result.final(LOSS), result.best(LOSS), result.best_step) == (None, 0.8, 0)
    assert result.curve(LOSS) == [(0, 0.8), (100, None)]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("resolved.yaml", "a: 1\na: 2\n", "is not the config of a run: resolved.yaml:2:1 a: duplicate key"),
        ("resolved.yaml", "[]\n", "is not the config of a run: resolved.yaml:1:1: got a list"),
        ("metrics.jsonl", '{"step":0}\n{"step":1}\n', "metrics.jsonl:1: the record is damaged: its checksum"),
        ("summary.json", "{", "summary.json:1: is not valid JSON"),
        ("summary.json", '{"steps": "many"}', "summary.json: is not a run's summary: see stopped, steps, sequences, "),
        ("status.json", "{}", "status.json: is not a run's status: run: Field required"),
    ],
)
def test_a_damaged_file_is_named_with_its_fault(tmp_path: Path, name: str, content: str, reason: str) -> None:
    run = make_run(tmp_path)
    (run.path / name).write_text(content)
    damaged = read_result(run)
    assert isinstance(damaged, Damaged)
    assert damaged.name == "20260101T000000Z-carry-aaaaaa"
    assert damaged.reason.startswith(reason)


@pytest.mark.parametrize("name", ["metrics.jsonl", "resolved.yaml"])
def test_a_missing_file_is_damage(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path)
    (run.path / name).unlink()
    assert read_result(run) == Damaged(run.name, f"{name}: is missing")


def test_a_damaged_provenance_does_not_cost_the_numbers(tmp_path: Path) -> None:
    run = make_run(tmp_path, facts={"csv_sha256": "ab"})
    assert isinstance(before := read_result(run), Result)
    (run.path / "provenance.json").write_text("{")
    assert isinstance(after := read_result(run), Result)
    assert (before.facts, after.facts, after.final(LOSS)) == ({"csv_sha256": "ab"}, {}, 0.08)
