"""Examine a run: every file's checksum, the checkpoints, the metrics, the status and the lock. Nothing is changed.

The exit code is 4 where anything is bad. A run that was killed is not: it can be resumed.
"""

import typer

from rnnlab.cli.options import JsonOption, RunArgument, RunsOption


def command(run: RunArgument, runs: RunsOption = None, json: JsonOption = False) -> None:
    from dataclasses import asdict

    from rnnlab.cli.render.output import plain_table, show, show_json
    from rnnlab.core.text import visible
    from rnnlab.inspection.doctor import examine
    from rnnlab.runs import find_run, runs_root

    report = examine(find_run(runs_root(runs), run).folder)
    if json:
        findings = [asdict(finding) for finding in report.findings]
        told = {"run": report.run.name, "path": report.run.path, "state": report.state, "step": report.step}
        show_json("doctor", told | {"healthy": report.is_healthy, "findings": findings})
    else:
        table = plain_table("", "file", "what was found")
        for finding in report.findings:
            table.add_row(finding.verdict, finding.file, visible(finding.detail))
        bad = sum(finding.verdict == "bad" for finding in report.findings)
        verdict = f"{bad} bad" if bad else "healthy"
        show(f"{visible(report.run.name)}: {report.state} at step {report.step:,}; {verdict}", table)
    if not report.is_healthy:
        raise typer.Exit(4)
