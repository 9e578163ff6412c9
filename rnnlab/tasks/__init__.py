"""The registry of tasks: one file per task, with all its named definitions, and those that a config names by path."""

from typing import Any

from rnnlab.core.errors import UsageError
from rnnlab.core.own_classes import OwnClasses
from rnnlab.core.registry import Registry, nearest
from rnnlab.tasks.base import AbstractTask, TaskOptions


def _check(name: str, tasks: Any) -> None:
    """Check that a package outside rnnlab exports what a file in this folder exports: a tuple of tasks of its name."""
    for task in tasks:
        _OWN.require(task)
        if task.name.partition("@")[0] != name:
            raise ValueError(f"the task is called {task.name!r}")


_OWN = OwnClasses(AbstractTask, TaskOptions, "rnnlab tasks")
TASKS = Registry("rnnlab.tasks", "TASKS", "task", _check, _OWN.member)


def task_names() -> list[str]:
    """Return the full names of all definitions, e.g. `adding@urnn`; the default of each file comes first.

    Tasks that cannot be imported are left out; `TASKS.broken()` gives the errors.
    """
    return [task.name for tasks in TASKS.members().values() for task in tasks]


def task_class(name: str) -> type[AbstractTask]:
    """Return the task called `name`: a full name, a plain one, which means the first definition of its file, or a path.

    Raises:
        UsageError: There is no such task or definition; the hint names the nearest.

    Example:
        >>> task_class("adding").name
        'adding@urnn'
    """
    return _task(name, run=True)


def described_task(name: str) -> type[AbstractTask]:
    """Return what `task_class` returns; of a task in a file that was not yet imported, only what its name says."""
    return _task(name, run=False)


def _task(name: str, *, run: bool) -> type[AbstractTask]:
    if (own := _OWN.member(name, run)) is not None:
        found: type[AbstractTask] = own
        return found
    stem, _, variant = name.partition("@")
    if stem not in TASKS.names():
        raise UsageError(f"unknown task {name!r}", hint=nearest(name, [*TASKS.names(), *task_names()]))
    members: tuple[type[AbstractTask], ...] = TASKS.get(stem)
    for member in members:
        if not variant or member.name == name:
            return member
    raise UsageError(f"unknown definition {name!r}", hint=nearest(name, [member.name for member in members]))
