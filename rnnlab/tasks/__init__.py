"""The shelf of tasks: one file each, named variants inside."""

from typing import Any

from rnnlab.core.errors import UsageError
from rnnlab.core.registry import Registry, nearest
from rnnlab.tasks.base import AbstractTask


def _check(name: str, tasks: Any) -> None:
    """Pass if a package outside rnnlab gives what a file in this folder gives: a tuple of tasks that bear its name."""
    for task in tasks:
        if not (isinstance(task, type) and issubclass(task, AbstractTask)):
            raise TypeError(f"{task!r} is no task")
        if task.name.partition("@")[0] != name:
            raise ValueError(f"the task is called {task.name!r}")


TASKS = Registry("rnnlab.tasks", "TASKS", "task", _check)


def task_names() -> list[str]:
    """Return the full names of all definitions, e.g. `adding@urnn`; the default of each file comes first.

    Passed over is what cannot be imported: `TASKS.broken()` tells why.
    """
    return [task.name for tasks in TASKS.members().values() for task in tasks]


def task_class(name: str) -> type[AbstractTask]:
    """Return the task called `name`: a full name, or a plain one that means its file's first definition.

    Raises:
        UsageError: There is no such task or definition; the hint names the nearest.

    Example:
        >>> task_class("adding").name
        'adding@urnn'
    """
    stem, _, variant = name.partition("@")
    if stem not in TASKS.names():
        raise UsageError(f"unknown task {name!r}", hint=nearest(name, [*TASKS.names(), *task_names()]))
    members: tuple[type[AbstractTask], ...] = TASKS.get(stem)
    for member in members:
        if not variant or member.name == name:
            return member
    raise UsageError(f"unknown definition {name!r}", hint=nearest(name, [member.name for member in members]))
