"""Statistics over seeds: exact or by a closed formula, so the same numbers every time, and none where there is no data.

They need no SciPy, whose import takes longer than a whole comparison; the tests compare each of them with SciPy.
"""

from rnnlab.comparison.statistics.differences import (
    Difference,
    compare_counts,
    compare_matched,
    compare_times,
    compare_values,
    holm,
    smallest_p,
)
from rnnlab.comparison.statistics.estimates import (
    Interval,
    Times,
    bootstrap,
    interquartile_mean,
    median,
    median_time,
    wilson,
)

__all__ = [
    "Difference",
    "Interval",
    "Times",
    "bootstrap",
    "compare_counts",
    "compare_matched",
    "compare_times",
    "compare_values",
    "holm",
    "interquartile_mean",
    "median",
    "median_time",
    "smallest_p",
    "wilson",
]
