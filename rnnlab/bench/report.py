"""The result of a measurement: rows sorted by time, the machine's limit, where NumPy loses, and what to use."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rnnlab.bench.entrants import Entrant
from rnnlab.bench.machine import TOO_BUSY
from rnnlab.bench.measure import Trial
from rnnlab.bench.work import Work

_NUMPY = {Entrant("numpy"): "NumPy", Entrant("compiled"): "NumPy, compiled,"}


@dataclass(frozen=True, slots=True)
class Row:
    """One contender with one number of threads, over all rounds.

    Attributes:
        entrant: The contender and its engine.
        threads: How many it could use.
        marks: `failed`, `wrong` (gradients), `other` (another function) and `loaded` (other programs were busy).
        median_s: The median over the rounds of each round's median step; None if it failed in the first.
        min_s: The fastest step of all.
        p90_s: The median over the rounds of the 90th percentile of the steps.
        first_s: The same for the first call, with compilation.
        peak_bytes: The most memory of all rounds.
        times: How many times slower than the fastest; None if it is not ranked.
        limit: Share of the machine's measured limit, 0 … 1; None if that is unknown.
        why: Why it failed, or what differs by how much.
    """

    entrant: Entrant
    threads: int
    marks: tuple[str, ...]
    median_s: float | None = None
    min_s: float | None = None
    p90_s: float | None = None
    first_s: float | None = None
    peak_bytes: int | None = None
    times: float | None = None
    limit: float | None = None
    why: str = ""

    @property
    def is_ranked(self) -> bool:
        """Whether its time can be compared: it computes the same function, correctly."""
        return self.median_s is not None and not {"failed", "wrong", "other"} & set(self.marks)

    @property
    def seconds(self) -> float:
        """The median step, infinite if there is none."""
        return float("inf") if self.median_s is None else self.median_s


@dataclass(frozen=True, slots=True)
class Report:
    """All trials of one measurement, finished or not."""

    trials: Sequence[Trial]

    def works(self) -> list[Work]:
        """Return what was measured, in order."""
        return list(dict.fromkeys(trial.work for trial in self.trials))

    def limits(self) -> dict[int, float]:
        """Return the operations per second of the fastest product of matrices of all libraries, by threads."""
        best: dict[int, float] = {}
        for trial in self.trials:
            if trial.results:
                best[trial.threads] = max(best.get(trial.threads, 0.0), trial.results["gflops"] * 1e9)
        return best

    def products(self) -> list[tuple[Entrant, int, float, str]]:
        """Return the fastest product of each entrant, sorted: entrant, threads, operations per second, kernels."""
        best: dict[tuple[Entrant, int], tuple[float, str]] = {}
        for trial in self.trials:
            if trial.results:
                key, found = (trial.entrant, trial.threads), (trial.results["gflops"] * 1e9, trial.results["kernels"])
                best[key] = max(best.get(key, found), found)
        rows = [(*key, *found) for key, found in best.items()]
        return sorted(rows, key=lambda row: (row[1], -row[2]))

    def rows(self, work: Work) -> list[Row]:
        """Return the contenders, the fastest first; those that are wrong or failed last."""
        trials = [trial for trial in self.trials if trial.work == work]
        pairs = dict.fromkeys((trial.entrant, trial.threads) for trial in trials)
        rows = [_row([trial for trial in trials if (trial.entrant, trial.threads) == pair]) for pair in pairs]
        limits, fastest = self.limits(), min((row.seconds for row in rows if row.is_ranked), default=0.0)
        compared = [
            replace(row, times=row.seconds / fastest, limit=work.operations() / row.seconds / limits[row.threads])
            if row.is_ranked
            else row
            for row in rows
        ]
        return sorted(compared, key=lambda row: ("failed" in row.marks, "wrong" in row.marks, row.seconds))

    def losses(self, work: Work) -> list[str]:
        """Return a sentence for each number of threads with which another contender is faster than NumPy."""
        ranked = [row for row in self.rows(work) if row.is_ranked]
        sentences = []
        for own in sorted((row for row in ranked if row.entrant in _NUMPY), key=lambda row: row.threads):
            others = (row for row in ranked if row.entrant not in _NUMPY and row.threads == own.threads)
            faster = [row for row in others if row.seconds < own.seconds]
            if faster:
                winners = ", ".join(f"{row.entrant} ({_times(own, row)} times as fast)" for row in faster)
                sentences.append(f"{work}: {_NUMPY[own.entrant]} with {_threads(own)} loses to {winners}")
        return sentences

    def advice(self, work: Work) -> str:
        """Return which of rnnlab's backends to use for this work, and how fast the best other library is."""
        ranked = [row for row in self.rows(work) if row.is_ranked]
        own = [row for row in ranked if row.entrant.is_own]
        if not own:
            return f"for {work}: no backend could be measured"
        best = own[0]
        second = next((row for row in own if row.entrant != best.entrant), None)
        peer = next((row for row in ranked if not row.entrant.is_own), None)
        times = [f"{milliseconds(best.seconds)} ms per step"]
        if second:
            times.append(f"next {second.entrant}{_also(second, best)} {milliseconds(second.seconds)} ms")
        if peer:
            times.append(f"best other library {peer.entrant}{_also(peer, best)} {milliseconds(peer.seconds)} ms")
        return f"for {work}: use {_setting(best.entrant)} with {_threads(best)} ({'; '.join(times)})"

    def as_json(self) -> list[dict[str, Any]]:
        """Return everything, work by work, as plain data."""
        return [
            {
                **work.as_json(),
                "operations": work.operations(),
                "rows": [_row_as_json(row) for row in self.rows(work)],
                "losses": self.losses(work),
                "advice": self.advice(work),
                "trials": [_trial_as_json(trial) for trial in self.trials if trial.work == work],
            }
            for work in self.works()
        ]


def milliseconds(seconds: float) -> str:
    """Return a time in milliseconds, in three digits or the whole number."""
    return three_digits(1e3 * seconds)


def three_digits(value: float) -> str:
    """Return a positive number in three digits, or the whole number where that has more.

    Example:
        >>> [three_digits(value) for value in (0.05, 3.1, 12, 99.96, 345.6, 12345.6)]
        ['0.0500', '3.10', '12.0', '100', '346', '12,346']
    """
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}"


def _row(trials: Sequence[Trial]) -> Row:
    marks, why = _marks(trials)
    row = Row(trials[0].entrant, trials[0].threads, marks, why=why)
    results = [trial.results for trial in trials if trial.results]
    if not results:
        return row
    peaks = [one["peak_bytes"] for one in results if one["peak_bytes"] is not None]
    medians = {name: statistics.median(one[name] for one in results) for name in ("median_s", "p90_s", "first_s")}
    return replace(row, **medians, min_s=min(one["min_s"] for one in results), peak_bytes=max(peaks, default=None))


def _marks(trials: Sequence[Trial]) -> tuple[tuple[str, ...], str]:
    failed = next((trial for trial in trials if trial.failure), None)
    wrong = next((trial for trial in trials if trial.is_wrong), None)
    applies = {
        "failed": failed is not None,
        "wrong": wrong is not None,
        "other": not trials[0].entrant.contender.same_function,
        "loaded": any(map(_is_loaded, trials)),
    }
    why = failed.failure if failed else f"{wrong.differs} is off by {wrong.difference:.1e}" if wrong else ""
    return tuple(mark for mark, does in applies.items() if does), why


def _is_loaded(trial: Trial) -> bool:
    return trial.others is not None and trial.others > TOO_BUSY


def _setting(entrant: Entrant) -> str:
    return entrant.contender.setting + (f", engine {entrant.engine}," if entrant.engine else "")


def _threads(row: Row) -> str:
    return f"{row.threads} thread{'' if row.threads == 1 else 's'}"


def _also(row: Row, best: Row) -> str:
    return "" if row.threads == best.threads else f" with {_threads(row)}"


def _times(slower: Row, faster: Row) -> str:
    return f"{slower.seconds / faster.seconds:.2f}"


def _row_as_json(row: Row) -> dict[str, Any]:
    numbers = asdict(row)
    del numbers["entrant"]
    return {"contender": str(row.entrant), "own": row.entrant.is_own, **numbers}


def _trial_as_json(trial: Trial) -> dict[str, Any]:
    return {
        "contender": str(trial.entrant),
        "threads": trial.threads,
        "round": trial.round,
        "failure": trial.failure,
        "cores_of_others": trial.others,
        "difference": trial.difference,
        "differs": trial.differs,
        **trial.results,
    }
