"""Changes to a config, from a script: texts as after `--set`, or a mapping."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from json import dumps
from typing import Any

from rnnlab.config.errors import raise_all
from rnnlab.config.reading import plain_data
from rnnlab.core.arguments import got
from rnnlab.core.errors import UsageError

Overrides = Sequence[str] | Mapping[str, Any]
_LEAVES = "sweep.axes."  # below which a key is a dotted key itself, and its value is one


def override_texts(overrides: Overrides) -> list[str]:
    """Return overrides as texts like those after `--set`.

    Args:
        overrides: Texts, or a mapping: of dotted keys, of mappings as in a config, or of both. Every value in it is one
            override, so `{"cell": {"units": 3}}` keeps the other keys of `cell`.

    Raises:
        ConfigError: A key or value of a mapping is nothing that YAML has, or a key is given twice.
        UsageError: They are neither texts nor a mapping.

    Example:
        >>> override_texts({"training.steps": 500, "cell": {"type": "lstm", "units": 3}, "shape.timesteps": (5, 9)})
        ['training.steps=500', 'cell.type="lstm"', 'cell.units=3', 'shape.timesteps=[5, 9]']
        >>> override_texts(["training.steps=500"])
        ['training.steps=500']
    """
    if isinstance(overrides, str):
        return [overrides]
    if not isinstance(overrides, Mapping):
        is_list = isinstance(overrides, Sequence)
        if other := [one for one in overrides if not isinstance(one, str)] if is_list else [overrides]:
            given = f"{got(other[0])} in a list" if is_list else got(overrides)
            expected = 'a mapping, {"training.steps": 500}, or a list of texts, ["training.steps=500"]'
            raise UsageError(f"got {given}, expected {expected}", where="overrides")
        return list(overrides)
    errors: list[UsageError] = []
    plain = plain_data(overrides, (), source="overrides", errors=errors)
    texts = list(_texts(plain, "")) if not errors else []
    counts = Counter(text.partition("=")[0] for text in texts)
    twice = [key for key, count in counts.items() if count > 1]
    raise_all([*errors, *(UsageError("is given twice", where=f"overrides {key}") for key in twice)])
    return texts


def _texts(data: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, value in data.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value and not key.startswith(_LEAVES):
            yield from _texts(value, f"{key}.")
        else:
            yield f"{key}={dumps(value, ensure_ascii=False)}"
