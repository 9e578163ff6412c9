"""A comparison in every format: on the terminal, as Markdown and LaTeX for a paper, as CSV and JSON for programs."""

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from rnnlab.cli.options import Format
from rnnlab.cli.render.curves import draw, line
from rnnlab.cli.render.output import printable, show, show_json, show_text
from rnnlab.cli.render.tables import as_csv, as_latex, as_markdown, latex_comment, markdown_text, table_lines
from rnnlab.comparison import Comparison
from rnnlab.comparison.comparability import describe
from rnnlab.comparison.contrasts import Contrast
from rnnlab.comparison.groups import Group, has_baseline, seed_of
from rnnlab.comparison.pivot import Pivot
from rnnlab.comparison.tables import notes, record_table, tables
from rnnlab.core.code_files import without_path
from rnnlab.core.figure import Axis, Level, Panel
from rnnlab.runs.run import Run

_MOST_CURVES = 8
_MOST_ROWS = 60


def show_comparison(comparison: Comparison, format: Format) -> None:
    """Print the comparison on stdout; as CSV, a line for each run: its group, values in which runs differ, results."""
    texts = [*notes(comparison), comparison.conclusion]
    match format:
        case "table":
            _show(comparison)
        case "json":
            show_json("compare", _document(comparison))
        case "csv":
            show_text(as_csv(record_table(comparison)))
        case "markdown":
            show_text("\n".join([*map(as_markdown, tables(comparison)), *(f"{markdown_text(one)}\n" for one in texts)]))
        case "latex":
            comments = "".join(map(latex_comment, texts))
            show_text("\n".join([*map(as_latex, tables(comparison)), comments]))


def _show(comparison: Comparison) -> None:
    parts: list[RenderableType] = []
    if len(comparison.results) > 1 and not comparison.differences:
        parts += ["The configs are the same.", ""]
    for one in tables(comparison, _MOST_ROWS):
        parts += [*map(Text, table_lines(one)), ""]
    explained = notes(comparison)
    if not explained or len(comparison.results) <= _MOST_CURVES:
        parts += _curves(comparison)
    if explained and (found := describe(comparison.results)):
        task = found.task
        explained = [f"Task {task.name}: {task.title}. Success rule: {found.rule}.", *explained]
    # As texts of Rich, which are folded in a file as well.
    show(*parts, *(Text(printable(text)) for text in (*explained, comparison.conclusion)))


def _curves(comparison: Comparison) -> list[RenderableType]:
    drawn = comparison.results[:_MOST_CURVES]
    metric = comparison.metric
    baselines = dict.fromkeys(comparison.baseline(run) for run in drawn)
    curves = [line(comparison.headings[run.name], run.curve(metric)) for run in drawn]
    levels = [Level(value, f"baseline {value:.4g}") for value in baselines if value is not None]
    lines = draw(Panel(Axis("step"), Axis(metric, log=has_baseline(metric)), curves, levels))
    if lines and len(comparison.results) > _MOST_CURVES:
        lines.append(Text(f"The first {_MOST_CURVES} of {len(comparison.results):,} runs are drawn."))
    return [*lines, ""] if lines else []


def _document(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as one document; its schema is `rnnlab/cli/schemas/compare.json`."""
    return {
        "metric": comparison.metric,
        "runs": [_run(run, comparison) for run in comparison.results],
        "groups": [_group(group) for group in comparison.groups],
        "contrasts": [_contrast(contrast) for contrast in comparison.contrasts],
        "pivot": _pivot(comparison.pivot) if comparison.pivot else None,
        "differences": comparison.differences,
        "warnings": comparison.warnings,
        "damaged": [{"run": one.name, "path": one.path, "reason": one.reason} for one in comparison.damaged],
        "conclusion": comparison.conclusion,
    }


def _run(run: Run, comparison: Comparison) -> dict[str, Any]:
    summary = run.summary
    names = dict.fromkeys([*(name for name in run.metrics() if name.startswith("validation/")), comparison.metric])
    return {
        "run": run.folder.name,
        "path": run.path,
        "heading": comparison.headings[run.name],
        "state": run.state,
        "message": run.message,
        "task": without_path(run.config.get("task.type")),
        "timesteps": run.config.get("shape.timesteps"),
        "seed": seed_of(run),
        **{name: getattr(summary, name) for name in _FIGURES},
        "final": {name.removeprefix("validation/"): run.final(name) for name in names},
        "best": {
            "step": run.best_step,
            "metrics": {name.removeprefix("validation/"): run.best(name) for name in names},
        },
        "curve": run.curve(comparison.metric),
    }


_FIGURES = (
    "stopped", "steps", "sequences", "seconds", "steps_per_second", "parameters", "baseline", "solved", "solved_at"
)  # fmt: skip


def _group(group: Group) -> dict[str, Any]:
    return {
        "heading": group.heading,
        "values": group.values,
        "runs": [run.name for run in group.results],
        "solved": {"runs": group.solved, "of": len(group.decided), "interval": group.solved_interval},
        **{name: getattr(group, name) for name in _ESTIMATES},
    }


_ESTIMATES = (
    "sequences_to_success", "median", "median_interval", "interquartile_mean", "interquartile_mean_interval"
)  # fmt: skip


def _contrast(contrast: Contrast) -> dict[str, Any]:
    return {
        "groups": [contrast.one.heading, contrast.other.heading],
        "paired": contrast.paired,
        "p": contrast.p,
        "p_holm": contrast.p_holm,
        "test_of_values": contrast.values and contrast.values.test,
        "superiority": contrast.values and contrast.values.superiority,
    }


def _pivot(table: Pivot) -> dict[str, Any]:
    cells = [[group and group.heading for group in row] for row in table.cells]
    return {**{name: getattr(table, name) for name in ("by", "over", "columns", "rows", "overall")}, "cells": cells}
