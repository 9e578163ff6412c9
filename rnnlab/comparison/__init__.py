"""Reading runs beside each other: results, differences, groups and their statistics; nothing here prints or writes."""

from rnnlab.comparison.compare import Comparison, compare
from rnnlab.comparison.result import Damaged, Result, read_result

__all__ = ["Comparison", "Damaged", "Result", "compare", "read_result"]
