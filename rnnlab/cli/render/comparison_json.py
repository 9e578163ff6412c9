"""A comparison as one JSON object; a number that is unknown or not finite is null."""

from dataclasses import asdict
from math import isfinite
from typing import Any

from rnnlab.comparison import Comparison
from rnnlab.comparison.contrasts import Contrast
from rnnlab.comparison.groups import Group
from rnnlab.comparison.pivot import Pivot
from rnnlab.comparison.statistics import Interval
from rnnlab.runs.run import Run


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as plain data."""
    return {
        "metric": comparison.metric,
        "runs": [_run(result, comparison.headings[result.name]) for result in comparison.results],
        "groups": [_group(group) for group in comparison.groups] if comparison.is_grouped else [],
        "contrasts": [_contrast(contrast) for contrast in comparison.contrasts],
        "pivot": _pivot(comparison.pivot) if comparison.pivot else None,
        "differences": comparison.differences,
        "metrics": {result.name: _metric(comparison, result) for result in comparison.results},
        "warnings": list(comparison.warnings),
        "damaged": [{"name": one.name, "reason": one.reason} for one in comparison.damaged],
        "verdict": comparison.verdict,
    }


def _run(result: Run, heading: str) -> dict[str, Any]:
    scores = [name for name in result.metrics() if name.startswith("validation/")]
    return {
        "name": result.name,
        "heading": heading,
        "path": str(result.path),
        "state": result.state,
        "stopped": result.summary.stopped,
        "message": result.message,
        "task": result.config.get("task.type"),
        "timesteps": result.config.get("shape.timesteps"),
        "seed": result.config.get("seed"),
        "steps": result.summary.steps,
        "sequences": result.summary.sequences,
        "seconds": result.summary.seconds,
        "steps_per_second": result.summary.steps_per_second,
        "parameters": result.summary.parameters,
        "baseline": result.summary.baseline,
        "solved": result.summary.solved,
        "solved_at": result.summary.solved_at.model_dump() if result.summary.solved_at else None,
        "final": {name.removeprefix("validation/"): result.final(name) for name in scores},
        "best": {
            "step": result.best_step,
            "metrics": {name.removeprefix("validation/"): result.best(name) for name in scores},
        },
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "heading": group.heading,
        "values": group.values,
        "runs": [one.name for one in group.results],
        "solved": {"runs": group.solved, "of": len(group.decided), "interval": group.solved_interval},
        "sequences_to_success": group.sequences_to_success,
        "median": _finite(group.median),
        "median_interval": _interval(group.median_interval),
        "interquartile_mean": _finite(group.interquartile_mean),
        "interquartile_mean_interval": _interval(group.interquartile_mean_interval),
    }


def _contrast(contrast: Contrast) -> dict[str, Any]:
    return {
        "groups": [contrast.one.heading, contrast.other.heading],
        "paired": contrast.paired,
        "p": {
            "solved": contrast.solved,
            "sequences": contrast.times,
            "values": contrast.values.p if contrast.values else None,
        },
        "p_holm": {
            "solved": contrast.corrected.get("solved"),
            "sequences": contrast.corrected.get("times"),
            "values": contrast.corrected.get("values"),
        },
        "test_of_values": contrast.values.test if contrast.values else None,
        "superiority": contrast.values.superiority if contrast.values else None,
    }


def _pivot(table: Pivot) -> dict[str, Any]:
    return {
        "by": table.by,
        "over": table.over,
        "columns": list(table.columns),
        "rows": list(table.rows),
        "cells": [
            [
                group.heading if (group := table.cells.get((row, column))) else None
                for column in range(len(table.columns))
            ]
            for row in range(len(table.rows))
        ],
        "overall": [asdict(one) for one in table.overall],
    }


def _interval(interval: Interval | None) -> list[float | None] | None:
    return [_finite(bound) for bound in interval] if interval else None


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _metric(comparison: Comparison, result: Run) -> dict[str, Any]:
    metric = comparison.metric
    return {
        "final": result.final(metric),
        "best": result.best(metric),
        "baseline": comparison.baseline(result),
        "curve": [list(point) for point in result.curve(metric)],
    }
