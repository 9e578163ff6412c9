"""Names of metrics: what a user may call them, and which way is better."""

from collections.abc import Sequence

from rnnlab.core.errors import UsageError
from rnnlab.core.registry import nearest
from rnnlab.core.text import visible
from rnnlab.runs.run import Run

DEFAULT = "validation/loss"
_SCORE = "validation/"


def resolve_metric(results: Sequence[Run], asked: str | None) -> str:
    """Return the full name of the metric `asked`; a bare name is one of the validation metrics.

    Raises:
        UsageError: No run recorded it; the hint names the nearest.
    """
    if asked is None:
        return DEFAULT
    known = {DEFAULT, *(name for result in results for name in result.metrics())}
    for name in (asked, _SCORE + asked):
        if name in known:
            return name
    hint = nearest(asked, {name for full in known for name in (full, short_name(full))})
    raise UsageError(f"no run recorded the metric '{visible(asked[:100])}'", where="--metric", hint=hint)


def short_name(metric: str) -> str:
    """Return the name without `validation/`.

    Example:
        >>> short_name("validation/error_rate"), short_name("train/loss")
        ('error_rate', 'train/loss')
    """
    return metric.removeprefix(_SCORE)


def has_baseline(metric: str) -> bool:
    """Return whether the task's baseline, a loss, is a value of this metric."""
    return metric.rpartition("/")[2] == "loss"


def higher_is_better(metric: str) -> bool:
    """Return whether a higher value is better.

    Example:
        >>> higher_is_better("validation/bit_accuracy"), higher_is_better("train/loss")
        (True, False)
    """
    return metric.endswith("accuracy")
