"""What people bring: series of their own, from reports of bugs; each is right, or refused with what mends it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnlab as package
from rnnlab.tasks import _csv_table
from rnnlab.tasks._csv_options import CsvFile
from rnnlab.tasks.forecast import Forecast, ForecastOptions
from tests.cli.program import Result, rnnlab
from tests.cli.test_bad_input import error_lines

pytest.importorskip("pandas", reason="needs the extra `data`")

DATA = Path(__file__).parents[1] / "data" / "forecast"
TRAINING = "training: {steps: 60, batch_size: 16, evaluate_every: 20, stop_when_solved: false}\n"


@pytest.fixture
def data(here: Path) -> Path:
    """The current folder, with the files."""
    for file in DATA.iterdir():
        shutil.copy(file, here)
    return here


def config(task: str, timesteps: int = 12) -> None:
    Path("c.yaml").write_text(
        f"task: {{type: forecast, {task}}}\ncell: {{type: carry, units: 8}}\nshape: {{timesteps: {timesteps}}}\n"
        f"{TRAINING}evaluation: {{sequences: 200}}\n"
    )


def check(task: str, *more: str, timesteps: int = 12) -> Result:
    config(task, timesteps)
    return rnnlab("check", "c.yaml", *more)


def refused(task: str, timesteps: int = 12) -> str:
    result = check(task, timesteps=timesteps)
    assert (result.code, result.stdout) == (2, "")
    (line,) = error_lines(result)
    return line


def forecast(csv: str, **options: Any) -> Forecast:
    return Forecast(ForecastOptions(csv={"path": csv, **options}))  # type: ignore[arg-type]


def trained(task: str) -> package.Run:
    config(task)
    assert rnnlab("train", "c.yaml", "-q", "--into", "run", "--no-plots").code == 0
    return package.open_run("run")


def test_an_export_says_or_does_the_scaling(data: Path) -> None:
    """01: every format has the scale; a model takes rows of the file (see tests/inspection/test_export.py)."""
    trained("csv: plain.csv, target: y")
    rows = np.loadtxt("plain.csv", delimiter=",", skiprows=1)
    document = json.loads(rnnlab("export", "run", "--format", "npz", "--out", "m.npz", "--json").stdout)
    training = rows[: int(len(rows) * 0.75)]
    assert document["scaling"]["inputs"]["names"] == ["x", "y"]
    assert document["scaling"]["inputs"]["mean"] == [pytest.approx(training.mean(axis=0).tolist())]
    with np.load("m.npz") as arrays:
        np.testing.assert_allclose(arrays["outputs.deviation"], training.std(axis=0)[1:])
    printed = rnnlab("export", "run", "--format", "npz", "--out", "m.npz", "--force").stdout
    assert "scaled = (value - mean) / deviation" in printed
    assert f"{training[:, 1].std():.10g}"[:10] in printed


def test_forecasts_in_the_units_of_the_file(data: Path) -> None:
    """02: every row beside its forecast, those of the validation too, and the row after the last."""
    run = trained("csv: plain.csv, target: y")
    assert rnnlab("predict", "run", "--out", "y.csv", "--no-plots").code == 0
    head, *lines = Path("y.csv").read_text().splitlines()
    assert head == "row,part,truth,forecast"
    rows = np.loadtxt("plain.csv", delimiter=",", skiprows=1)
    table = [line.split(",") for line in lines]
    assert len(table) == len(rows) + 1
    parts = [row[1] for row in table]
    cut = int(len(rows) * 0.75)
    assert (parts.index("validation"), parts[-1], table[-1][2]) == (cut, "ahead", "")
    assert [float(row[2]) for row in table[:-1]] == rows[:, 1].tolist()
    assert run.weights().scaling
    scaled = run.weights().scaling.inputs.scaled(rows)  # type: ignore[union-attr]
    windows = np.stack([scaled[end - 12 : end] for end in range(12, len(rows) + 1)])
    deviation, mean = rows[:cut, 1].std(), rows[:cut, 1].mean()
    expected = run.model().predict(windows).outputs[:, 0] * deviation + mean
    assert [row[3] for row in table[:12]] == [""] * 12
    np.testing.assert_allclose([float(row[3]) for row in table[12:]], expected, rtol=1e-5)


def test_the_rule_is_the_best_naive_forecast_at_the_trained_length(data: Path) -> None:
    """05: the rule is the best reference's loss, the season's among them; few windows are reported."""
    for task, timesteps in (
        ("csv: airline.csv, target: Passengers, ignore: [Month]", 12),
        ("csv: load.csv, target: load, horizon: 12", 24),
    ):
        result = check(task, timesteps=timesteps)
        assert result.code == 0
        ok = result.stderr.splitlines()[-1]
        baseline, bound = ok.partition("baseline ")[2].split(",")[0], ok.rpartition("at most ")[2]
        assert float(bound) == pytest.approx(float(baseline), rel=1e-3)
    task = forecast("airline.csv", target="Passengers", ignore=["Month"])
    assert "seasonal: the value 12 steps before the target" in [one.name for one in task.references((12, 12))]
    months = np.loadtxt("airline.csv", delimiter=",", skiprows=1, usecols=1, converters=float)
    scaled = (months - months[:108].mean()) / months[:108].std()
    ends = [108 + start + 11 for start in range(6)]
    losses = [np.mean([(scaled[end + 1] - scaled[end + 1 - lag]) ** 2 for end in ends]) for lag in (1, 12)]
    by_name = {one.name.partition(":")[0]: one.loss for one in task.references((12, 12))}
    assert (by_name["persistence"], by_name["seasonal"]) == pytest.approx(losses)
    assert task.baseline((12, 12)) == min(by_name.values())
    assert "6 for validation, 6 for test" in check("csv: airline.csv, target: 1, ignore: [0]").stderr
    assert "windows of at most 17 steps, the target 1 after them, in parts of 108" in refused(
        "csv: airline.csv, target: 1, ignore: [0]", 120
    )


@pytest.mark.parametrize(("file", "step"), [("const.csv", 0.1), ("const1.csv", 1.0)])
def test_a_column_that_never_changes_in_training_is_only_centred(data: Path, file: str, step: float) -> None:
    """07: also where its deviation is, by rounding, not 0."""
    task = Forecast(ForecastOptions(csv={"path": file, "target": "load"}, train_fraction=0.9))  # type: ignore[arg-type]
    assert task.facts()["columns"][1]["deviation"] == 0.0
    batch = task.part("validation").sample(np.random.default_rng(0), batch_size=50, timesteps=(12, 12))
    assert np.abs(batch.inputs[:, :, 1]).max() == pytest.approx(step, abs=1e-12)


def test_several_series_in_one_file(data: Path) -> None:
    """12: refused with the option, which keeps windows, cuts and scales apart."""
    assert "column Name has 5 values in 5 blocks" in refused("csv: five.csv, target: Close, ignore: [Date, Name]")
    assert "set `csv.group: Name`" in refused("csv: five.csv, target: Close, ignore: [Date, Name]")
    assert "or is it the `time` or the `group`?" in refused("csv: five.csv, target: Close, ignore: [Date]")
    assert check("csv: {path: five.csv, target: Close, ignore: [Date], group: Name}").code == 0
    task = forecast("five.csv", target="Close", ignore=["Date"], group="Name")
    assert task.scaling
    assert task.scaling.series == ("A", "B", "C", "D", "E")
    inputs = task.part("train").sample(np.random.default_rng(0), batch_size=2000, timesteps=(30, 30)).inputs
    # Each window in its own units: a price never jumps by a factor of e, as from one series into the next.
    assert np.abs(np.diff(inputs[:, :, 0], axis=1)).max() < 4
    closes = np.array([float(line.split(",")[2]) for line in Path("five.csv").read_text().splitlines()[1:]])
    np.testing.assert_allclose(task.scaling.inputs.mean[:, 0], closes.reshape(5, 120)[:, :90].mean(axis=1))


def test_numbers_as_names(data: Path) -> None:
    """13: a first row 0, 1, 2 above rows that are no whole numbers is a header, and settled by `header`."""
    rows = np.loadtxt("frame.csv", delimiter=",", skiprows=1)
    for given in ({"target": 0}, {"target": "0"}, {"target": 0, "header": True}):
        table = forecast("frame.csv", **given)._series.prepared.table  # type: ignore[union-attr]
        assert table.names == ("0", "1", "2")
        np.testing.assert_array_equal(table.values, rows)
    assert len(forecast("frame.csv", target=0, header=False)._series.prepared.table.values) == 301  # type: ignore[union-attr]
    assert "or the one called '1'" in refused("csv: frame_index.csv, target: 1")
    by_name = forecast("frame_index.csv", target="1", ignore=["column 0"])._series.prepared.table  # type: ignore[union-attr]
    np.testing.assert_array_equal(by_name.values, rows)
    assert by_name.names[by_name.target] == "1"


def test_comments_and_other_lines(data: Path) -> None:
    """15: passed over, or called what they are."""
    plain = [line for line in Path("co2.csv").read_text().splitlines() if line[0] != "#"]
    expected = np.array([line.split(",") for line in plain[1:]], float)
    spaced = ['"year", "mean", "unc"', *(line.replace(",", ", ") for line in plain[1:])]
    for name, lines in {
        "lead": ["", "", *(line.replace(",", ";") for line in plain)],
        "blank": [*plain[:50], "  ", *plain[50:]],
        "pipe": [line.replace(",", "|") for line in plain],
        "space": spaced,
        "tab": [line.replace(",", "\t") for line in plain],
    }.items():
        Path(f"{name}.csv").write_text("\n".join(lines))
    for name in ("co2", "lead", "blank", "pipe", "space", "tab"):
        table = forecast(f"{name}.csv", target="mean")._series.prepared.table  # type: ignore[union-attr]
        assert table.names == ("year", "mean", "unc")
        np.testing.assert_array_equal(table.values, expected)
    Path("foot.csv").write_text("\n".join([*plain, "NOAA GML: annual mean"]))
    assert f"foot.csv:{len(plain) + 1}: 'NOAA GML: annual mean' is a line of text" in refused(
        "csv: foot.csv, target: mean"
    )


def test_household_power(data: Path) -> None:
    """16: what is missing is counted, and filled as declared; the day comes before the month."""
    task = "csv: {path: power.txt, time: [Date, Time], target: Global_active_power"
    assert "42 cells in 6 rows and 7 columns are missing, the first '?' in column 2" in refused(f"{task}}}")
    assert check(f"{task}, missing: forward}}").code == 0
    table = forecast("power.txt", time=["Date", "Time"], target="Global_active_power", missing="interpolate")
    found = table._series.prepared.table  # type: ignore[union-attr]
    assert table.facts()["filled"] == dict.fromkeys(found.names, 6)
    lines = [line.split(";") for line in Path("power.txt").read_text().splitlines()[1:]]
    gaps = [k for k, cells in enumerate(lines) if cells[2] == "?"]
    before, after = gaps[0] - 1, next(k for k in range(gaps[0], len(lines)) if k not in gaps)
    ends = float(lines[before][2]), float(lines[after][2])
    assert found.values[gaps[0], 0] == pytest.approx(ends[0] + (ends[1] - ends[0]) / (after - before))
    assert found.times is not None
    assert found.times[0] == np.datetime64("2006-12-16T17:00")


def test_a_series_per_row(data: Path) -> None:
    """17: a row is a time step here; thirty ignored columns would not mend it."""
    line = refused("csv: m4.csv, target: 1, ignore: [V1]", timesteps=5)
    assert "this looks like a series per row" in line
    assert "turn it (pandas: df.T)" in line


def test_another_file_is_scored_on_the_scale_of_the_network(data: Path) -> None:
    """A file that differs in its training rows alone has the same test rows, and so the same loss."""
    trained("csv: plain.csv, target: y")
    head, *lines = Path("plain.csv").read_text().splitlines()
    cut = int(len(lines) * 0.75)
    rows = [[str(2 * float(cell)) for cell in line.split(",")] for line in lines[:cut]]
    Path("other.csv").write_text("\n".join([head, *map(",".join, rows), *lines[cut:]]))
    own = json.loads(rnnlab("evaluate", "run", "--json").stdout)
    other = json.loads(rnnlab("evaluate", "run", "--set", "task.csv=other.csv", "--json").stdout)
    assert other["loss"] == own["loss"]
    assert other["metrics"]["mae_in_file_units"] == own["metrics"]["mae_in_file_units"]
    swapped = "\n".join(["y,x", *(",".join(line.split(",")[::-1]) for line in lines)])
    Path("other.csv").write_text(swapped)
    result = rnnlab("evaluate", "run", "--set", "task.csv=other.csv")
    assert (result.code, "reads x, y and predicts y; the file gives y, x and y" in error_lines(result)[0]) == (2, True)


def test_the_page_on_data_shows_how_a_file_is_read(data: Path) -> None:
    """Every option that it shows, with its value there, reads a file."""
    page = (Path(__file__).parents[2] / "docs" / "tutorial" / "your_data.md").read_text("utf-8")
    shown = next(block for block in page.split("```text\n")[1:] if "csv:" in block).split("```")[0]
    Path("c.yaml").write_text(f"{shown}\nshape: {{timesteps: 4}}\n")
    rows = [
        f"{day:02}/01/2020;{hour:02}:00;{shop};no;{day}.{hour}"
        for shop in "AB"
        for day in range(13, 23)
        for hour in range(10, 20)
    ]
    Path("series.csv").write_text("\n".join(["Date;Time;shop;comment;sales", *rows]))
    result = rnnlab("check", "c.yaml")
    assert result.code == 0, result.stderr
    keys = set(CsvFile.model_fields) - {"sha256"}
    assert {line.strip().partition(":")[0] for line in shown.splitlines()} >= keys


def test_a_sweep_parses_its_file_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """16 again: 12 trials, and all commands of a process."""
    parsed = []
    parse = _csv_table._parsed
    monkeypatch.setattr(_csv_table, "_parsed", lambda *given: parsed.append(1) or parse(*given))
    _csv_table._read.cache_clear()
    config("csv: plain.csv, target: y")
    Path("s.yaml").write_text(
        "extends: c.yaml\nsweep: {axes: {cell.units: [2, 3, 4], training.batch_size: [4, 8]}, seeds: 2}\n"
    )
    assert "12 trials" in rnnlab("sweep", "s.yaml", "--dry-run").stdout
    assert rnnlab("check", "s.yaml").code == 0
    assert rnnlab("sweep", "s.yaml", "-q", "--script", "--into", "s").code == 0
    assert [rnnlab("check", path).code for path in sorted(Path("s/configs").iterdir())[:3]] == [0] * 3
    assert len(parsed) == 1


def test_without_pandas_there_is_one_line(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _csv_table._read.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    result = check("csv: plain.csv, target: y")
    assert (result.code, result.stdout) == (5, "")
    (line,) = error_lines(result)
    assert line.endswith("pip install 'rnnlab[data]'")
