"""Stored documents: strict JSON (RFC 8259) with a checksum, so that any change since the writing is noticed.

Python's own `json` writes and reads `NaN`, takes the last of two equal keys, and turns 1e400 into infinity. None of
these passes here. The last key of each document, `sha256`, is the SHA-256 of the document as it would be without it.
"""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rnnlab.core.errors import VerificationError
from rnnlab.storage.files import always, write_atomic
from rnnlab.storage.reading import CHANGED, read_bytes

Model = TypeVar("Model", bound=BaseModel)
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_MOST_FAULTS = 4
LIMIT = 1 << 24  # bytes; the largest of these files has a diff of at most one mebibyte


def write_json(path: Path, value: Mapping[str, Any], *, guard: Callable[[], None] = always, sync: bool = True) -> None:
    """Write `value` to `path` atomically, sealed; for the options, see `write_atomic`.

    Raises:
        ValueError: A number in `value` is not finite.
        EnvironmentFault: A system error.
    """
    write_atomic(path, sealed(value), guard=guard, sync=sync)


def sealed(value: Mapping[str, Any]) -> bytes:
    r"""Return `value` as it is stored: ASCII, keys in the order given, two spaces of indent, and its checksum.

    Raises:
        ValueError: A number in `value` is not finite.

    Example:
        >>> sealed({"step": 3})[:26], hashlib.sha256(b'{\n  "step": 3\n}\n').hexdigest()[:8]
        (b'{\n  "step": 3,\n  "sha256":', 'ab19be9c')
    """
    text = (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()
    return text[:-3] + _seal(text)


def _seal(text: bytes) -> bytes:
    """Return what takes the place of the last three bytes of a document, the end of its last line and its bracket."""
    return b',\n  "sha256": "%s"\n}\n' % hashlib.sha256(text).hexdigest().encode()


_SEAL_LENGTH = len(_seal(b""))


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in `path`, without its checksum.

    Raises:
        VerificationError: `path` is missing, no plain file, not one object of strict JSON (the error names the line),
            or was changed since it was written.
        EnvironmentFault: A file cannot be read.
    """
    data = read_bytes(path, LIMIT)
    value = parse_object(data, path)
    _without_seal(data, path)
    del value["sha256"]
    return value


def _without_seal(data: bytes, path: Path) -> bytes:
    """Return the document without its checksum, which must be right."""
    text = data[:-_SEAL_LENGTH] + b"\n}\n"
    if not data.endswith(_seal(text)):
        raise VerificationError(CHANGED, where=str(path), hint="bring a copy back; rnnlab's files are not to be edited")
    return text


def parse_object(data: bytes, path: Path) -> dict[str, Any]:
    """Return the object that `data`, read from `path`, is; its checksum is not looked at. Raises as `read_json`."""
    value = parse(data, path)
    if not isinstance(value, dict):
        raise VerificationError(f"is a {type(value).__name__}, expected an object", where=f"{path}:1")
    return value


def read_model(path: Path, kind: type[Model], *, what: str) -> Model:
    """Return the model that the object in `path` describes.

    Args:
        path: The file.
        kind: The model.
        what: What the file should be, for the message: `a run's summary`.

    Raises:
        VerificationError: It does not, or as from `read_json`; of many faults the first are named.
        EnvironmentFault: A file cannot be read.
    """
    data = read_bytes(path, LIMIT)
    parse_object(data, path)  # pydantic would take the last of two equal keys
    text = _without_seal(data, path)
    with fitting(path, what):
        return kind.model_validate_json(text)


@contextmanager
def fitting(path: Path, what: str) -> Iterator[None]:
    """Turn an error of pydantic inside the block into a `VerificationError`; the arguments as for `read_model`."""
    try:
        yield
    except ValidationError as fault:
        faults = [f"{'.'.join(map(str, one['loc'])) or 'all'}: {one['msg']}" for one in fault.errors()]
        more = [f"{len(faults) - _MOST_FAULTS} more"] if len(faults) > _MOST_FAULTS else []
        problem = f"is not {what}: {'; '.join(faults[:_MOST_FAULTS] + more)}"
        raise VerificationError(problem, where=str(path)) from fault


def parse(data: bytes, path: Path) -> Any:
    """Return the value that `data`, read from `path`, is; raises as `read_json`."""
    try:
        return decode(data)
    except (ValueError, RecursionError) as fault:
        raise VerificationError(f"is not valid JSON: {_said(fault)}", where=f"{path}:{_line(data, fault)}") from fault


def look_up(data: Any, key: str) -> Any:
    """Return the value at a dotted key, None where there is none.

    Example:
        >>> look_up({"cell": {"type": "janet"}}, "cell.type"), look_up({"cell": 1}, "cell.type")
        ('janet', None)
    """
    for part in key.split("."):
        data = data.get(part) if isinstance(data, dict) else None
    return data


def flatten(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value of nested mappings with its dotted key.

    Example:
        >>> dict(flatten({"cell": {"type": "janet", "units": 8}, "shape": {"timesteps": [20, 24]}}))
        {'cell.type': 'janet', 'cell.units': 8, 'shape.timesteps': [20, 24]}
    """
    for key, value in data.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def decode(data: bytes) -> Any:
    """Return the value that `data` is; raise `ValueError` where it is not strict JSON in UTF-8."""
    return _DECODER.decode(data.decode("utf-8"))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {twice!r} is given twice")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is not a finite number")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_finite, parse_float=_finite)


def _said(fault: Exception) -> str:
    if isinstance(fault, json.JSONDecodeError):
        return f"{fault.msg} (column {fault.colno})"
    if isinstance(fault, UnicodeDecodeError):
        return f"byte {fault.start} is not UTF-8"
    return "nested too deep" if isinstance(fault, RecursionError) else str(fault)


def _line(data: bytes, fault: Exception) -> int:
    """Return the line of the fault; `json` has it only for errors of syntax."""
    if isinstance(fault, json.JSONDecodeError):
        return fault.lineno
    offset = fault.start if isinstance(fault, UnicodeDecodeError) else _offset(data)
    return data.count(b"\n", 0, offset) + 1


_TOKEN = re.compile(rb'("(?:[^"\\]|\\.)*")(\s*:)?|[{}\[\]]|[^\s{}\[\],:"]+')


def _offset(data: bytes) -> int:
    """Return the place of the first repeated key or non-finite number, 0 if there is none."""
    keys: list[set[bytes]] = [set()]
    for token in _TOKEN.finditer(data):
        if token[0] in b"{[":
            keys.append(set())
        elif token[0] in b"}]":
            keys = keys[:-1] or [set()]
        elif token[2] and token[1] in keys[-1]:
            return token.start()
        elif token[2]:
            keys[-1].add(token[1])
        elif not token[1] and _not_finite(token[0]):
            return token.start()
    return 0


def _not_finite(word: bytes) -> bool:
    try:
        return not math.isfinite(float(word))
    except ValueError:
        return False
