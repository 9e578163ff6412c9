"""Names of metrics, and which direction is better."""

from collections.abc import Sequence
from functools import lru_cache

from rnnlab.core.errors import RnnlabError, UsageError
from rnnlab.core.registry import nearest
from rnnlab.runs.run import Run
from rnnlab.tasks import task_class

LOSS = "validation/loss"
_SCORE = "validation/"


def resolve_metric(runs: Sequence[Run], asked: str | None, *, option: str = "--metric") -> str:
    """Return the full name of the metric `asked`; a bare name is one of the validation metrics.

    Raises:
        UsageError: No run recorded it; the hint names the nearest.
    """
    if asked is None or asked in {LOSS, short_name(LOSS)}:
        return LOSS
    known: set[str] = {LOSS}
    for run in runs:
        known.update(run.metrics())
        for name in (asked, _SCORE + asked):
            if name in known:
                return name
    hint = nearest(asked, {name for full in known for name in (full, short_name(full))})
    raise UsageError(f"no run recorded the metric '{asked[:100]}'", where=option, hint=hint)


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


def higher_is_better(run: Run, metric: str) -> bool:
    """Return whether the run's task declares that a higher value of a metric is better."""
    return _is_maximised(str(run.config.get("task.type")), metric)


@lru_cache(maxsize=256)
def _is_maximised(task: str, metric: str) -> bool:
    try:
        return task_class(task).higher_is_better(metric)
    except RnnlabError:  # of a package that is not installed here
        return False
