"""Errors in a user's own Python file: what was raised, and in which line."""

import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from rnnlab.core.errors import UsageError

PREFIX = "rnnlab_file_"  # of the names of modules that are such files
_LONGEST = 300


def error_text(error: BaseException) -> str:
    """Return what was raised, on one line."""
    from pydantic import ValidationError

    text = str(error)
    if isinstance(error, ValidationError):
        text = "; ".join(_of_option(fault["loc"], fault["type"], fault["msg"]) for fault in error.errors())
    return f"{type(error).__name__}: {text}"[:_LONGEST]


def _of_option(keys: tuple[int | str, ...], kind: str, text: str) -> str:
    name = ".".join(map(str, keys))
    return f"the option {name} cannot be changed" if kind == "frozen_instance" else f"{name}: {text}"


def code_fault(error: BaseException) -> UsageError | None:
    """Return an error that has the line of a user's file in which `error` was raised; None if it was elsewhere."""
    lines = [
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).startswith(PREFIX)
    ]
    return UsageError(error_text(error), where=lines[-1], hint="fix this line") if lines else None


def fail_at(method: Callable[..., Any], problem: str, hint: str) -> NoReturn:
    """Raise an error that has the place of a method which does not what it must."""
    code = getattr(getattr(method, "__func__", method), "__code__", None)
    where = f"{code.co_filename}:{code.co_firstlineno}" if code else ""
    raise UsageError(f"`{method.__name__}` {problem}", where=where, hint=hint)


def kind_of(value: object) -> str:
    """Return the type of a value that is not of the type expected."""
    return "None" if value is None else f"a {type(value).__name__}"
