"""How long the rest of a row will take."""

from rnnlab.reproduction.results import OPEN, Result

_WORKERS = 2  # with which `minutes` of a row was measured


def seconds_left(result: Result, *, workers: int) -> float | None:
    """Return the seconds until a row is finished, from the trials that ended here or from what it took elsewhere.

    Args:
        result: What it has reached so far.
        workers: Processes that train.

    Returns:
        About how many; None where that is not known.
    """
    left = result.planned - len(result.ended)
    if result.state not in OPEN or not left:
        return 0.0
    if result.ended and result.seconds:
        return result.seconds / len(result.ended) * left
    minutes = result.row.published.minutes
    return minutes and 60 * minutes * _WORKERS / min(workers, left) * left / result.planned
