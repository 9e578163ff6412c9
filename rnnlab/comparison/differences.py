"""What differs between the configs of runs."""

import json
from collections.abc import Sequence
from typing import Any

from rnnlab.runs.run import Run

_NAME = "name"
_MISSING = object()


def differences(results: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """Return dotted key -> name of a run -> value, for every key whose value is not the same in all runs.

    A run whose config lacks a key is not among that key's values. The name of a run differs trivially and is left out.
    """
    keys = dict.fromkeys(key for result in results for key in result.config if key != _NAME)
    return {
        key: {one.name: one.config[key] for one in results if key in one.config}
        for key in keys
        if len({_kind(one.config.get(key, _MISSING)) for one in results}) > 1
    }


def _kind(value: Any) -> Any:
    # With its type, because to Python 1, 1.0 and True are equal; lists and mappings as JSON.
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else (type(value), value)
