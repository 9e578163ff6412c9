"""Processes forked from this one that each do their part of a piece of work, on memory they share.

Threads would take turns at the interpreter's lock several times a microsecond; on a step of small products that costs
more than the second processor brings. A process costs one message there and one back, about 50 µs.
"""

import mmap
import os
import pickle
import signal
import struct
import sys
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any, final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnlab.core.errors import EnvironmentFault

Array = NDArray[Any]
_ASKED_OF_THE_PARENT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_Member = tuple[int, int, int]  # the process, where to write to it, where to read from it
_LENGTH = struct.Struct("q")


def shared(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Return zeros that processes forked from now on see and change too.

    Args:
        shape: Any, also of no numbers.
        dtype: Any of a fixed size.
    """
    count, item = int(np.prod(shape)), np.dtype(dtype)
    return np.frombuffer(mmap.mmap(-1, max(1, count * item.itemsize)), item, count).reshape(shape)


def can_fork() -> bool:
    """Say whether a team can be had: on Linux alone.

    Elsewhere processes are forked too, but the libraries that compute there (Apple's Accelerate) break in a child.
    """
    return sys.platform == "linux"


class _GoneError(Exception):
    """The process at the other end has ended."""


@final
class Team:
    """This process and others, forked from it when the team is made.

    The others see objects as they were then, and shared arrays as they are. They leave signals to this process, end
    when it ends, however it does, and say nothing.

    Args:
        do: What each does of a piece of work: given its number, 0 for this process, and what `each` was given.
        processes: How many, with this one, 2 or more.

    Raises:
        OSError: The system refused another process.
    """

    def __init__(self, do: Callable[[int, Any], Any], processes: int) -> None:
        self._do = do
        self._others: list[_Member] = []
        self.close = weakref.finalize(self, _end, self._others, os.getpid())
        try:
            for number in range(1, processes):
                self._others.append(_start(do, number))
        except OSError:
            self.close()
            raise

    def each(self, given: Any, meanwhile: Callable[[], None] | None = None) -> list[Any]:
        """Have everybody do their part; return what each gave, this process first.

        Args:
            given: For everybody.
            meanwhile: Called here once the others are at work: waking them takes as long as some small task.

        Raises:
            EnvironmentFault: A process was ended by somebody.
            Exception: What one of them raised. The team is then dissolved.
        """
        message = pickle.dumps(given)
        try:
            for _, write, _ in self._others:
                _send(write, message)
            if meanwhile:
                meanwhile()
            done = [(True, self._do(0, given)), *[_receive(read) for _, _, read in self._others]]
        except _GoneError:
            self.close()
            problem = "a process that computes a part of each batch was ended from outside, as where memory runs out"
            raise EnvironmentFault(problem, hint="allow more memory, or set numpy.shards=1") from None
        except BaseException:  # the others may be at work still: their answers would be taken for later ones
            self.close()
            raise
        for is_good, result in done:
            if not is_good:
                self.close()
                raise result
        return [result for _, result in done]


def _end(others: list[_Member], owner: int) -> None:
    """End the others; a process forked from their owner has no right to."""
    while others and os.getpid() == owner:
        process, write, read = others.pop()
        os.close(write)
        os.close(read)
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(process, 0)


def _start(do: Callable[[int, Any], Any], number: int) -> _Member:
    from_parent, write = os.pipe()
    read, to_parent = os.pipe()
    try:
        with warnings.catch_warnings():
            # Forking beside threads is a risk to who then takes locks; a member of a team computes and pipes only.
            warnings.simplefilter("ignore")
            process = os.fork()
    except OSError:
        for end in (from_parent, write, read, to_parent):
            os.close(end)
        raise
    if not process:
        _serve(do, number, from_parent, to_parent)
    os.close(from_parent)
    os.close(to_parent)
    return process, write, read


def _serve(do: Callable[[int, Any], Any], number: int, read: int, write: int) -> None:
    """Be a member of a team until the parent is gone."""
    try:
        for asked in _ASKED_OF_THE_PARENT:
            signal.signal(asked, signal.SIG_IGN)
        _hold_only(read, write)
        while True:
            given = _receive(read)
            try:
                answer = True, do(number, given)
            except Exception as error:  # the parent's to raise
                answer = False, error
            _send(write, _packed(*answer))
    except _GoneError:  # the parent is
        pass
    finally:
        os._exit(0)


def _packed(is_well: bool, answer: Any) -> bytes:
    """Return an answer as bytes; an exception that cannot be sent is told by one that can."""
    try:
        return pickle.dumps((is_well, answer))
    except Exception as fault:
        told = answer if isinstance(answer, Exception) else fault
        return pickle.dumps((False, RuntimeError(f"{type(told).__name__}: {told}")))


def _hold_only(*kept: int) -> None:
    """Close all files but these: who reads from this program's output must see its end when the parent ends."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    edges = [2, *sorted(kept), os.sysconf("SC_OPEN_MAX")]
    for before, after in pairwise(edges):
        os.closerange(before + 1, after)


def _send(end: int, message: bytes) -> None:
    whole = memoryview(_LENGTH.pack(len(message)) + message)
    try:
        while whole:
            whole = whole[os.write(end, whole) :]
    except BrokenPipeError:
        raise _GoneError from None


def _receive(end: int) -> Any:
    (length,) = _LENGTH.unpack(_read(end, _LENGTH.size))
    return pickle.loads(_read(end, length))  # noqa: S301  # from a process of our own


def _read(end: int, length: int) -> bytes:
    parts = b""
    while len(parts) < length:
        part = os.read(end, length - len(parts))
        if not part:
            raise _GoneError
        parts += part
    return parts
