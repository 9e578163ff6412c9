"""Time the training step of CONFIG's network, or of a grid of shapes, on every backend, beside other libraries.

A step is forward, backward, clipping and an Adam update, float32, one output from the last step. Each contender
runs in a process of its own, in turn, with the same processors and threads, and is not ranked unless its gradients
are the reference's. Shapes: N is T120 B64 D14 H16, S T50 B64 D16 H32, M T100 B32 D32 H128, L T100 B128 D64 H256.

The exit code is 4 where a contender's gradients are wrong, 5 where one did not live to answer; the others' figures
are there all the same. Ctrl-C ends it and shows what is there.
"""

from typing import Annotated, Any, Literal

import typer

from rnnlab.cli.options import JsonOption, OptionalConfigArgument, QuietOption, SetOption, whole_number

_MOST_ROUNDS = 1000


def _rounds(given: str | int) -> int:
    rounds = whole_number(given)
    if rounds > _MOST_ROUNDS:
        raise typer.BadParameter(f"{rounds:,} is more than {_MOST_ROUNDS:,}")
    return rounds


def command(
    config: OptionalConfigArgument = None,
    overrides: SetOption = None,
    shapes: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Shapes, by name or spelled out: M,T5xB4xD2xH3.", show_default="N,S,M,L"),
    ] = None,
    cells: Annotated[
        str | None, typer.Option(metavar="LIST", help="Cells, for each shape.", show_default="simple,carry")
    ] = None,
    threads: Annotated[
        str | None,
        typer.Option(
            metavar="LIST", help="How many threads each contender gets.", show_default="1,2 where there are two"
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(parser=_rounds, metavar="INTEGER", help="How often each is measured.")] = 3,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="LIST", help="Peers: torch,jax,tensorflow,keras, or none.", show_default="all that are installed"
        ),
    ] = None,
    format: Annotated[Literal["table", "markdown"], typer.Option("--format", help="How to print.")] = "table",
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="Where to write what would be printed.", show_default="stdout"),
    ] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    from rnnlab.bench.entrants import choose
    from rnnlab.bench.measure import measure
    from rnnlab.bench.report import Report
    from rnnlab.cli.commands._bench import check_memory, check_place, follow, threads_of, works_of, write
    from rnnlab.cli.render.bench import as_document

    works = works_of(config, overrides or [], shapes=_parts(shapes), cells=_parts(cells))
    given = threads_of(_parts(threads))
    entered = choose(works, _parts(against))
    check_place(out)
    check_memory(works)
    trials, whole = follow(measure(entered, threads=given, rounds=rounds), quiet=quiet)
    report = Report(trials)
    write(as_document(report, rounds=rounds, whole=whole, kind="json" if json else format), out)
    _end(report, whole=whole)


def _parts(text: str | None) -> list[str] | None:
    return None if text is None else list(dict.fromkeys(part.strip() for part in text.split(",")))


def _end(report: Any, *, whole: bool) -> None:
    """Turn what went wrong into an exit code."""
    from rnnlab.bench.checking import TOLERANCE
    from rnnlab.core.errors import EnvironmentFault, VerificationError

    if not whole:
        raise typer.Exit(130)
    wrong = next((trial for trial in report.trials if trial.is_wrong), None)
    if wrong:
        off = f"the {wrong.differs} is off by {wrong.difference:.1e}, expected at most {TOLERANCE:.0e}"
        raise VerificationError(off, where=f"{wrong.entrant}, {wrong.work}")
    failed = next((trial for trial in report.trials if trial.failure), None)
    if failed:
        raise EnvironmentFault(failed.failure, where=f"{failed.entrant}, {failed.work}")
