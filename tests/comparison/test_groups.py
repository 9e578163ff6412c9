"""Groups, their contrasts and tables, from runs with known content."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.comparison import compare
from rnnlab.comparison.tables import record_table, run_table, tables
from rnnlab.core.errors import UsageError
from rnnlab.runs.run import Run
from rnnlab.storage import RunFolder
from tests.comparison.runs_by_hand import SOLVED, UNSOLVED, make_run

TO_SIMPLE = {"cell.type": "simple", "cell.forget_bias": None}


def made(root: Path, cell: str, seed: int, *, solved: bool, loss: float = 0.08, **config: Any) -> RunFolder:
    at = {"step": 100, "sequences": 500 + 100 * seed, "seconds": 1.0} if solved else None
    summary = {**(SOLVED if solved else UNSOLVED), "solved_at": at}
    own = {"seed": seed, **{key.replace("__", "."): value for key, value in config.items()}}
    own |= TO_SIMPLE if cell == "simple" else {}
    name = f"20260101T000000Z-{cell}-{len(list(root.iterdir())) if root.exists() else 0:06}"
    return make_run(root, name, config=own, summary=summary, losses=[0.8, loss])


def two_cells(root: Path, seeds: int) -> list[RunFolder]:
    carry = [made(root, "carry", n, solved=True, loss=0.001 * (n + 1)) for n in range(seeds)]
    return [*carry, *(made(root, "simple", n, solved=False, loss=0.2 + 0.01 * n) for n in range(seeds))]


def test_groups_and_their_numbers(tmp_path: Path) -> None:
    comparison = compare(two_cells(tmp_path, 10))
    carry, simple = comparison.groups
    assert [carry.heading, simple.heading] == ["carry", "simple"]
    assert carry.values == {"cell.type": "carry", "cell.forget_bias": 1.0}
    assert (carry.solved, len(carry.decided), carry.seeds) == (10, 10, list(range(10)))
    assert carry.solved_interval == pytest.approx((0.7225, 1), abs=1e-4)
    assert (carry.median, carry.interquartile_mean) == (pytest.approx(0.0055), pytest.approx(0.0055))
    assert carry.median_interval == pytest.approx((0.003, 0.008), abs=0.0011)
    assert carry.sequences_to_success == 900  # half have solved by the fifth of 500, 600, …
    assert simple.sequences_to_success is None
    (contrast,) = comparison.contrasts
    assert contrast.paired
    assert contrast.p["solved"] == pytest.approx(2 / 184756)
    assert contrast.values is not None
    assert (contrast.values.p, contrast.values.superiority) == (2 / 2**10, 0)
    assert comparison.conclusion == (
        "Runs that solved the task: carry 10/10, simple 0/10; p < 0.001 (Fisher's exact test). The final loss of carry "
        "is better than that of simple: median 0.0055 against 0.245, better in 100% of pairs, p = 0.002 (Wilcoxon's "
        "signed-rank test)."
    )


def test_few_runs_show_little(tmp_path: Path) -> None:
    assert compare(two_cells(tmp_path, 3)).conclusion == (
        "Runs that solved the task: carry 3/3, simple 0/3; no significant difference. The final loss does not differ "
        "significantly (p = 0.25). With 3 runs per group, no test of final values can give a p below 0.25."
    )


def test_other_seeds_are_not_paired(tmp_path: Path) -> None:
    runs = [made(tmp_path, "carry", n, solved=True, loss=0.01 + n / 1000) for n in range(5)]
    runs += [made(tmp_path, "simple", n, solved=False, loss=0.2 + n / 1000) for n in range(5, 10)]
    (contrast,) = compare(runs).contrasts
    assert not contrast.paired
    assert contrast.values is not None
    assert contrast.values.p == pytest.approx(2 / 252)


def test_runs_that_diverged_count_as_the_worst(tmp_path: Path) -> None:
    runs = [made(tmp_path, "carry", n, solved=False, loss=0.1) for n in range(2)]
    summary = {**UNSOLVED, "stopped": "diverged"}
    runs.append(make_run(tmp_path, "z", config={"seed": 2}, losses=[float("nan")], summary=summary, state="diverged"))
    (group,) = compare(runs).groups
    assert group.scores == (0.1, 0.1, float("inf"))
    assert group.median == 0.1
    # Of a metric of the training, the last value was finite.
    with runs[2].metrics_writer(runs[2].read_status().id) as writer:
        writer.write({"step": 10, "sequences": 100, "seconds": 1.0, "train/loss": 0.01})
    (group,) = compare(runs, "train/loss").groups
    assert group.scores[2] == float("inf")


def test_three_groups_are_corrected_together(tmp_path: Path) -> None:
    runs = [made(tmp_path, "carry", n, solved=n < 5 * u, cell__units=u + 3) for u in range(3) for n in range(10)]
    comparison = compare(runs)
    raw = sorted(one.p["solved"] for one in comparison.contrasts)
    corrected = sorted(one.p_holm["solved"] for one in comparison.contrasts)
    assert raw == pytest.approx([2 / 184756, 21 / 646, 21 / 646])  # 5 of 10 against 0 of 10
    assert [sorted(one.p) for one in comparison.contrasts] == [["sequences", "solved", "values"]] * 3
    assert comparison.tests == 9
    # Ten solve in 500 … 1,400 sequences, five in 500 … 900, none within 2,000: three log-rank tests among the others.
    everything = [p for one in comparison.contrasts for p in one.p.values()]
    assert corrected == pytest.approx(sorted(holm_by_hand(everything)[everything.index(p)] for p in raw))
    assert corrected[0] == 2 / 184756 * (9 - sum(p < raw[0] for p in everything))


def holm_by_hand(p_values: list[float]) -> list[float]:
    """Holm's correction as statsmodels has it, `multipletests(method="holm")`: sort, times n … 1, running maximum."""
    order = np.argsort(p_values)
    raised = np.maximum.accumulate(np.array(p_values)[order] * np.arange(len(p_values), 0, -1))
    found = np.empty(len(p_values))
    found[order] = np.minimum(raised, 1)
    return list(found)


def test_a_baseline_is_compared_with_the_others(tmp_path: Path) -> None:
    runs = [made(tmp_path, "carry", n, solved=True, cell__units=units) for units in (3, 4, 5) for n in range(2)]
    contrasts = compare(runs, baseline="H=4").contrasts
    assert [(one.one.heading, one.other.heading) for one in contrasts] == [("H=4", "H=3"), ("H=4", "H=5")]
    with pytest.raises(UsageError, match="--baseline: 'H' fits 3 groups"):
        compare(runs, baseline="H")
    with pytest.raises(UsageError, match="--baseline: there is no group 'H=6'"):
        compare(runs, baseline="H=6")


def swept(root: Path) -> list[RunFolder]:
    """Carry solves all of T = 10, 20, 30 with two seeds, simple T = 10 alone."""
    return [
        made(root, cell, seed, solved=cell == "carry" or T == 10, shape__timesteps=T)
        for T in (10, 20, 30)
        for cell in ("simple", "carry")
        for seed in range(4)
    ]


def test_a_sweep_becomes_a_table(tmp_path: Path) -> None:
    comparison = compare(swept(tmp_path))
    table = comparison.pivot
    assert table is not None
    assert (table.by, table.over, table.columns, table.rows) == (
        "cell.type", "shape.timesteps", ("carry", "simple"), (10, 20, 30),
    )  # fmt: skip
    assert [table.solved(column) for column in (0, 1)] == [(12, 12), (4, 12)]
    assert [table.solves_up_to(column) for column in (0, 1)] == [30, 10]
    (overall,) = table.overall
    assert (overall.pairs, overall.only_one, overall.only_other, overall.p) == (12, 8, 0, 2 / 2**8)
    # In three rows Fisher's test, 4 against 4, 4 against 0 and 4 against 0 of 4: with McNemar's, four tests.
    assert [one.p for one in comparison.contrasts] == [{"solved": pytest.approx(p)} for p in (1, 2 / 70, 2 / 70)]
    assert [one.p_holm["solved"] for one in comparison.contrasts] == pytest.approx([1, 6 / 70, 6 / 70])
    assert (overall.p_holm, comparison.tests) == (4 * 2 / 2**8, 4)
    assert [row[-1] for row in tables(comparison)[-1].rows] == ["1", "0.086", "0.086", "0.031"]
    assert comparison.warnings == ()
    assert comparison.conclusion == (
        "Runs that solved the task: carry 12/12, simple 4/12; p = 0.031 (McNemar's exact test, 12 pairs of equal "
        "length and seed). carry solves T=10 … 30 with every seed; simple solves up to T=10 with every seed, and with "
        "no seed from T=20 on."
    )


def test_where_success_ends(tmp_path: Path) -> None:
    """One seed of two at T=20 is neither every seed nor none; a run that has not ended might still solve it."""
    runs = [*swept(tmp_path), made(tmp_path, "simple", 8, solved=True, shape__timesteps=20)]
    table = compare(runs).pivot
    assert table is not None
    assert [table.solves_none_from(column) for column in (0, 1)] == [None, 30]
    unknown = {"cell.type": "simple", "cell.forget_bias": None, "seed": 9, "shape.timesteps": 30}
    runs.append(make_run(tmp_path, "20260101T000000Z-x-aaaaaa", config=unknown, summary=None, state="running"))
    table = compare(runs).pivot
    assert table is not None
    assert table.solves_none_from(1) is None


def test_a_table_as_asked(tmp_path: Path) -> None:
    """Its rows are no numbers, so that the conclusion has no "up to"."""
    comparison = compare(swept(tmp_path), by="shape.timesteps", over="cell.type")
    table = comparison.pivot
    assert table is not None
    assert (table.columns, table.rows) == ((10, 20, 30), ("carry", "simple"))
    assert table.last_row()[2].heading == "simple T=30"
    assert comparison.conclusion == (
        "Runs that solved the task: T=10 8/8, T=20 4/8, T=30 4/8. Over all rows the columns do not differ "
        "significantly in how often they solve the task."
    )


def test_a_baseline_of_one_length_is_compared_within_its_length(tmp_path: Path) -> None:
    contrasts = compare(swept(tmp_path), baseline="simple T=20").contrasts
    assert [(one.one.heading, one.other.heading) for one in contrasts] == [("simple T=20", "carry T=20")]
    contrasts = compare(swept(tmp_path / "all"), baseline="simple").contrasts
    assert [one.other.heading for one in contrasts] == ["carry T=10", "carry T=20", "carry T=30"]


@pytest.mark.parametrize(
    ("by", "over", "expected"),
    [
        ("cell.typ", "shape.timesteps", "--by: the runs do not differ in 'cell.typ' — did you mean 'cell.type'"),
        ("cell.type", "cell.type", "cell.type cannot be both --by and --over"),
        ("cell.type", "cell.forget_bias", "--by: several groups belong in one cell: they differ in shape.timesteps"),
        ("cell.type", None, "--by and --over go together"),
    ],
)
def test_a_table_that_cannot_be(tmp_path: Path, by: str, over: str | None, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        compare(swept(tmp_path), by=by, over=over)
    assert expected in str(caught.value)


def test_one_row_of_a_table_must_be_comparable(tmp_path: Path) -> None:
    runs = [*swept(tmp_path), made(tmp_path, "simple", 9, solved=True, shape__timesteps=40, evaluation__sequences=7)]
    assert compare(runs, by="cell.type", over="shape.timesteps").warnings == ()
    runs.append(made(tmp_path, "carry", 9, solved=True, shape__timesteps=40))
    (warning,) = compare(runs, by="cell.type", over="shape.timesteps").warnings
    assert warning.startswith("compare with care: evaluation.sequences differs")


def test_repeats_of_one_seed_are_reported(tmp_path: Path) -> None:
    """What changes no result makes no group."""
    runs = [made(tmp_path, "carry", 0, solved=True), made(tmp_path, "carry", 0, solved=True, numpy__shards=1)]
    assert compare(runs).warnings == ("compare with care: runs of carry share a seed, so they are no repetitions",)


def test_many_runs_come_to_the_same_as_few(tmp_path: Path) -> None:
    """Of many, only summaries are read."""
    runs = [made(tmp_path, "carry", n, solved=n % 2 == 0, loss=0.08) for n in range(40)]
    (few,), (many,) = compare(runs[:31]).groups, compare(runs).groups
    assert [*map(read, few.results)] == [*map(read, many.results[:31])]


def read(run: Run) -> Any:
    loss = "validation/loss"
    return run.name, run.label, run.state, run.summary, run.config, run.final(loss), run.curve(loss), run.best(loss)


def test_nothing_is_grouped_where_every_run_is_one(tmp_path: Path) -> None:
    comparison = compare([made(tmp_path, cell, 0, solved=True) for cell in ("carry", "simple")])
    assert (comparison.is_grouped, comparison.contrasts, comparison.pivot) == (False, (), None)


def test_tables_of_many_groups_show_the_first(tmp_path: Path) -> None:
    runs = [made(tmp_path, "carry", n % 2, solved=True, cell__units=n // 2 + 1) for n in range(6)]
    _, success, final, contrasts = tables(compare(runs), most_rows=2)
    assert success.title == "Success (the first 2 of 3 groups)"
    assert [row[:3] for row in success.rows] == [("H=1", 2, "2/2"), ("H=2", 2, "2/2")]
    assert (len(final.rows), contrasts.title) == (2, "Differences (the first 2 of 3 pairs)")
    assert run_table(compare(runs), 1).title == "Results (the first 1 of 6 runs)"
    assert len(record_table(compare(runs)).rows) == 6
