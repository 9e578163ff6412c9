"""The layout of a file of arrays: eight bytes of length, a JSON header, the arrays without holes.

What a header claims is checked against the size of the file before anybody relies on it.

Source: the safetensors README, "Format".
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self, final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from rnnlab.core.options import Options
from rnnlab.storage.jsonfile import decode
from rnnlab.storage.reading import read_full

LIMIT = 1 << 23  # bytes of a header; enough for 50,000 arrays

_CODES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
_NAMES = {dtype: code for code, dtype in _CODES.items()}
_OTHER_KINDS = {b"PK": "a zip (npz or .keras)", b"\x89HDF": "HDF5", b"\x93NUMPY": "npy", b"\x80": "a pickle"}


def encode(arrays: Mapping[str, NDArray[Any]], texts: Mapping[str, str]) -> tuple[bytes, *tuple[Any, ...]]:
    """Return the file of `arrays` (any shape, little-endian in the file) and `texts`: the header, then the arrays.

    Raises:
        TypeError: An array's dtype is not one of float, integer or bool of at most 64 bits.

    Example:
        >>> header, piece = encode({"b": np.zeros(1, np.float32)}, {})
        >>> header[8:].rstrip(), len(piece)
        (b'{"__metadata__":{},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4)
    """
    header: dict[str, Any] = {"__metadata__": dict(texts)}
    pieces: list[Any] = []
    end = 0
    # Widest first, so that every array starts at a multiple of its item size.
    for name, array in sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        code = _code(array)
        # The array's own bytes, not a copy.
        piece = np.ascontiguousarray(_little_endian(array)).reshape(-1).view(np.uint8)
        offsets = [end, end := end + piece.size]
        header[name] = {"dtype": code, "shape": array.shape, "data_offsets": offsets}
        pieces.append(piece)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return (len(text).to_bytes(8, "little") + text, *pieces)


def _little_endian(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _code(array: NDArray[Any]) -> str:
    if code := _NAMES.get(_little_endian(array).dtype.str):
        return code
    raise TypeError(f"an array of dtype {array.dtype} cannot be stored")


@final
class Entry(Options):
    """An array in the header; the bounds are beyond what any file has."""

    dtype: str
    shape: list[Annotated[int, Field(ge=0, lt=1 << 48)]] = Field(max_length=8)
    data_offsets: list[Annotated[int, Field(ge=0, lt=1 << 48)]] = Field(min_length=2, max_length=2)


_LATER = ConfigDict(defer_build=True)
_ENTRIES = TypeAdapter(dict[str, Entry], config=_LATER)
_TEXTS = TypeAdapter(dict[str, str], config=_LATER)


@final
@dataclass(frozen=True)
class Header:
    """The header of a file.

    Attributes:
        raw: Its bytes, with the eight of its length.
        texts: The metadata.
        shapes: Shape and dtype of each array by name, in the order of the file.
        data_bytes: Of all arrays together.
    """

    raw: bytes
    texts: Mapping[str, str]
    shapes: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]
    data_bytes: int

    @classmethod
    def read(cls, descriptor: int) -> Self:
        """Read a header; it fits the size of the file.

        Raises:
            ValueError: It does not, is no header, or has a dtype that `encode` does not write.
            OSError: A system error.
        """
        size = os.fstat(descriptor).st_size
        raw = read_full(descriptor, 8)
        length = int.from_bytes(raw, "little")
        raw += read_full(descriptor, min(length, LIMIT))
        try:
            value = decode(raw[8:])
            texts = _TEXTS.validate_python(value.pop("__metadata__", {}))
        except (ValueError, RecursionError, AttributeError, TypeError) as fault:
            raise ValueError(_not_ours(raw, size)) from fault
        shapes, data_bytes = _shapes(value), size - 8 - length
        end = sum(math.prod(shape) * dtype.itemsize for shape, dtype in shapes.values())
        if end != data_bytes:
            raise ValueError(f"it is cut, extended or changed ({max(data_bytes, 0):,} bytes of arrays, not {end:,})")
        return cls(raw, texts, shapes, data_bytes)


def _shapes(value: Mapping[str, Any]) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Return the arrays that a header claims, if they follow each other without holes."""
    try:
        entries = _ENTRIES.validate_python(value)
    except ValidationError as fault:
        raise ValueError(f"it is cut, extended or changed ({fault.error_count()} faults in its header)") from fault
    end, shapes = 0, {}
    for name, entry in entries.items():
        if entry.dtype not in _CODES:
            raise ValueError(f"array {name!r} has dtype {entry.dtype}, known are {', '.join(_CODES)}")
        shape, dtype = tuple(entry.shape), np.dtype(_CODES[entry.dtype])
        begin, end = end, end + math.prod(shape) * dtype.itemsize
        if entry.data_offsets != [begin, end]:
            raise ValueError(f"it is cut, extended or changed (array {name!r} is not at its place)")
        shapes[name] = shape, dtype
    return shapes


def _not_ours(start: bytes, size: int) -> str:
    kind = next((kind for mark, kind in _OTHER_KINDS.items() if start.startswith(mark)), None)
    if kind:
        return f"it looks like {kind}; rnnlab reads safetensors only"
    return f"its {size:,} bytes are not a whole safetensors file"
