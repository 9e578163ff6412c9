"""Named arrays in one safetensors file with a description and a checksum.

Any reader of safetensors reads it. Three texts in its metadata are ours:

    format       rnnlab-arrays/1
    sha256       SHA-256 over the format, the description, and each array's name, dtype, shape and bytes
    description  JSON: all that defines the function the arrays belong to (cell, activations, shapes, run, step)

Arrays and JSON only: nothing in such a file can run code.

Differs: safetensors keeps no checksum, and a flipped bit in an array would load without a word.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnlab.core.errors import VerificationError
from rnnlab.storage.files import write_atomic
from rnnlab.storage.jsonfile import parse
from rnnlab.storage.reading import kind, read_bytes, require_content
from rnnlab.storage.tensorfile import decode, encode, little_endian

Arrays = Mapping[str, NDArray[Any]]
Expected = Mapping[str, tuple[tuple[int, ...], DTypeLike]]
Loaded = tuple[dict[str, NDArray[Any]], dict[str, Any]]  # the arrays, their description

FORMAT = "rnnlab-arrays/1"
LIMIT = 1 << 32  # bytes of one file

_ANOTHER_COPY = "use another copy of the file"
_TO_LOOK = "`rnnlab export RUN --format npz --allow-nonfinite` writes them all the same, to look at"


def save_arrays(path: Path, arrays: Arrays, description: Mapping[str, Any], *, read_back: bool = False) -> str:
    """Write `arrays` with their `description` to `path` atomically, and return their SHA-256 (64 hex digits).

    Args:
        path: The file.
        arrays: Any shape; floats, integers and bools.
        description: JSON data.
        read_back: Also read the file again and compare it with what was to be written.

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
    write_atomic(path, data)
    if read_back:
        require_content(path, data)
    return digest


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
