"""Repeat published results: the paper's number beside ours.

Without ROW it lists the rows: which number of which paper each repeats, and how far it is. A row is trained like a
sweep, in runs/reproduce/ROW: what is missing is trained, and what was interrupted is resumed. Each trial is then tested
on fresh sequences, and the result is compared with the printed one by a rule that the row states beforehand.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import accumulate
from pathlib import Path
from threading import Timer
from typing import Annotated, Literal

import typer

from rnnlab.cli.errors import note, warn
from rnnlab.cli.errors import report as report_error
from rnnlab.cli.options import (
    RUNS,
    JsonOption,
    QuietOption,
    RunsOption,
    WorkersOption,
    argument,
    flag,
    offering,
    option,
    path_option,
)
from rnnlab.cli.out_file import require_own
from rnnlab.cli.render import reproduction as render
from rnnlab.cli.render.sweep import shown
from rnnlab.cli.signals import DEFAULT, asking
from rnnlab.core.errors import ConditionError, RnnlabError, StoppedError, TrialsFailedError, UsageError
from rnnlab.core.text import counted, duration, listed
from rnnlab.core.threads import allotted_cpus
from rnnlab.reproduction.page import GENERATOR, write_page
from rnnlab.reproduction.results import OPEN, Result, result_of, seconds_left, test_trial, untested
from rnnlab.reproduction.rows import Row, row_names, rows_named
from rnnlab.reproduction.verdict import verdict
from rnnlab.reproduction.words import state_of
from rnnlab.storage.files import write_atomic
from rnnlab.sweeps import SweepFolder
from rnnlab.sweeps.events import SweepEnded, TrialEnded
from rnnlab.sweeps.runner import run_sweeps
from rnnlab.training.stopping import Stop

_MOST_NAMED = 5
_WITHIN = (
    "Train the rows that fit into this time by their estimates, the shortest first and those without one last, and "
    "stop with the state saved when it is over: 30min, 1h. Without ROW, of all rows."
)
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)(h|min|m|s)?)+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|min|m|s)?")
_UNITS = {"h": 3600.0, "min": 60.0, "m": 60.0, "s": 1.0, "": 1.0}


def _names() -> list[str]:
    names = row_names()
    return [*(f"{paper}/" for paper in dict.fromkeys(name.partition("/")[0] for name in names)), *names]


def _seconds(given: str | float) -> float:
    """Return the seconds in `90`, `90s`, `5min`, `1h` or `1h30min`."""
    text = str(given)
    if not _DURATION.fullmatch(text) or not (found := sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(text))):
        raise typer.BadParameter(f"got {text[:60]!r}, expected a time such as 90s, 30min, 1h or 1h30min")
    return found


def command(
    names: Annotated[
        list[str] | None,
        argument(
            "ROW",
            "A row, or how the names of several begin: hs1997/table7_100, hs1997; or a row's file, ./my_row.yaml.",
            offering(_names),
        ),
    ] = None,
    everything: Annotated[bool, flag("--all", "All rows.")] = False,
    within: Annotated[float | None, option("TIME", _WITHIN, parser=_seconds)] = None,
    variants: Annotated[bool, flag("--variants", "Train the variants of the rows as well.")] = False,
    workers: WorkersOption = None,
    dry_run: Annotated[
        bool, flag("--dry-run", "Show what the rows train and how they are judged; create nothing.")
    ] = False,
    report: Annotated[
        Path | None, path_option("FILE", "Write an HTML page of the rows, with what is finished.")
    ] = None,
    markdown: Annotated[Path | None, path_option("FILE", "Write the same as Markdown.")] = None,
    fail_if: Annotated[
        Literal["differs"] | None, option(None, "Exit with code 9 if a row is finished and does not agree.")
    ] = None,
    runs: RunsOption = RUNS,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    count = workers or allotted_cpus()
    is_list = not names and not everything and within is None
    if dry_run and (report or markdown):
        hint = "leave it out, and ROW too where nothing is to be trained"
        raise UsageError("creates nothing", where="--dry-run", hint=hint)
    if names and everything:
        raise UsageError(f"got --all and {listed(names, 3)}, expected one of them", hint="leave out --all")
    if variants and is_list:
        raise UsageError("needs a ROW, --all or --within", where="--variants")
    _require_own(report, markdown)
    chosen = rows_named(names or row_names())
    results = [result_of(one, runs) for row in chosen for one in (row, *(row.variants if variants else ()))]
    costs = {one.row.title: seconds_left(one, workers=count) for one in results}
    if within is not None:
        results = _fitting(results, costs, within)
    reason = ""
    if not is_list and not dry_run:
        reason = _train_all(results, runs, within, workers=count, quiet=quiet)
        results = [result_of(one.row, runs) for one in results]
    if json:
        render.show_document(results, costs)
    elif is_list:
        render.show_rows(results, costs, workers=count)
    elif dry_run:
        render.show_dry_run(results, costs, workers=count)
    else:
        render.show_results(results)
    _write_pages(chosen, runs, report, markdown)
    if not is_list:
        _raise_for(results, runs, reason, is_tried=not dry_run)
    for fault in filter(None, (one.fault for one in results)):
        warn(str(fault))
    _raise_if(fail_if, results)


def _require_own(report: Path | None, markdown: Path | None) -> None:
    pages = {"--report": (report, f'name="generator" content="{GENERATOR} '), "--markdown": (markdown, render.MARK)}
    for name, (path, mark) in pages.items():
        if path is not None:
            hint = "choose another place, or delete the file"
            require_own(path, mark, option=name, what="a page of results", hint=hint)


def _write_pages(rows: Sequence[Row], root: Path, report: Path | None, markdown: Path | None) -> None:
    """Write the pages of these rows and of those of their variants that were trained."""
    if report is None and markdown is None:
        return
    results = [result_of(one, root) for row in rows for one in (row, *row.variants)]
    results = [one for one in results if one.trials or not one.row.variant]
    if report is not None:
        write_atomic(report, write_page(results).encode(), elsewhere="--report FILE")
    if markdown is not None:
        write_atomic(markdown, render.markdown_page(results).encode(), elsewhere="--markdown FILE")


def _fitting(results: Sequence[Result], costs: render.Costs, within: float) -> list[Result]:
    """Return the rows in the order of their estimates, as long as all fit; those without an estimate come last."""
    known = {title: seconds for title, seconds in costs.items() if seconds is not None}
    order = sorted(results, key=lambda one: known.get(one.row.title, float("inf")))
    totals = accumulate(known.get(one.row.title, 0.0) for one in order)
    fits = [total <= within or one.row.title not in known for one, total in zip(order, totals, strict=True)]
    if left := [one.row.title for one, fit in zip(order, fits, strict=True) if not fit]:
        note(f"--within {duration(within)}: left out by their estimates: {listed(left, _MOST_NAMED)}")
    return [one for one, fit in zip(order, fits, strict=True) if fit]


def _train_all(results: Sequence[Result], root: Path, within: float | None, *, workers: int, quiet: bool) -> str:
    """Train and test what is missing, and print each conclusion; return why it was stopped, if it was."""
    stop, rows = Stop(), dict[Path, Row]()

    def sweeps() -> Iterator[SweepFolder]:
        for one in results:
            if one.state in OPEN and not stop.reason:
                sweep = SweepFolder.create(one.row.folder(root), one.row.checked)
                one.row.claim(root)
                rows[sweep.path] = one.row
                yield sweep

    events = run_sweeps(sweeps(), workers=workers, stop=stop)
    with asking(stop, more=DEFAULT), closing(events), ExitStack() as stack:
        if within is not None:
            timer = Timer(within, stop.ask, [f"--within {duration(within)}"])
            timer.daemon = True
            timer.start()
            stack.callback(timer.cancel)
        name = (lambda sweep: f"{rows[sweep.path].title}: ") if len(results) > 1 else (lambda _: "")
        for sweep, event in shown(events, name, quiet=quiet):
            if isinstance(event, TrialEnded | SweepEnded):
                _test(rows[sweep.path], root, stop)
            if isinstance(event, SweepEnded) and not quiet:
                ended = result_of(rows[sweep.path], root)
                found = verdict(ended)
                note(f"{ended.row.title}: {f'{found.conclusion}: {found.reason}' if found else state_of(ended)}")
    return stop.reason


def _test(row: Row, root: Path, stop: Stop) -> None:
    """Test the trials of a row that have ended; between two tests it may be stopped."""
    for run in untested(row, root):
        if stop.reason:
            return
        try:
            test_trial(row, run)
        except RnnlabError as error:
            warn(f"{row.title}: {run.name} could not be tested: {error}")


def _raise_for(results: Sequence[Result], root: Path, stop_reason: str, *, is_tried: bool) -> None:
    if stop_reason:
        left = [one.row.title for one in results if one.state in OPEN]
        problem = f"stopped by {stop_reason}: {listed(left, _MOST_NAMED)} not finished"
        raise StoppedError(problem, hint="the same command resumes what is left, with all that was trained")
    if faults := [one.fault for one in results if one.fault]:
        for fault in faults[:-1]:
            report_error(fault)
        raise faults[-1]
    if is_tried and (failed := [one for one in results if one.failed]):
        trials, rows = sum(len(one.failed) for one in failed), listed([one.row.title for one in failed], 5)
        problem = f"{counted(trials, 'trial')} failed, diverged or damaged, of {rows}"
        where = failed[0].row.folder(root)
        hint = f"`rnnlab sweep status {where}` shows why; the same command retries failed trials"
        raise TrialsFailedError(problem, hint=hint)


def _raise_if(condition: str | None, results: Sequence[Result]) -> None:
    finished = {one.row.title: found for one in results if not one.row.variant and (found := verdict(one))}
    if condition and (wrong := [title for title, found in finished.items() if found.conclusion != "agrees"]):
        raise ConditionError(f"differs: {listed(wrong, _MOST_NAMED)}", where="--fail-if")
