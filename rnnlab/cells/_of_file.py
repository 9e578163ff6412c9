"""A cell in a file that a config names by path: the class as it is written there, with a name and a type of its own."""

from functools import cache
from typing import Any, Literal

from rnnlab.cells.base import AbstractCell, CellOptions
from rnnlab.core.code_files import CodeFile, require_code_name
from rnnlab.core.errors import UsageError


def check_cell(kind: Any, name: str = "") -> None:
    """Pass if an object is a cell that can be configured, and is called `name` if that is given.

    Raises:
        TypeError, ValueError: It is not.
    """
    if not (isinstance(kind, type) and issubclass(kind, AbstractCell)):
        raise TypeError(f"{kind!r} is not a subclass of rnnlab.cells.base.AbstractCell")
    if missing := sorted(kind.__abstractmethods__):
        raise TypeError(f"{kind.__name__} has no {' and no '.join(missing)}")
    states = getattr(kind, "states", None)
    if not (isinstance(states, tuple) and states and all(isinstance(one, str) for one in states)):
        raise TypeError(f'{kind.__name__} has no `states`, expected the names of its states: states = ("h",)')
    if not issubclass(getattr(kind, "Options", CellOptions), CellOptions):
        raise TypeError(f"{kind.__name__}.Options is not a subclass of rnnlab.cells.base.CellOptions")
    if name and kind.name != name:
        raise ValueError(f"the cell is called {kind.name!r}")


def cell_of_file(name: str, run: bool) -> type[AbstractCell] | None:
    """Return the cell in the file that a name names; without its equation if the file must not be run for it.

    Raises:
        UsageError: There is no such cell.
    """
    require_code_name(name)
    file = CodeFile.of(name)
    if file is None:
        return None
    return _own(file) if run or file.is_loaded else _unread(file)


@cache
def _own(file: CodeFile) -> type[AbstractCell]:
    kind = file.load()
    try:
        check_cell(kind)
    except TypeError as error:
        raise UsageError(str(error), where=str(file.path), hint="`rnnlab cells` has the cells to learn from") from error
    return _derived(file, kind, getattr(kind, "Options", CellOptions))


@cache
def _unread(file: CodeFile) -> type[AbstractCell]:
    return _derived(file, AbstractCell, _AnyOptions)  # type: ignore[type-abstract]


def _derived(file: CodeFile, kind: type[AbstractCell], options: type[CellOptions]) -> type[AbstractCell]:
    """Return the class with a name that no other file has, and with options whose type names the file."""
    text = str(file)
    of_options = {"__annotations__": {"type": Literal[text]}, "type": text, "__module__": __name__}
    own = {"name": file.identity, "Options": type("Options", (options,), of_options), "__module__": kind.__module__}
    default = {"title": file.name, "equations": "", "source": str(file.path)}
    missing = {key: value for key, value in default.items() if not hasattr(kind, key)}
    derived: type[AbstractCell] = type(file.name, (kind,), {**missing, **own})
    return derived


class _AnyOptions(CellOptions, extra="allow"):
    """Of a cell whose own options are not known here."""
