"""The errors a user may see: where, what was got, what was expected, what to do next.

Each class is one row of the exit-code table. Anything that is not an `RnnlabError` is a bug in rnnlab (exit code 1).
"""

from typing import ClassVar, Self

from rnnlab.core.text import visible


class RnnlabError(Exception):
    """An error with a message for the user; abstract, raise one of the classes below.

    Args:
        problem: What was got and what was expected, one sentence, no full stop needed.
        where: The place: `file:line:column key`, or a path. Empty when the command line itself is the place.
        hint: What to do next: a real command, flag or nearest known name.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "E_BUG"

    def __init__(self, problem: str, *, where: str = "", hint: str = "") -> None:
        # The one place: whatever text from users and files a message contains, it can be shown.
        self.problem, self.where, self.hint = map(visible, (problem, where, hint))
        place = f"{self.where}: " if self.where else ""
        super().__init__(f"{place}{self.problem}" + (f" — {self.hint}" if hint else ""))


class UsageError(RnnlabError):
    """The command line asks for something that cannot be; nothing was created."""

    exit_code = 2
    code = "E_USAGE"


class ConfigError(RnnlabError):
    """The config cannot be used; nothing was created.

    Args:
        faults: Every fault found, in file order; each is an `RnnlabError` of its own with `where` filled in.
    """

    exit_code = 2
    code = "E_CONFIG"

    def __init__(self, faults: "list[UsageError]") -> None:
        self.faults = faults
        super().__init__("")
        self.problem = "\n".join(map(str, faults))  # one line per fault, each escaped by itself
        self.args = (self.problem,)

    def __reduce__(self) -> tuple[type[Self], tuple[list[UsageError]]]:
        # By default an exception is rebuilt from its message, so it could not travel between processes.
        return type(self), (self.faults,)


class RunNotFoundError(RnnlabError):
    """No such run, not a run folder, or a name that fits several runs."""

    exit_code = 3
    code = "E_RUN"


class VerificationError(RnnlabError):
    """Stored data are not what they should be: cut, changed, or made for another network."""

    exit_code = 4
    code = "E_DATA"


class EnvironmentFault(RnnlabError):
    """The machine says no: space, permission, memory, a missing package."""

    exit_code = 5
    code = "E_ENVIRONMENT"


class RunLockedError(RnnlabError):
    """A live process is training this run."""

    exit_code = 6
    code = "E_LOCKED"


class StoppedError(RnnlabError):
    """Training was asked to stop, by a signal or its time budget; its state is saved, and it can be resumed."""

    exit_code = 75
    code = "E_STOPPED"


class DivergedError(RnnlabError):
    """Training met a loss that is not finite."""

    exit_code = 7
    code = "E_DIVERGED"


class ConditionError(RnnlabError):
    """A condition that was set for the result is met: `compare --fail-if`."""

    exit_code = 9
    code = "E_CONDITION"


class TrialsFailedError(RnnlabError):
    """Of a sweep's trials some failed or diverged; the others are done."""

    exit_code = 8
    code = "E_TRIALS"
