"""One record of the metrics in words, for the log and for a terminal that cannot redraw."""

from collections.abc import Mapping
from typing import Any

from rnnlab.storage.metrics import Value


def record_line(record: Mapping[str, Value]) -> str:
    """Return one line for a record, the same columns every time.

    Example:
        >>> record_line({"step": 200, "seconds": 1.5, "train/loss": 0.17, "validation/loss": 0.16, "validation/mae": 1})
        'step 200  1.5 s  train/loss 0.17  validation/loss 0.16  validation/mae 1'
    """
    skipped = {"step", "seconds", "sequences", "learning_rate"}
    head = [f"step {record['step']}", f"{record['seconds']:.1f} s"]
    return "  ".join(
        head
        + [
            f"{name} {_short(value)}"
            for name, value in record.items()
            if name not in skipped and not isinstance(value, list)
        ]
    )


def _short(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
