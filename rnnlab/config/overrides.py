"""Changes to a config, from a script: texts as after `--set`, or a mapping."""

from collections.abc import Iterator, Mapping, Sequence
from json import dumps
from typing import Any

from rnnlab.config.errors import raise_all
from rnnlab.config.reading import plain_data
from rnnlab.core.errors import UsageError

Overrides = Sequence[str] | Mapping[str, Any]
_LEAVES = "sweep.axes."  # below which a key is a dotted key itself, and its value is one


def override_texts(overrides: Overrides) -> list[str]:
    """Return overrides as texts like those after `--set`.

    Args:
        overrides: Texts, or a mapping: of dotted keys, of mappings as in a config, or of both. Every value in it is one
            override, so `{"cell": {"units": 3}}` keeps the other keys of `cell`.

    Raises:
        ConfigError: A key or value of a mapping is nothing that YAML has.

    Example:
        >>> override_texts({"training.steps": 500, "cell": {"type": "lstm", "units": 3}, "shape.timesteps": (5, 9)})
        ['training.steps=500', 'cell.type="lstm"', 'cell.units=3', 'shape.timesteps=[5, 9]']
        >>> override_texts(["training.steps=500"])
        ['training.steps=500']
    """
    if isinstance(overrides, str):
        return [overrides]
    if not isinstance(overrides, Mapping):
        return list(overrides)
    errors: list[UsageError] = []
    plain = plain_data(overrides, (), source="overrides", errors=errors)
    raise_all(errors)
    return list(_texts(plain, ""))


def _texts(data: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, value in data.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value and not key.startswith(_LEAVES):
            yield from _texts(value, f"{key}.")
        else:
            yield f"{key}={dumps(value, ensure_ascii=False)}"
