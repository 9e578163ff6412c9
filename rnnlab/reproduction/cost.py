"""How long rows will take here: the printed number of sequences at a measured speed."""

from collections.abc import Mapping, Sequence
from math import ceil

from rnnlab.reproduction.published import SEQUENCES
from rnnlab.reproduction.results import OPEN, Result
from rnnlab.reproduction.rows import Row
from rnnlab.sweeps.estimate import step_seconds, with_evaluations
from rnnlab.sweeps.populations import most_at_once


def seconds_left(results: Sequence[Result], *, workers: int, within: float) -> Mapping[str, float | None]:
    """Return the estimated seconds until each row is finished, by its name; None on Keras.

    A row that compares numbers of sequences is expected to take the printed ones, any other row its limit of steps.

    Args:
        results: What the rows have reached so far; what is finished takes no time.
        workers: Processes that train.
        within: Seconds for measurements; the time of rows that are not measured follows from their operations.
    """
    open_ = [one for one in results if one.state in OPEN]
    found: dict[str, float | None] = {one.row.title: 0.0 for one in results}
    found |= {one.row.title: None for one in open_}
    known = [one for one in open_ if one.row.example.backend == "numpy"]
    if not known:
        return found
    experiments = [one.row.example for one in known]
    together = [_together(one.row, workers) for one in known]
    each, _ = step_seconds(experiments, together=together, within=within)
    for result, seconds in zip(known, each, strict=True):
        left = result.planned - len(result.ended)
        found[result.row.title] = seconds * _steps(result.row) * left / min(workers, max(1, left))
    return found


def _together(row: Row, workers: int) -> int:
    each = ceil(len(row.checked.plan.trials) / workers)
    return max(1, min(each, most_at_once(row.example, row.checked.plan.options)))


def _steps(row: Row) -> float:
    """Return the expected steps of a trial, including its evaluations."""
    experiment, published = row.example, row.published
    limit = experiment.training.steps
    expected = published.value / experiment.training.batch_size if published.measure == SEQUENCES else limit
    return min(expected, limit) * with_evaluations(experiment) / limit
