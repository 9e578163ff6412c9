"""The process pool: its results, what ends it, and that no process is left."""

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.backends.numpy.pool import ProcessPool, shared
from rnnlab.core.errors import EnvironmentFault


def process(_: int, __: Any) -> int:
    return os.getpid()


def is_there(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_each_does_its_part_on_shared_memory() -> None:
    array = shared((3, 2), "f4")

    def do(number: int, given: float) -> int:
        array[number] = given + number
        return number * 10

    pool = ProcessPool(do, 3)
    assert pool.each(1.5) == [0, 10, 20]
    assert array.tolist() == [[1.5, 1.5], [2.5, 2.5], [3.5, 3.5]]
    assert pool.each(-1) == [0, 10, 20]
    assert array[2].tolist() == [1, 1]
    pool.close()


def test_meanwhile_is_called_once_the_workers_have_started() -> None:
    """Here the other waits for what is written meanwhile."""
    array = shared((1,), "i8")

    def do(number: int, _: Any) -> int:
        while number and not array[0]:
            time.sleep(0.001)
        return int(array[0])

    def meanwhile() -> None:
        array[0] = 7

    pool = ProcessPool(do, 2)
    assert pool.each(None, meanwhile) == [7, 7]
    pool.close()


def test_the_first_is_this_process_and_the_others_are_its_children() -> None:
    pool = ProcessPool(process, 3)
    here, *others = pool.each(None)
    assert here == os.getpid()
    assert len({here, *others}) == 3
    pool.close()
    assert not any(map(is_there, others))


def test_an_error_that_cannot_be_sent_is_replaced() -> None:
    class OwnError(Exception):  # a local class cannot be pickled
        pass

    def do(number: int, _: object) -> None:
        if number:
            raise OwnError("no such luck")

    with pytest.raises(RuntimeError, match="OwnError: no such luck"):
        ProcessPool(do, 2).each(None)


def test_no_process_is_left_when_the_pool_is_collected() -> None:
    others = ProcessPool(process, 2).each(None)[1:]
    gc.collect()
    assert not any(map(is_there, others))


@pytest.mark.parametrize("where", [0, 1])
@pytest.mark.parametrize("error", [MemoryError("too much"), EOFError("too much"), BrokenPipeError("too much")])
def test_what_one_raises_is_raised(where: int, error: Exception) -> None:
    """It is not taken for the end of a process, whatever it is."""

    def do(number: int, _: Any) -> int:
        if number == where:
            raise error
        return os.getpid()

    with pytest.raises(type(error), match="too much"):
        ProcessPool(do, 2).each(None)


def test_a_worker_that_is_killed_is_reported() -> None:
    pool = ProcessPool(process, 2)
    (other,) = pool.each(None)[1:]
    os.kill(other, signal.SIGKILL)
    with pytest.raises(EnvironmentFault) as reported:
        pool.each(None)
    assert str(reported.value) == (
        "a process that computes a part of each batch was ended from outside, as where memory runs out — allow more "
        "memory, or set numpy.shards=1"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_workers_ignore_signals(number: signal.Signals) -> None:
    """A terminal and a batch system send them to all processes of a job."""
    pool = ProcessPool(process, 2)
    (other,) = pool.each(None)[1:]
    os.kill(other, number)
    assert pool.each(None)[1] == other
    pool.close()


def test_a_big_message_goes_through() -> None:
    pool = ProcessPool(lambda number, given: given * (number + 1), 2)
    assert [len(answer) for answer in pool.each(b"x" * 3_000_000)] == [3_000_000, 6_000_000]
    pool.close()


def test_a_killed_parent_takes_the_others_with_it(tmp_path: Path) -> None:
    """And what reads its output sees the end at once."""
    script = (
        "import os, signal\n"
        "from rnnlab.backends.numpy.pool import ProcessPool\n"
        "pool = ProcessPool(lambda number, given: os.getpid(), 3)\n"
        "print(*pool.each(None)[1:], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == -signal.SIGKILL
    others = [int(number) for number in done.stdout.split()]
    assert len(others) == 2
    ends = time.monotonic() + 10
    while any(map(is_there, others)) and time.monotonic() < ends:
        time.sleep(0.01)
    assert not any(map(is_there, others))


def test_files_of_the_parent_are_closed(tmp_path: Path) -> None:
    read, write = os.pipe()
    pool = ProcessPool(process, 2)
    pool.each(None)
    os.close(write)
    assert os.read(read, 1) == b""  # the end: the other process has closed it
    os.close(read)
    pool.close()


def test_shared_memory_of_no_numbers() -> None:
    assert np.array_equal(shared((0, 4), "f8"), np.zeros((0, 4)))
