"""Named arrays and named texts as the bytes of a safetensors file; equal content gives equal bytes.

Source: the safetensors README, "Format": eight bytes of header length, a JSON header, the arrays without holes.
Differs: safetensors' own writer orders the metadata by chance; this one keeps the order it is given.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from rnnlab.storage.jsonfile import decode as decode_json

_CODES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
_OTHER_KINDS = {b"PK": "a zip (npz or .keras)", b"\x89HDF": "HDF5", b"\x93NUMPY": "npy", b"\x80": "a pickle"}


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
