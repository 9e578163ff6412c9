"""Reading runs beside each other: results, differences, groups and their statistics; nothing here prints or writes."""

from rnnlab.analysis.compare import Comparison, compare
from rnnlab.analysis.result import Damaged, Result, read_result

__all__ = ["Comparison", "Damaged", "Result", "compare", "read_result"]
