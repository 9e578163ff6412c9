"""The lines of a CSV file: where each begins, which are rows, and how many cells each delimiter makes of them."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from rnnlab.core.batch import Array

SINGLE = "\x1f"  # the delimiter of a file of one column: it is in no text
BLANKS = " "
DELIMITERS = (",", ";", "\t", "|")

_MARKS = ("", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "None", "-", "--", ".")
_NUMBER = {mark: re.compile(rf"[+-]?(\d+({re.escape(mark)}\d*)?|{re.escape(mark)}\d+)([eE][+-]?\d+)?") for mark in ".,"}


def missing_values(more: Sequence[str]) -> list[str]:
    """Return the texts for a missing value."""
    return list(dict.fromkeys((*_MARKS, *more)))


def is_number(cell: str, decimal: str) -> bool:
    """Return whether a cell is a number with this decimal separator.

    Example:
        >>> [is_number(cell, ",") for cell in ("1,5", "-2e3", "1.5", "1,234,5")]
        [True, True, False, False]
    """
    return _NUMBER[decimal].fullmatch(cell) is not None


@final
@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """The lines that are rows or names: not empty, and no comments. A line break in quotes ends none."""

    content: bytes  # the file, in UTF-8
    numbers: Array  # (N,) of the lines in the file, from 1
    # starts, ends: (N,) of the lines in `content`
    starts: Array
    ends: Array
    quoted: Array | None  # which bytes of `content` are in quotes; None where there are none

    @classmethod
    def of(cls, content: bytes, comment: str | None) -> "Lines":
        """Return the lines of a file."""
        if b"\n" not in content:
            content = content.replace(b"\r", b"\n")
        data = np.frombuffer(content, np.uint8)
        breaks = data == ord("\n")
        physical_starts = np.append(0, np.flatnonzero(breaks) + 1)
        quoted = _in_quotes(data, physical_starts, comment)
        if quoted is not None:
            breaks &= ~quoted
        ends = np.append(np.flatnonzero(breaks), len(data)) if len(data) else np.zeros(0, int)
        starts = np.append(0, ends[:-1] + 1)[: len(ends)]
        physical = np.searchsorted(physical_starts, starts, side="right")
        some = starts < ends
        starts, ends, physical = starts[some], ends[some], physical[some]
        if len(starts):
            # Blanks of all kinds are the characters up to 32.
            kept = np.maximum.reduceat(data, starts) > 32
            kept &= ~_begin_with(data, starts, comment.encode()) if comment else True
            starts, ends, physical = starts[kept], ends[kept], physical[kept]
        return cls(content, physical, starts, ends, quoted)

    def __len__(self) -> int:
        return len(self.starts)

    def text(self, line: int) -> str:
        """Return one line."""
        return self.content[self.starts[line] : self.ends[line]].decode().rstrip("\r")

    def cells(self, line: int, delimiter: str) -> list[str]:
        """Return the cells of one line without the blanks around them."""
        text = self.text(line)
        if delimiter == BLANKS:
            return text.split()
        rows = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, skipinitialspace=True)
        return [cell.strip() for cell in next(rows, [])]

    def counts(self, delimiter: str) -> Array:
        """Return how many cells each line has, (N,)."""
        if delimiter == BLANKS:
            return np.array([len(self.text(line).split()) for line in range(len(self))])
        data = np.frombuffer(self.content, np.uint8)
        found = data == ord(delimiter)
        if self.quoted is not None:
            found &= ~self.quoted
        places = np.flatnonzero(found)
        return np.searchsorted(places, self.ends) - np.searchsorted(places, self.starts) + 1

    def body(self, first: int) -> bytes:
        """Return the lines from `first` on, without what is between them."""
        if first < len(self) and int(self.ends[-1] - self.starts[first]) == int(
            (self.ends[first:] - self.starts[first:] + 1).sum() - 1
        ):
            return self.content[self.starts[first] : self.ends[-1]]
        pairs = zip(self.starts[first:].tolist(), self.ends[first:].tolist(), strict=True)
        return b"\n".join(self.content[start:end].rstrip(b"\r") for start, end in pairs)

    def some(self, most: int) -> list[int]:
        """Return up to `most` lines from all over the file, in order."""
        return sorted(set(np.linspace(0, len(self) - 1, min(most, len(self))).astype(int).tolist()))


def _in_quotes(data: Array, starts: Array, comment: str | None) -> Array | None:
    """Return which bytes are in quotes; those in comments begin and end none."""
    marks = data == ord('"')
    if not marks.any():
        return None
    if comment:
        inner = starts[starts < len(data)]
        for start in inner[_begin_with(data, inner, comment.encode())].tolist():
            end = starts[np.searchsorted(starts, start) + 1] if start < starts[-1] else len(data)
            marks[start:end] = False
    return np.bitwise_xor.accumulate(marks.view(np.uint8)).view(bool)


def _begin_with(data: Array, starts: Array, comment: bytes) -> Array:
    """Return which lines begin with a comment, after blanks or not, (N,)."""
    places, last = starts.copy(), len(data) - 1
    for _ in range(20):
        blank = (data[places] == ord(" ")) & (places < last)
        if not blank.any():
            break
        places[blank] += 1
    found = np.ones(len(places), bool)
    for offset, byte in enumerate(comment):
        found &= data[np.minimum(places + offset, last)] == byte
    return found
