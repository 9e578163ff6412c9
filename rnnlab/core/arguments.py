"""Arguments of functions that a script calls, checked by their values: a script has no types at run time."""

from collections.abc import Iterable
from typing import Any

from rnnlab.core.errors import UsageError
from rnnlab.core.registry import nearest


def got(value: object) -> str:
    """Return what a message says was given.

    Example:
        >>> got("x"), got(None), got(5), got([("a", 1)])
        ("'x'", 'None', '5', 'a list')
    """
    if value is None or isinstance(value, str | int | float):
        return repr(value)[:80]
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def require_one_of(argument: str, value: object, known: Iterable[str]) -> None:
    """Pass if `value` is one of the texts `known`.

    Example:
        >>> require_one_of("weights", "bets", ["best", "last"])
        Traceback (most recent call last):
            ...
        rnnlab.core.errors.UsageError: weights: got 'bets', expected one of best, last — did you mean 'best'?
    """
    names = list(known)
    if not isinstance(value, str) or value not in names:
        hint = nearest(value, names) if isinstance(value, str) else ""
        problem = f"got {got(value)}, expected one of {', '.join(names)}"
        raise UsageError(problem, where=argument, hint="" if hint.startswith("known") else hint)


def require_count(argument: str, value: Any) -> None:
    """Pass if `value` is a whole number of at least 1.

    Example:
        >>> require_count("workers", 0)
        Traceback (most recent call last):
            ...
        rnnlab.core.errors.UsageError: workers: got 0, expected a whole number of at least 1
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"got {got(value)}, expected a whole number of at least 1", where=argument)
