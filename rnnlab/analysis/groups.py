"""Groups of runs: those that differ in nothing but their seed repeat one experiment."""

import json
from collections.abc import Sequence

from rnnlab.analysis.result import Result

_FREE = {"name", "seed"}


def same_but_for_seed(results: Sequence[Result]) -> list[list[Result]]:
    """Return the runs in groups of one config each, in the order the groups first appear."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        fixed = {key: value for key, value in result.config.items() if key not in _FREE}
        groups.setdefault(json.dumps(fixed, sort_keys=True), []).append(result)
    return list(groups.values())
