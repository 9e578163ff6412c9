"""The page: everything in one file that loads nothing, and in which text from runs is text and no more."""

import base64
import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any, final

import rnnlab
from rnnlab.comparison import Comparison, Result
from rnnlab.comparison.metric import short_name
from rnnlab.comparison.question import question_of
from rnnlab.comparison.tables import notes_of, tables_of, value_text
from rnnlab.core.errors import EnvironmentFault, RnnlabError
from rnnlab.core.text import visible
from rnnlab.inspection.diagnoses.findings import Diagnosis
from rnnlab.reports.chart import told
from rnnlab.reports.curves import charts_of
from rnnlab.reports.inside import charts_inside, sentences_inside
from rnnlab.storage import RunFolder

GENERATOR = "rnnlab report"  # by which a page is known again as one of ours

_MOST_RUNS = 500
_MOST_CONFIGS = 6
_INSTALL = "pip install 'rnnlab[plots]'"


@final
@dataclass(frozen=True, slots=True)
class _Table:
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    @property
    def is_text(self) -> bool:
        """Whether the cells are words, which stand at the left."""
        return len(self.head) == 2


def write_page(
    comparison: Comparison,
    diagnoses: Mapping[str, Diagnosis],
    *,
    title: str,
    notes: Sequence[str] = (),
    commands: Sequence[str] = (),
) -> str:
    """Return the page as HTML; the same runs give the same bytes.

    Args:
        comparison: The runs.
        diagnoses: Heading -> what was found in one of them.
        title: The page's heading.
        notes: What was out of the ordinary.
        commands: What repeats the runs; one for each of the first runs when left out.

    Raises:
        EnvironmentFault: Jinja or plotly is not installed.
    """
    template, plotly = _template(), _plotly()
    script = files("rnnlab.reports").joinpath("page.js").read_text(encoding="utf-8")
    chart_groups = {
        "Results": list(charts_of(comparison)),
        "Inside the networks": list(charts_inside(diagnoses)),
    }
    figures = {chart.name: chart.figure() for chart in chain(*chart_groups.values())}
    text: str = template.render(
        generator=f"{GENERATOR} {rnnlab.__version__}",
        title=visible(title),
        verdict=visible(comparison.verdict),
        reasons=sentences_inside(diagnoses),
        question=question_of(comparison.results),
        visible=visible,
        looked_into=[(visible(heading), visible(found.name)) for heading, found in diagnoses.items()],
        warnings=[visible(text) for text in (*notes, *comparison.warnings)],
        damaged=[f"{visible(one.name)}: {visible(one.reason)}" for one in comparison.damaged],
        tables=[_visible(_Table(*table)) for table in tables_of(comparison)],
        table_notes=[visible(note) for note in notes_of(comparison)],
        chart_groups={name: charts for name, charts in chart_groups.items() if charts},
        runs=_visible(_runs(comparison)),
        more_runs=max(0, len(comparison.results) - _MOST_RUNS),
        provenance=_visible(_provenance(comparison.results)),
        commands=[visible(command) for command in commands or _commands(comparison.results)],
        configs=_configs(comparison.results),
        figures=_embedded(figures),
        plotly=plotly,
        script=script,
        style=files("rnnlab.reports").joinpath("page.css").read_text(encoding="utf-8"),
        policy=_policy([plotly, script]),
    )
    return text


def _template() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise EnvironmentFault("reports need the package jinja2", hint=_INSTALL) from error
    loader = jinja2.FunctionLoader(lambda name: files("rnnlab.reports").joinpath(name).read_text(encoding="utf-8"))
    surroundings = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return surroundings.get_template("page.html.jinja")


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise EnvironmentFault("reports need the package plotly", hint=_INSTALL) from error
    text: str = get_plotlyjs()
    if "</script" in text.lower():
        raise EnvironmentFault("this version of plotly cannot stand inside a page", hint="pip install -U plotly")
    return text


def _policy(scripts: Sequence[str]) -> str:
    """Return the content security policy: these scripts and no others, and nothing from anywhere."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    # plotly.js writes its own style rules; a style cannot load anything under this policy.
    rest = "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {allowed}; {rest}"


def _embedded(value: Any) -> str:
    """Return JSON that cannot end the element it stands in."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _visible(table: _Table) -> _Table:
    rows = [[visible(cell) for cell in row] for row in table.rows]
    return _Table(visible(table.title), [visible(cell) for cell in table.head], rows)


def _runs(comparison: Comparison) -> _Table:
    metric = comparison.metric
    rows = [
        [
            comparison.headings[one.name],
            one.state if one.stopped == one.state else f"{one.state}: {one.stopped}",
            told(one.steps),
            told(one.final(metric)),
            told(comparison.baseline(one)),
            {None: "—", True: "yes", False: "no"}[one.solved],
            told(one.solved_at.sequences if one.solved_at else None),
            told(one.seconds),
        ]
        for one in comparison.results[:_MOST_RUNS]
    ]
    head = [
        "run",
        "state",
        "steps",
        f"final {short_name(metric)}",
        "baseline",
        "solved",
        "sequences to success",
        "seconds",
    ]
    return _Table("Runs", head, rows)


def _provenance(results: Sequence[Result]) -> _Table:
    """Return the facts, each with its values in all runs, most of which have one."""
    values: dict[str, dict[str, None]] = {}
    for one in results[:_MOST_RUNS]:
        for key, value in _facts(one):
            values.setdefault(key, {})[value] = None
    rows = [
        [key, "; ".join(list(found)[:4]) + (f"; {len(found) - 4} more" if len(found) > 4 else "")]
        for key, found in values.items()
    ]
    return _Table("Provenance", ["fact", "value"], rows)


def _facts(result: Result) -> list[tuple[str, str]]:
    try:
        known = RunFolder(result.path).read_provenance()
    except RnnlabError:
        return [("provenance", "missing or damaged")]
    versions, cpu, git = (part if isinstance(part, dict) else {} for part in map(known.get, ("versions", "cpu", "git")))
    facts = {
        "started": str(known.get("started", ""))[:10],
        **{str(name): value for name, value in versions.items()},
        "platform": known.get("platform"),
        "processor": f"{cpu.get('model', '')}, {cpu.get('logical_cores', '?')} logical cores" if cpu else None,
        "git commit": f"{git.get('commit')}{', changed' if git.get('dirty') else ''}" if git else None,
        "seed": known.get("seed"),
    }
    return [(key, str(value)) for key, value in facts.items() if value not in {None, ""}]


def _commands(results: Sequence[Result]) -> list[str]:
    return [f"rnnlab train {shlex.quote(str(Path(one.path) / 'resolved.yaml'))}" for one in results[:_MOST_CONFIGS]]


def _configs(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Return name and complete config of the first runs."""
    found = []
    for one in results[:_MOST_CONFIGS]:
        lines = [f"{key}: {value_text(value)}" for key, value in one.config.items()]
        found.append((visible(one.name), "\n".join(map(visible, lines))))
    return found
