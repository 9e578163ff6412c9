"""The errors shown to users: where, what was given, what was expected, what to do.

Each class is one row of the exit-code table. Any other exception is a bug in rnnlab (exit code 1).
"""

from typing import ClassVar, Self

from rnnlab.core.text import visible


class RnnlabError(Exception):
    """An error with a message for the user; raise one of the classes below.

    Args:
        problem: What was given and what was expected, one sentence without a full stop.
        where: The place: `file:line:column key`, or a path; empty for the command line.
        hint: What to do: a command, an option or the nearest known name.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "E_BUG"

    def __init__(self, problem: str, *, where: str = "", hint: str = "") -> None:
        # The one place: whatever text from users and files a message contains, it can be shown.
        self.problem, self.where, self.hint = map(visible, (problem, where, hint))
        place = f"{self.where}: " if self.where else ""
        super().__init__(f"{place}{self.problem}" + (f" — {self.hint}" if hint else ""))


class UsageError(RnnlabError):
    """The command line is invalid; nothing was created."""

    exit_code, code = 2, "E_USAGE"


class ConfigError(RnnlabError):
    """The config cannot be used; nothing was created.

    Args:
        faults: Every fault found, in file order; each is an `RnnlabError` of its own with `where` filled in.
    """

    exit_code, code = 2, "E_CONFIG"

    def __init__(self, faults: "list[UsageError]") -> None:
        self.faults = faults
        super().__init__("")
        self.problem = "\n".join(map(str, faults))  # one line per fault, each escaped by itself
        self.args = (self.problem,)

    def __reduce__(self) -> tuple[type[Self], tuple[list[UsageError]]]:
        # By default an exception is rebuilt from its message, so it could not be sent to another process.
        return type(self), (self.faults,)


class RunNotFoundError(RnnlabError):
    """No such run, not a run folder, or a name that fits several runs."""

    exit_code, code = 3, "E_RUN"


class VerificationError(RnnlabError):
    """Stored data failed verification: cut off, changed, or made for another network."""

    exit_code, code = 4, "E_DATA"


class EnvironmentFault(RnnlabError):
    """A system error: disk full, permission denied, out of memory, a missing package."""

    exit_code, code = 5, "E_ENVIRONMENT"


class RunLockedError(RnnlabError):
    """Another process is training this run."""

    exit_code, code = 6, "E_LOCKED"


class StoppedError(RnnlabError):
    """Training stopped on a signal or at its time limit; its state is saved, and it can be resumed."""

    exit_code, code = 75, "E_STOPPED"


class DivergedError(RnnlabError):
    """The loss in training is not finite."""

    exit_code, code = 7, "E_DIVERGED"


class ConditionError(RnnlabError):
    """A condition of `compare --fail-if` is true."""

    exit_code, code = 9, "E_CONDITION"


class TrialsFailedError(RnnlabError):
    """Some trials of a sweep failed or diverged; the others are complete."""

    exit_code, code = 8, "E_TRIALS"
