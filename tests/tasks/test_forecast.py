"""What is peculiar to forecasting: horizons of the built-in weather, and everything a CSV file can be."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.signal import lfilter

from rnnlab.core.errors import UsageError
from rnnlab.core.streams import stream
from rnnlab.tasks.base import mean_loss
from rnnlab.tasks.forecast import Forecast, ForecastOptions


def forecast(**options: Any) -> Forecast:
    return Forecast(ForecastOptions(**options))


def table(path: Path, rows: list[str] | str) -> str:
    file = path / "table.csv"
    file.write_text(rows if isinstance(rows, str) else "\n".join(rows))
    return str(file)


def draw(task: Forecast, size: int, *timesteps: int) -> Any:
    return task.sample(stream(5, "data/train"), batch_size=size, timesteps=(timesteps[0], timesteps[-1]))


# --- the built-in weather ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("horizon", [1, 2, 6, 12, 24, 50])
def test_oracle_and_references_hold_at_every_horizon(horizon: int) -> None:
    task = forecast(horizon=horizon)
    batch = draw(task, 40_000, 4)
    references = task.references((4, 4))
    losses = {reference.name.partition(":")[0]: reference.loss for reference in references}
    assert ("persistence" in losses) is (horizon != 12)
    assert list(losses.values()) == sorted(losses.values(), reverse=True)
    # Two stations are worth more than one, and less without the time, which two readings of a clock give.
    time_and_two = losses["knows the time and the weather of two stations"]
    assert time_and_two < losses["knows the time and the weather"]
    assert time_and_two < losses["measured"] == task.baseline((4, 4))
    for reference in references:
        assert mean_loss(task, reference.predict(batch), batch) == pytest.approx(reference.loss, rel=0.03), (
            reference.name
        )
    assert mean_loss(task, task.oracle(batch), batch) == pytest.approx(
        task.oracle_loss(task.default_timesteps), rel=0.03
    )


def test_the_neighbour_is_worth_what_the_references_say() -> None:
    assert forecast(horizon=3).oracle_loss((9, 9)) == pytest.approx(0.36 * (1 - 0.9**6) * 0.36)
    assert forecast(horizon=24).oracle_loss((9, 9)) == pytest.approx(
        0.36 * (1 - 0.9**48 - 0.64 * 0.9**42 * (1 - 0.9**6))
    )
    one, two = (
        next(one.loss for one in forecast(horizon=24).references((120, 120)) if one.name.endswith(name))
        for name in ("the weather", "two stations")
    )
    assert one == pytest.approx(0.36 * (1 - 0.9**48))
    assert two == pytest.approx(measured_by_regression(24), rel=2e-3)


def measured_by_regression(horizon: int) -> float:
    """What the weather of stations 0 and 1 leaves of that at station 0, from a long drawn series and SciPy's filter."""
    shocks = stream(4, "shocks").normal(size=(2, 1_000_000)) * 0.6 * np.sqrt(1 - 0.81)
    one = lfilter([1], [1, -0.9], shocks[0])
    own = lfilter([1], [1, -0.9], shocks[1])
    zero = 0.8 * np.roll(one, 3) + 0.6 * own
    now, ahead = np.stack([zero, one])[:, 100:-horizon], zero[100 + horizon :]
    coefficients = np.linalg.lstsq(now.T, ahead, rcond=None)[0]
    return float(np.square(ahead - coefficients @ now).mean())


def test_clocks_and_cycles_are_where_the_docstring_puts_them() -> None:
    batch = draw(forecast(), 20_000, 25)
    sun, season = batch.inputs[:, -1, 12], batch.inputs[:, -1, 13]
    before = batch.inputs[:, -2]
    daily = np.arctan2((before[:, 12] - sun * np.cos(2 * np.pi / 24)) / np.sin(2 * np.pi / 24), sun)
    yearly = np.arctan2((before[:, 13] - season * np.cos(2 * np.pi / 8760)) / np.sin(2 * np.pi / 8760), season)
    for station in (0, 5, 11):
        cycles = 0.8 * np.cos(daily - 2 * np.pi * (3 + station) / 24)
        cycles += 0.8 * np.cos(yearly - 2 * np.pi * (720 + 480 * station) / 8760)
        weather = batch.inputs[:, -1, station] - cycles
        assert weather.mean() == pytest.approx(0, abs=0.02)
        assert weather.std() == pytest.approx(0.6, abs=0.02)


def test_excess_loss_is_free_of_the_noise() -> None:
    task = forecast()
    batch = draw(task, 100, 30)
    metrics = task.metrics(task.oracle(batch) + 0.2, batch)
    assert metrics["excess_loss"] == pytest.approx(0.04)
    assert metrics["error_rate"] == 1.0


@pytest.mark.parametrize(
    "options",
    [
        {"target": 3},
        {"target": "x"},
        {"ignore": [1]},
    ],
)
def test_the_weather_has_one_target(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as error:
        forecast(**options)
    message = "the built-in weather predicts its column 0 from all — `target`, `ignore` need `csv`"
    assert str(error.value) == message


# --- a file -----------------------------------------------------------------------------------------------------------


def test_a_file_is_normalised_cut_and_windowed(tmp_path: Path) -> None:
    rows = ["hour;temperature;fixed", *(f"{t};{10 + 3 * (-1) ** t};7" for t in range(40))]
    task = forecast(csv=table(tmp_path, rows), target="temperature", train_fraction=0.5, horizon=2)
    assert task.input_features == 3
    assert task.default_timesteps == (8, 8)
    facts = task.facts()
    assert facts["columns"] == [
        {"name": "hour", "mean": 9.5, "deviation": pytest.approx(np.sqrt(399 / 12))},
        {"name": "temperature", "mean": 10.0, "deviation": 3.0},
        {"name": "fixed", "mean": 7.0, "deviation": 0.0},
    ]
    assert (facts["training_rows"], facts["validation_rows"], facts["test_rows"]) == (20, 10, 10)
    assert len(facts["csv_sha256"]) == 64
    for part, first, rows in (("train", 0, 20), ("validation", 20, 10), ("test", 30, 10)):
        batch = draw(task.part(part), 300, 3, 6)  # type: ignore[arg-type]
        hours = np.rint(batch.inputs[:, :, 0] * np.sqrt(399 / 12) + 9.5)
        last = hours[np.arange(300), batch.lengths - 1]
        assert (hours[:, 0].min(), last.max() + 2) == (first, first + rows - 1)  # every row is used, and no other
        np.testing.assert_allclose(batch.targets[:, 0], (-1.0) ** last)
        np.testing.assert_array_equal(batch.inputs[:, :3, 2], 0.0)


def test_references_of_a_file_are_measured_on_every_validation_window(tmp_path: Path) -> None:
    walk = stream(1, "walk").normal(size=(500, 2)).cumsum(axis=0)
    task = forecast(
        csv=table(tmp_path, [",".join(map(repr, row)) for row in walk.tolist()]),
        target=1,
        horizon=3,
        train_fraction=0.6,
    )
    by_name = {one.name.partition(":")[0]: one for one in task.references((10, 14))}
    constant, persistence = by_name["constant"], by_name["persistence"]
    scaled = (walk[:, 1] - walk[:300, 1].mean()) / walk[:300, 1].std()
    ends = [300 + start + length - 1 for start in range(100 - 14 - 3 + 1) for length in range(10, 15)]
    assert constant.loss == pytest.approx(np.mean([scaled[end + 3] ** 2 for end in ends]))
    assert persistence.loss == pytest.approx(np.mean([(scaled[end + 3] - scaled[end]) ** 2 for end in ends]))
    batch = draw(task.part("validation"), 20_000, 10, 14)
    assert mean_loss(task, persistence.predict(batch), batch) == pytest.approx(persistence.loss, rel=0.03)
    assert task.correct(persistence.predict(batch), batch).all()
    assert task.solved.at_most["loss"] == min(one.loss for one in task.references(task.default_timesteps))  # type: ignore[union-attr]


def test_one_column_is_a_series(tmp_path: Path) -> None:
    task = forecast(csv=table(tmp_path, "".join(f"{t % 5}\r\n" for t in range(60))), train_fraction=0.5)
    assert (task.input_features, task.default_timesteps) == (1, (14, 14))
    assert task.timesteps_fault((14, 14)) is None
    assert task.timesteps_fault((1, 15)) == (
        "a window and the target 1 ahead fit up to 14 steps into parts of 30 train, 15 validation, 15 test rows"
    )


def test_a_file_has_no_oracle(tmp_path: Path) -> None:
    task = forecast(csv=table(tmp_path, "".join(f"{t}\n" for t in range(16))))
    with pytest.raises(UsageError, match="a recorded series has no oracle"):
        task.oracle(draw(task, 2, 1))


def test_dates_can_be_left_out(tmp_path: Path) -> None:
    path = table(tmp_path, ["Date,T,p", *(f"2009-01-{t},{t},{t * t}" for t in range(10, 30))])
    task = forecast(csv=path, ignore=["Date"], target="p")
    assert [column["name"] for column in task.facts()["columns"]] == ["T", "p"]


NINE = [f"{t},{t}" for t in range(9)]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ("", {}, ": the file is empty"),
        ("\n\n", {}, ": the file is empty"),
        ("a,b\n", {}, ":1: there is a header, but no row of numbers"),
        (
            ["a,b", *NINE, "3,x\x1b[31m"],
            {},
            r":11: 'x\x1b[31m' in column 1 (b) is not a finite number"
            " — fill or remove it, or leave the column out by `ignore`",
        ),
        (
            [*NINE, "", "nan,4"],
            {},
            ":11: 'nan' in column 0 (column 0) is not a finite number"
            " — fill or remove it, or leave the column out by `ignore`",
        ),
        (
            [*NINE, ",4"],
            {},
            ":10: '' in column 0 (column 0) is not a finite number"
            " — fill or remove it, or leave the column out by `ignore`",
        ),
        ([*NINE, "1,2,3"], {}, ":10: 3 cells where the first row has 2"),
        (
            ["2009-01-01,3", *NINE],
            {},
            ":1: the first row mixes names and numbers: '2009-01-01' in column 0, '3' in column 1"
            " — leave such columns out by `ignore`",
        ),
        (["a,b", *NINE], {"target": "B"}, ": no column named 'B' — known: a, b"),
        (["a,a", *NINE], {"target": "a"}, ": 2 columns are named 'a' — give its index instead"),
        (NINE, {"target": 2}, ": no column 2 — the columns are 0 to 1"),
        (NINE, {"ignore": [0, 1]}, ": every column is ignored"),
        (
            NINE,
            {"horizon": 3},
            ": 9 rows make 6 for training, 2 for validation, 1 for a test, but each part needs at least 4"
            " — give more rows, a smaller `horizon` or another `train_fraction`",
        ),
        (
            [f"{t},1" for t in range(16)],
            {"target": 1},
            ": the target, column 1, never changes in the 12 training rows",
        ),
    ],
)
def test_faults_name_file_line_and_column(
    tmp_path: Path, rows: list[str] | str, options: dict[str, Any], message: str
) -> None:
    path = table(tmp_path, rows)
    with pytest.raises(UsageError) as error:
        forecast(csv=path, **options)
    assert str(error.value) == path + message


def test_what_is_not_a_file_is_refused_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "latin").write_bytes(b"a\n1\n\xe9\n")
    for name, problem in {
        "none": "no such file — a path in a config is relative to the config file",
        "pipe": "is a folder, a pipe or a device, expected a regular file — give a plain CSV file",
        "": "is a folder, a pipe or a device, expected a regular file — give a plain CSV file",
        "latin": "byte 4 is not UTF-8 — save the file as UTF-8",
    }.items():
        with pytest.raises(UsageError) as error:
            forecast(csv=str(tmp_path / name))
        assert str(error.value) == f"{tmp_path / name}: {problem}"


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**28 + 1)
    with pytest.raises(UsageError, match="268,435,457 bytes, more than the 268,435,456 that are read"):
        forecast(csv=str(tmp_path / "huge"))


@pytest.mark.parametrize(("target", "mean"), [(2, 200.0), ("b", 100.0), (3, 300.0)])
def test_the_target_is_counted_in_the_file(tmp_path: Path, target: int | str, mean: float) -> None:
    """Column k is 100·k and a little more; ignoring the first must not move the others."""
    path = tmp_path / "x.csv"
    path.write_text("date,b,c,d\n" + "".join(f"{n},{100 + n % 2},{200 + n % 2},{300 + n % 2}\n" for n in range(80)))
    task = Forecast(ForecastOptions(csv=str(path), ignore=("date",), target=target))
    facts = task.facts()
    assert facts["csv_sha256"]
    series = task._series
    assert series.mean[series.target] == pytest.approx(mean + 0.5)


def test_an_ignored_target_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "1,2\n" * 50)
    with pytest.raises(UsageError, match="column 'a' is ignored — remove it from `ignore`"):
        Forecast(ForecastOptions(csv=str(path), ignore=(0,), target="a"))
