"""The measurement: one child process after another, in rounds, each compared with the reference."""

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

from rnnlab.bench.child import Request
from rnnlab.bench.entrants import Entrant
from rnnlab.bench.machine import confined, cores_of_others, environment_for, now
from rnnlab.bench.work import TOLERANCE, Figures, Work, largest_difference, reference

_PATIENCE = 900.0  # seconds a child may take: an engine may compile for minutes


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of one child process.

    Attributes:
        work: What was computed.
        entrant: The contender and its engine.
        threads: How many it could use.
        round: 1, 2, …
        place: The number of this trial, from 1, and how many there are.
        results: What `rnnlab.bench.child.measure` returned; empty if it failed.
        failure: Why there are no results.
        others: Processors kept busy by other programs meanwhile; None where the system does not report it.
        difference: The largest relative difference from the reference; None for another function, or a failure.
        differs: Which value has that difference.
    """

    work: Work
    entrant: Entrant
    threads: int
    round: int
    place: tuple[int, int]
    results: Mapping[str, Any]
    failure: str = ""
    others: float | None = None
    difference: float | None = None
    differs: str = ""

    @property
    def is_wrong(self) -> bool:
        """Whether its loss or gradients are wrong."""
        return self.difference is not None and not self.difference <= TOLERANCE


def measure(entered: Mapping[Work, Sequence[Entrant]], *, threads: Sequence[int], rounds: int) -> Iterator[Trial]:
    """Run every entrant once per round, one after another, so that other load on the machine affects all equally.

    An entrant that fails is left out of later rounds.

    Args:
        entered: The entrants of each work.
        threads: The numbers of threads to measure with.
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
    results, failure = _child(request)
    others = cores_of_others(before, now(), own=_own_seconds() - own)
    difference, differs = None, ""
    if not failure and results["loss"] is not None:
        difference, differs = largest_difference(_figures(results["loss"], request.gradients), expected)
    return Trial(
        request.work, request.entrant, request.threads, number, place, results, failure, others, difference, differs
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
    """Return the results of a child process, or why there are none; the child has ended in every case."""
    command = [sys.executable, "-m", "rnnlab.bench.child", request.to_json()]
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
        results: dict[str, Any] = json.loads(out)
    except ValueError:
        return {}, _reason(child.returncode, err)
    return results, ""


def _reason(code: int, err: str) -> str:
    r"""Return why a child ended without an answer: its signal, or the last line of its stderr.

    Example:
        >>> _reason(-9, ""), _reason(1, "Traceback …\nRuntimeError: no such thing\n")
        ('killed by SIGKILL', 'RuntimeError: no such thing')
    """
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"ended with exit code {code} and printed nothing"
