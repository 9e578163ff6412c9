"""Forecast the series of a CSV file by a trained RUN.

The forecast goes past the end of the file, is in its units, and is plotted. The file is that of the run, or another
with the same columns. Every row with a whole window before it has a forecast, made without seeing it, beside what
came: in a table with --out FILE.csv, or with --json.
"""

from pathlib import Path
from typing import Annotated, Any

from rnnlab.cli.errors import warn
from rnnlab.cli.named import run_named
from rnnlab.cli.options import RUNS, JsonOption, RunArgument, RunsOption, WeightsOption, flag, option, whole_number
from rnnlab.cli.out_file import ending_of
from rnnlab.cli.render.output import show, show_json
from rnnlab.cli.render.tables import as_csv, show_table
from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.table import Cell, Column, Table, table
from rnnlab.figures.forecast import figure, time_labels
from rnnlab.figures.picture import ENDINGS, picture
from rnnlab.inspection.predict import Forecasts, SeriesForecast, predict
from rnnlab.storage.files import write_atomic

_MOST_SHOWN = 24
_OUT = "A .csv for all rows; a .png, .pdf or .svg for the plot. Repeatable."


def command(
    run: RunArgument,
    out: Annotated[list[Path] | None, option("FILE", _OUT, "plots/forecast.png of the run")] = None,
    csv: Annotated[Path | None, option("FILE", "The file to forecast.", "that of the run")] = None,
    steps: Annotated[int | None, option("N", "Rows past the end.", "the horizon", parser=whole_number)] = None,
    weights: WeightsOption = "best",
    no_plots: Annotated[bool, flag("--no-plots", "Draw nothing.")] = False,
    runs: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    for path in out or []:
        ending_of(path, ("csv", *ENDINGS))
    found = predict(run_named(runs, run), csv=csv, steps=steps, weights=weights)
    written = [_write(found, path) for path in out or []]
    if not no_plots and not any(path.suffix.lower() != ".csv" for path in written):
        written += _plotted(found)
    if json:
        show_json("predict", _document(found, written))
        return
    show(f"{found.target} of {found.csv}: forecasts {_rows(found.horizon)} ahead, {found.weights} weights", "")
    show_table(_errors(found))
    show("")
    show_table(_ahead(found))
    if any((one.parts == "ahead").sum() > found.horizon for one in found.series):
        show("", f"Beyond {_rows(found.horizon)} past the end the network reads its own forecasts.")
    show("", *map(str, written))


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"


def _write(found: Forecasts, path: Path) -> Path:
    ending = path.suffix.lower().removeprefix(".")
    data = as_csv(_all(found)).encode() if ending == "csv" else picture(figure(found), ending)
    write_atomic(path, data, elsewhere="--out PATH")
    return path


def _plotted(found: Forecasts) -> list[Path]:
    try:
        return [found.run.folder.write_plot("forecast.png", picture(figure(found), "png"))]
    except EnvironmentFault as fault:  # the numbers are worth having without the picture
        warn(f"nothing is drawn: {fault}")
        return []


def _errors(found: Forecasts) -> Table:
    rows = [(part or "all", *values) for part, values in found.errors().items()]
    return table(["mean absolute error", "rows", "network", "the last value again"], rows)


def _labels(one: SeriesForecast) -> list[str]:
    return time_labels(one.times).tolist() if one.times is not None else [""] * len(one.truth)


def _ahead(found: Forecasts) -> Table:
    """Return the rows past the end."""
    rows: list[tuple[Cell, ...]] = [
        (*([one.name] if len(found.series) > 1 else []), label or f"+{n + 1}", float(value))
        for one in found.series
        for n, (label, value) in enumerate(
            (label, value)
            for label, value, part in zip(_labels(one), one.forecast, one.parts, strict=True)
            if part == "ahead"
        )
    ]
    more = f"; the first {_MOST_SHOWN} of {len(rows):,}" if len(rows) > _MOST_SHOWN else ""
    heads = [*(["series"] if len(found.series) > 1 else []), found.time or "row"]
    columns = [*map(Column, heads), Column(found.target, is_number=True, form=".6g")]
    return table(columns, rows[:_MOST_SHOWN], f"past the end of the file{more}")


def _all(found: Forecasts) -> Table:
    """Return every row, and those past the end."""
    several, timed = len(found.series) > 1, any(one.times is not None for one in found.series)
    heads = [*(["series"] if several else []), "row", *([found.time] if timed else []), "part", "truth", "forecast"]
    rows: list[tuple[Cell, ...]] = [
        (
            *([one.name] if several else []),
            row,
            *([label] if timed else []),
            str(one.parts[row]),
            float(one.truth[row]),
            float(one.forecast[row]),
        )
        for one in found.series
        for row, label in enumerate(_labels(one))
    ]
    return table(heads, rows)


def _document(found: Forecasts, written: list[Path]) -> dict[str, Any]:
    return {
        "run": found.run.name,
        "path": found.run.path,
        "weights": found.weights,
        "steps": found.step,
        "csv": found.csv,
        "target": found.target,
        "horizon": found.horizon,
        "timesteps": found.timesteps,
        "errors": [
            {"part": part, "rows": rows, "network": network, "last_value": last}
            for part, (rows, network, last) in found.errors().items()
        ],
        "series": [
            {
                "name": one.name,
                "times": _labels(one) if one.times is not None else None,
                **{key: getattr(one, key) for key in ("parts", "truth", "forecast")},
            }
            for one in found.series
        ],
        "files": written,
    }
