"""A stored config as plain data, read fast: without positions, but with the bounds of `yaml.parse`."""

import math
from typing import Any, final

import yaml

from rnnlab.config.errors import shortened
from rnnlab.config.yaml import LONGEST_TEXT, MOST_DIGITS, MOST_LEVELS, MOST_VALUES, SCALARS, YAML
from rnnlab.core.errors import VerificationError


def read_plain(text: str) -> dict[str, Any]:
    """Return the mapping in YAML that `dump_yaml` wrote: ten times as fast as `parse`, without positions.

    What a scalar means, and the bounds, are those of `parse`.

    Raises:
        VerificationError: It is not YAML, or not a mapping of such values; `where` is left to the caller.
    """
    try:
        data = yaml.load(text, _Loader)  # noqa: S506
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = str(getattr(error, "problem", None) or error)
        at = f" in line {mark.line + 1}" if mark else ""
        raise VerificationError(f"invalid YAML{at}: {shortened(' '.join(problem.split()))}") from None
    if not isinstance(data, dict):
        raise VerificationError("is not the config of a run")
    require_bounds(data)
    return data


def require_bounds(value: Any, *, level: int = 0, values: int = 0) -> int:
    """Pass if a value is as large, deep and long as a config may be, and safe to format; return its number of values.

    An alias is counted each time, so its size is bounded too.

    Raises:
        VerificationError: It is not; `where` is left to the caller.
    """
    values += 1
    if level > MOST_LEVELS or values > MOST_VALUES:
        raise VerificationError(f"has more than {MOST_VALUES:,} values and keys, or {MOST_LEVELS} levels of nesting")
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str) or len(key) > LONGEST_TEXT:
                raise VerificationError(f"has a key that is not text, or too long: {shortened(str(key))}")
            values = require_bounds(inner, level=level + 1, values=values + 1)
    elif isinstance(value, list):
        for inner in value:
            values = require_bounds(inner, level=level + 1, values=values)
    elif (
        (isinstance(value, str) and len(value) > LONGEST_TEXT)
        or (isinstance(value, int) and abs(value) >= 10**MOST_DIGITS)
        or (isinstance(value, float) and not math.isfinite(value))
    ):
        raise VerificationError(f"has a value out of bounds: {shortened(repr(value)[:100])}")
    return values


@final
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Constructs what is in JSON too, and nothing else."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012
    yaml_constructors = {  # noqa: RUF012
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in {"null", "bool", "int", "float", "str", "seq", "map"}
    }

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge nothing: a few lines of merges could be gigabytes."""


for _name, (_pattern, _first) in SCALARS.items():
    _Loader.add_implicit_resolver(YAML + _name, _pattern, _first)
