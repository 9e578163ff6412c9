"""The rule of `pytest -m fast`: the contract of every layer in less than a minute, for a change that is being made.

A test is fast if its file is listed here and its id does not name Keras, which takes seconds to import. A layer has the
files that state its contract; what starts processes, kills them or waits is left to the whole suite. The doctests of
the package are fast as well.
"""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# By layer, from the bottom; a folder stands for all files in it.
FILES = {
    "core": ["core"],
    "cells, tasks": ["cells/test_contract.py", "tasks/test_contract.py", "tasks/test_success.py"],
    "optim": ["optim"],
    "equations": ["equations"],
    "backends": ["backends/test_contract.py", "backends/test_numpy.py"],
    "config": ["config"],
    "storage": ["storage"],
    "runs": ["runs/test_run.py", "runs/test_filter.py", "runs/test_frame.py"],
    "training": ["training/test_learning.py", "training/test_endings.py"],
    "inspection": ["inspection/test_evaluate.py", "inspection/test_doctor.py", "inspection/test_findings.py"],
    "comparison": ["comparison"],
    "figures": ["figures/test_page.py", "figures/test_notebook.py"],
    "sweeps": ["sweeps/test_axes.py", "sweeps/test_expand.py", "sweeps/test_folder.py", "sweeps/test_from_python.py"],
    "api": ["test_api.py"],
    "cli": ["cli/test_check.py", "cli/test_show.py", "cli/test_list.py", "cli/test_compare.py", "cli/test_tables.py"],
    "house rules": ["test_architecture.py"],
}
_PATHS = {ROOT / "tests" / name for names in FILES.values() for name in names} | {ROOT / "rnnlab"}


def is_fast(path: Path) -> bool:
    """Whether the tests of a file are fast, if they do not name Keras."""
    return not _PATHS.isdisjoint((path, *path.parents))


def mark(item: pytest.Item) -> None:
    """Mark a test as fast, if it is; what has another marker of pyproject.toml needs more than the package."""
    more = {mark.name for mark in item.iter_markers()} - {"parametrize", "filterwarnings", "usefixtures", "skipif"}
    if is_fast(item.path) and not more and "keras" not in item.nodeid.lower():
        item.add_marker("fast")
