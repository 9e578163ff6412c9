"""A pool of processes, forked from this one, that each do a part of a task; and arrays in the memory that they share.

Threads would compete for the interpreter's lock several times per microsecond; in a step of small products that costs
more than the second processor gains. A process costs one message there and one back, about 50 µs.
"""

import mmap
import os
import pickle
import signal
import struct
import sys
import warnings
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Any, final

import numpy as np
from numpy.typing import DTypeLike

from rnnlab.core.batch import Array
from rnnlab.core.errors import EnvironmentFault

_HANDLED_BY_THE_PARENT = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")  # not all are there on Windows
_Worker = tuple[int, int, int]  # process id, pipe to write to it, pipe to read from it
_LENGTH = struct.Struct("q")


def shared(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Return zeros that processes forked from now on see and change too."""
    count, item = int(np.prod(shape)), np.dtype(dtype)
    return np.frombuffer(mmap.mmap(-1, max(1, count * item.itemsize)), item, count).reshape(shape)


class NamedVector:
    """A flat shared vector and named views into it: clipping and updating are a few operations whatever the network.

    Example:
        >>> vector = NamedVector({"W": (2, 2), "b": (2,)}, "f8")
        >>> vector.views["b"][:] = 7
        >>> vector.flat.tolist()
        [0.0, 0.0, 0.0, 0.0, 7.0, 7.0]
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], dtype: DTypeLike) -> None:
        sizes = [int(np.prod(shape)) for shape in shapes.values()]
        self.flat: Array = shared((sum(sizes),), dtype)  # (P,) contiguous; P is the number of values in all arrays
        parts = np.split(self.flat, np.cumsum(sizes)[:-1])
        # name to a view of the array's own shape. Writing to a view writes to `flat`
        self.views: dict[str, Array] = {
            name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)
        }

    def fill_from(self, arrays: Mapping[str, Array]) -> None:
        """Copy every named array in; names and shapes must be exactly these."""
        if set(arrays) != set(self.views):
            raise ValueError(f"names differ: {sorted(set(arrays) ^ set(self.views))}")
        for name, view in self.views.items():
            if arrays[name].shape != view.shape:
                raise ValueError(f"{name}: got shape {arrays[name].shape}, expected {view.shape}")
            view[...] = arrays[name]

    def copies(self) -> dict[str, Array]:
        """Return a copy of every array by name."""
        return {name: view.copy() for name, view in self.views.items()}


def can_fork() -> bool:
    """Return whether there can be a pool: on Linux alone.

    Elsewhere processes are forked too, but the libraries that compute there (Apple's Accelerate) break in a child.
    """
    return sys.platform == "linux"


class _GoneError(Exception):
    """The process at the other end has ended."""


@final
class ProcessPool:
    """This process and workers, forked from it when the pool is made.

    The workers see objects as they were then, and shared arrays as they are. They ignore signals, which this process
    handles, end when it ends for any reason, and print nothing.

    Args:
        do: Computes one part of a task, given the number of the process, 0 for this one, and what `each` was given.
        processes: How many, including this one, 2 or more.

    Raises:
        OSError: The system allows no more processes.
    """

    def __init__(self, do: Callable[[int, Any], Any], processes: int) -> None:
        self._do = do
        self._workers: list[_Worker] = []
        self.close = weakref.finalize(self, _end, self._workers, os.getpid())
        try:
            for number in range(1, processes):
                self._workers.append(_fork(do, number))
        except OSError:
            self.close()
            raise

    def each(self, given: Any, meanwhile: Callable[[], None] | None = None) -> list[Any]:
        """Run one task in all processes; return the result of each, this process first.

        `meanwhile` is called here once the workers have started: to wake them takes as long as a small task.


        Raises:
            EnvironmentFault: A worker was ended from outside.
            Exception: What one of them raised. The pool is then closed.
        """
        message = pickle.dumps(given)
        try:
            for _, write, _ in self._workers:
                _send(write, message)
            if meanwhile:
                meanwhile()
            done = [(True, self._do(0, given)), *[_receive(read) for _, _, read in self._workers]]
        except _GoneError:
            self.close()
            problem = "a process that computes a part of each batch was ended from outside, as where memory runs out"
            raise EnvironmentFault(problem, hint="allow more memory, or set numpy.shards=1") from None
        except BaseException:  # workers may still be computing: their results would be taken for later ones
            self.close()
            raise
        for is_good, result in done:
            if not is_good:
                self.close()
                raise result
        return [result for _, result in done]


def _end(workers: list[_Worker], owner: int) -> None:
    """End the workers, unless this process was itself forked from their owner."""
    while workers and os.getpid() == owner:
        process, write, read = workers.pop()
        os.close(write)
        os.close(read)
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(process, 0)


def _fork(do: Callable[[int, Any], Any], number: int) -> _Worker:
    ends = list(os.pipe())
    try:
        from_parent, write, read, to_parent = (*ends, *os.pipe())
        ends = [from_parent, write, read, to_parent]
        with warnings.catch_warnings():
            # Forking beside threads is a risk for code that takes locks; a worker only computes and uses its pipes.
            warnings.simplefilter("ignore")
            process = os.fork()
    except OSError:
        for end in ends:
            os.close(end)
        raise
    if not process:
        _serve(do, number, from_parent, to_parent)
    os.close(from_parent)
    os.close(to_parent)
    return process, write, read


def _serve(do: Callable[[int, Any], Any], number: int, read: int, write: int) -> None:
    """Be a worker until the parent is gone."""
    try:
        for name in _HANDLED_BY_THE_PARENT:
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        _close_all_but(read, write)
        while True:
            given = _receive(read)
            try:
                answer = True, do(number, given)
            except Exception as error:  # raised by the parent
                answer = False, error
            _send(write, _packed(*answer))
    except _GoneError:  # the parent is
        pass
    finally:
        os._exit(0)


def _packed(is_good: bool, answer: Any) -> bytes:
    """Return an answer as bytes; an exception that cannot be pickled is replaced by one that can."""
    try:
        return pickle.dumps((is_good, answer))
    except Exception as fault:
        error = answer if isinstance(answer, Exception) else fault
        return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))


def _close_all_but(*kept: int) -> None:
    """Close all files but these: a reader of this program's output must see its end when the parent ends."""
    edges = [2, *sorted(kept), os.sysconf("SC_OPEN_MAX")]
    for before, after in pairwise(edges):  # first: with as many files open as are allowed, none could be opened
        os.closerange(before + 1, after)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    os.close(null)


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
