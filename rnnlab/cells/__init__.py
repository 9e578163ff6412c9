"""The registry of cells: one file each, and those in files that a config names by path."""

from typing import Any

from rnnlab.cells._of_file import cell_of_file, check_cell
from rnnlab.core.registry import Registry


def _check(name: str, kind: Any) -> None:
    check_cell(kind, name)


DEFAULT = "simple"  # the cell of a config that names none
CELLS = Registry("rnnlab.cells", "CELL", "cell", _check, cell_of_file)
