"""Reading runs beside each other: results, differences, groups and their statistics; nothing here prints or writes."""

from rnnlab.comparison.compare import Comparison, compare
from rnnlab.runs.many import Damaged

__all__ = ["Comparison", "Damaged", "compare"]
