"""The registry of cells: one file each, and those in files that a config names by path."""

from operator import attrgetter
from typing import Any

from rnnlab.cells.base import AbstractCell, CellOptions
from rnnlab.core.code_files import CodeFile
from rnnlab.core.own_classes import OwnClasses
from rnnlab.core.registry import Registry
from rnnlab.core.text import own_paragraphs


def _check(kind: type) -> None:
    states = getattr(kind, "states", None)
    if not (isinstance(states, tuple) and states and all(isinstance(one, str) for one in states)):
        raise TypeError(f'{kind.__name__} has no `states`, expected the names of its states: states = ("h",)')


def _defaults(kind: type, file: CodeFile) -> dict[str, Any]:
    return {"title": own_paragraphs(kind)[0], "source": str(file.path)}


def _check_named(name: str, kind: Any) -> None:
    _OWN.require(kind)
    if kind.name != name:
        raise ValueError(f"the cell is called {kind.name!r}")


_OWN = OwnClasses(AbstractCell, CellOptions, "rnnlab cells", _check, attrgetter("identity"), _defaults)
DEFAULT = "simple"  # the cell of a config that names none
CELLS = Registry("rnnlab.cells", "CELL", "cell", _check_named, _OWN.member)
