"""Setting the values of a trial in what all trials share."""

from typing import Any

from rnnlab.config.quoting import kind
from rnnlab.core.errors import ConfigError, UsageError


def put(data: dict[str, Any], path: tuple[str, ...], value: Any, *, where: str) -> None:
    """Set what stands at a dotted key, given in parts.

    Raises:
        ConfigError: Something on the way there holds no keys.
    """
    holder = data
    for length, key in enumerate(path[:-1], start=1):
        if holder.get(key) is None:
            holder[key] = {}
        if not isinstance(holder[key], dict):
            at = ".".join(path[:length])
            hint = f"write `{at}:` as a mapping with `type`, or make all of it the axis"
            raise ConfigError([UsageError(f"{at} is {kind(holder[key])} and holds no keys", where=where, hint=hint)])
        holder = holder[key]
    holder[path[-1]] = value


def settle_shards(data: dict[str, Any]) -> None:
    """Let each trial have one processor, unless the config says otherwise."""
    numpy = data.setdefault("numpy", {})
    if data.get("backend", "numpy") == "numpy" and isinstance(numpy, dict):
        numpy.setdefault("shards", 1)
