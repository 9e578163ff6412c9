"""The result of a training in figures: what `summary.json` holds."""

import math
from collections.abc import Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any

from rnnlab.core.errors import VerificationError
from rnnlab.core.text import visible
from rnnlab.lab.storing import Stopped, state_of
from rnnlab.runs import RunFolder, Status

if TYPE_CHECKING:
    from rnnlab.lab.session import Session


def summarize(session: "Session", stopped: Stopped) -> dict[str, Any]:
    """Return the result of a training; a number that is not finite is null."""
    experiment, place, timesteps = session.experiment, session.place, session.experiment.timesteps
    seconds = session.seconds()
    # Once the loss is not finite, the metrics of the last evaluation are no longer those of this network.
    metrics = dict.fromkeys(place.metrics, math.nan) if session.bad else place.metrics
    return {
        "run": session.store.run.name,
        "name": experiment.name,
        "state": state_of(stopped),
        "stopped": stopped,
        "task": session.task.name,
        "timesteps": list(timesteps),
        "backend": experiment.backend,
        "cell": experiment.cell.type,
        "seed": experiment.seed,
        "parameters": session.parameters,
        "steps": place.step,
        "sequences": place.step * experiment.training.batch_size,
        "seconds": round(seconds, 3),
        "steps_per_second": round(place.step / seconds, 3),
        "baseline": session.task.baseline(timesteps),
        "solved": place.solved_at is not None,
        "solved_rule": str(session.task.solved),
        "solved_at": place.solved_at,
        "loss": _finite(metrics).get("loss"),
        "metrics": _finite(metrics),
        "best": {"step": session.best.step, "metrics": _finite(session.best.metrics)},
    }


def own_summary(run: RunFolder, status: Status) -> dict[str, Any]:
    """Return the stored result of a run that has ended, which must be one, and tell what its status tells.

    Raises:
        VerificationError: The file is missing or damaged, lacks a figure, or is of another state or step.
    """
    summary, where = run.read_summary(), visible(str(run.path / "summary.json"))
    told, expected = (summary.get("state"), summary.get("steps")), (status.state, status.step)
    if status.state != "failed" and told != expected:
        shown = visible(f"{told[0]} at step {told[1]}")
        raise VerificationError(f"says {shown}, but the status {status.state} at step {status.step:,}", where=where)
    wrong = [name for name, kinds in _KINDS.items() if not isinstance(summary.get(name), kinds)]
    if wrong:
        raise VerificationError(f"is not a run's summary: see {', '.join(wrong)}", where=where)
    return summary


_NUMBER = (int, float)
_KINDS: Mapping[str, Any] = {
    "stopped": str, "steps": int, "sequences": int, "seconds": _NUMBER, "baseline": _NUMBER, "solved": bool,
    "solved_rule": str, "solved_at": (dict, NoneType), "loss": (*_NUMBER, NoneType), "metrics": dict, "best": dict,
}  # fmt: skip


def _finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}
