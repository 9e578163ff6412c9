"""The registry of tasks: one file per task, with all its named definitions."""

from typing import Any

from rnnlab.core.errors import UsageError
from rnnlab.core.registry import Registry, nearest
from rnnlab.tasks.base import AbstractTask


def _check(name: str, tasks: Any) -> None:
    """Check that a package outside rnnlab exports what a file in this folder exports: a tuple of tasks of its name."""
    for task in tasks:
        if not (isinstance(task, type) and issubclass(task, AbstractTask)):
            raise TypeError(f"{task!r} is not a task")
        if task.name.partition("@")[0] != name:
            raise ValueError(f"the task is called {task.name!r}")


TASKS = Registry("rnnlab.tasks", "TASKS", "task", _check)


def task_names() -> list[str]:
    """Return the full names of all definitions, e.g. `adding@urnn`; the default of each file comes first.

    Tasks that cannot be imported are left out; `TASKS.broken()` gives the errors.
    """
    return [task.name for tasks in TASKS.members().values() for task in tasks]


def task_class(name: str) -> type[AbstractTask]:
    """Return the task called `name`: a full name, or a plain one, which means the first definition of its file.

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
