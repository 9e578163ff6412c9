"""Rows of `rnnlab reproduce`: the list, what a run would do, the results, as JSON, and as a page of Markdown.

The page is `docs/reproduction.md`.
"""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from typing import Any

import rnnlab
from rnnlab.cli.render.card import facts
from rnnlab.cli.render.output import console, show, show_json
from rnnlab.cli.render.tables import as_markdown, fitting, markdown_text, shortened, show_table
from rnnlab.core.table import UNKNOWN, table
from rnnlab.core.text import counted, duration
from rnnlab.reproduction import words
from rnnlab.reproduction.results import OPEN, Result, mean_of, median_of
from rnnlab.reproduction.verdict import verdict

Costs = Mapping[str, float | None]
_LEGEND = (
    "printed: the paper's value; a number alone is of training sequences until success. time: what it took, or with ~ "
    "about what is left for {}, by what it took on an AMD EPYC. `rnnlab reproduce PAPER/ROW` trains what is missing; "
    "--dry-run shows the row alone."
)
MARK = "<!-- Written by `rnnlab reproduce"  # by which a page is recognised as one of ours
_ABOUT = """\
# Published results, repeated

{} --markdown`, rnnlab {}: changes to this file will be lost. -->

Each row is a number that a paper prints, trained again by `rnnlab reproduce`: the paper's task, network, training and
test. The row states beforehand by which rule our result agrees with the printed one, and where it departs from the
paper. *not reached* means that too few trials solved the task, *partly* that some have not ended. Rows that differ are
shown like those that agree. Numbers of sequences are means over the trials that solved the task; intervals are at 95 %.
"""


def show_rows(results: Sequence[Result], costs: Costs, *, workers: int) -> None:
    """Print all rows, a table for each paper, then how many agree; what a row trains is cut to the room there is."""
    width = console().width
    for paper, groups in words.by_paper(results).items():
        found = [one for group in groups for one in group]
        folders = {one.row.name.partition("/")[0] for one in found}
        prefix = f"{folders.pop()}/" if len(folders) == 1 else ""
        columns = {
            "row": [one.row.title.removeprefix(prefix) for one in found],
            "printed": [_printed(one) for one in found],
            "state": [words.state_of(one) for one in found],
            "time": [_time(one, costs) for one in found],
            "what": [f"{one.row.published.title} ({one.row.example.cell_name})" for one in found],
        }
        columns = fitting(columns, width, cut={"what": 12}, drop=["what", "time"])
        show(shortened(f"{prefix}  {paper}".strip(), width))
        show_table(table([*columns], zip(*columns.values(), strict=True), text=columns))
        show("")
    show(*wrap(_LEGEND.format(counted(workers, "worker")), width), "", words.conclusion(results))


def show_dry_run(results: Sequence[Result], costs: Costs, *, workers: int) -> None:
    """Print what each row trains, and by which rule it agrees."""
    for number, one in enumerate(results):
        if number:
            show("")
        show_row(one, _to_do(one, costs, workers))


def show_row(result: Result, more: Iterable[tuple[str, str]] = ()) -> None:
    """Print all that is known of one row."""
    published, row = result.row.published, result.row
    show(f"{row.title}: {published.title}", "")
    source = [] if row.variant else [("source", f"{published.paper}, {published.place}; {published.url}")]
    notes = [] if row.variant else [("notes", text) for text in words.paragraphs(published.notes)]
    show(facts([*source, *words.facts_of(result), *more, *notes]))


def show_results(results: Sequence[Result]) -> None:
    """Print each row with its numbers; of several rows, then a table of all, and how many agree."""
    for one in results:
        show_row(one)
        show("")
    if len(results) > 1:
        show_table(words.overview(results))
        show("", words.conclusion(results))


def show_document(results: Sequence[Result], costs: Costs) -> None:
    """Print rows with their results as one JSON object."""
    show_json("reproduce", {"rows": [_document(one, costs) for one in results]})


def _document(result: Result, costs: Costs) -> dict[str, Any]:
    row, published, found = result.row, result.row.published, verdict(result)
    experiment, sequences = row.example, result.sequences
    return {
        "name": row.name,
        "variant": row.variant or None,
        "changes": row.changes,
        "task": experiment.task_name,
        "cell": experiment.cell_name,
        "parameters": row.parameters,
        "published": published.model_dump(mode="json", exclude={"variants"}),
        "variants": [*published.variants],
        "state": result.state,
        "trials": result.planned,
        "ended": len(result.ended),
        "solved": len(result.solved) if result.has_rule else None,
        "interval": result.interval,
        "value": result.value,
        "ratio": result.ratio,
        "sequences": {
            "mean": mean_of(sequences),
            "median": median_of(sequences),
            "min": sequences[0] if sequences else None,
            "max": sequences[-1] if sequences else None,
        },
        "test": {name: result.of_test(name) for name in words.test_metrics(result)},
        "conclusion": found.conclusion if found else None,
        "reason": found.reason if found else str(result.fault or ""),
        "seconds": result.seconds,
        "estimated_seconds": costs.get(row.title),
        "machine": result.machine,
        "runs": [
            {"run": one.name, **{key: getattr(one, key) for key in ("state", "reason", "solved", "sequences", "test")}}
            for one in result.trials
        ],
    }


def _printed(result: Result) -> str:
    published = result.row.published
    return words.measured(published.measure, published.value).removesuffix(" sequences")


def _time(result: Result, costs: Costs) -> str:
    if result.state == "finished" and result.seconds is not None:
        return duration(result.seconds)
    seconds = costs.get(result.row.title)
    return f"~{duration(seconds)}" if seconds is not None and result.state in OPEN else UNKNOWN


def _to_do(result: Result, costs: Costs, workers: int) -> list[tuple[str, str]]:
    rule = result.row.published.agrees
    texts = [
        *([f"at least {rule.solved:.0%} of the trials are solved"] if rule.solved is not None else []),
        *([f"the ratio to the printed value is {_range(rule.ratio)}"] if rule.ratio else []),
        *([f"our value is {_range(rule.value)}"] if rule.value else []),
    ]
    experiment = result.row.example
    left = result.planned - len(result.ended)
    to_do = f"{counted(left, 'trial')} of at most {counted(*experiment.training.budget)} each"
    seconds = costs.get(result.row.title)
    if left and seconds is not None:
        to_do += f", about {duration(seconds)} with {counted(workers, 'worker')}"
    test = result.row.published.test
    return [
        ("agrees if", "; ".join(texts)),
        ("to train", to_do if result.state in OPEN else "nothing"),
        *([("test", f"{test.sequences:,} fresh sequences for each trial{test.changed}")] if test else []),
    ]


def _range(bounds: Sequence[float]) -> str:
    return f"from {bounds[0]:g} to {bounds[1]:g}"


def markdown_page(results: Sequence[Result]) -> str:
    """Return the page of rows, each followed by its variants; the same results give the same text."""
    shown = [one for one in results if one.trials]
    left = [f"`{one.row.name}`" for one in results if not one.trials and not one.row.variant]
    parts = [
        _ABOUT.format(MARK, rnnlab.__version__),
        f"**{markdown_text(words.conclusion(results))}.**\n",
        *([as_markdown(words.overview(shown))] if shown else []),
    ]
    for paper, groups in words.by_paper(shown).items():
        parts.append(f"## {markdown_text(paper)}\n")
        for group in groups:
            parts += _row_in_markdown(group)
    if left:
        parts += ["## Not trained\n", ", ".join(left) + "\n"]
    return "\n".join(parts)


def _row_in_markdown(group: Sequence[Result]) -> list[str]:
    published, parts = group[0].row.published, []
    for one in group:
        if one.row.variant:
            parts.append(f"**Variant {markdown_text(one.row.variant)}**\n")
        else:
            parts.append(f"### `{one.row.name}`: {markdown_text(published.title)}\n")
            parts.append(f"[{markdown_text(published.place)}]({published.url})\n")
        found = words.grouped([*words.facts_of(one), *words.machine_of(one)])
        parts.append("".join(_item(label, list(map(markdown_text, texts))) for label, texts in found))
    return [*parts, *(f"{markdown_text(text)}\n" for text in words.paragraphs(published.notes))]


def _item(label: str, texts: Sequence[str]) -> str:
    if len(texts) == 1:
        return f"- {label}: {texts[0]}\n"
    return f"- {label}:\n" + "".join(f"  - {text}\n" for text in texts)
