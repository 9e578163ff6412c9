"""Stored runs, read back: finding them, listing them, filters."""

from rnnlab.runs.columns import table
from rnnlab.runs.find import find_run, runs_root

__all__ = ["find_run", "runs_root", "table"]
