"""`rnnlab predict`: forecasts past the end, of other files, as a table, a picture and JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnlab as package
from rnnlab.core.errors import UsageError
from rnnlab.figures.forecast import figure
from rnnlab.inspection.predict import predict
from tests.cli.program import rnnlab
from tests.cli.test_bad_input import error_lines
from tests.cli.test_json_documents import require_schema
from tests.small import SMALL

pytest.importorskip("pandas", reason="needs the extra `data`")

MONTHS = (np.datetime64("2000-01") + np.arange(80)).astype(str)
SALES = 100 + 20 * np.sin(np.arange(80) * np.pi / 6) + np.arange(80) / 4


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> package.Run:
    """A run on monthly data with their times, horizon 2, windows of 5."""
    folder = tmp_path_factory.mktemp("sales")
    rows = [f"{month},{value!r}" for month, value in zip(MONTHS, SALES.tolist(), strict=True)]
    (folder / "sales.csv").write_text("month,sales\n" + "\n".join(rows))
    task = {"type": "forecast", "csv": {"path": str(folder / "sales.csv"), "time": "month"}, "horizon": 2}
    return package.train({**SMALL, "task": task, "shape": {"timesteps": 5}, "precision": "float64"}, runs=folder)


def by_hand(run: package.Run, values: Any) -> float:
    """What the network forecasts from the last five values."""
    mean, deviation = SALES[:60].mean(), SALES[:60].std()
    scaled = (np.asarray(values)[None, -5:, None] - mean) / deviation
    return float(run.model().predict(scaled).outputs[0, 0] * deviation + mean)


def test_past_its_horizon_a_network_reads_its_own_forecasts(sales: package.Run) -> None:
    (one,) = predict(sales, steps=5).series
    known = SALES.tolist()
    expected = [by_hand(sales, known[:-1]), by_hand(sales, known)]
    for _ in range(3):
        known.append(expected[len(known) - 80])
        expected.append(by_hand(sales, known))
    np.testing.assert_allclose(one.forecast[80:], expected, rtol=1e-10)
    assert np.isnan(one.truth[80:]).all()
    assert one.parts[[0, 59, 60, 70, 79, 80]].tolist() == ["train", "train", "validation", "test", "test", "ahead"]
    assert np.isnan(one.forecast[:6]).all()
    assert one.forecast[6] == pytest.approx(by_hand(sales, SALES[:5]), rel=1e-10)
    assert one.times is not None
    assert one.times[-1] == np.datetime64("2007-01")


def test_errors_are_those_of_the_parts_beside_the_last_value(sales: package.Run) -> None:
    found = predict(sales)
    (one,) = found.series
    rows, network, last = found.errors()["test"]
    assert rows == 10
    assert last == pytest.approx(np.abs(SALES[70:] - SALES[68:78]).mean())
    assert network == pytest.approx(np.abs(SALES[70:] - one.forecast[70:80]).mean())


def test_another_file_is_read_in_the_same_way_and_on_the_same_scale(sales: package.Run, here: Path) -> None:
    lines = [f"{month},{value}" for month, value in zip(MONTHS, SALES + 50, strict=True)][::-1]
    Path("new.csv").write_text("month,sales\n" + "\n".join(lines[:9]))  # too few for three parts; newest first
    (one,) = predict(sales, csv="new.csv").series
    assert one.truth[:9].tolist() == pytest.approx((SALES + 50)[71:].tolist())
    assert one.forecast[-1] == pytest.approx(by_hand(sales, SALES[75:] + 50), rel=1e-10)
    assert set(one.parts) == {"", "ahead"}
    Path("other.csv").write_text("month,price\n" + "\n".join(lines))
    with pytest.raises(UsageError, match="reads sales and predicts sales; the file gives price and price"):
        predict(sales, csv="other.csv")
    Path("short.csv").write_text("month,sales\n" + "\n".join(lines[:4]))
    with pytest.raises(UsageError, match="4 rows, fewer than the 5 that the network reads"):
        predict(sales, csv="short.csv")


def test_the_command_writes_a_table_a_picture_and_json(sales: package.Run, here: Path) -> None:
    done = rnnlab("predict", sales.path, "--steps", "3", "--out", "f.csv", "--out", "f.svg", "--json")
    document = require_schema("predict", done.stdout)
    assert document["files"] == ["f.csv", "f.svg"]
    assert document["series"][0]["times"][-3:] == ["2006-09", "2006-10", "2006-11"]
    rows = [line.split(",") for line in Path("f.csv").read_text().splitlines()]
    assert rows[0] == ["row", "month", "part", "truth", "forecast"]
    assert rows[-1][:4] == ["82", "2006-11", "ahead", ""]
    assert float(rows[-1][4]) == pytest.approx(document["series"][0]["forecast"][-1])
    assert Path("f.svg").read_text().startswith("<?xml")
    shown = rnnlab("predict", sales.path)
    assert "2006-10" in shown.stdout
    assert (sales.path / "plots" / "forecast.png").is_file()


def test_the_figure_has_history_truth_forecast_and_names(sales: package.Run) -> None:
    drawn = figure(predict(sales, steps=4))
    (panel,) = drawn.panels
    assert (panel.x.label, panel.y.label) == ("month", "sales, in units of the file")
    truth, forecast, ahead = panel.lines
    np.testing.assert_allclose(np.asarray(truth.y)[:80], SALES)
    assert (len(forecast.x), list(ahead.x)) == (80, [80, 81, 82, 83])
    assert [(level.value, level.label) for level in panel.levels] == [
        (59.5, "validation"), (69.5, "test"), (79.5, "end of file"),
    ]  # fmt: skip
    assert panel.x.tick_labels[0] == "2000-01"
    assert "2 rows ahead" in drawn.title


def test_what_cannot_be_forecast(sales: package.Run, here: Path) -> None:
    parity = package.train(SMALL, runs=here)
    for arguments, message in {
        (str(parity.path),): "was trained on parity, not on a CSV file",
        (str(sales.path), "--out", "x.txt"): "x.txt does not end in .csv, .png, .pdf or .svg",
        (str(sales.path), "--csv", "none.csv"): "none.csv: no such file",
        (str(sales.path), "--steps", "0"): "expected a whole number of at least 1",
    }.items():
        result = rnnlab("predict", *arguments)
        assert (result.code, result.stdout) == (2, "")
        assert message in error_lines(result)[0]
    rows = "\n".join(f"{t % 7},{t % 5}.5" for t in range(80))
    Path("two.csv").write_text(f"a,b\n{rows}")
    task = {"type": "forecast", "csv": {"path": str(here / "two.csv"), "target": "b"}}
    two = package.train({**SMALL, "task": task}, runs=here)
    assert json.loads(rnnlab("predict", two.path, "--json").stdout)["series"][0]["parts"][-1] == "ahead"
    result = rnnlab("predict", two.path, "--steps", "2")
    assert (result.code, "which reads a, b" in error_lines(result)[0]) == (2, True)


def test_a_filled_cell_is_no_truth_and_is_not_scored(here: Path) -> None:
    cells = [f"{month},{value!r}" for month, value in zip(MONTHS, SALES.tolist(), strict=True)]
    cells[72] = f"{MONTHS[72]},"
    Path("sales.csv").write_text("month,sales\n" + "\n".join(cells))
    csv = {"path": "sales.csv", "time": "month", "missing": "interpolate"}
    run = package.train(
        {**SMALL, "task": {"type": "forecast", "csv": csv}, "shape": {"timesteps": 5}, "precision": "float64"}
    )
    found = predict(run)
    (one,) = found.series
    assert np.flatnonzero(np.isnan(one.truth)).tolist() == [72, 80]
    rows, network, _ = found.errors()["test"]
    kept = [70, 71, *range(73, 80)]
    assert rows == 9
    assert network == pytest.approx(np.abs(SALES[kept] - one.forecast[kept]).mean())


def test_no_forecast_is_from_rows_on_both_sides_of_a_gap(sales: package.Run, here: Path) -> None:
    lines = [f"{month},{value}" for month, value in zip(MONTHS, SALES, strict=True)]
    Path("gap.csv").write_text("month,sales\n" + "\n".join(lines[:40] + lines[49:]))
    (one,) = predict(sales, csv="gap.csv").series
    assert np.flatnonzero(np.isnan(one.forecast)).tolist() == [*range(6), *range(40, 46)]
    assert one.forecast[46] == pytest.approx(by_hand(sales, SALES[49:54]), rel=1e-10)
    assert one.times is not None
    assert one.times[-1] == np.datetime64("2006-10")
