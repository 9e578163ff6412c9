"""The page: one file that loads nothing, and in which text from runs stays text."""

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from rnnlab.comparison import Comparison
from rnnlab.comparison.comparability import describe
from rnnlab.comparison.tables import RESULTS, run_table, tables, value_text
from rnnlab.comparison.tables import notes as table_notes
from rnnlab.config.yaml import dump_yaml
from rnnlab.core.errors import RnnlabError
from rnnlab.core.figure import COLOURS, DASHES, SHADES, Figure
from rnnlab.core.table import Table, table
from rnnlab.core.text import Json, jsonable, visible
from rnnlab.figures import figure_of, figures_of
from rnnlab.figures.html import rendered, text_of
from rnnlab.inspection.diagnoses import Diagnosis, diagnoses
from rnnlab.runs.run import Run
from rnnlab.storage.jsonfile import flatten

GENERATOR = "rnnlab report"  # by which a page is recognised as one of ours

_MOST_RUNS = 500
_MOST_CONFIGS = 6
_FACT = re.compile(r"versions\.|platform$|cpu\.(model|logical_cores)$|git\.(commit|dirty)$|seed$")


def write_page(
    comparison: Comparison,
    found: Mapping[str, Diagnosis],
    *,
    title: str,
    notes: Sequence[str] = (),
    commands: Sequence[str] = (),
) -> str:
    """Return the page as HTML, the same bytes for the same runs; `commands` repeat all runs where the report was made.

    Raises:
        EnvironmentFault: Jinja is not installed.
    """
    folders = _folders(comparison.results)

    def without_folders(text: str) -> str:
        return reduce(lambda rest, folder: rest.replace(folder, ""), folders, text)

    names = [name for name, one in diagnoses().items() if one.is_in_report]
    results = figures_of(comparison)
    inside = [figure for name in names if (figure := figure_of(name, found))]
    configs = [_config(one) for one in comparison.results[:_MOST_CONFIGS]]
    return rendered(
        text_of("page.html.jinja"),
        generator=GENERATOR,
        script=text_of("page.js"),
        clean=without_folders,
        title=title,
        summary=[comparison.conclusion, *_conclusions(found)],
        task=describe(comparison.results),
        is_grouped=comparison.is_grouped,
        inspected=[(heading, f"{one.run}, {one.weights} weights, step {one.step:,}") for heading, one in found.items()],
        warnings=[
            *notes,
            *comparison.warnings,
            *(f"{one.name} is damaged and left out: {one.reason}" for one in comparison.damaged),
        ],
        tables=[one for one in tables(comparison) if one.title != RESULTS],
        table_notes=table_notes(comparison),
        parts={name: part for name, part in (("Results", results), ("Inside the networks", inside)) if part},
        sentences={figure.name: _words(figure.name, found, diagnoses()[figure.name].sentences) for figure in inside},
        runs=run_table(comparison, _MOST_RUNS),
        more_runs=max(0, len(comparison.results) - _MOST_RUNS),
        provenance=_provenance(comparison.results),
        commands=commands,
        configs=configs,
        trainings=[f"rnnlab train {shlex.quote(name)}" for name, _ in configs],
        more_configs=max(0, len(comparison.results) - _MOST_CONFIGS),
        data=without_folders(_data([*results, *inside])),
    )


def _conclusions(found: Mapping[str, Diagnosis]) -> list[str]:
    sentences = [one for name, made in diagnoses().items() for one in _words(name, found, made.conclusion)]
    why = "A network can learn from what happened some steps ago only where its gradient reaches back that far."
    return [why, *sentences] if sentences else []


def _words(name: str, found: Mapping[str, Diagnosis], words: Callable[[Any], Sequence[str]]) -> list[str]:
    """Return sentences about the results of one diagnosis, each with the heading of its network."""
    results = {heading: one.results[name] for heading, one in found.items() if name in one.results}
    return [f"{heading}: {sentence}" for heading, result in results.items() for sentence in words(result)]


def _data(figures: Sequence[Figure]) -> str:
    """Return the figures as JSON that cannot end the element that contains it."""
    drawn = {figure.name: {"panels": figure.panels} for figure in figures}
    value = _short(jsonable({"colours": COLOURS, "dashes": DASHES, "shades": SHADES, "figures": drawn}))
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _short(value: Json) -> Json:
    """Return numbers with six digits, and text that can be shown."""
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_short(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return visible(value) if isinstance(value, str) else value


def _provenance(results: Sequence[Run]) -> Table:
    """Return the facts, each with its values in all runs, most of which have one."""
    values: dict[str, dict[str, None]] = {}
    for one in results[:_MOST_RUNS]:
        for key, value in _facts(one):
            values.setdefault(key, {})[value] = None
    rows = [
        [key, "; ".join(list(found)[:4]) + (f"; {len(found) - 4} more" if len(found) > 4 else "")]
        for key, found in values.items()
    ]
    return table(["fact", "value"], rows, "Provenance", text=["value"])


def _facts(result: Run) -> list[tuple[str, str]]:
    try:
        known = dict(flatten(result.provenance.document()))
    except RnnlabError:
        return [("provenance", "missing or damaged")]
    facts = [(key.removeprefix("versions."), value_text(value)) for key, value in known.items() if _FACT.match(key)]
    return [("started", str(known.get("started", ""))[:10]), *facts]


def _config(result: Run) -> tuple[str, str]:
    """Return the name of a file and its YAML, from which the run can be repeated on any machine."""
    name = f"{Path(result.name).name}.yaml"
    try:
        config = result.folder.read_resolved()
    except RnnlabError as fault:
        return name, f"# missing or damaged: {fault.problem}"
    task, head = config.get("task"), ""
    for value in task.values() if isinstance(task, dict) else ():
        if isinstance(value, dict) and {"path", "sha256"} <= value.keys():
            value["path"] = Path(str(value["path"])).name
            head += f"# {value['path']}, SHA-256 {value['sha256']}, must be beside this file.\n"
    return name, head + dump_yaml(config)


def _folders(results: Sequence[Run]) -> list[str]:
    """Return the folders that no path on the page begins with: who reads it has others."""
    folders = dict.fromkeys(folder for one in results for folder in (one.path.parent, one.path.absolute().parent))
    return [f"{folder}/" for folder in (*folders, Path.cwd()) if folder.is_absolute() and len(folder.parts) > 1]
