"""The training record as event files, for TensorBoard to watch; `metrics.jsonl` stays the truth."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, final

from rnnlab.core.errors import EnvironmentFault
from rnnlab.storage import RunFolder, disk
from rnnlab.storage.system_errors import reported

_FLUSH_SECONDS = 5


def require_tensorboard() -> None:
    """Pass if event files can be written.

    Raises:
        EnvironmentFault: The package is not installed.
    """
    if find_spec("tensorboard") is None:
        problem = "logging.tensorboard needs the package tensorboard"
        raise EnvironmentFault(problem, hint="pip install 'rnnlab[tensorboard]', or set logging.tensorboard=false")


@final
class EventFile:
    """The event file of one training; it begins with all that was recorded before, and older files go.

    Args:
        run: The run; the file goes to `tensorboard/` in its folder.
        before: The records so far.
    """

    def __init__(self, run: RunFolder, before: Sequence[Mapping[str, Any]]) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        folder = run.events_folder()
        with reported("write", folder):
            for path in folder.glob("events.out.tfevents.*"):
                disk.unlink(path)
            self._writer = EventFileWriter(str(folder), flush_secs=_FLUSH_SECONDS)
        for record in before:
            self.add(record)

    def add(self, record: Mapping[str, Any]) -> None:
        """Add the numbers of a record."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [
            Summary.Value(tag=name, simple_value=float(value))
            for name, value in record.items()
            if name not in {"step", "seconds"} and isinstance(value, int | float) and not isinstance(value, bool)
        ]
        # Seconds of training are the clock, so that a resumed run has no gap in time.
        self._writer.add_event(
            Event(wall_time=float(record["seconds"]), step=record["step"], summary=Summary(value=values))
        )

    def close(self) -> None:
        """Write what is left."""
        with suppress(OSError):  # derived from the record, which is safe
            self._writer.close()
