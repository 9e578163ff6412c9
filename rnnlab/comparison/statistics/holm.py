"""Many tests at once: the more are made, the more must a single one show."""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values corrected by Holm's step-down method, in the order given.

    Source: Holm 1979, Scandinavian Journal of Statistics 6:65.

    Example:
        0.01 × 4, then 0.013 × 3 = 0.039, raised to the 0.04 before it, then 0.02 × 2 and 0.06 × 1:

        >>> [round(p, 4) for p in holm([0.06, 0.01, 0.02, 0.013])]
        [0.06, 0.04, 0.04, 0.04]
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = highest
    return corrected
