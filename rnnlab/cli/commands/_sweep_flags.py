"""The options that `rnnlab sweep run` and `rnnlab sweep resume` share."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, final

from rnnlab.cli.options import JsonOption, QuietOption, WorkersOption, flag, option, whole_number_to
from rnnlab.core.errors import UsageError
from rnnlab.sweeps.slurm.script import MOST, Request

_number = whole_number_to(MOST)


def _slurm(metavar: str, help: str, default: str | bool = True, **more: Any) -> Any:
    return option(metavar, help, default, rich_help_panel="With --slurm", **more)


@final
@dataclass(frozen=True, kw_only=True)
class Flags:
    """The options of `run` and `resume`: how the trials are trained, here or on a cluster."""

    workers: WorkersOption = None
    timeout: Annotated[
        float | None, option("SECONDS", "Save a trial that takes longer, and count it failed.", min=0.001)
    ] = None
    fail_fast: Annotated[
        bool, flag("--fail-fast/--keep-going", "Stop at the first failed trial, or train the others.")
    ] = False
    slurm: Annotated[bool, flag("--slurm", "Submit the trials to Slurm, and return.")] = False
    partition: Annotated[str | None, _slurm("NAME", "Partition.")] = None
    time: Annotated[str | None, _slurm("LIMIT", "Time limit per job, as 2:00:00; longer trials are requeued.")] = None
    cpus: Annotated[int | None, _slurm("N", "CPUs per trial.", "1", parser=_number)] = None
    mem: Annotated[str | None, _slurm("SIZE", "Memory per job, as 2G.")] = None
    account: Annotated[str | None, _slurm("NAME", "Account to charge.")] = None
    array_limit: Annotated[int | None, _slurm("N", "How many trials may run at once.", parser=_number)] = None
    extra: Annotated[list[str] | None, _slurm("'#SBATCH …'", "Another line of the script. Repeatable.", False)] = None
    json: JsonOption = False
    quiet: QuietOption = False

    def request(self, *, slurm: bool) -> Request | None:
        """Return the resources requested per job, None if none is; they are for trials that are submitted.

        Raises:
            UsageError: An option is invalid, or not for where the trials are trained.
        """
        given = {name: value for name in Request.model_fields if (value := getattr(self, name))}
        if given and not slurm:
            option = f"--{next(iter(given)).replace('_', '-')}"
            raise UsageError("is for jobs on a cluster", where=option, hint="add --slurm")
        if slurm and self.workers is not None:
            raise UsageError("is for this machine", where="--workers", hint="with --slurm use --array-limit")
        return Request(**{**given, "extra": tuple(self.extra or ())}).check() if given else None


def with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with an option for each field of `Flags`, which it gets as its first parameter."""
    _, *own = inspect.signature(command).parameters.values()
    fields = inspect.signature(Flags).parameters

    @wraps(command)
    def wrapped(**given: Any) -> None:
        flags = Flags(**{name: given.pop(name) for name in fields})
        command(flags, **given)

    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*own, *fields.values())]
    vars(wrapped)["__signature__"] = inspect.Signature(parameters)
    return wrapped
