"""Examine the files of a run; nothing is changed.

That is, every file's checksum, and whether all files are of one run and agree. The exit code is 4 if anything is bad.
A run that was killed is not bad: it can be resumed.
"""

import typer

from rnnlab.cli.named import run_named
from rnnlab.cli.options import RUNS, JsonOption, RunArgument, RunsOption
from rnnlab.cli.render.output import show, show_json
from rnnlab.cli.render.tables import show_table
from rnnlab.core.table import table
from rnnlab.inspection.doctor import examine


def command(run: RunArgument, runs: RunsOption = RUNS, json: JsonOption = False) -> None:
    report = examine(run_named(runs, run).folder)
    bad = sum(finding.result == "bad" for finding in report.findings)
    if json:
        of_run = {"run": report.run.name, "path": report.run.path, "state": report.state, "step": report.step}
        show_json("doctor", {**of_run, "healthy": not bad, "findings": report.findings})
    else:
        rows = [(finding.result, finding.file, finding.detail) for finding in report.findings]
        conclusion = f"{bad} bad" if bad else "healthy"
        show(f"{report.run.name}: {report.state} at step {report.step:,}; {conclusion}", "")
        show_table(table(["", "file", "finding"], rows, text=["file", "finding"]))
    if bad:
        raise typer.Exit(4)
