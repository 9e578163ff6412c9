from pathlib import Path
from typing import Any

import pytest

from rnnlab.comparison import Comparison, compare
from rnnlab.core.errors import UsageError, VerificationError
from rnnlab.runs.find import Damaged
from rnnlab.storage import RunFolder
from tests.comparison.runs_by_hand import UNSOLVED, make_run

CARRY, SIMPLE, THIRD = (f"20260101T00000{n}Z-{name}-aaaaa{n}" for n, name in enumerate(["carry", "simple", "third"]))
TO_SIMPLE = {"cell.type": "simple", "cell.forget_bias": None}
FAILED = [0.8, 0.6, 0.5]


def pair(root: Path, config: dict[str, Any], name: str = SIMPLE, **options: Any) -> Comparison:
    """Compare a run that solved its task with another one."""
    second = {"losses": FAILED, "summary": UNSOLVED, **options}
    return compare([make_run(root, CARRY), make_run(root, name, config=config, **second)])


def test_differences_are_the_keys_that_differ_without_the_name(tmp_path: Path) -> None:
    comparison = pair(tmp_path, TO_SIMPLE)
    assert comparison.differences == {
        "cell.type": {CARRY: "carry", SIMPLE: "simple"},
        "cell.forget_bias": {CARRY: 1.0},
    }
    assert comparison.warnings == ()


def test_values_that_are_equal_only_to_python_differ(tmp_path: Path) -> None:
    differences = pair(tmp_path, {"cell.forget_bias": True, "training.steps": 200.0}).differences
    assert differences == {
        "cell.forget_bias": {CARRY: 1.0, SIMPLE: True},
        "training.steps": {CARRY: 200, SIMPLE: 200.0},
    }


@pytest.mark.parametrize(
    ("metric", "order", "full"),
    [
        (None, [CARRY, SIMPLE], "validation/loss"),
        ("error_rate", [CARRY, SIMPLE], "validation/error_rate"),
        ("validation/recall_accuracy", [SIMPLE, CARRY], "validation/recall_accuracy"),
        ("recall_accuracy", [SIMPLE, CARRY], "validation/recall_accuracy"),
    ],
)
def test_runs_are_ordered_best_first(tmp_path: Path, metric: str | None, order: list[str], full: str) -> None:
    copying = {"task.type": "copy_memory@urnn"}
    runs = [make_run(tmp_path, SIMPLE, losses=FAILED, config=copying), make_run(tmp_path, CARRY, config=copying)]
    for run, accuracy in zip(runs, [0.9, 0.4], strict=True):
        with run.metrics_writer(run.read_status().id) as writer:
            final = run.read_metrics().records[-1]["validation/loss"]
            scores = {"loss": final, "error_rate": final / 2, "recall_accuracy": accuracy}
            place = {"step": 300, "sequences": 3000, "seconds": 9.0}
            writer.write({**place, **{f"validation/{name}": score for name, score in scores.items()}})
    comparison = compare(runs, metric)
    assert ([result.name for result in comparison.results], comparison.metric) == (order, full)


def test_a_run_without_the_metric_comes_last(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, SIMPLE, losses=[], summary=None, state="running"), make_run(tmp_path, CARRY)]
    assert [result.name for result in compare(runs).results] == [CARRY, SIMPLE]


def test_only_a_loss_has_the_baseline(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, CARRY), make_run(tmp_path, SIMPLE)]
    loss, error = compare(runs), compare(runs, "error_rate")
    assert [loss.baseline(loss.results[0]), error.baseline(error.results[0])] == [0.16, None]


def test_an_unknown_metric_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        compare([make_run(tmp_path)], "eror_rate")
    assert str(caught.value) == "--metric: no run recorded the metric 'eror_rate' — did you mean 'error_rate'?"


def test_a_run_given_twice_is_an_error(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with pytest.raises(UsageError) as caught:
        compare([run, run])
    assert caught.value.problem == "the run 20260101T000000Z-carry-aaaaaa is given 2 times"


def test_damaged_runs_are_left_out_and_named(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, CARRY), make_run(tmp_path, SIMPLE), Damaged("x", "status.json: is missing")]
    (tmp_path / SIMPLE / "metrics.jsonl").unlink()
    comparison = compare(runs)
    assert [result.name for result in comparison.results] == [CARRY]
    assert comparison.damaged == (
        Damaged(SIMPLE, "metrics.jsonl: is missing"),
        Damaged("x", "status.json: is missing"),
    )
    with pytest.raises(VerificationError, match=r"no run can be read: x: status\.json: is missing"):
        compare(runs[2:])


def test_a_copied_folder_has_its_path_as_name(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a", CARRY), make_run(tmp_path / "b", CARRY, losses=FAILED)]
    names = [str(tmp_path / "a" / CARRY), str(tmp_path / "b" / CARRY)]
    comparison = compare(runs)
    assert [result.name for result in comparison.results] == names
    assert len(set(comparison.headings.values())) == 2


@pytest.mark.parametrize(
    ("names", "seeds", "expected"),
    [
        (["x-carry-aaaaaa", "x-simple-bbbbbb"], [0, 0], ["carry", "simple"]),
        (
            ["x-carry-aaaaaa", "x-carry-bbbbbb", "x-simple-cccccc"],
            [3, 4, 0],
            ["carry seed 3", "carry seed 4", "simple"],
        ),
        (["x-carry-aaaaaa", "x-carry-bbbbbb"], [3, 3], ["carry aaaaaa", "carry bbbbbb"]),
        (["x-carry-aaaaaa", "mine"], [0, 0], ["carry", "mine"]),
    ],
)
def test_headings_are_short_and_distinct(
    tmp_path: Path, names: list[str], seeds: list[int], expected: list[str]
) -> None:
    folders = [name.replace("x-", "20260101T000000Z-") for name in names]
    runs = [make_run(tmp_path, name, config={"seed": seed}) for name, seed in zip(folders, seeds, strict=True)]
    called = compare(runs).headings
    assert [called[name] for name in folders] == expected


@pytest.mark.parametrize(
    ("config", "weight", "differs", "reason"),
    [
        (
            {"task.type": "adding@hs1997"},
            "not comparable",
            "task.type differs (adding@urnn in carry; adding@hs1997 in",
            "losses of different tasks are not comparable",
        ),
        (
            {"task.high": 2},
            "not comparable",
            "task.high differs (none in carry; 2 in",
            "the task's options are part of its definition",
        ),
        (
            {"shape.timesteps": [10, 30]},
            "not comparable",
            "shape.timesteps differs (20 in carry; [10, 30] in",
            "the sequence length sets how difficult a task is",
        ),
        (
            {"shape.return_sequences": True},
            "not comparable",
            "shape.return_sequences differs (false in carry; true in",
            "they are scored on different steps of a sequence",
        ),
        (
            {"evaluation.sequences": 500},
            "compare with care",
            "evaluation.sequences differs (100 in carry; 500 in",
            "they were scored on different validation sets",
        ),
        (
            {"seed": 1, "cell.units": 5},
            "compare with care",
            "seed differs (0 in carry; 1 in",
            "each was scored on its own validation set, so a small difference may be chance",
        ),
    ],
)
def test_what_makes_results_incomparable_is_reported(
    tmp_path: Path, config: dict[str, Any], weight: str, differs: str, reason: str
) -> None:
    comparison = pair(tmp_path, config)
    (warning,) = comparison.warnings
    assert warning == f"{weight}: {differs} simple): {reason}"
    silent = "The runs differ in their task or its sequence length, so their results cannot be compared."
    assert (comparison.conclusion == silent) == (weight == "not comparable")


def file(path: str, content: str) -> dict[str, Any]:
    return {"task.csv.path": path, "task.csv.sha256": content * 64}


def test_other_data_under_the_same_path_are_noticed(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, CARRY, config=file("x.csv", "a")),
        make_run(tmp_path, SIMPLE, config=TO_SIMPLE | file("x.csv", "b")),
    ]
    assert compare(runs).warnings == (
        "not comparable: task.csv.sha256 differs (aaaaaaaaaaaa in carry; bbbbbbbbbbbb in simple): "
        "they read different data",
    )


def test_the_same_data_at_another_place_are_the_same(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, CARRY, config=file("../../x.csv", "a")),
        make_run(tmp_path, SIMPLE, config=TO_SIMPLE | file("/moved/x.csv", "a")),
    ]
    found = compare(runs)
    assert found.warnings == ()
    assert set(found.groups[0].values) == {"cell.type", "cell.forget_bias"}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"state": "running"}, "simple was running, but its process is gone: its results are those up to step 200"),
        ({"state": "interrupted"}, "simple was interrupted at step 200"),
        ({"state": "failed", "message": "OSError: x"}, "simple failed at step 200: OSError: x"),
        ({"state": "diverged", "message": "diverged at step 7: loss is nan"}, "simple diverged at step 7: loss is nan"),
    ],
)
def test_runs_that_did_not_complete_are_reported(tmp_path: Path, status: dict[str, Any], expected: str) -> None:
    assert pair(tmp_path, TO_SIMPLE, summary=None, **status).warnings == (expected,)


def test_many_holders_of_a_value_are_counted(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, f"20260101T000000Z-r{n}-aaaaaa", config={"seed": n // 6, "cell.units": n + 1})
        for n in range(12)
    ]
    runs += [
        make_run(tmp_path, f"20260101T000000Z-s{n}-aaaaaa", config={"seed": n, "cell.units": 20, "shape.timesteps": 30})
        for n in range(2, 6)
    ]
    assert (
        compare(runs)
        .warnings[0]
        .startswith("not comparable: shape.timesteps differs (20 in H=1, H=2, H=11, H=12 and 8 more; 30 in H=20): ")
    )


CARRY_SOLVED = "carry solved adding@urnn (T=20) after 2,000 sequences; simple"
DIVERGED = {"summary": {**UNSOLVED, "stopped": "diverged", "sequences": 640}, "state": "diverged"}
SOLVED_EARLY = {"summary": {**UNSOLVED, "solved": True, "solved_at": {"step": 9, "sequences": 90, "seconds": 0.1}}}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, f"{CARRY_SOLVED} did not solve it within 2,000 sequences (loss 0.5, error rate 0.25)"),
        (DIVERGED, f"{CARRY_SOLVED} diverged after 640 sequences"),
        (
            {"summary": None, "state": "running"},
            f"{CARRY_SOLVED} has not ended after 2,000 sequences (loss 0.5, error rate 0.25)",
        ),
        (
            SOLVED_EARLY,
            "simple solved adding@urnn (T=20) after 90 sequences; carry solved it after 2,000 sequences",
        ),
    ],
)
def test_the_conclusion_of_single_runs(tmp_path: Path, options: dict[str, Any], expected: str) -> None:
    caveat = "There is one run per config, so differences may be chance."
    assert pair(tmp_path, TO_SIMPLE, **options).conclusion == f"{expected}. {caveat}"


@pytest.mark.parametrize(
    ("config", "caveat"),
    [
        ({}, ". The configs are the same."),
        (
            {"seed": 1},
            "; 95 % interval of the share: 9% to 91% (Wilson). "
            "The configs differ only in the seed, so the differences between runs are chance.",
        ),
    ],
)
def test_the_conclusion_of_one_config_is_chance(tmp_path: Path, config: dict[str, Any], caveat: str) -> None:
    assert pair(tmp_path, config).conclusion == f"1 of 2 runs solved adding@urnn (T=20){caveat}"


@pytest.mark.parametrize(
    ("summary", "start"),
    [
        (UNSOLVED, "No run has solved adding@urnn (T=20): "),
        (None, "No run is known to have solved adding@urnn (T=20): "),
    ],
)
def test_the_conclusion_claims_no_more_than_is_known(tmp_path: Path, summary: Any, start: str) -> None:
    state = "running" if summary is None else "completed"
    runs = [
        make_run(tmp_path, CARRY, summary=UNSOLVED),
        make_run(tmp_path, SIMPLE, summary=summary, state=state, config=TO_SIMPLE),
    ]
    assert compare(runs).conclusion.startswith(start)


def several(root: Path, count: int, solved: int, seeds: int = 1) -> list[RunFolder]:
    """Make runs of which the first ones solve their task, and the last have the lowest loss."""
    runs = []
    for n in range(count):
        at = {"step": 1, "sequences": 700 * (n + 1), "seconds": 1.0} if n < solved else None
        summary = {**UNSOLVED, "solved": n < solved, "solved_at": at}
        config = {"seed": n % seeds, "cell.units": 4 + n // seeds}
        name = f"20260101T000000Z-r{n}-aaaaaa"
        runs.append(make_run(root, name, losses=[0.9 - n / 10], config=config, summary=summary))
    return runs


def test_many_runs_are_counted(tmp_path: Path) -> None:
    runs = several(tmp_path, 6, 2, seeds=3)
    assert compare(runs).conclusion == (
        "Runs that solved the task: H=4 2/3, H=5 0/3; no significant difference. The final loss does not differ "
        "significantly (p = 0.5). With 3 runs per group, no test of final values can give a p below 0.25."
    )


@pytest.mark.parametrize(
    ("solved", "first", "start"),
    [
        (2, 0, "r0 solved adding@urnn (T=20) after 700 sequences; 2 of 6 runs solved it. "),
        (2, 1, "r1 solved adding@urnn (T=20) after 1,400 sequences; 1 of 5 runs solved it. "),
        (0, 1, "No run has solved adding@urnn (T=20): r5 did not solve it within 2,000 sequences (loss 0.4, error "),
    ],
)
def test_of_many_single_runs_the_best_is_named(tmp_path: Path, solved: int, first: int, start: str) -> None:
    assert compare(several(tmp_path, 6, solved)[first:]).conclusion.startswith(start)
