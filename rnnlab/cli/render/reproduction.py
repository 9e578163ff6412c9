"""Rows of `rnnlab reproduce` on the terminal and as JSON: the list, what a run would do, and the results."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from textwrap import wrap
from typing import Any

from rnnlab.cli.render.card import facts
from rnnlab.cli.render.output import console, show, show_json
from rnnlab.cli.render.tables import show_table
from rnnlab.core.table import UNKNOWN, table
from rnnlab.core.text import counted, duration
from rnnlab.reproduction.results import OPEN, Result, mean_of, median_of
from rnnlab.reproduction.verdict import measured, verdict
from rnnlab.reproduction.words import by_paper, conclusion, facts_of, paragraphs, state_of, test_metrics

Costs = Mapping[str, float | None]
_Cells = dict[str, str]  # heading -> text
_LEGEND = (
    "printed: the paper's value; a number alone is of training sequences until success. time: what it took, or with ~ "
    "about what is left for {}, by what it took on an AMD EPYC. `rnnlab reproduce PAPER/ROW` trains what is missing; "
    "--dry-run shows the row alone."
)
_GAP = 3  # blanks between two columns
_LEAST = 12  # letters to which a title is cut before it is left out


def show_rows(results: Sequence[Result], costs: Costs, *, workers: int) -> None:
    """Print all rows, a table for each paper, then how many agree."""

    def cells(one: Result) -> _Cells:
        what = f"{one.row.published.title} ({one.row.example.cell_name})"
        return {"printed": _value(one, "printed"), "state": state_of(one), "time": _time(one, costs), "what": what}

    _show_by_paper(results, cells, less=["what", "time"])
    show(*wrap(_LEGEND.format(counted(workers, "worker")), console().width), "", conclusion(results))


def _show_by_paper(results: Sequence[Result], cells: Callable[[Result], _Cells], *, less: Iterable[str]) -> None:
    """Print a table for each paper, a line per row: what has no room is cut or left out, first of `less` first."""
    width = console().width
    for paper, groups in by_paper(results).items():
        found = [one for group in groups for one in group]
        folders = {one.row.name.partition("/")[0] for one in found}
        prefix = f"{folders.pop()}/" if len(folders) == 1 else ""
        rows = [{"row": one.row.title.removeprefix(prefix), **cells(one)} for one in found]
        for column in less:
            room = width - sum(_GAP + _wide(name, rows) for name in rows[0] if name != column)
            if _wide(column, rows) <= room:
                break
            if column == "what" and room >= _LEAST:
                rows = [{**row, column: _cut(row[column], room)} for row in rows]
                break
            rows = [{name: text for name, text in row.items() if name != column} for row in rows]
        show(_cut(f"{prefix}  {paper}".strip(), width))
        show_table(table([*rows[0]], [[*row.values()] for row in rows], text=rows[0]))
        show("")


def _wide(column: str, rows: Sequence[_Cells]) -> int:
    return max(len(column), *(len(row[column]) for row in rows))


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 3].rstrip() + "..."


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
    notes = [] if row.variant else [("notes", text) for text in paragraphs(published.notes)]
    show(facts([*source, *facts_of(result), *more, *notes]))


def show_results(results: Sequence[Result]) -> None:
    """Print each row with its numbers; of several rows, then a table for each paper, and how many agree."""
    for one in results:
        show_row(one)
        show("")
    if len(results) > 1:
        _show_by_paper(results, _numbers, less=["solved", "ratio"])
        show(conclusion(results))


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
        "test": {name: result.of_test(name) for name in test_metrics(result)},
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


def _numbers(result: Result) -> _Cells:
    return {
        **{which: _value(result, which) for which in ("printed", "ours")},
        "solved": f"{len(result.solved)} of {len(result.ended)}" if result.has_rule else UNKNOWN,
        "ratio": f"{result.ratio:.2f}" if result.ratio is not None else UNKNOWN,
        "state": state_of(result),
    }


def _value(result: Result, which: str) -> str:
    published = result.row.published
    value = published.value if which == "printed" else result.value
    return measured(published.measure, value).removesuffix(" sequences")


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
