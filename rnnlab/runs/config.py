"""The complete config of a stored run, by dotted key: `resolved.yaml` as plain data."""

from collections.abc import Iterator, Mapping
from typing import Any

from rnnlab.config.yaml import read_plain
from rnnlab.core.errors import VerificationError
from rnnlab.storage.folder import RunFolder


def read_config(folder: RunFolder) -> dict[str, Any]:
    """Return dotted key -> value, in the order of the file; a list is one value.

    Raises:
        VerificationError: The file is missing or damaged.
    """
    path, text = folder.path / "resolved.yaml", folder.read_resolved()
    try:
        data = read_plain(text)
    except VerificationError as fault:
        raise VerificationError(fault.problem, where=str(path)) from fault
    if not isinstance(data, dict):
        raise VerificationError("is not the config of a run", where=str(path))
    return dict(flatten(data))


def flatten(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value with its dotted key.

    Example:
        >>> dict(flatten({"cell": {"type": "carry", "units": 8}, "shape": {"timesteps": [20, 24]}}))
        {'cell.type': 'carry', 'cell.units': 8, 'shape.timesteps': [20, 24]}
    """
    for key, value in data.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
