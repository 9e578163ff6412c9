"""The result of a training in figures: the content of `summary.json`."""

import math
from collections.abc import Mapping
from typing import Any

from rnnlab.training.stopping import Reason, state_of
from rnnlab.training.trainer import Trainer


def summarize(trainer: Trainer, stopped: Reason, *, run: str) -> dict[str, Any]:
    """Return the result of a training; a number that is not finite is null.

    Args:
        trainer: The training.
        stopped: Why it ended.
        run: The name of its folder.
    """
    experiment, place, best = trainer.experiment, trainer.place, trainer.best
    seconds = trainer.seconds()
    # Once the loss is not finite, the metrics of the last evaluation are no longer those of this network.
    metrics = dict.fromkeys(place.metrics, math.nan) if trainer.bad else place.metrics
    return {
        "run": run,
        "name": experiment.name,
        "state": state_of(stopped),
        "stopped": stopped,
        "task": trainer.task.name,
        "timesteps": list(experiment.timesteps),
        "backend": experiment.backend,
        "cell": experiment.cell.type,
        "seed": experiment.seed,
        "parameters": trainer.parameter_count,
        "steps": place.step,
        "sequences": place.step * experiment.training.batch_size,
        "seconds": round(seconds, 3),
        "steps_per_second": round(place.step / seconds, 3),
        "baseline": trainer.task.baseline(experiment.timesteps),
        "solved": place.solved_at is not None,
        "solved_rule": str(trainer.task.solved),
        "solved_at": place.solved_at,
        "loss": _finite(metrics).get("loss"),
        "metrics": _finite(metrics),
        "best": {"step": best.step, "metrics": _finite(best.metrics)},
    }


def _finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}
