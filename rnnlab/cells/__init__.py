"""The registry of cells: one file each."""

from rnnlab.core.registry import Registry

CELLS = Registry("rnnlab.cells", "CELL", "cell")
