"""A measurement as it is shown: tables with what they mean, for a terminal or a README, and JSON."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rnnlab.bench.machine import TOO_BUSY
from rnnlab.bench.report import Report, Row, milliseconds, three_digits
from rnnlab.bench.work import Work
from rnnlab.cli.render.output import as_json, as_text, plain_table
from rnnlab.core.allotment import allotted_cpus
from rnnlab.core.text import visible

if TYPE_CHECKING:
    from rich.console import RenderableType


def as_document(report: Report, *, rounds: int, whole: bool, kind: str) -> str:
    """Return the report as `table`, `markdown` or `json`."""
    if kind == "json":
        told = {"complete": whole, "rounds": rounds, "machine": _machine(report), "limits": _limits(report)}
        return as_json("bench", told | {"works": report.as_json()})
    return _markdown(report, rounds) if kind == "markdown" else as_text(*_tables(report))


_HEADERS = ("contender", "threads", "ms", "min", "p90", "times", "limit", "first s", "MiB", "marks")


def _tables(report: Report) -> "Iterator[RenderableType]":
    for work in report.works():
        table = plain_table(*_HEADERS, title=_title(work), numbers=_HEADERS[1:-1])
        table.padding = 0
        for column in table.columns[:-1]:
            column.no_wrap = True
        table.columns[-1].min_width = max(map(len, _LEGEND))
        for row in report.rows(work):
            table.add_row(*_cells(row))
        yield table
        yield ""
    yield from (visible(sentence) for sentence in _sentences(report))


def _markdown(report: Report, rounds: int) -> str:
    machine = _machine(report)
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    cores = f"{machine['allotted']} of {machine['logical_cores']} cores"
    lines = [f"{machine['model']}, {cores}; Python {machine['python']}, {versions}; float32, {rounds} rounds.", ""]
    for work in report.works():
        lines += [f"**{_title(work)}**", "", _bar(_HEADERS), "|---|" + "---:|" * (len(_HEADERS) - 2) + "---|"]
        lines += [*(_bar(_cells(row)) for row in report.rows(work)), ""]
    return "\n".join([*lines, *(f"- {visible(sentence)}" for sentence in _sentences(report))]) + "\n"


def _bar(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _title(work: Work) -> str:
    return f"{work}: {work.operations() / 1e6:,.4g} million operations a step"


def _cells(row: Row) -> tuple[str, ...]:
    times, limit = row.times, row.limit
    return (
        str(row.entrant),
        str(row.threads),
        *("" if value is None else milliseconds(value) for value in (row.median_s, row.min_s, row.p90_s)),
        "" if times is None else three_digits(times),
        "" if limit is None else f"{limit:.0%}",
        "" if row.first_s is None else f"{row.first_s:.2f}",
        "" if row.peak_bytes is None else f"{row.peak_bytes / 2**20:,.0f}",
        " ".join(row.marks),
    )


_LEGEND = {
    "failed": "failed: it did not live to answer",
    "wrong": "wrong: its gradients are not the reference's, and it is not ranked",
    "other": "other: not the same function, and not ranked",
    "loaded": f"loaded: others kept more than {TOO_BUSY} processors busy, and the figure is not to be trusted",
}


def _sentences(report: Report) -> Iterator[str]:
    """Yield what the tables mean; what to use comes last."""
    rows = [(work, row) for work in report.works() for row in report.rows(work)]
    for count, best in _limits(report).items():
        products = ", ".join(f"{one['contender']} {one['gflops']:.0f}" for one in best["products"])
        yield f"limit, threads {count}: the best product of matrices in GFLOP/s, {products}"
    kernels = dict.fromkeys(f"{who}: {said}" for who, _, _, said in report.products() if said)
    yield from (f"kernels of {one}" for one in kernels)
    yield from (text for mark, text in _LEGEND.items() if any(mark in row.marks for _, row in rows))
    yield from (f"{work}: {row.entrant}, threads {row.threads}: {row.why}" for work, row in rows if row.why)
    yield from (sentence for work in report.works() for sentence in report.losses(work))
    yield from (report.advice(work) for work in report.works())


def _limits(report: Report) -> dict[int, dict[str, Any]]:
    """Return each number of threads' best product of matrices, and everybody's own, the best first."""
    found: dict[int, dict[str, Any]] = {}
    for entrant, threads, rate, kernels in report.products():
        own = {"contender": str(entrant), "gflops": rate / 1e9, "kernels": kernels}
        found.setdefault(threads, own | {"products": []})["products"].append(own)
    return found


def _machine(report: Report) -> dict[str, Any]:
    import platform

    from rnnlab.storage.provenance import describe_cpu

    versions = {name: version for trial in report.trials for name, version in trial.told.get("versions", {}).items()}
    told = {"python": platform.python_version(), "platform": platform.platform(), "allotted": allotted_cpus()}
    return describe_cpu() | told | {"versions": dict(sorted(versions.items()))}
