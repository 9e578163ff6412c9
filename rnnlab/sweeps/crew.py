"""The controller's side of its workers: started once, fed trial after trial, heard, stopped."""

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self, final

import rnnlab
from rnnlab.sweeps.orders import AbstractLine, Halt, Line, Train, read_line
from rnnlab.sweeps.plan import Trial

# There is a worker for each processor, so one thread computes in each.
_ONE_THREAD = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
)  # fmt: skip
_PIECE = 1 << 16
_START = 120.0  # seconds that a worker may take to start
_PATIENCE = 10.0  # seconds from the wish to stop to the kill


@final
class Member:
    """One worker process.

    Attributes:
        trial: What it trains; None while it waits.
        is_ready: Whether it has ever said anything.
    """

    def __init__(self) -> None:
        self.trial: Trial | None = None
        self.is_ready = False
        self._since, self._halted = 0.0, 0.0
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        self._rest = b""
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-P", "-m", "rnnlab.sweeps.worker"],
            env=environment(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # what the terminal sends is for the controller
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self.out = self._process.stdin, self._process.stdout

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    @property
    def seconds(self) -> float:
        """Since it was given its trial; while it starts that does not count, unless it takes very long."""
        seconds = time.monotonic() - self._since
        return seconds if self.is_ready or seconds > _START else 0.0

    @property
    def is_halted(self) -> bool:
        """Whether it was asked to stop the trial that it has."""
        return self._halted > 0

    def train(self, trial: Trial, order: Train) -> None:
        """Give it a trial."""
        self.trial, self._since, self._halted = trial, time.monotonic(), 0.0
        self._send(order)

    def halt(self, reason: str) -> None:
        """Ask it to save its trial and end it; only the first time counts."""
        if not self.is_halted:
            self._halted = time.monotonic()
            self._send(Halt(reason))

    def kill_if_deaf(self) -> None:
        """Kill it where it was asked to stop long ago."""
        if self.is_halted and time.monotonic() - self._halted > _PATIENCE:
            self.kill()

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()

    def lines(self) -> Iterator[Line | None]:
        """Yield what it has said by now, and None where it has ended."""
        piece = os.read(self.out.fileno(), _PIECE)
        *whole, self._rest = (self._rest + piece).split(b"\n")
        for line in whole:
            if not self.is_ready:
                self.is_ready, self._since = True, time.monotonic()
            yield read_line(line)
        if not piece:
            yield None

    def end(self) -> None:
        """Tell it that there is nothing more to do; what it trains it saves."""
        with suppress(OSError):
            self._in.close()

    def close(self) -> str:
        """Wait until it has ended, and return how."""
        self.end()
        try:
            code = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._process.wait()
        self.out.close()
        with self._errors:
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace")
        return _how(code, said)

    def _send(self, line: AbstractLine) -> None:
        with suppress(OSError):  # it is dead, and the end of its output will tell so
            self._in.write(line.to_line())
            self._in.flush()


@final
class Crew:
    """The workers; use it as a context: afterwards there are none.

    Args:
        size: How many at most.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.members: list[Member] = []
        self._selector = selectors.DefaultSelector()

    def idle(self) -> Member | None:
        """Return a worker that waits, a new one where there may be one more; None where all are busy."""
        for member in self.members:
            if member.trial is None:
                return member
        if len(self.members) == self.size:
            return None
        member = Member()
        self.members.append(member)
        self._selector.register(member.out, selectors.EVENT_READ, member)
        return member

    def busy(self) -> list[Member]:
        """Return those that train."""
        return [member for member in self.members if member.trial is not None]

    def hear(self, seconds: float) -> Iterator[tuple[Member, Line | None]]:
        """Wait at most so long for somebody to say something, and yield all that was said; None: it has ended."""
        for key, _ in self._selector.select(seconds):
            member: Member = key.data
            for line in member.lines():
                yield member, line

    def dismiss(self, member: Member) -> str:
        """Let a worker go, and return how it ended."""
        self._selector.unregister(member.out)
        self.members.remove(member)
        return member.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for member in self.members:
            if kind is not None:
                member.kill()
            member.end()
        for member in list(self.members):
            self.dismiss(member)
        self._selector.close()


def environment(surroundings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a worker: this very rnnlab, one thread."""
    home = str(Path(rnnlab.__file__).parents[1])
    path = os.pathsep.join(filter(None, [home, surroundings.get("PYTHONPATH", "")]))
    return {**surroundings, **dict.fromkeys(_ONE_THREAD, "1"), "PYTHONPATH": path}


def _how(code: int, said: str) -> str:
    r"""Return how a worker ended: its signal, or the last thing it said.

    Example:
        >>> _how(-9, ""), _how(1, "Traceback …\nMemoryError\n")
        ('killed by SIGKILL', 'ended with exit code 1: MemoryError')
    """
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    last = [line.strip() for line in said.splitlines() if line.strip()][-1:]
    return ": ".join([f"ended with exit code {code}", *last])[:300]
