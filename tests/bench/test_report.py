"""Rows, marks, the limit and the sentences, from trials made by hand."""

import json

import pytest

from rnnlab.bench.report import Report
from rnnlab.core.text import jsonable
from tests.bench.trials import CARRY, JAX, NUMPY, SIMPLE, TORCH, failed, trial


def test_rows_are_sorted_by_the_median_over_rounds() -> None:
    numpy = [trial(NUMPY, ms, round=n) for n, ms in enumerate((4.0, 90.0, 5.0), start=1)]
    rows = Report([*numpy, trial(JAX, 10.0), trial(TORCH, 2.5)]).rows(CARRY)
    assert [str(row.contender) for row in rows] == ["torch_loop", "numpy", "keras/jax"]
    assert [row.times for row in rows] == [1.0, 2.0, 4.0]
    numpy_row = rows[1]
    assert (numpy_row.median_s, numpy_row.min_s, numpy_row.p90_s) == (0.005, 0.0036, pytest.approx(0.0055))


def test_the_limit_is_the_best_product_with_as_many_threads() -> None:
    one, two = trial(NUMPY, 10.0), trial(NUMPY, 10.0, threads=2)
    report = Report([one, two, trial(TORCH, 10.0, results={"gflops": 250.0})])
    best = {count: found[0][:2] for count, found in report.products().items()}
    assert best == {1: (250.0, "torch_loop"), 2: (400.0, "numpy")}
    rows = {(str(row.contender), row.threads): row.limit for row in report.rows(CARRY)}
    # 30·100·32·128² + 16·100·32·32·128 operations in 10 ms are 178.3 GFLOP/s.
    assert rows == {
        ("numpy", 1): pytest.approx(178.2579 / 250, rel=1e-6),
        ("numpy", 2): pytest.approx(178.2579 / 400, rel=1e-6),
        ("torch_loop", 1): pytest.approx(178.2579 / 250, rel=1e-6),
    }


def test_wrong_and_failed_contenders_are_not_ranked() -> None:
    wrong = trial(JAX, 1.0, difference=2e-4, differs="gradient of layers.0.Uf")
    rows = Report([wrong, failed(TORCH), trial(NUMPY, 8.0)]).rows(CARRY)
    assert [(str(row.contender), row.marks, row.times, row.why) for row in rows] == [
        ("numpy", (), 1.0, ""),
        ("keras/jax", ("wrong",), None, "gradient of layers.0.Uf is off by 2.0e-04"),
        ("torch_loop", ("failed",), None, "killed by SIGKILL"),
    ]


@pytest.mark.parametrize(("difference", "wrong"), [(1e-4, False), (1.01e-4, True), (float("inf"), True)])
def test_the_tolerance(difference: float, wrong: bool) -> None:
    assert trial(NUMPY, 1.0, difference=difference).is_wrong is wrong


@pytest.mark.parametrize(("others", "marks"), [(0.2, ()), (0.21, ("loaded",)), (None, ())])
def test_a_busy_machine_marks_the_row(others: float | None, marks: tuple[str, ...]) -> None:
    report = Report([trial(NUMPY, 5.0, round=1), trial(NUMPY, 5.0, round=2, cores_of_others=others)])
    assert report.rows(CARRY)[0].marks == marks
    assert report.rows(CARRY)[0].times == 1.0


def test_losses_are_stated_for_each_number_of_threads() -> None:
    report = Report(
        [
            *(trial(NUMPY, 6.0), trial(JAX, 5.0), trial(TORCH, 4.0)),
            *(trial(NUMPY, 3.0, threads=2), trial(JAX, 5.0, threads=2), trial(JAX, 1.0, work=SIMPLE)),
        ]
    )
    sentence = "T100 B32 D32 H128, carry: NumPy with 1 thread is slower than torch_loop (1.50 times as fast), "
    assert report.losses(CARRY) == [sentence + "keras/jax (1.20 times as fast)"]
    assert report.losses(SIMPLE) == []


def test_the_advice_is_one_of_our_own_backends() -> None:
    report = Report(
        [
            *(trial(NUMPY, 6.0), trial(NUMPY, 3.1, threads=2), trial(JAX, 5.0, threads=2), trial(JAX, 5.5)),
            trial(TORCH, 1.5),
        ]
    )
    assert report.advice(CARRY) == (
        "for T100 B32 D32 H128, carry: use backend numpy with 2 threads "
        "(3.10 ms per step; next keras/jax 5.00 ms; best other library torch_loop with 1 thread 1.50 ms)"
    )


@pytest.mark.parametrize(
    ("trials", "sentence"),
    [
        (
            [trial(JAX, 0.25), trial(NUMPY, 0.5)],
            "use backend keras, engine jax, with 1 thread (0.250 ms per step; next numpy 0.500 ms)",
        ),
        ([trial(NUMPY, 1234.5)], "use backend numpy with 1 thread (1,234 ms per step)"),
        ([failed(NUMPY), trial(TORCH, 1.0)], "no backend could be measured"),
        ([trial(NUMPY, 1.0, difference=1.0)], "no backend could be measured"),
    ],
)
def test_the_advice_where_there_is_little(trials: list, sentence: str) -> None:
    assert Report(trials).advice(CARRY) == f"for T100 B32 D32 H128, carry: {sentence}"


def test_json_has_every_trial() -> None:
    report = Report([trial(NUMPY, 4.0), trial(JAX, 8.0, difference=float("inf")), failed(TORCH)])
    (work,) = json.loads(json.dumps(jsonable(report.as_json()), allow_nan=False))
    assert (work["operations"], work["shape"]["units"], work["cell"]["type"]) == (1_782_579_200, 128, "carry")
    assert [(row["contender"], row["own"], row["marks"]) for row in work["rows"]] == [
        ("numpy", True, []),
        ("keras/jax", True, ["wrong"]),
        ("torch_loop", False, ["failed"]),
    ]
    assert [one.get("median_s") for one in work["trials"]] == [0.004, 0.008, None]
    assert work["trials"][1]["difference"] is None
    assert work["trials"][2]["failure"] == "killed by SIGKILL"
