import math
from pathlib import Path

import pytest

from rnnlab.runs.find import Damaged, read_some
from rnnlab.runs.run import Run
from tests.comparison.runs_by_hand import make_run

LOSS, ERROR = "validation/loss", "validation/error_rate"
SIMPLE = {"cell.type": "simple", "cell.forget_bias": None}


def run_of(*arguments: object, **options: object) -> Run:
    return Run(make_run(*arguments, **options))  # type: ignore[arg-type]


def test_an_ended_run_is_its_summary_and_its_record(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    assert (run.label, run.state, run.summary.stopped, run.summary.steps) == ("carry", "completed", "solved", 200)
    assert (run.summary.sequences, run.summary.seconds, run.summary.steps_per_second) == (2000, 4.0, 50.0)
    assert (run.summary.parameters, run.summary.baseline, run.summary.solved) == (133, 0.16, True)
    assert run.summary.solved_at
    assert run.summary.solved_at.model_dump() == {"step": 200, "sequences": 2000, "seconds": 3.5}
    assert run.config["cell.units"] == 4
    assert run.config["training.optimizer.learning_rate"] == 0.01
    assert run.curve(LOSS) == [(0, 0.8), (100, 0.04), (200, 0.08)]
    assert run.metrics() == [LOSS, ERROR]


def test_best_is_the_evaluation_of_the_lowest_loss_for_every_metric(tmp_path: Path) -> None:
    run = run_of(tmp_path, losses=[0.8, 0.04, 0.08, 0.04])
    assert (run.best_step, run.best(LOSS), run.best(ERROR), run.final(LOSS)) == (100, 0.04, 0.02, 0.04)


def test_a_run_without_summary_has_what_its_record_and_config_tell(tmp_path: Path) -> None:
    run = run_of(tmp_path, summary=None, state="running", step=150, config=SIMPLE)
    assert (run.state, run.summary.stopped, run.summary.steps) == ("stale", "stale", 200)
    assert (run.summary.sequences, run.summary.seconds, run.summary.steps_per_second) == (2000, 4.0, 50.0)
    assert (run.summary.solved, run.summary.solved_at) == (None, None)
    # W (2, 4), U (4, 4), b (4,), then the head (4, 1) and its bias; and the variance of the sum of two uniforms, of
    # which the last step gives one away in one of 10 sequences.
    assert run.summary.parameters == 8 + 16 + 4 + 4 + 1
    assert run.summary.baseline == pytest.approx(1 / 6 - 1 / 120, rel=1e-12)


def test_a_run_that_has_only_begun_has_no_numbers(tmp_path: Path) -> None:
    run = run_of(tmp_path, summary=None, state="running", losses=[])
    assert (run.summary.steps, run.summary.sequences, run.final(LOSS), run.best(LOSS)) == (0, None, None, None)
    assert (run.best_step, run.curve(LOSS), run.summary.steps_per_second) == (None, [], None)


def test_a_task_this_rnnlab_cannot_build_leaves_the_baseline_open(tmp_path: Path) -> None:
    run = run_of(tmp_path, summary=None, state="running", config={"task.type": "adding@tomorrow"})
    assert (run.summary.baseline, run.summary.parameters, run.final(LOSS)) == (None, None, 0.08)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_none_and_never_the_best(tmp_path: Path, value: float) -> None:
    run = run_of(tmp_path, losses=[0.8, value])
    assert (run.final(LOSS), run.best(LOSS), run.best_step) == (None, 0.8, 0)
    assert run.curve(LOSS) == [(0, 0.8), (100, None)]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("resolved.yaml", "seed: 1\n", "resolved.yaml: was changed since it was written"),
        ("metrics.jsonl", '{"step":0}\n{"step":1}\n', "metrics.jsonl:1: the record is damaged: its checksum"),
        ("summary.json", "{", "summary.json:1: is not valid JSON"),
        ("summary.json", '{"steps": "many"}', "summary.json: was changed since it was written"),
        ("status.json", "{}", "status.json: was changed since it was written"),
    ],
)
def test_a_damaged_file_is_named_with_its_fault(tmp_path: Path, name: str, content: str, reason: str) -> None:
    run = make_run(tmp_path)
    (run.path / name).write_text(content)
    [damaged] = read_some([run])
    assert isinstance(damaged, Damaged)
    assert damaged.name == "20260101T000000Z-carry-aaaaaa"
    assert damaged.reason.startswith(reason)


@pytest.mark.parametrize("name", ["metrics.jsonl", "resolved.yaml"])
def test_a_missing_file_is_damage(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path)
    (run.path / name).unlink()
    assert read_some([run]) == [Damaged(run.name, f"{name}: is missing", run.path)]


def test_a_damaged_provenance_does_not_cost_the_numbers(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (run.path / "provenance.json").write_text("{")
    assert Run(run).final(LOSS) == 0.08
