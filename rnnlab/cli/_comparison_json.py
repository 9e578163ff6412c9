"""A comparison as one JSON object; a number that is unknown or not finite is null."""

from typing import Any

from rnnlab.analysis import Comparison, Result


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as plain data."""
    return {
        "metric": comparison.metric,
        "runs": [_run(result, comparison.headings[result.name]) for result in comparison.results],
        "differences": comparison.differences,
        "metrics": {result.name: _metric(comparison, result) for result in comparison.results},
        "warnings": list(comparison.warnings),
        "damaged": [{"name": one.name, "reason": one.reason} for one in comparison.damaged],
        "verdict": comparison.verdict,
    }


def _run(result: Result, heading: str) -> dict[str, Any]:
    scores = [name for name in result.metrics() if name.startswith("validation/")]
    return {
        "name": result.name,
        "heading": heading,
        "path": str(result.path),
        "state": result.state,
        "stopped": result.stopped,
        "message": result.message,
        "task": result.config.get("task.type"),
        "timesteps": result.config.get("shape.timesteps"),
        "seed": result.config.get("seed"),
        "steps": result.steps,
        "sequences": result.sequences,
        "seconds": result.seconds,
        "steps_per_second": result.steps_per_second,
        "parameters": result.parameters,
        "baseline": result.baseline,
        "solved": result.solved,
        "solved_at": result.solved_at.model_dump() if result.solved_at else None,
        "final": {name.removeprefix("validation/"): result.final(name) for name in scores},
        "best": {
            "step": result.best_step,
            "metrics": {name.removeprefix("validation/"): result.best(name) for name in scores},
        },
    }


def _metric(comparison: Comparison, result: Result) -> dict[str, Any]:
    metric = comparison.metric
    return {
        "final": result.final(metric),
        "best": result.best(metric),
        "baseline": comparison.baseline(result),
        "curve": [list(point) for point in result.curve(metric)],
    }
