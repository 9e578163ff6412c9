"""Statistics over seeds: exact or by a closed formula, so the same numbers every time, and none where there is no data.

They need no SciPy, whose import takes longer than a whole comparison; the tests compare each of them with SciPy.
"""
