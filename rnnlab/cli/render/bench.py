"""The result of `rnnlab bench`: a table per network and what it means, as text and as Markdown, and JSON."""

import platform
from collections.abc import Iterator
from typing import Any, Literal

from rnnlab.bench.measure import TOO_BUSY
from rnnlab.bench.report import Report, Row, milliseconds, three_digits
from rnnlab.bench.work import Work
from rnnlab.cli.render.output import as_json, printable
from rnnlab.cli.render.tables import as_markdown, markdown_text, table_lines
from rnnlab.core.table import Column, Table, table
from rnnlab.core.threads import allotted_cpus
from rnnlab.storage.provenance import describe_cpu

_NUMBERS = ("ms", "min", "p90", "times", "limit", "first s", "MiB")
_LEGEND = {
    "failed": "failed: its process ended without an answer",
    "wrong": "wrong: its gradients differ from the reference, and it is not ranked",
    "loaded": f"loaded: other programs kept more than {TOO_BUSY} processors busy; the result is not reliable",
}


def as_document(report: Report, *, rounds: int, complete: bool, form: Literal["table", "markdown", "json"]) -> str:
    """Return the report as text, and with it how many rounds were requested, and whether all of them were measured."""
    if form == "json":
        head = {"complete": complete, "rounds": rounds, "machine": _machine(report), "limits": _limits(report)}
        return as_json("bench", head | {"works": report.as_json()})
    tables = [_table(report, work) for work in report.works()]
    if form == "markdown":
        sentences = "".join(f"- {markdown_text(sentence)}\n" for sentence in _sentences(report))
        return "\n".join([_machine_in_words(report, rounds), *map(as_markdown, tables), sentences])
    lines = [line for one in tables for line in (*table_lines(one), "")]
    return "".join(f"{line}\n" for line in (*lines, *map(printable, _sentences(report))))


def _table(report: Report, work: Work) -> Table:
    rows = report.rows(work)
    marks = [Column("marks")] if any(row.marks for row in rows) else []
    columns = [Column("contender"), *(Column(name, is_number=True) for name in _NUMBERS), *marks]
    title = f"{work}: {work.operations() / 1e6:,.4g} million operations per step"
    return table(columns, [_cells(row)[: len(columns)] for row in rows], title)


def _cells(row: Row) -> list[str]:
    return [
        f"{row.contender} ×{row.threads}",
        *("" if value is None else milliseconds(value) for value in (row.median_s, row.min_s, row.p90_s)),
        "" if row.times is None else three_digits(row.times),
        "" if row.limit is None else f"{row.limit:.0%}",
        "" if row.first_s is None else f"{row.first_s:.2f}",
        "" if row.peak_bytes is None else f"{row.peak_bytes / 2**20:,.0f}",
        " ".join(row.marks),
    ]


def _sentences(report: Report) -> Iterator[str]:
    """Yield what the tables mean; what to use comes last."""
    works, products = report.works(), report.products()
    rows = [(work, row) for work in works for row in report.rows(work)]
    for count, found in products.items():
        speeds = ", ".join(f"{name} {gflops:.0f}" for gflops, name, _ in found)
        yield f"limit ×{count}: the fastest matrix product in GFLOP/s, {speeds}"
    kernels = [f"kernels of {name}: {kernel}" for found in products.values() for _, name, kernel in found if kernel]
    yield from dict.fromkeys(kernels)
    yield from (text for mark, text in _LEGEND.items() if any(mark in row.marks for _, row in rows))
    yield from (f"{work}: {row.contender} ×{row.threads}: {row.why}" for work, row in rows if row.why)
    yield from (sentence for work in works for sentence in report.losses(work))
    yield from map(report.advice, works)


def _limits(report: Report) -> dict[int, dict[str, Any]]:
    """Return for each number of threads the fastest matrix product, and that of each contender."""
    keys = ("gflops", "contender", "kernels")
    found = {n: [dict(zip(keys, one, strict=True)) for one in each] for n, each in report.products().items()}
    return {count: each[0] | {"products": each} for count, each in found.items()}


def _machine(report: Report) -> dict[str, Any]:
    found = {name: version for trial in report.trials for name, version in trial.results.get("versions", {}).items()}
    system = {"python": platform.python_version(), "platform": platform.platform(), "allotted": allotted_cpus()}
    return describe_cpu().model_dump() | system | {"versions": dict(sorted(found.items()))}


def _machine_in_words(report: Report, rounds: int) -> str:
    machine = _machine(report)
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    cores = f"{machine['allotted']} of {machine['logical_cores']} cores"
    repeated = "1 round" if rounds == 1 else f"{rounds} rounds"
    return f"{machine['model']}, {cores}; Python {machine['python']}, {versions}; float32, {repeated}.\n"
