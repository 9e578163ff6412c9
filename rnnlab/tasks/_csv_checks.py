"""What a table would be wrong about without a word: a series per row, dates that fall, several series in one column."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnlab.core.batch import Array
from rnnlab.tasks._csv_layout import Layout, fault, quoted
from rnnlab.tasks._csv_lines import Lines
from rnnlab.tasks._csv_options import CsvFile
from rnnlab.tasks._csv_order import parsed_times

_NUMBERED = re.compile(r"(\D*)(\d+)")
_CLOCK = re.compile(r"\d{1,2}[:h.]\d\d")
_TIME_NAMES = re.compile(r"(?i)(date|time|timestamp|year|month|day|hour|datetime|jahr|datum)s?")
_TURN = (
    "a row is a time step here, a column a feature: turn it (pandas: df.T), or write a row per step with `csv.group`"
)


def check_wide(lines: Lines, layout: Layout, path: Path) -> None:
    """Raise if the file looks like a series per row: names that count, ids or early ends in the rows."""
    names, delimiter = layout.names, layout.delimiter
    if len(names) < 5 or not layout.name_rows:
        return
    counted = [_NUMBERED.fullmatch(name) for name in names[1:]]
    if not all(counted):
        return
    pairs = [(one[1], int(one[2])) for one in counted if one]
    if pairs != [(pairs[0][0], pairs[0][1] + k) for k in range(len(pairs))]:
        return
    rows = [lines.cells(line, delimiter) for line in lines.some(200) if line >= layout.name_rows]
    ids = [row[0] for row in rows]
    short = sum(not row[-1] for row in rows)
    if 3 * short < len(rows) and (layout.numeric[0] or len(set(ids)) < len(ids) or _are_ordered(ids)):
        return
    ends = f", and {short} of {len(rows)} rows end in empty cells" if short else ""
    shown = f"the columns count {names[1]}, {names[2]}, …, rows begin with {quoted(ids[0])}, {quoted(ids[-1])}{ends}"
    raise fault(path, f"this looks like a series per row: {shown}", hint=_TURN)


def _are_ordered(texts: Sequence[str]) -> bool:
    """Return whether texts are like times: with digits, and in order."""
    return all(any(c.isdigit() for c in text) for text in texts) and len({len(text) for text in texts}) == 1


def check_series(pd: Any, frame: Any, layout: Layout, unused: Sequence[int], file: CsvFile, *, numbers: Array) -> None:
    """Raise if a column that is left out names several series, one under the other or side by side."""
    if file.group is not None:
        return
    for k in unused:
        if layout.numeric[k]:
            continue
        codes, found = pd.factorize(frame[k])
        if all(_CLOCK.match(str(one)) for one in found):  # beside a date, which has each of them once
            continue
        others = [one for one in unused if one != k]
        if 1 < len(found) <= len(codes) // 5 and (row := _at_the_same_time(pd, frame, codes, others)):
            problem = f"lines {numbers[row - 1]} and {numbers[row]} have the same time and another {layout.names[k]}"
            hint = f"are there several series? set `csv.group: {layout.names[k]}`; or `csv.group: false` for one"
            raise fault(Path(file.path), problem, line=int(numbers[row]), hint=hint)
        blocks = 1 + int((np.diff(codes) != 0).sum())
        if not 1 < len(found) == blocks <= len(codes) // 5:
            continue
        cuts = np.flatnonzero(np.diff(codes)) + 1
        if not _begins_again(pd, frame, others, cuts):
            continue
        problem = f"column {layout.names[k]} has {blocks} values in {blocks} blocks: windows would run across them"
        line, hint = int(numbers[cuts[0]]), f"set `csv.group: {layout.names[k]}`; or `csv.group: false` for one series"
        raise fault(Path(file.path), problem, line=line, hint=hint)


def _at_the_same_time(pd: Any, frame: Any, codes: Array, others: Sequence[int]) -> int | None:
    """Return a row of the same time as the one above, where a time and one of the codes belong to one row alone."""
    for k in others:
        for times in parsed_times(pd, frame[k]).values() if not frame[k].isna().any() else ():
            same = np.flatnonzero(times[1:] == times[:-1])
            if len(same) and not pd.DataFrame({"time": times, "code": codes}).duplicated().any():
                return int(same[0]) + 1
    return None


def _begins_again(pd: Any, frame: Any, others: Sequence[int], cuts: Array) -> bool:
    """Return whether the times beside the blocks begin again at each, or there are none."""
    for k in others:
        for times in parsed_times(pd, frame[k]).values() if not frame[k].isna().any() else ():
            if bool((times[cuts] > times[cuts - 1]).all()):
                return False
    return True


def check_order(
    pd: Any, frame: Any, layout: Layout, unused: Sequence[int], file: CsvFile, *, numbers: Array, groups: Array | None
) -> None:
    """Raise if the rows are not in the order of a column that has times, though none was named as their time."""
    if file.time is not None:
        return
    named = [k for k, name in enumerate(layout.names) if layout.numeric[k] and _TIME_NAMES.fullmatch(name)]
    for k in dict.fromkeys([*unused, *named]):
        texts = frame[k]
        if (layout.numeric[k] and k not in named) or texts.isna().any():
            continue
        readings = parsed_times(pd, texts) if k in unused else {"number": texts.to_numpy()}
        if not readings:
            continue
        falls = [_falls(times, groups) for times in readings.values()]
        rows = [rows for rows in falls if len(rows)]
        # A clock starts again every day; a year in falling order is the newest row first.
        if len(rows) < len(falls) or (layout.numeric[k] and 2 * len(rows[0]) < len(texts)):
            continue
        row = int(rows[0][0])
        problem = (
            f"rows are not in order: column {layout.names[k]} has {_shown(texts[row])} after {_shown(texts[row - 1])}"
        )
        hint = f"set `csv.time: {layout.names[k]}`" + (
            "" if groups is not None else ", and `csv.group` for several series"
        )
        raise fault(Path(file.path), problem, line=int(numbers[row]), hint=hint)


def _falls(times: Array, groups: Array | None) -> Array:
    """Return the rows that are before the row above them, of the same series."""
    falls = times[1:] < times[:-1]
    if groups is not None:
        falls &= groups[1:] == groups[:-1]
    return np.flatnonzero(falls) + 1


def _shown(value: Any) -> str:
    return quoted(value) if isinstance(value, str) else f"{value:g}"
