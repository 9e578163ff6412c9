"""The run that a command line names."""

from pathlib import Path

from rnnlab.cli.errors import note
from rnnlab.runs.find import find_run, run_names
from rnnlab.runs.run import Run
from rnnlab.storage.status import label_of


def run_named(root: Path, text: str) -> Run:
    """Return the run that `text` names, with a note where it is the newest of several; raises as `find_run`."""
    run = find_run(root, text)
    if text == run.label != run.folder.name:
        others = [name for name in run_names(run.path.parent) if label_of(name) == text]
        if len(others) > 1:
            note(f"{text}: the newest of {len(others)} runs with this name, {run.folder.name}")
    return run
