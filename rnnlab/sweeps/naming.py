"""What a trial is called: its number, then its values, short and plain: `0007-carry-T50-seed3`."""

import re
from collections.abc import Mapping
from typing import Any

_LONGEST = 60
_DIGITS = 4  # and more where there are more trials than that
_SHORT = {
    "shape.timesteps": "T",
    "training.batch_size": "B",
    "cell.units": "H",
    "training.optimizer.learning_rate": "lr",
    # Their values say what they are.
    "backend": "", "engine": "", "precision": "", "cell": "", "task": "", "type": "", "optimizer": "",
    "schedule": "",
}  # fmt: skip


def trial_name(number: int, values: Mapping[str, Any], *, total: int) -> str:
    """Return the name of trial `number` of `total`.

    Example:
        >>> trial_name(7, {"cell.type": "carry", "shape.timesteps": 50, "seed": 3}, total=100)
        '0007-carry-T50-seed3'
        >>> trial_name(12, {"training.optimizer.learning_rate": 0.00012345, "task": "adding@urnn"}, total=20_000)
        '00012-lr0.000123-adding_urnn'
    """
    parts = [_short(key, value) for key, value in values.items()]
    head = f"{number:0{max(_DIGITS, len(str(total)))}d}"
    return "-".join([head, *filter(None, parts)])[:_LONGEST].rstrip("-._")


def _short(key: str, value: Any) -> str:
    last = key.rpartition(".")[2]
    return _SHORT.get(key, _SHORT.get(last, last)) + _text(value) if _text(value) else ""


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return _text(value["type"]) if isinstance(value.get("type"), str) else ""
    if isinstance(value, list):
        return "_".join(map(_text, value))
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return re.sub(r"[^A-Za-z0-9.-]+", "_", f"{value:.3g}" if isinstance(value, float) else str(value))
