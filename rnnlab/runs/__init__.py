"""The run folder on disk: names, atomic writes, metrics, weights, provenance, finding runs."""

from rnnlab.runs.find import Listing, all_runs, find_run, runs_root
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.frame import table
from rnnlab.runs.lock import Lock
from rnnlab.runs.metrics import Metrics, MetricsWriter
from rnnlab.runs.status import State, Status

__all__ = [
    "Listing",
    "Lock",
    "Metrics",
    "MetricsWriter",
    "RunFolder",
    "State",
    "Status",
    "all_runs",
    "find_run",
    "runs_root",
    "table",
]
