"""A comparison in every format: on the terminal, as Markdown and LaTeX for a paper, as CSV and JSON for programs."""

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from rnnlab.cli.render.curves import Curve, Level, draw
from rnnlab.cli.render.output import can_show, console, printable, show
from rnnlab.cli.render.tables import as_csv, as_latex, as_markdown, latex_comment, markdown_text, table_lines
from rnnlab.comparison import Comparison
from rnnlab.comparison.comparability import describe
from rnnlab.comparison.contrasts import Contrast
from rnnlab.comparison.groups import Group, has_baseline, seed_of
from rnnlab.comparison.pivot import Pivot
from rnnlab.comparison.tables import notes, record_table, tables
from rnnlab.core.code_files import without_path
from rnnlab.runs.run import Run

_MOST_CURVES = 8
_MOST_ROWS = 60


def show_comparison(comparison: Comparison) -> None:
    """Print the comparison on stdout: tables, curves, conclusion."""
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
        explained = [f"Task {task.name}: {task.card.title}. Success rule: {found.rule}.", *explained]
    # As texts of Rich, which are folded in a file as well.
    show(*parts, *(Text(printable(text)) for text in (*explained, comparison.conclusion)))


def _curves(comparison: Comparison) -> list[RenderableType]:
    drawn = comparison.results[:_MOST_CURVES]
    metric = comparison.metric
    baselines = dict.fromkeys(comparison.baseline(run) for run in drawn)
    lines = draw(
        [Curve(printable(comparison.headings[run.name]), run.curve(metric)) for run in drawn],
        y_label=printable(metric),
        levels=[Level(f"baseline {value:.4g}", value) for value in baselines if value is not None],
        width=console().width,
        braille=can_show("⣿"),
        may_log=has_baseline(metric),
    )
    if lines and len(comparison.results) > _MOST_CURVES:
        lines.append(Text(f"The first {_MOST_CURVES} of {len(comparison.results):,} runs are drawn."))
    return [*lines, ""] if lines else []


def comparison_csv(comparison: Comparison) -> str:
    """Return one line per run: its group, the values in which runs differ, and its results."""
    return as_csv(record_table(comparison))


def comparison_markdown(comparison: Comparison) -> str:
    """Return the tables as pipes and dashes, with their notes and the conclusion."""
    texts = [f"{markdown_text(text)}\n" for text in (*notes(comparison), comparison.conclusion)]
    return "\n".join([*map(as_markdown, tables(comparison)), *texts])


def comparison_latex(comparison: Comparison) -> str:
    """Return the tables for LaTeX with the package booktabs; notes and conclusion as comments."""
    texts = "".join(map(latex_comment, (*notes(comparison), comparison.conclusion)))
    return "\n".join([*map(as_latex, tables(comparison)), texts])


def comparison_json(comparison: Comparison) -> dict[str, Any]:
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
