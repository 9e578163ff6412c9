r"""Metrics: one JSON object a line, appended and never edited, each line with a checksum.

    {"step":10,"loss":null,"nonfinite":["loss"],"crc":"d0bf4a4b"}

`crc` is the CRC-32 of the line as it would be without `,"crc":"…"`. JSON has no NaN and no infinity: such a number is
written as null and named in `nonfinite`. A record that follows half a record has `"torn_before":true`, so
the half is known for what it is, and a damaged line anywhere else is an error that names the line.
"""

import io
import json
import math
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, final

from rnnlab.core.errors import VerificationError
from rnnlab.storage.jsonfile import decode
from rnnlab.storage.reading import read_bytes, read_lines

Value = float | int | str | bool | None | list[int] | list[float | None]  # finite numbers in a list

LONGEST_LINE = 1 << 20  # bytes
LARGEST = 1 << 32  # bytes of a file that is read at once
# The messages about half a record at the end of a run's metrics.
TORN = "ends in half a record, as a kill can leave it; it is not counted"
CUT = "ends in half a record, though the run is completed: it was cut since"
_RESERVED = {"crc", "nonfinite", "torn_before"}


def encoded(record: Mapping[str, Value], *, torn_before: bool) -> bytes:
    """Return a record as a line of the file, without the end of the line.

    Args:
        record: `step` (a whole number) and any further named values, NumPy's numbers too.
        torn_before: Whether it follows half a record.

    Raises:
        ValueError: `step` is missing or no whole number, or a name is one of those rnnlab adds.
    """
    # NumPy itself is not asked, or `rnnlab list` would wait for it.
    line: dict[str, Any] = dict(record)
    line |= {name: value.item() for name, value in line.items() if hasattr(value, "item")}
    if type(line.get("step")) is not int or _RESERVED & line.keys():
        raise ValueError(f"a record needs a whole `step` and none of {sorted(_RESERVED)}, got {line}")
    nonfinite = [name for name, value in line.items() if isinstance(value, float) and not math.isfinite(value)]
    line |= dict.fromkeys(nonfinite)
    if nonfinite:
        line["nonfinite"] = nonfinite
    if torn_before:
        line["torn_before"] = True
    text = json.dumps(line, allow_nan=False, separators=(",", ":")).encode()
    return text[:-1] + b',"crc":"%08x"}' % zlib.crc32(text)


@final
@dataclass(frozen=True)
class Metrics:
    """The content of a metrics file.

    Args:
        records: The whole records, in file order; a value that was not finite is None and named in `nonfinite`.
        torn: Whether the file ends in half a record, which a crash explains and which is not among the records.
    """

    records: list[dict[str, Any]]
    torn: bool


def read_metrics(path: Path, *, in_order: bool = False) -> Metrics:
    """Return the records of a metrics file, which may be growing meanwhile.

    Args:
        path: The file.
        in_order: Whether no step may come twice, or after a later one.

    Raises:
        VerificationError: The file is missing or no plain file, or a line is damaged; the error names the line. Or the
            steps are out of order.
        EnvironmentFault: A file cannot be read.
    """
    metrics = _records(path, read_lines(path, LONGEST_LINE))
    if in_order:
        _require_order(path, metrics.records)
    return metrics


def _require_order(path: Path, records: list[dict[str, Any]]) -> None:
    for number, (before, after) in enumerate(pairwise(records), start=2):
        if after["step"] <= before["step"]:
            problem = f"record {number} is of step {after['step']:,}, after one of step {before['step']:,}"
            raise VerificationError(problem, where=str(path))


def read_prefix(path: Path, size: int) -> bytes:
    """Return the first `size` bytes of a metrics file, which are whole records.

    Raises:
        VerificationError: The file is shorter, cut within a record there, or a line before is damaged.
        EnvironmentFault: A file cannot be read.
    """
    data = read_bytes(path, LARGEST) if size else b""
    if len(data) < size:
        raise VerificationError(f"has {len(data):,} bytes, expected at least {size:,}", where=str(path))
    prefix = data[:size]
    if _records(path, io.BytesIO(prefix)).torn or not prefix.endswith(b"\n"[: len(prefix)]):
        raise VerificationError(f"has no record that ends at byte {size:,}", where=str(path))
    return prefix


def _records(path: Path, lines: Iterable[bytes]) -> Metrics:
    records: list[dict[str, Any]] = []
    damaged: list[tuple[int, bytes]] = []
    for number, line in enumerate(lines, start=1):
        record = _decoded(line)
        if record is None:
            damaged.append((number, line))
            continue
        if damaged and not record.pop("torn_before", False):
            raise _damage(path, *damaged[0])
        damaged.clear()
        record.pop("torn_before", None)
        records.append(record)
    if damaged and (len(damaged) > 1 or not _torn(damaged[0][1])):
        raise _damage(path, *damaged[0])
    return Metrics(records, torn=bool(damaged))


_LINE = re.compile(rb'(\{.+),"crc":"([0-9a-f]{8})"\}\n?', re.DOTALL)


def _decoded(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line, or None where the line is not exactly what a writer wrote."""
    match = _LINE.fullmatch(line)
    if match is None or _checksum(match[1]) != match[2]:
        return None
    try:
        record = decode(match[1] + b"}")
    except (ValueError, RecursionError):
        return None
    return record if type(record.get("step")) is int else None


def _torn(line: bytes) -> bool:
    """Return whether a crash explains the state of the last line: cut, or (power cut) its first page never written."""
    return len(line) <= LONGEST_LINE and (not line.endswith(b"\n") or b"\0" in line)


def _damage(path: Path, number: int, line: bytes) -> VerificationError:
    return VerificationError(f"the record is damaged: {_symptom(line)}", where=f"{path}:{number}")


def _symptom(line: bytes) -> str:
    """Return what happened to the line, as far as it is known."""
    if len(line) > LONGEST_LINE:
        return f"longer than {LONGEST_LINE:,} bytes"
    if line.startswith(b"\xef\xbb\xbf"):
        return "it starts with a byte-order mark, so an editor has rewritten the file"
    if line.endswith(b"\r\n"):
        return "it ends in CR LF, so an editor or a transfer in text mode has rewritten the file"
    if b"\0" in line:
        return "it contains NUL bytes"
    match = _LINE.fullmatch(line)
    if match and _checksum(match[1]) == match[2]:
        return "its checksum is right, but it is not a record: an object of finite numbers with a whole `step`"
    return "its checksum is missing or does not match its content"


def _checksum(text: bytes) -> bytes:
    """Return the checksum of a line, given the text before it."""
    return b"%08x" % zlib.crc32(text + b"}")
