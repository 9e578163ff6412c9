"""Named arrays in one safetensors file with a description and a checksum.

Any reader of safetensors reads it. Three texts in its metadata are ours:

    format       rnnlab-arrays/2
    sha256       SHA-256 over every other byte of the file: its header without these 64 digits, then the arrays
    description  JSON: all that defines the function the arrays belong to (see `description`)

Arrays and JSON only: nothing in such a file can run code. A file is read once, from its start: the header is checked
against the size of the file and against what is expected before any memory is taken for what it claims; the arrays then
come in pieces of one mebibyte.

Source: the safetensors README, "Format": eight bytes of header length, a JSON header, the arrays without holes.
Differs: safetensors keeps no checksum, so a flipped bit in an array would load without an error; and its own writer
orders the metadata by chance, where equal content gives equal bytes here.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnlab.core.errors import EnvironmentFault, VerificationError
from rnnlab.core.system_errors import reported
from rnnlab.storage import disk
from rnnlab.storage.files import always, write_atomic
from rnnlab.storage.jsonfile import parse
from rnnlab.storage.layout import Header, encode
from rnnlab.storage.reading import CHANGED, kind, opened, read_full

Arrays = Mapping[str, NDArray[Any]]
Expected = Mapping[str, tuple[tuple[int, ...], DTypeLike]]
Loaded = tuple[dict[str, NDArray[Any]], dict[str, Any]]  # the arrays, their description

FORMAT = "rnnlab-arrays/2"

_PIECE = 1 << 20  # bytes that are read and hashed at a time
_UNSEALED = b"0" * 64  # in the place of the SHA-256 until it is known
_ANOTHER_COPY = "use another copy of the file"
_TO_LOOK = "`rnnlab export RUN --format npz --allow-nonfinite` writes them all the same, to look at"


def save_arrays(
    path: Path,
    arrays: Arrays,
    description: Mapping[str, Any],
    *,
    read_back: bool = False,
    guard: Callable[[], None] = always,
) -> str:
    """Write `arrays` with their `description` to `path` atomically, and return their SHA-256 (64 hex digits).

    Args:
        path: The file.
        arrays: Any shape; floats, integers and bools.
        description: JSON data.
        read_back: Also read the file again and compare it with what was to be written.
        guard: See `files.write_atomic`.

    Raises:
        TypeError: A dtype is not float, integer or bool of at most 64 bits.
        ValueError: A number in `description` is not finite.
        VerificationError: `path` is a folder, which no file can replace.
        EnvironmentFault: A system error, and the old file is in place; or it gave back something else.
    """
    if kind(path) == "folder":
        raise VerificationError("is a folder, expected a file of this run", where=str(path), hint="move it away")
    text = json.dumps(description, sort_keys=True, allow_nan=False)
    texts = {"format": FORMAT, "sha256": _UNSEALED.decode(), "description": text}
    header, *pieces = encode(arrays, texts)
    digest = _digest_of(header, _UNSEALED)
    for piece in pieces:
        digest.update(piece)
    sha256 = digest.hexdigest()
    data = b"".join([header.replace(_UNSEALED, sha256.encode(), 1), *pieces])
    write_atomic(path, data, guard=guard)
    if read_back:
        _require_written(path, memoryview(data))
    return sha256


def _digest_of(header: bytes, sha256: bytes) -> "hashlib._Hash":
    """Return the digest of a header without the digits in it; the arrays are yet to follow."""
    return hashlib.sha256(header.replace(sha256, b"", 1))


def _require_written(path: Path, data: memoryview) -> None:
    with opened(path) as descriptor, reported("read", path):
        same = all(
            read_full(descriptor, _PIECE) == data[start : start + _PIECE] for start in range(0, len(data) + 1, _PIECE)
        )
    if not same:
        problem, hint = "reads differently from what was written", "check the disk (its log may say more)"
        raise EnvironmentFault(problem, where=str(path), hint=hint)


def load_arrays(
    path: Path,
    expected: Expected | None = None,
    *,
    most_bytes: int | None = None,
    allow_nonfinite: bool = False,
    keep: bool = True,
) -> Loaded:
    """Return the arrays and the description that `save_arrays` wrote to `path`.

    Args:
        path: The file; it is read once, and what was read is what is verified.
        expected: Name -> (shape, dtype) of every array there has to be.
        most_bytes: Of all arrays together; left out, only the size of the file is a bound.
        allow_nonfinite: Also return arrays that contain NaN or infinity, to inspect them.
        keep: Whether to return the arrays; otherwise the file is verified in the memory of one piece.

    Raises:
        VerificationError: The file is missing, not ours, of another format, or changed since it was written; or its
            arrays are not those expected (every difference is listed), too large, or not finite.
        EnvironmentFault: A file cannot be read.
    """
    where = str(path)
    with opened(path) as descriptor, reported("read", path):
        try:
            header = Header.read(descriptor)
            _check_format(header.texts, where)
            description = _object(header.texts.get("description", ""), path)
            if expected is not None and (differences := _differences(header.shapes, expected)):
                raise VerificationError(f"does not fit this network: {'; '.join(differences)}", where=where)
            if most_bytes is not None and header.data_bytes > most_bytes:
                problem = f"contains {header.data_bytes:,} bytes of arrays, expected at most {most_bytes:,}"
                raise VerificationError(problem, where=where, hint=_ANOTHER_COPY)
            arrays, broken = _read_arrays(descriptor, header, where, keep=keep)
        except ValueError as fault:
            raise VerificationError(f"cannot be loaded: {fault}", where=where, hint=_ANOTHER_COPY) from fault
    if broken and not allow_nonfinite:
        raise VerificationError(f"contains NaN or infinity in {', '.join(sorted(broken))}", where=where, hint=_TO_LOOK)
    return arrays, description


def list_differences(arrays: Arrays, expected: Expected) -> list[str]:
    """Return one sentence for each array that is missing, unexpected, or of another shape or dtype, by name.

    Example:
        >>> list_differences({"U": np.eye(2), "V": np.eye(2)}, {"U": ((3, 3), "float32"), "W": ((2, 2), "float64")})
        ['U is (2, 2) float64, expected (3, 3) float32', 'V is unexpected', 'W is missing']
    """
    return _differences({name: (array.shape, array.dtype) for name, array in arrays.items()}, expected)


def _differences(found: Expected, expected: Expected) -> list[str]:
    wanted = {name: (tuple(shape), np.dtype(dtype)) for name, (shape, dtype) in expected.items()}
    return [
        f"{name} {_difference(found.get(name), wanted.get(name))}"
        for name in sorted(found.keys() | wanted.keys())
        if found.get(name) != wanted.get(name)
    ]


def _difference(found: tuple[Any, Any] | None, wanted: tuple[Any, Any] | None) -> str:
    if found is None:
        return "is missing"
    if wanted is None:
        return "is unexpected"
    return f"is {found[0]} {found[1]}, expected {wanted[0]} {wanted[1]}"


def _object(description: str, path: Path) -> dict[str, Any]:
    value = parse(description.encode(), path)
    if not isinstance(value, dict):
        raise VerificationError("has a description that is not an object", where=str(path))
    return value


def _check_format(texts: Mapping[str, str], where: str) -> None:
    written = texts.get("format")
    if written is None:
        raise VerificationError("is a safetensors file, but not one that rnnlab wrote", where=where)
    if written != FORMAT:
        problem = f"is written in the format {written!r}, this rnnlab reads {FORMAT!r}"
        raise VerificationError(problem, where=where, hint="use the version of rnnlab that wrote it")


def _read_arrays(
    descriptor: int, header: Header, where: str, *, keep: bool
) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Return the arrays, if they are to be kept, and the names of those that are not finite; all are verified."""
    sha256 = header.texts.get("sha256", "")
    digest = _digest_of(header.raw, sha256.encode())
    arrays, broken = {}, []
    for name, (shape, dtype) in header.shapes.items():
        count = math.prod(shape)
        flat: NDArray[Any] = np.empty(count if keep else min(count, _PIECE // dtype.itemsize), dtype)
        is_finite = True
        for piece in _places(flat, count):
            _fill(descriptor, piece)
            digest.update(piece.data)
            is_finite = is_finite and bool(np.isfinite(piece).all())
        if not is_finite:
            broken.append(name)
        if keep:
            arrays[name] = flat.reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    if digest.hexdigest() != sha256:
        raise VerificationError(CHANGED, where=where, hint=_ANOTHER_COPY)
    return arrays, broken


def _places(flat: NDArray[Any], count: int) -> Iterator[NDArray[Any]]:
    """Yield places for `count` numbers, one after the other; in a `flat` that is shorter, the same again and again."""
    most = _PIECE // flat.dtype.itemsize
    for start in range(0, count, most):
        place = start if flat.size == count else 0
        yield flat[place : place + min(most, count - start)]


def _fill(descriptor: int, piece: NDArray[Any]) -> None:
    rest = piece.view(np.uint8).data
    while rest:
        if not (data := disk.read(descriptor, len(rest))):
            raise ValueError("it became shorter while it was read")
        rest[: len(data)] = data
        rest = rest[len(data) :]
