"""Holm's correction, in one place: every p value of a comparison is corrected for all of its tests."""

from collections.abc import Sequence
from dataclasses import replace

from rnnlab.comparison.contrasts import Contrast
from rnnlab.comparison.pivot import Pivot
from rnnlab.comparison.statistics import holm


def corrected(contrasts: Sequence[Contrast], table: Pivot | None) -> tuple[tuple[Contrast, ...], Pivot | None]:
    """Return the contrasts and the table with `p_holm` filled in.

    The family is everything that is tested: of each contrast how many solved the task, how fast, and the final metric;
    in a table, success in each row and over all rows. So the chance that any of its p values is below 0.05 by chance
    alone is at most 5 %, whichever of them a reader picks out.
    """
    overall = table.overall if table else ()
    raw = [p for one in contrasts for p in one.p.values()] + [one.p for one in overall]
    left = iter(holm(raw))
    of_contrasts = tuple(replace(one, p_holm={name: next(left) for name in one.p}) for one in contrasts)
    of_columns = tuple(replace(one, p_holm=next(left)) for one in overall)
    return of_contrasts, replace(table, overall=of_columns) if table else None
