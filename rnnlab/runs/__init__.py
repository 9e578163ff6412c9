"""Stored runs, read back: finding them, the table of all of them, filters."""

from rnnlab.runs.find import find_run, runs_root
from rnnlab.runs.frame import table

__all__ = ["find_run", "runs_root", "table"]
