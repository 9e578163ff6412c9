"""Named arrays in one safetensors file with a description and a checksum.

Any reader of safetensors reads it. Three texts in its metadata are ours:

    format       rnnlab-arrays/1
    sha256       SHA-256 over the format, the description, and each array's name, dtype, shape and bytes
    description  JSON: all that defines the function the arrays belong to (cell, activations, shapes, run, step)

Arrays and JSON only: nothing in such a file can run code.

Source: the safetensors README, "Format": eight bytes of header length, a JSON header, the arrays without holes.
Differs: safetensors keeps no checksum, so a flipped bit in an array would load without an error; and its own writer
orders the metadata by chance, where equal content gives equal bytes here.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from safetensors import SafetensorError, deserialize

from rnnlab.core.errors import EnvironmentFault, VerificationError
from rnnlab.storage.files import always, write_atomic
from rnnlab.storage.jsonfile import decode as decode_json
from rnnlab.storage.jsonfile import parse
from rnnlab.storage.reading import kind, read_bytes

Arrays = Mapping[str, NDArray[Any]]
Expected = Mapping[str, tuple[tuple[int, ...], DTypeLike]]
Loaded = tuple[dict[str, NDArray[Any]], dict[str, Any]]  # the arrays, their description

FORMAT = "rnnlab-arrays/1"
LIMIT = 1 << 32  # bytes of one file

_ANOTHER_COPY = "use another copy of the file"
_TO_LOOK = "`rnnlab export RUN --format npz --allow-nonfinite` writes them all the same, to look at"

_CODES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
_OTHER_KINDS = {b"PK": "a zip (npz or .keras)", b"\x89HDF": "HDF5", b"\x93NUMPY": "npy", b"\x80": "a pickle"}


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
    digest = _digest(arrays, text)
    data = encode(arrays, {"format": FORMAT, "sha256": digest, "description": text})
    write_atomic(path, data, guard=guard)
    if read_back:
        _require_written(path, data)
    return digest


def _require_written(path: Path, data: bytes) -> None:
    if read_bytes(path, LIMIT) != data:
        problem, hint = "reads differently from what was written", "check the disk (its log may say more)"
        raise EnvironmentFault(problem, where=str(path), hint=hint)


def load_arrays(path: Path, expected: Expected | None = None, *, allow_nonfinite: bool = False) -> Loaded:
    """Return the arrays and the description that `save_arrays` wrote to `path`.

    Args:
        path: The file; it is read once, and what was read is what is verified.
        expected: Name -> (shape, dtype) of every array there has to be.
        allow_nonfinite: Also return arrays that contain NaN or infinity, to inspect them.

    Raises:
        VerificationError: The file is missing, not ours, of another format, or changed since it was written; or its
            arrays are not those expected (every difference is listed), or not finite.
        EnvironmentFault: A file cannot be read.
    """
    arrays, description = _verified(read_bytes(path, LIMIT), path)
    differences = [] if expected is None else list_differences(arrays, expected)
    if differences:
        raise VerificationError(f"does not fit this network: {'; '.join(differences)}", where=str(path))
    broken = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if broken and not allow_nonfinite:
        problem = f"contains NaN or infinity in {', '.join(sorted(broken))}"
        raise VerificationError(problem, where=str(path), hint=_TO_LOOK)
    return arrays, description


def list_differences(arrays: Arrays, expected: Expected) -> list[str]:
    """Return one sentence for each array that is missing, unexpected, or of another shape or dtype, by name.

    Example:
        >>> list_differences({"U": np.eye(2), "V": np.eye(2)}, {"U": ((3, 3), "float32"), "W": ((2, 2), "float64")})
        ['U is (2, 2) float64, expected (3, 3) float32', 'V is unexpected', 'W is missing']
    """
    found = {name: (array.shape, array.dtype) for name, array in arrays.items()}
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


def _verified(data: bytes, path: Path) -> Loaded:
    where = str(path)
    try:
        arrays, texts = decode(data)
    except ValueError as fault:
        raise VerificationError(f"cannot be loaded: {fault}", where=where, hint=_ANOTHER_COPY) from fault
    _check_format(texts, where)
    description = texts.get("description", "")
    if texts.get("sha256") != _digest(arrays, description):
        problem = "was changed since it was written: its content does not match its SHA-256"
        raise VerificationError(problem, where=where, hint=_ANOTHER_COPY)
    return arrays, _object(description, path)


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


def _digest(arrays: Arrays, description: str) -> str:
    ordered = [(name, little_endian(array)) for name, array in sorted(arrays.items())]
    outline = [FORMAT, description, [[name, array.dtype.str, array.shape] for name, array in ordered]]
    digest = hashlib.sha256(json.dumps(outline).encode())
    for _, array in ordered:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def encode(arrays: Mapping[str, NDArray[Any]], texts: Mapping[str, str]) -> bytes:
    """Return the file of `arrays` (any shape, little-endian in the file) and `texts`.

    Raises:
        TypeError: An array's dtype is not one of float, integer or bool of at most 64 bits.

    Example:
        >>> encode({"b": np.zeros(1, np.float32)}, {})[8:].rstrip(bytes(4))
        b'{"__metadata__":{},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    """
    header: dict[str, Any] = {"__metadata__": dict(texts)}
    pieces: list[Any] = []
    end = 0
    # Widest first, so that every array starts at a multiple of its item size.
    for name, array in sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        code = _code(array)
        # The array's own bytes, not a copy: `join` makes the only one.
        piece = np.ascontiguousarray(little_endian(array)).reshape(-1).view(np.uint8)
        offsets = [end, end := end + piece.size]
        header[name] = {"dtype": code, "shape": array.shape, "data_offsets": offsets}
        pieces.append(piece)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *pieces])


def decode(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Return the arrays (fresh, writable, native byte order) and the texts of a file.

    Nothing is allocated for what the header claims before the claim is checked against the size of `data`.

    Raises:
        ValueError: `data` is no whole safetensors file, or has a dtype that `encode` does not write.

    Example:
        >>> arrays, texts = decode(encode({"W": np.eye(2)}, {"cell": "simple"}))
        >>> arrays["W"].tolist(), texts
        ([[1.0, 0.0], [0.0, 1.0]], {'cell': 'simple'})
    """
    texts = _header(data).get("__metadata__") or {}
    try:
        arrays = {name: _array(name, **tensor) for name, tensor in deserialize(data)}  # type: ignore[no-untyped-call]
    except SafetensorError as fault:
        raise ValueError(f"it is cut, extended or changed ({fault})") from fault
    return arrays, texts


def little_endian(array: NDArray[Any]) -> NDArray[Any]:
    """Return `array` in the byte order of the file."""
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _code(array: NDArray[Any]) -> str:
    for code, dtype in _CODES.items():
        if little_endian(array).dtype == np.dtype(dtype):
            return code
    raise TypeError(f"an array of dtype {array.dtype} cannot be stored")


def _array(name: str, *, dtype: str, shape: list[int], data: bytearray) -> NDArray[Any]:
    if dtype not in _CODES:
        raise ValueError(f"array {name!r} has dtype {dtype}, known are {', '.join(_CODES)}")
    array: NDArray[Any] = np.frombuffer(data, dtype=_CODES[dtype]).reshape(shape)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _header(data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:8], "little")
    try:
        # A length beyond the end only takes what there is, and safetensors checks it against the size afterwards.
        header = decode_json(data[8 : 8 + length])
    except (ValueError, RecursionError) as fault:
        raise ValueError(_not_ours(data)) from fault
    if not isinstance(header, dict):
        raise ValueError(_not_ours(data))
    return header


def _not_ours(data: bytes) -> str:
    kind = next((kind for start, kind in _OTHER_KINDS.items() if data.startswith(start)), None)
    if kind:
        return f"it looks like {kind}; rnnlab reads safetensors only"
    return f"its {len(data):,} bytes are not a whole safetensors file"
