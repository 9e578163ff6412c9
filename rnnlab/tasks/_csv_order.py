"""The order of a table's rows: their times, the series they belong to, and what is filled in between."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rnnlab.core.batch import Array
from rnnlab.core.errors import UsageError
from rnnlab.tasks._csv_layout import LONGEST_NAME, fault, quoted
from rnnlab.tasks._csv_options import CsvFile

Series = tuple[tuple[str, slice], ...]
MOST_SERIES = 10_000
_FORMATS = ("%d{0}%m{0}%Y", "%m{0}%d{0}%Y", "%d{0}%m{0}%y", "%m{0}%d{0}%y")
_ISO = "ISO 8601"
_ZONE = r"(?:[+-]\d\d:?\d\d|Z)$"
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")


def times_of(pd: Any, frame: Any, columns: list[int], file: CsvFile, *, numbers: Array) -> Array | None:
    """Return the time of each row, datetime64 or float64, (N,); None where no column has them.

    Raises:
        UsageError: A time is missing or none, or all can be read in two ways.
    """
    if not columns:
        return None
    texts, path = frame[columns[0]], Path(file.path)
    for k in columns[1:]:
        texts = texts + " " + frame[k]
    if texts.isna().any():
        row = int(np.flatnonzero(texts.isna())[0])
        raise fault(path, "a time is missing", line=int(numbers[row]), hint="fill it, or remove the row")
    if file.time_format is not None:
        found = pd.to_datetime(texts, format=file.time_format, errors="coerce")
        if found.isna().any():
            row = int(np.flatnonzero(found.isna())[0])
            problem = f"{quoted(texts[row])} is no time of the form {file.time_format}"
            raise fault(path, problem, line=int(numbers[row]), hint="correct `csv.time_format`")
        return _plain(found)
    readings = parsed_times(pd, texts)
    if len(readings) > 1:
        (one, first), (two, second) = list(readings.items())[:2]
        row = int(np.flatnonzero(first != second)[0])
        both = f"{first[row]} ({one}) or {second[row]} ({two})".replace("T00:00:00.000000000", "")
        problem = f"times can be read in two ways: {quoted(texts[row])} as {both}"
        raise fault(path, problem, line=int(numbers[row]), hint=f"set `csv.time_format: '{one}'` or the like")
    if not readings:
        form, found = max(_attempts(pd, texts), key=lambda one: int(one[1].notna().sum()))
        row = int(np.flatnonzero(found.isna())[0])
        others = f", though others are ({form})" if found.notna().any() else " that is known"
        hint = "correct it, or set `csv.time_format`, as for strptime: '%d.%m.%Y %H:%M'"
        raise fault(path, f"{quoted(texts[row])} is no time{others}", line=int(numbers[row]), hint=hint)
    return next(iter(readings.values()))


def parsed_times(pd: Any, texts: Any) -> dict[str, Array]:
    """Return the times in texts by the form in which all can be read; forms that give the same times are one."""
    numbers = pd.to_numeric(texts, errors="coerce")
    if not numbers.isna().any():
        return {"number": numbers.to_numpy(np.float64)}
    readings: dict[str, Array] = {}
    for form, found in _attempts(pd, texts):
        if not found.isna().any() and not any((_plain(found) == other).all() for other in readings.values()):
            readings[form] = _plain(found)
        if form == _ISO and readings:
            break
    return readings


def _attempts(pd: Any, texts: Any) -> Iterator[tuple[str, Any]]:
    """Yield the times in texts by forms that the first of them may have; NaT where one has another."""
    first = str(texts.iloc[0])
    yield _ISO, _iso_times(pd, texts)
    separator = next((one for one in "/.-" if one in first[:6]), None)
    for form in _FORMATS if separator else ():
        for clock in _CLOCKS:
            whole = form.format(separator) + clock
            if not pd.isna(pd.to_datetime(first, format=whole, errors="coerce")):
                yield whole, pd.to_datetime(texts, format=whole, errors="coerce")


def _iso_times(pd: Any, texts: Any) -> Any:
    """Return times in ISO 8601: all in a time zone, or none; NaT where one differs in that from the first."""
    try:
        if not re.search(_ZONE, str(texts.iloc[0])):
            return pd.to_datetime(texts, format="ISO8601", errors="coerce")
    except ValueError:  # others are in a zone
        pass
    zoned = texts.str.contains(_ZONE, regex=True)
    return pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True).where(zoned == zoned.iloc[0])


def _plain(found: Any) -> Array:
    zoned = found.dt.tz_convert(None) if found.dt.tz is not None else found
    return np.asarray(zoned.to_numpy("datetime64[ns]"))


def by_series(groups: Array | None, times: Array | None, *, path: Path, numbers: Array) -> tuple[Array, Series]:
    """Return the rows in order, those of each series together, (N,), and name and rows of each series.

    Raises:
        UsageError: Two rows of a series have the same time, or there are too many series.
    """
    rows = len(numbers)
    names, codes = [""], np.zeros(rows, int)
    if groups is not None:
        texts = np.array([str(one) if isinstance(one, str) else "" for one in groups])
        if (texts == "").any():
            row = int(np.flatnonzero(texts == "")[0])
            raise fault(path, "the name of the series is missing", line=int(numbers[row]), hint="fill it")
        unique, first, inverse = np.unique(texts, return_index=True, return_inverse=True)
        ranks = np.argsort(np.argsort(first))  # in the order of the file
        names, codes = [str(unique[k]) for k in np.argsort(first)], ranks[inverse]
        if long := next((name for name in names if len(name) > LONGEST_NAME), ""):
            problem = f"{quoted(long)} has {len(long)} characters, expected a name of at most {LONGEST_NAME}"
            raise fault(path, problem, hint="name the column of the series by `csv.group`")
        if len(names) > MOST_SERIES or 2 * len(names) > rows:
            problem = f"{len(names):,} series in {rows:,} rows"
            raise fault(path, problem, hint=f"`csv.group` names a column of at most {MOST_SERIES:,} series")
    keys = (np.arange(rows), times, codes) if times is not None else (np.arange(rows), codes)
    order = np.lexsort(keys)
    if times is not None:
        same = (np.diff(codes[order]) == 0) & (times[order][1:] == times[order][:-1])
        if same.any():
            row = int(np.flatnonzero(same)[0])
            both = sorted(int(numbers[order[k]]) for k in (row, row + 1))
            raise fault(path, f"lines {both[0]} and {both[1]} have the same time", hint=_same_hint(groups))
    ends = np.searchsorted(codes[order], np.arange(len(names)), side="right")
    starts = np.append(0, ends[:-1])
    return order, tuple((name, slice(int(a), int(b))) for name, a, b in zip(names, starts, ends, strict=True))


def _same_hint(groups: Array | None) -> str:
    hint = "keep one of them"
    return hint if groups is not None else f"{hint}; or are there several series? name their column by `csv.group`"


def filled(
    values: Array, series: Series, *, names: tuple[str, ...], file: CsvFile, numbers: Array
) -> tuple[Array, dict[str, int]]:
    """Return the values with nothing missing, and how many were filled by column.

    Raises:
        UsageError: A series begins, or for `interpolate` ends, with missing cells.
    """
    missing = np.isnan(values)
    if not missing.any():
        return values, {}
    values = values.copy()
    for name, rows in series:
        for k in np.flatnonzero(missing[rows].any(axis=0)).tolist():
            gaps = missing[rows, k]
            known = np.flatnonzero(~gaps)
            at_end = bool(file.missing == "interpolate" and gaps[-1])
            if gaps[0] or at_end:
                raise _no_neighbour(
                    name, names[k], file, int(numbers[rows.start if gaps[0] else rows.stop - 1]), gaps[0]
                )
            wanted, column = np.flatnonzero(gaps), values[rows, k]
            if file.missing == "interpolate":
                column[wanted] = np.interp(wanted, known, column[known])
            else:
                column[wanted] = column[known[np.searchsorted(known, wanted) - 1]]
            values[rows, k] = column
    return values, {name: int(count) for name, count in zip(names, missing.sum(axis=0), strict=True) if count}


def _no_neighbour(series: str, name: str, file: CsvFile, line: int, is_first: bool) -> UsageError:
    of = f" of series {series}" if series else ""
    problem = (
        f"column {name} has no value in the {'first' if is_first else 'last'} row{of}, and nothing to fill it from"
    )
    hint = "remove these rows" + ("" if is_first else ", or set `csv.missing: forward`")
    return fault(Path(file.path), problem, line=line, hint=hint)
