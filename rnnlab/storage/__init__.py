"""The run folder on disk: its files, their formats, atomic writes, the lock."""

from rnnlab.storage.folder import RunFolder
from rnnlab.storage.lock import Lock
from rnnlab.storage.metrics import Metrics
from rnnlab.storage.status import State, Status

__all__ = ["Lock", "Metrics", "RunFolder", "State", "Status"]
