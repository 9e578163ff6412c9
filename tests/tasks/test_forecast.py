"""What is peculiar to forecasting: horizons of the built-in weather, and the series of a CSV file."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.signal import lfilter

from rnnlab.core.errors import UsageError
from rnnlab.core.streams import stream
from rnnlab.tasks.base import mean_loss
from rnnlab.tasks.forecast import Forecast, ForecastOptions
from tests.small import needs_pandas


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


@needs_pandas
def test_a_file_is_normalised_cut_and_windowed(tmp_path: Path) -> None:
    rows = ["hour;temperature;fixed", *(f"{t};{10 + 3 * (-1) ** t};7" for t in range(40))]
    path = table(tmp_path, rows)
    task = forecast(csv={"path": path}, target="temperature", train_fraction=0.5, horizon=2)
    assert task.input_features == 3
    assert task.default_timesteps == (4, 4)  # half of a part of 10, less the horizon
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


@needs_pandas
def test_references_of_a_file_are_measured_on_every_validation_window(tmp_path: Path) -> None:
    walk = stream(1, "walk").normal(size=(500, 2)).cumsum(axis=0)
    task = forecast(
        csv={"path": table(tmp_path, [",".join(map(repr, row)) for row in walk.tolist()])},
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


@needs_pandas
def test_a_season_is_found_in_the_training_part_and_is_the_baseline(tmp_path: Path) -> None:
    """A season of 7 rows with some noise: the value of 7 rows before the target, by its position in the window."""
    noise = stream(2, "noise").normal(size=280) * 0.1
    rows = np.tile([0.0, 5.0, 1.0, 4.0, 2.0, 3.0, 9.0], 40) + noise
    task = forecast(csv={"path": table(tmp_path, ["x", *map(repr, rows.tolist())])}, horizon=2)
    scaled = (rows - rows[:210].mean()) / rows[:210].std()
    seasonal = {one.name: one for one in task.references((8, 12))}["seasonal: the value 7 steps before the target"]
    ends = [210 + start + length - 1 for start in range(35 - 12 - 2 + 1) for length in range(8, 13)]
    expected = np.mean([(scaled[end + 2] - scaled[end + 2 - 7]) ** 2 for end in ends])
    assert seasonal.loss == pytest.approx(expected)
    assert task.baseline((8, 12)) == pytest.approx(expected)
    assert task.success((8, 12)).at_most == {"loss": task.baseline((8, 12))}  # type: ignore[union-attr]
    batch = draw(task, 20_000, 8, 12)
    assert mean_loss(task, seasonal.predict(batch), batch) == pytest.approx(expected, rel=0.03)
    assert not any("seasonal" in one.name for one in task.references((5, 5)))  # a window that does not reach so far


@needs_pandas
def test_rule_and_baseline_are_those_of_the_lengths_and_the_part(tmp_path: Path) -> None:
    walk = stream(3, "walk").normal(size=400).cumsum()
    task = forecast(csv={"path": table(tmp_path, ["x", *map(repr, walk.tolist())])}, horizon=5)
    for part in ("validation", "test"):
        of_part = task.part(part)  # type: ignore[arg-type]
        for lengths in ((10, 10), (3, 30)):
            assert of_part.success(lengths).at_most["loss"] == of_part.baseline(lengths)  # type: ignore[union-attr]
    assert task.part("validation").baseline((10, 10)) != task.part("test").baseline((10, 10))
    assert task.baseline((10, 10)) != task.baseline((40, 40))


@needs_pandas
def test_one_column_is_a_series(tmp_path: Path) -> None:
    task = forecast(csv={"path": table(tmp_path, "".join(f"{t % 5}\r\n" for t in range(60)))}, train_fraction=0.5)
    assert (task.input_features, task.default_timesteps) == (1, (7, 7))
    assert task.timesteps_fault((14, 14)) is None
    assert task.timesteps_fault((1, 15)) == (
        "has windows of at most 14 steps, the target 1 after them, in parts of 30 train, 15 validation, 15 test rows"
    )


@needs_pandas
def test_few_distinct_windows_are_counted(tmp_path: Path) -> None:
    task = forecast(csv={"path": table(tmp_path, ["x", *(f"{t % 5}" for t in range(144))])})
    assert task.timesteps_fault((120, 120))
    (warning,) = task.warnings((12, 12))
    assert "T=12 and horizon 1: 6 for validation, 6 for test" in warning
    seen = {tuple(row) for row in draw(task, 500, 12).inputs[:, :, 0].tolist()}
    assert len(seen) == 5  # of a series of period 5


@needs_pandas
def test_a_target_that_is_not_set_is_named(tmp_path: Path) -> None:
    path = table(tmp_path, ["a,b,c", *(f"{t % 7},{t % 5}.5,1" for t in range(400))])
    task = forecast(csv={"path": path, "ignore": ["a"]})
    assert task.output_names == ("b",)
    assert task.warnings((4, 4)) == ["no `target` is set: b is predicted, the first of b, c"]
    assert forecast(csv={"path": path, "target": "b"}).warnings((4, 4)) == []


@needs_pandas
def test_no_window_runs_from_one_series_into_the_next_and_each_has_its_scale(tmp_path: Path) -> None:
    level = {"A": 10.0, "B": 1000.0, "C": -5.0}
    rows = {name: base + stream(4, name).normal(size=80) for name, base in level.items()}
    mixed = [(t, name) for t in range(80) for name in level]  # as sorted by date
    path = table(tmp_path, ["name,x", *(f"{name},{float(rows[name][t])!r}" for t, name in mixed)])
    task = forecast(csv={"path": path, "group": "name", "target": "x"})
    assert task.scaling
    assert task.scaling.series == ("A", "B", "C")
    for k, name in enumerate(level):
        assert task.scaling.inputs.mean[k, 0] == pytest.approx(rows[name][:60].mean())
        assert task.scaling.inputs.deviation[k, 0] == pytest.approx(rows[name][:60].std())
    windows = {
        tuple(((rows[name] - rows[name][:60].mean()) / rows[name][:60].std())[start : start + 7].round(9))
        for name in level
        for start in range(60 - 7 + 1)
    }
    batch = draw(task.part("train"), 3000, 6)
    seen = {tuple(row) for row in np.column_stack([batch.inputs[:, :, 0], batch.targets]).round(9).tolist()}
    assert seen == windows  # of 3,000 drawn, each of the 162


@needs_pandas
def test_no_window_runs_across_a_gap_in_the_times(tmp_path: Path) -> None:
    days = np.delete(np.arange(400), np.s_[100:130])
    rows = ["day,x", *(f"{np.datetime64('2001-01-01') + int(day)},{day}" for day in days)]
    file = {"path": table(tmp_path, rows), "time": "day"}
    task = forecast(csv=file)
    (warning,) = task.warnings((5, 5))
    assert "1 gap in the times, after 2001-04-10: 31 days to the next row, usual are 1 day" in warning
    batch = draw(task.part("train"), 4_000, 5)
    steps = np.diff(np.hstack([batch.inputs[:, :, 0], batch.targets]), axis=1)
    np.testing.assert_allclose(steps, 1 / task.scaling.inputs.deviation[0, 0])  # type: ignore[union-attr]
    assert len(np.unique(batch.targets)) == 277 - 5 - 5


@needs_pandas
@pytest.mark.parametrize("unit", ["M", "3M", "Y", "W", "B"])
def test_even_calendars_have_no_gaps(tmp_path: Path, unit: str) -> None:
    step = "D" if unit == "B" else unit
    dates = np.arange(np.datetime64("1999-01", "D"), np.datetime64("2031-01", "D"), np.timedelta64(1, "D"))
    dates = (
        dates[np.is_busday(dates)] if unit == "B" else np.unique(dates.astype(f"datetime64[{step}]").astype("M8[D]"))
    )
    rows = ["day,x", *(f"{day},{k % 7}" for k, day in enumerate(dates))]
    task = forecast(csv={"path": table(tmp_path, rows), "time": "day"})
    assert not [text for text in task.warnings((1, 1)) if "gap" in text]
    if unit == "B":  # a quarter of a year without a row is one all the same
        task = forecast(csv={"path": table(tmp_path, rows[:1000] + rows[1065:]), "time": "day"})
        assert "1 gap in the times" in task.warnings((1, 1))[0]


@needs_pandas
def test_another_file_is_read_on_the_scale_of_the_network(tmp_path: Path) -> None:
    one = forecast(csv={"path": table(tmp_path, ["x", *(f"{t % 7}" for t in range(80))])})
    (tmp_path / "other.csv").write_text("x\n" + "\n".join(f"{100 + t % 5}" for t in range(80)))
    other = forecast(csv={"path": str(tmp_path / "other.csv")})
    assert one.scaling
    scaled = draw(other.with_scaling(one.scaling), 50, 4).inputs[:, :, 0]
    mean, deviation = one.scaling.inputs.mean[0, 0], one.scaling.inputs.deviation[0, 0]
    assert set((scaled * deviation + mean).round(9).ravel()) == {100, 101, 102, 103, 104}
    (tmp_path / "other.csv").write_text("y\n" + "\n".join(f"{100 + t % 5}" for t in range(80)))
    with pytest.raises(UsageError, match="reads x and predicts x; the file gives y and y"):
        forecast(csv={"path": str(tmp_path / "other.csv")}).with_scaling(one.scaling)


@needs_pandas
def test_a_file_has_no_oracle(tmp_path: Path) -> None:
    task = forecast(csv={"path": table(tmp_path, "".join(f"{t}\n" for t in range(16)))})
    with pytest.raises(UsageError, match="a recorded series has no oracle"):
        task.oracle(draw(task, 2, 1))


def test_short_forms_are_those_of_the_file() -> None:
    short = ForecastOptions(csv="x.csv", target="y", ignore=["a"])  # type: ignore[arg-type]
    assert short == ForecastOptions(csv={"path": "x.csv", "target": "y", "ignore": ["a"]})  # type: ignore[arg-type]
    assert "target" not in short.model_dump()
    with pytest.raises(ValidationError, match=r"`target` and `csv\.target` are both given"):
        ForecastOptions(csv={"path": "x.csv", "target": "y"}, target="y")  # type: ignore[arg-type]


NINE = ["a,b", *(f"{t},{t}" for t in range(9))]


@needs_pandas
@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (
            NINE,
            {"horizon": 3, "target": "a"},
            ": 9 rows make 6 for training, 2 for validation, 1 for a test, but each part needs at least 4"
            " — give more rows, a smaller `horizon` or another `train_fraction`",
        ),
        (
            ["a,b", *(f"{t},1" for t in range(16))],
            {"target": "b"},
            ": the target, b, never changes in the 12 training rows — choose another `target`",
        ),
    ],
)
def test_faults_of_the_parts(tmp_path: Path, rows: list[str], options: dict[str, Any], message: str) -> None:
    path = table(tmp_path, rows)
    with pytest.raises(UsageError) as error:
        forecast(csv={"path": path}, **options)
    assert str(error.value) == path + message


def test_what_is_not_a_file_is_refused_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, problem in {
        "none": "no such file",
        "pipe": "is a folder, a pipe or a device, expected a regular file",
        "": "is a folder, a pipe or a device, expected a regular file",
    }.items():
        with pytest.raises(UsageError, match=problem) as error:
            forecast(csv={"path": str(tmp_path / name)})
        assert str(error.value).startswith(str(tmp_path))


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**30 + 1)
    with pytest.raises(UsageError, match="1,073,741,825 bytes, more than the 1,073,741,824 that are read"):
        forecast(csv={"path": str(tmp_path / "huge")})
