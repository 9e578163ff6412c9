r"""Metrics: one JSON object a line, appended and never edited, each line with a checksum.

    {"id":"0123456789abcdef","step":10,"sequences":320,"seconds":0.5,"loss":null,"nonfinite":["loss"],"crc":"d0bf4a4b"}

`id` is the run's. `crc` is the CRC-32 of the line as it would be without `,"crc":"…"`. JSON has no NaN and no infinity:
such a number is written as null and named in `nonfinite`. A record that follows half a record has `"torn_before":true`,
so the half is known for what it is, and a damaged line anywhere else is an error that names the line.
"""

import json
import math
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, final

from rnnlab.core.errors import VerificationError
from rnnlab.storage.fields import LARGEST_STEP, LARGEST_WHOLE, LONGEST_NAME, LONGEST_TEXT
from rnnlab.storage.jsonfile import decode
from rnnlab.storage.reading import read_lines, read_start

Value = float | int | str | bool | None | list[int] | list[float | None]  # finite numbers in a list

LONGEST_LINE = 1 << 20  # bytes
# The messages about half a record at the end of a run's metrics.
TORN = "ends in half a record, as a kill can leave it; it is not counted"
CUT = "ends in half a record, though the run is completed: it was cut since"
_RESERVED = {"id", "crc", "nonfinite", "torn_before"}
_LONGEST_LIST = 10_000

Fields = Mapping[str, Callable[[Any], bool]]  # what a record must have, and the test of each


def _up_to(largest: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and 0 <= value <= largest


def _is_number(value: Any) -> bool:
    """Return whether a value is a number that every conversion takes; one that is not finite never gets here."""
    return type(value) is float or (type(value) is int and abs(value) <= LARGEST_WHOLE)


def _is_name(value: Any) -> bool:
    return type(value) is str and len(value) <= LONGEST_NAME


_is_step, _is_count = _up_to(LARGEST_STEP), _up_to(LARGEST_WHOLE)
TRAINING: Fields = {
    "step": _is_step,
    "sequences": _is_count,
    "seconds": lambda value: _is_number(value) and 0 <= value <= LARGEST_STEP,
}
EVALUATION: Fields = {
    **TRAINING,
    "weights": lambda value: value in ("best", "last"),
    "task": _is_name,
    "shortest": _is_step,
    "longest": _is_step,
    "seed": _is_count,
    "stream": lambda value: value in ("test", "validation"),
    "baseline": lambda value: value is None or _is_number(value),
    "solved": lambda value: value is None or type(value) is bool,
}
# What an evaluation has where something was set otherwise than in the training, as after `--set`.
_OVERRIDES: Fields = {"overrides": lambda value: type(value) is str and len(value) <= LONGEST_TEXT}
NOT_SCORES = {*EVALUATION, *_OVERRIDES, "nonfinite"}  # all in an evaluation that is not a score


def encoded(record: Mapping[str, Value], *, id: str, torn_before: bool) -> bytes:
    """Return a record as a line of the file, without the end of the line.

    Args:
        record: `step` (a whole number) and any further named values, NumPy's numbers too.
        id: The run's.
        torn_before: Whether it follows half a record.

    Raises:
        ValueError: `step` is missing or no whole number, or a name is one of those rnnlab adds.
    """
    # NumPy itself is not asked, or `rnnlab list` would wait for it.
    if type(record.get("step")) is not int or _RESERVED & record.keys():
        raise ValueError(f"a record needs a whole `step` and none of {sorted(_RESERVED)}, got {dict(record)}")
    line: dict[str, Any] = {"id": id, **record}
    line |= {name: value.item() for name, value in line.items() if hasattr(value, "item")}
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


def read_metrics(path: Path, of: str | None = None, *, fields: Fields = TRAINING, in_order: bool = False) -> Metrics:
    """Return the records of a metrics file, which may be growing meanwhile.

    Args:
        path: The file.
        of: The id of the run that all records must be of; None where that is not known.
        fields: What each record must have.
        in_order: Whether no step may come twice, or after a later one.

    Raises:
        VerificationError: The file is missing or no plain file, or a line is damaged or of another run; the error names
            the line. Or the steps are out of order.
        EnvironmentFault: A file cannot be read.
    """
    metrics = _records(path, read_lines(path, LONGEST_LINE), of=of, fields=fields)
    if in_order:
        _require_order(path, metrics.records)
    return metrics


def _require_order(path: Path, records: list[dict[str, Any]]) -> None:
    for number, (before, after) in enumerate(pairwise(records), start=2):
        if after["step"] <= before["step"]:
            problem = f"record {number} is of step {after['step']:,}, after one of step {before['step']:,}"
            raise VerificationError(problem, where=str(path))


def check_prefix(path: Path, size: int, of: str | None = None) -> None:
    """Pass if the first `size` bytes of a metrics file are whole records; read line by line, whatever its size.

    Raises:
        VerificationError: The file is shorter, cut within a record there, or a line before is damaged or, where `of` is
            given, not of the run with that id.
        EnvironmentFault: A file cannot be read.
    """
    _records(path, _first_lines(path, size), of=of)


def read_prefix(path: Path, size: int) -> bytes:
    """Return the first `size` bytes of a metrics file, which must be whole records; raises as `check_prefix`."""
    check_prefix(path, size)
    return read_start(path, size) if size else b""


def _first_lines(path: Path, size: int) -> Iterator[bytes]:
    if not size:  # there need not be a file
        return
    total = 0
    with closing(read_lines(path, LONGEST_LINE)) as lines:
        for line in lines:
            total += len(line)
            if total > size or (total == size and not line.endswith(b"\n")):
                raise VerificationError(f"has no record that ends at byte {size:,}", where=str(path))
            yield line
            if total == size:
                return
    raise VerificationError(f"has {total:,} bytes, expected at least {size:,}", where=str(path))


def _records(path: Path, lines: Iterable[bytes], *, of: str | None, fields: Fields = TRAINING) -> Metrics:
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
        id = record.pop("id", None)
        of = id if of is None else of
        if (
            fault := _fault(record, fields)
            or (id != of and "it is of another run")
            or (not _is_name(of) and "it has no id")
        ):
            raise VerificationError(f"the record does not fit: {fault}", where=f"{path}:{number}")
        records.append(record)
    if damaged and (len(damaged) > 1 or not _torn(damaged[0][1])):
        raise _damage(path, *damaged[0])
    return Metrics(records, torn=bool(damaged))


def _fault(record: Mapping[str, Any], fields: Fields) -> str:
    """Return which field does not fit, nothing where all do."""
    for name in fields:
        if name not in record:
            return f"it has no `{name}`"
    known = {**fields, **(_OVERRIDES if fields is EVALUATION else {})}
    for name, value in record.items():
        is_score = name.startswith("validation/") or (fields is EVALUATION and name != "nonfinite")
        fits = known.get(name, _is_score if is_score else _is_figure)
        if not fits(value) or len(name) > LONGEST_NAME:
            return f"its `{name[:LONGEST_NAME]}` is no such value as a record has there"
    return ""


def _is_score(value: Any) -> bool:
    return value is None or _is_number(value)


def _is_figure(value: Any) -> bool:
    """Return whether a value is a number, unknown, or a list of such or of names."""
    if isinstance(value, list):
        return len(value) <= _LONGEST_LIST and all(one is None or _is_number(one) or _is_name(one) for one in value)
    return _is_score(value)


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
    return record if isinstance(record, dict) else None


def _torn(line: bytes) -> bool:
    """Return whether a crash explains the state of the last line: cut, or (power cut) its first page never written."""
    is_cut = not line.endswith(b"\n") and _LINE.match(line) is None  # a line with more after its end was changed
    return len(line) <= LONGEST_LINE and (is_cut or b"\0" in line)


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
        return "its checksum is right, but it is not an object of finite numbers"
    return "its checksum is missing or does not match its content"


def _checksum(text: bytes) -> bytes:
    """Return the checksum of a line, given the text before it."""
    return b"%08x" % zlib.crc32(text + b"}")
