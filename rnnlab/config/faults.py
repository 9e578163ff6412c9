"""The faults of a config, raised together."""

from typing import Self, final

from rnnlab.config.marks import KeyPath, Mark, place
from rnnlab.core.errors import ConfigError, UsageError

MOST_SHOWN = 20


@final
class Misread(UsageError):
    """A fault of one value or key that leaves the rest of the text readable, so that the rest can be checked too.

    Attributes:
        mark: Where it stands.
        path: The value that is not to be used.
    """

    mark: Mark
    path: KeyPath

    @classmethod
    def at(cls, mark: Mark, path: KeyPath, *, problem: str, hint: str) -> Self:
        """Return the fault at `path`, which stands at `mark`."""
        fault = cls(problem, where=place(mark, path), hint=hint)
        fault.mark, fault.path = mark, path
        return fault


def raise_together(faults: list[UsageError]) -> None:
    """Raise all `faults` as one error; return if there are none.

    Raises:
        ConfigError: There is a fault. Beyond `MOST_SHOWN`, the rest is counted and not shown.

    Example:
        >>> raise_together([UsageError("wrong", where="x.yaml:1:1"), UsageError("worse", where="x.yaml:2:1")])
        Traceback (most recent call last):
            ...
        rnnlab.core.errors.ConfigError: x.yaml:1:1: wrong
        x.yaml:2:1: worse
    """
    if len(faults) > MOST_SHOWN:
        rest = UsageError(f"{len(faults) - MOST_SHOWN} more faults", hint="correct these first")
        raise ConfigError([*faults[:MOST_SHOWN], rest])
    if faults:
        raise ConfigError(faults)
