"""Rows of `rnnlab reproduce` on the terminal and as JSON: the list, what a run would do, and the results."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from typing import Any

from rnnlab.cli.render.card import facts
from rnnlab.cli.render.output import show, show_json
from rnnlab.cli.render.tables import show_table
from rnnlab.core.table import table
from rnnlab.core.text import counted, duration
from rnnlab.reproduction.results import Result, mean_of, median_of
from rnnlab.reproduction.verdict import measured, verdict
from rnnlab.reproduction.words import facts_of, overview, test_metrics

Costs = Mapping[str, float | None]
_LEGEND = (
    "printed: the paper's value; a number alone is of training sequences until success. time: estimated for {}, or "
    "what it took. `rnnlab reproduce ROW` trains what is missing and compares; with --dry-run it shows the row alone."
)


def show_rows(results: Sequence[Result], costs: Costs, *, workers: int) -> None:
    """Print all rows, a table for each paper."""
    papers: dict[str, list[Result]] = {}
    for one in results:
        papers.setdefault(one.row.published.paper, []).append(one)
    for number, (paper, found) in enumerate(papers.items()):
        if number:
            show("")
        rows = [
            (
                *(one.row.title, f"{one.row.published.title} ({one.row.example.cell_name})"),
                *(_printed(one), _time(one, costs), state_of(one)),
            )
            for one in found
        ]
        columns = ["row", "what", "printed", "time", "state"]
        show(*wrap(paper, 80))
        show_table(table(columns, rows, text=columns))
    show("", _LEGEND.format(counted(workers, "processor")))


def show_dry_run(results: Sequence[Result], costs: Costs, *, workers: int) -> None:
    """Print what each row trains, and by which rule it agrees."""
    for number, one in enumerate(results):
        if number:
            show("")
        show_row(one, _to_do(one, costs, workers))


def show_row(result: Result, more: Iterable[tuple[str, str]] = ()) -> None:
    """Print all that is known of one row."""
    published = result.row.published
    show(f"{result.row.title}: {published.title}", "")
    source = [] if result.row.variant else [("source", f"{published.paper}, {published.place}; {published.url}")]
    show(facts([*source, *facts_of(result), *more]))


def show_results(results: Sequence[Result]) -> None:
    """Print each row with its numbers, then one table of all."""
    for one in results:
        show_row(one)
        show("")
    show_table(overview(results))


def state_of(result: Result) -> str:
    """Return the conclusion of a row that is finished, else how far it is."""
    if found := verdict(result):
        return found.conclusion
    return f"{len(result.ended)} of {result.planned} trials" if result.state == "partly" else result.state


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
        "reason": found.reason if found else "",
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
    return measured(published.measure, published.value).removesuffix(" sequences")


def _time(result: Result, costs: Costs) -> str:
    if result.state == "finished" and result.seconds is not None:
        return duration(result.seconds)
    seconds = costs.get(result.row.title)
    return duration(seconds) if seconds is not None and result.state != "changed" else "—"


def _to_do(result: Result, costs: Costs, workers: int) -> list[tuple[str, str]]:
    rule = result.row.published.agrees
    texts = [
        *([f"at least {rule.solved:.0%} of the trials are solved"] if rule.solved is not None else []),
        *([f"the ratio to the printed value is {_range(rule.ratio)}"] if rule.ratio else []),
        *([f"our value is {_range(rule.value)}"] if rule.value else []),
    ]
    experiment = result.row.example
    left = result.planned - len(result.ended)
    to_do = f"{counted(left, 'trial')} of at most {counted(experiment.training.steps, 'step')} each"
    seconds = costs.get(result.row.title)
    if left and seconds is not None:
        to_do += f", about {duration(seconds)} with {counted(workers, 'worker')}"
    test = result.row.published.test
    return [
        ("agrees if", "; ".join(texts)),
        ("to train", to_do if result.state not in {"finished", "changed"} else "nothing"),
        *([("test", f"{test.sequences:,} fresh sequences for each trial{test.changed}")] if test else []),
    ]


def _range(bounds: Sequence[float]) -> str:
    return f"from {bounds[0]:g} to {bounds[1]:g}"
