"""Comparing runs: results, differences, groups and their statistics; nothing here prints or writes."""

from rnnlab.comparison.compare import Comparison, compare

__all__ = ["Comparison", "compare"]
