"""A result in words and numbers, the same for the terminal, Markdown and HTML."""

import re
from collections import Counter
from collections.abc import Sequence

from rnnlab.core.table import Column, Table, table
from rnnlab.core.text import counted, duration
from rnnlab.reproduction.published import SEQUENCES, SOLVED
from rnnlab.reproduction.results import Result, mean_of, median_of
from rnnlab.reproduction.verdict import verdict
from rnnlab.storage.jsonfile import flatten

_PLURAL = {"agrees": "agree", "differs": "differ"}  # what several rows do
_ORDER = ("agrees", "differs", "not reached", "running", "partly", "not run", "changed", "damaged")
Fact = tuple[str, str]  # label and text; a label is not repeated


def measured(measure: str, value: float | None) -> str:
    """Return a value of a measure with its unit.

    Example:
        >>> measured("sequences", 74000.0), measured("solved", 0.97), measured("test.error_rate", 0.0125)
        ('74,000 sequences', '97% solved', 'error_rate 0.0125')
    """
    if value is None:
        return "—"
    if measure == SEQUENCES:
        return f"{value:,.0f} sequences"
    if measure == SOLVED:
        return f"{value:.0%} solved"
    return f"{measure.rpartition('.')[2]} {value:.4g}"


def overview(results: Sequence[Result]) -> Table:
    """Return a table with a line for each row: the printed value, ours and the verdict."""
    rows = []
    for one in results:
        published, found = one.row.published, verdict(one)
        printed, ours = (measured(published.measure, value) for value in (published.value, one.value))
        solved = f"{len(one.solved)} of {len(one.ended)}" if one.has_rule else None
        state = found.conclusion if found else one.state
        rows.append((one.row.title, printed, solved, ours if one.ended else None, one.ratio, state))
    ratio = Column("ratio", is_number=True, form=".2f")
    text = ["printed", "solved", "ours", "conclusion"]
    return table(["row", "printed", "solved", "ours", ratio, "conclusion"], rows, text=text)


def facts_of(result: Result) -> list[Fact]:
    """Return what is known of a row, the printed result first."""
    published, row = result.row.published, result.row
    experiment, found = row.example, verdict(result)
    as_printed = " (as printed)" * (row.parameters == published.weights)
    network = f"{experiment.cell_name}, {row.parameters:,} weights{as_printed}"
    facts: list[Fact] = [] if row.variant else [("printed", published.result)]
    facts += [("variant", f"{key}: {value}") for key, value in flatten(dict(row.changes))]
    facts.append(("network", f"{network}, on {experiment.task_name}"))
    facts += [("ours", text) for text in _ours(result)]
    if found:
        facts.append(("conclusion", f"{found.conclusion}: {found.reason}"))
    elif result.fault:
        facts.append(("conclusion", f"none: {result.fault.problem}"))
    elif result.trials:
        facts.append(("conclusion", f"none yet: {len(result.ended)} of {counted(result.planned, 'trial')} ended"))
    facts += [("failed", f"{one.name} {one.state}: {one.reason}") for one in result.failed]
    if not row.variant:
        facts += [("departures", text) for text in published.departures]
    return [*facts, *([("time", duration(result.seconds))] if result.seconds is not None else [])]


def machine_of(result: Result) -> list[Fact]:
    """Return where and when the trials of a row were trained."""
    machine = result.machine
    if machine.last is None or result.row.variant:
        return []
    return [
        *(("machine", text) for text in machine.processors),
        *(("version", text) for text in machine.versions),
        ("date", f"{machine.last:%Y-%m-%d}"),
    ]


def state_of(result: Result) -> str:
    """Return the conclusion of a row that is finished, else how far it is."""
    if found := verdict(result):
        return found.conclusion
    if result.state != "partly":
        return result.state
    ended = len(result.ended)
    return f"{ended} of {result.planned} trials" if ended < result.planned else "not tested"


def conclusion(results: Sequence[Result]) -> str:
    """Return how many rows agree, differ and so on, in a line."""
    rows = [one for one in results if not one.row.variant]
    counts = Counter[str](found.conclusion if (found := verdict(one)) else one.state for one in rows)
    parts = [f"{count} {_PLURAL.get(kind, kind) if count > 1 else kind}" for kind in _ORDER if (count := counts[kind])]
    return f"{counted(len(rows), 'row')}: {', '.join(parts)}"


def _ours(result: Result) -> list[str]:
    if not result.ended:
        return []
    texts = [f"{len(result.ended)} of {counted(result.planned, 'trial')} ended"]
    if result.has_rule and result.interval:
        low, high = result.interval
        share = f"{len(result.solved)} of {counted(len(result.ended), 'trial')} solved"
        texts = [f"{share} (95% interval {low:.0%} to {high:.0%})"]
    if found := result.sequences:
        mean, middle = mean_of(found), median_of(found)
        texts.append(
            f"sequences until success: mean {mean:,.0f}, median {middle:,.0f}, from {found[0]:,} to {found[-1]:,}"
        )
    texts += _test_lines(result)
    if result.ratio is not None:
        texts.append(f"ratio to the printed value: {result.ratio:.3g}")
    return texts


def _test_lines(result: Result) -> list[str]:
    test, tested = result.row.published.test, result.tested
    if not test or not tested:
        return []
    lines = []
    which = "solved" if result.tests_solved else "completed"
    if wrong := [round(rate * test.sequences) for rate in result.of_test("error_rate")]:
        lines.append(
            f"wrong of {test.sequences:,} test sequences: mean {mean_of(wrong):.3g}, median {median_of(wrong):g}, "
            f"from {wrong[0]:,} to {wrong[-1]:,} ({which} trials{test.changed})"
        )
    others = [f"{name} {mean_of(result.of_test(name)):.3g}" for name in test_metrics(result) if name != "error_rate"]
    return [*lines, f"means of the test: {', '.join(others)}"] if others else lines


def test_metrics(result: Result) -> list[str]:
    """Return the names of the metrics of the tests that count."""
    return list(dict.fromkeys(name for one in result.tested for name in one.test or {}))


def by_paper(results: Sequence[Result]) -> dict[str, list[list[Result]]]:
    """Return the rows of each paper, each with its variants after it."""
    papers: dict[str, dict[str, list[Result]]] = {}
    for one in results:
        papers.setdefault(one.row.published.paper, {}).setdefault(one.row.name, []).append(one)
    return {paper: [*rows.values()] for paper, rows in papers.items()}


def authors_of(paper: str) -> str:
    """Return the authors and the year of a paper, without its title.

    Example:
        >>> authors_of("Hochreiter, Schmidhuber 1997, Long short-term memory")
        'Hochreiter, Schmidhuber 1997'
    """
    found = re.match(r".*?\b\d{4}\b", paper)
    return found[0] if found else paper


def grouped(facts: Sequence[Fact]) -> list[tuple[str, list[str]]]:
    """Return facts with one label for all texts that have it."""
    found: dict[str, list[str]] = {}
    for label, text in facts:
        found.setdefault(label, []).append(text)
    return list(found.items())


def paragraphs(text: str) -> list[str]:
    r"""Return the paragraphs of a text, each as one line.

    Example:
        >>> paragraphs("One\nline.\n\nAnother.\n")
        ['One line.', 'Another.']
    """
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
