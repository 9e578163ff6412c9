"""The result of a training in figures: what `summary.json` holds."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rnnlab.training.storing import Stopped, state_of

if TYPE_CHECKING:
    from rnnlab.training.session import Session


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


def _finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}
