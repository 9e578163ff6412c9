"""Statistics over seeds, thin over SciPy: the same numbers every time, and none where too little is known."""

from rnnlab.comparison.statistics.differences import Difference, compare_counts, compare_matched, compare_values
from rnnlab.comparison.statistics.holm import holm
from rnnlab.comparison.statistics.intervals import Interval, bootstrap, wilson
from rnnlab.comparison.statistics.survival import compare_times, median_time

__all__ = [
    "Difference",
    "Interval",
    "bootstrap",
    "compare_counts",
    "compare_matched",
    "compare_times",
    "compare_values",
    "holm",
    "median_time",
    "wilson",
]
