"""The measurement: one child process after another, in rounds, each judged against the reference."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnnlab.bench.checking import TOLERANCE, Figures, largest_difference, reference
from rnnlab.bench.contender import Request
from rnnlab.bench.entrants import Entrant
from rnnlab.bench.machine import confined, cores_of_others, environment_for, now
from rnnlab.bench.work import Work

_PATIENCE = 900.0  # seconds a child may take: an engine may compile for minutes


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one child.

    Attributes:
        work: What it did.
        entrant: Who did it.
        threads: How many it might use.
        round: 1, 2, …
        place: Which of all trials this is, from 1 on, and how many there are.
        told: What it told, see `rnnlab.bench.contender.measure`; empty where it failed.
        failure: Why it told nothing.
        others: Processors that others kept busy meanwhile; None where the system does not tell.
        difference: The largest relative difference from the reference; None for another function, or a failure.
        differs: What differs so.
    """

    work: Work
    entrant: Entrant
    threads: int
    round: int
    place: tuple[int, int]
    told: Mapping[str, Any]
    failure: str = ""
    others: float | None = None
    difference: float | None = None
    differs: str = ""

    @property
    def is_wrong(self) -> bool:
        """Whether it computes something else than it should."""
        return self.difference is not None and not self.difference <= TOLERANCE


def measure(entered: Mapping[Work, Sequence[Entrant]], *, threads: Sequence[int], rounds: int) -> Iterator[Trial]:
    """Run every contender once a round, one after another, so that a busy minute falls on all alike.

    Who fails is not asked again in later rounds.

    Args:
        entered: Who does which work.
        threads: Each number of threads that all are given.
        rounds: How often, at least 1.
    """
    total = rounds * len(threads) * sum(map(len, entered.values()))
    place = 0
    with tempfile.TemporaryDirectory(prefix="rnnlab-bench-") as folder:
        for work, entrants in entered.items():
            expected, failed = reference(work), set[tuple[Entrant, int]]()
            for number in range(1, rounds + 1):
                for count in threads:
                    for entrant in entrants:
                        place += 1
                        if (entrant, count) in failed:
                            continue
                        request = Request(entrant, work, count, Path(folder, f"{place}.npz"))
                        trial = _try(request, expected, number=number, place=(place, total))
                        if trial.failure:
                            failed.add((entrant, count))
                        yield trial


def _try(request: Request, expected: Figures, *, number: int, place: tuple[int, int]) -> Trial:
    before, own = now(), _own_seconds()
    told, failure = _child(request)
    others = cores_of_others(before, now(), own=_own_seconds() - own)
    difference, differs = None, ""
    if not failure and told["loss"] is not None:
        difference, differs = largest_difference(_figures(told["loss"], request.gradients), expected)
    return Trial(
        request.work, request.entrant, request.threads, number, place, told, failure, others, difference, differs
    )


def _figures(loss: float, path: Path) -> Figures:
    with np.load(path, allow_pickle=False) as arrays:
        figures = Figures(loss, dict(arrays))
    path.unlink()
    return figures


def _own_seconds() -> float:
    """Return the processor time of this process and of the children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _child(request: Request) -> tuple[Mapping[str, Any], str]:
    """Return what a child tells, or why it tells nothing; however this ends, the child is gone."""
    command = [sys.executable, "-m", "rnnlab.bench.contender", request.to_json()]
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with confined(request.threads):
        child = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            command, env=environment_for(request.threads, os.environ), encoding="utf-8", errors="replace", **pipes
        )
    with child:
        try:
            out, err = child.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            return {}, f"took more than {_PATIENCE:.0f} s"
        finally:
            child.kill()
    try:
        told: dict[str, Any] = json.loads(out)
    except ValueError:
        return {}, _reason(child.returncode, err)
    return told, ""


def _reason(code: int, err: str) -> str:
    r"""Return why a child ended without an answer: its signal, or the last thing it said.

    Example:
        >>> _reason(-9, ""), _reason(1, "Traceback …\nRuntimeError: no such thing\n")
        ('killed by SIGKILL', 'RuntimeError: no such thing')
    """
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    said = [line.strip() for line in err.splitlines() if line.strip()]
    return said[-1][:300] if said else f"ended with exit code {code} and said nothing"
