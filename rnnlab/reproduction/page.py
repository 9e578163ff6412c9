"""The results of rows as one HTML file in the style of the reports."""

from collections.abc import Sequence
from importlib.resources import files
from math import ceil, floor, log10
from typing import Any

from rnnlab.core.figure import COLOURS
from rnnlab.core.table import Table, table
from rnnlab.figures.html import rendered
from rnnlab.reproduction import words
from rnnlab.reproduction.published import SEQUENCES
from rnnlab.reproduction.results import Result

GENERATOR = "rnnlab reproduce"  # by which a page is recognised as one of ours

_LEFT, _RIGHT, _LINE, _BELOW = 130.0, 620.0, 26.0, 28.0  # of a picture 640 wide


def write_page(results: Sequence[Result]) -> str:
    """Return the page of rows, each followed by its variants, the same bytes for the same results."""
    shown = [one for one in results if one.trials]
    papers = [
        {"name": paper, "short": words.authors_of(paper), "rows": [_row(group) for group in groups]}
        for paper, groups in words.by_paper(shown).items()
    ]
    return rendered(
        files("rnnlab.reproduction").joinpath("page.html.jinja").read_text(encoding="utf-8"),
        generator=GENERATOR,
        title="Published results, repeated",
        summary=[
            f"{words.conclusion(results)}.",
            "Each row states beforehand by which rule it agrees with its paper.",
        ],
        overview=words.overview(shown),
        papers=papers,
        left=[one.row.title for one in results if not one.trials],
    )


def _row(group: Sequence[Result]) -> dict[str, Any]:
    first, *_ = group
    published = first.row.published
    return {
        "id": first.row.name.replace("/", "-"),
        "name": first.row.name,
        **{key: getattr(published, key) for key in ("title", "url", "place")},
        "strip": _strip(group),
        "parts": [
            {
                "name": one.row.variant and f"Variant {one.row.variant}",
                "facts": words.grouped([*words.facts_of(one), *words.machine_of(one)]),
            }
            for one in group
        ],
        "notes": words.paragraphs(published.notes),
        "runs": _runs(group),
    }


def _runs(group: Sequence[Result]) -> Table:
    names = list(dict.fromkeys(name for one in group for trial in one.trials for name in trial.test or {}))
    rows = [
        [
            trial.name,
            *([one.row.variant or "as printed"] if len(group) > 1 else []),
            *(trial.state, trial.solved, trial.sequences),
            *((trial.test or {}).get(name) for name in names),
        ]
        for one in group
        for trial in one.trials
    ]
    variant = ["variant"] if len(group) > 1 else []
    columns = ["trial", *variant, "state", "solved", "sequences", *(f"test {name}" for name in names)]
    return table(columns, rows, text=["variant", "state", "solved"])


def _strip(group: Sequence[Result]) -> dict[str, Any] | None:
    """Return the picture of the values of all trials beside the printed one; None where there is nothing to draw."""
    published = group[0].row.published
    values = [value for one in group for value in one.values]
    if published.measure != SEQUENCES or not values or published.value <= 0 or min(values) <= 0:
        return None
    ratio = published.agrees.ratio
    band = [published.value * bound for bound in ratio if bound > 0] if ratio else []
    every = [*values, *band, published.value]
    low, high = log10(min(every)) - 0.1, log10(max(every)) + 0.1

    def x(value: float) -> float:
        return round(_LEFT + (log10(value) - low) / (high - low) * (_RIGHT - _LEFT), 1)

    ticks = [
        value for power in range(floor(low), ceil(high)) for value in (10.0**power, 2 * 10.0**power, 5 * 10.0**power)
    ]
    lines = [
        {
            "name": one.row.variant or "as printed",
            "y": 4 + _LINE * (number + 0.5),
            "colour": COLOURS[number % (len(COLOURS) - 1)],
            "dots": [x(value) for value in one.values],
        }
        for number, one in enumerate(group)
    ]
    label = "Training sequences until success, a dot per solved trial; dashed: the printed value"
    return {
        "height": 4 + _LINE * len(lines) + _BELOW,
        "label": label + ("; shaded: what agrees with it" if len(band) == 2 else ""),
        "band": [x(bound) for bound in band] if len(band) == 2 else None,
        "printed": x(published.value),
        "ticks": [{"x": x(value), "text": f"{value:,.0f}"} for value in ticks if low <= log10(value) <= high],
        "lines": lines,
    }
