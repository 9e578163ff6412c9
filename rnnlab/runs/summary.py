"""The result of a run in figures, read back: whether it is one, and the one that the status tells of."""

from collections.abc import Mapping
from types import NoneType
from typing import Any

from rnnlab.core.errors import VerificationError
from rnnlab.core.text import visible
from rnnlab.storage.faults import shown
from rnnlab.storage.folder import RunFolder
from rnnlab.storage.status import Status


def own_summary(run: RunFolder, status: Status) -> dict[str, Any]:
    """Return the stored result of a run that has ended, which must be one, and tell what its status tells.

    Raises:
        VerificationError: The file is missing or damaged, lacks a figure, or is of another state or step.
    """
    summary, where = run.read_summary(), shown(run.path / "summary.json")
    wrong = [name for name, kinds in _KINDS.items() if not isinstance(summary.get(name), kinds)]
    if wrong:
        raise VerificationError(f"is not a run's summary: see {', '.join(wrong)}", where=where)
    told, expected = (summary.get("state"), summary["steps"]), (status.state, status.step)
    if status.state != "failed" and told != expected:
        said = visible(f"{told[0]} at step {told[1]:,}")
        raise VerificationError(f"says {said}, but the status {status.state} at step {status.step:,}", where=where)
    return summary


_NUMBER = (int, float)
_KINDS: Mapping[str, Any] = {
    "stopped": str, "steps": int, "sequences": int, "seconds": _NUMBER, "baseline": _NUMBER, "solved": bool,
    "solved_rule": str, "solved_at": (dict, NoneType), "loss": (*_NUMBER, NoneType), "metrics": dict, "best": dict,
}  # fmt: skip
