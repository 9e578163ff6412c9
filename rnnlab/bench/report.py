"""The result of a measurement: rows sorted by time, the machine's limit, where NumPy loses, and what to use."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from rnnlab.bench.contenders import CONTENDERS, Contender
from rnnlab.bench.measure import TOO_BUSY, Trial
from rnnlab.bench.work import Work
from rnnlab.core.text import counted

_NUMPY = {CONTENDERS["numpy"]: "NumPy", CONTENDERS["compiled"]: "NumPy, compiled,"}


@dataclass(frozen=True, slots=True)
class Row:
    """One contender with one number of threads, over all rounds; what is not known is None.

    Attributes:
        marks: `failed`, `wrong` (gradients) and `loaded` (other programs were busy).
        why: Why it failed, or what differs by how much.
        median_s: The median over the rounds of each round's median step.
        min_s: The fastest step of all.
        p90_s: The median over the rounds of the 90th percentile of the steps.
        first_s: The same for the first call, with compilation.
        peak_bytes: The most memory of all rounds.
        times: How many times slower than the fastest.
        limit: Share of the machine's measured limit, 0 … 1.
    """

    contender: Contender
    threads: int
    marks: tuple[str, ...]
    why: str
    median_s: float | None = None
    min_s: float | None = None
    p90_s: float | None = None
    first_s: float | None = None
    peak_bytes: int | None = None
    times: float | None = None
    limit: float | None = None

    @property
    def is_ranked(self) -> bool:
        """Whether its time can be compared: it computes the same function, correctly."""
        return self.median_s is not None and not {"failed", "wrong"} & set(self.marks)

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

    def products(self) -> dict[int, list[tuple[float, str, str]]]:
        """Return for each number of threads the fastest matrix product of each contender, the fastest first.

        Each is the speed in GFLOP/s, the contender and the kernels of its library.
        """
        best: dict[tuple[int, str], tuple[float, str, str]] = {}
        for trial in self.trials:
            if trial.results:
                name = str(trial.contender)
                found = trial.results["gflops"], name, trial.results["kernels"]
                best[trial.threads, name] = max(best.get((trial.threads, name), found), found)
        ordered = sorted(best.items(), key=lambda item: (item[0][0], -item[1][0]))
        return {count: [found for (one, _), found in ordered if one == count] for (count, _), _ in ordered}

    def rows(self, work: Work) -> list[Row]:
        """Return the contenders, the fastest first; those that are wrong or failed last."""
        trials = [trial for trial in self.trials if trial.work == work]
        pairs = dict.fromkeys((trial.contender, trial.threads) for trial in trials)
        rows = [_row([trial for trial in trials if (trial.contender, trial.threads) == pair]) for pair in pairs]
        fastest, products = min((row.seconds for row in rows if row.is_ranked), default=0.0), self.products()
        for place, row in enumerate(rows):
            if row.is_ranked:
                share = work.operations() / row.seconds / (1e9 * products[row.threads][0][0])
                rows[place] = replace(row, times=row.seconds / fastest, limit=share)
        return sorted(rows, key=lambda row: ("failed" in row.marks, "wrong" in row.marks, row.seconds))

    def losses(self, work: Work) -> list[str]:
        """Return a sentence for each number of threads with which another contender is faster than NumPy."""
        ranked = [row for row in self.rows(work) if row.is_ranked]
        sentences = []
        for own in sorted((row for row in ranked if row.contender in _NUMPY), key=lambda row: row.threads):
            others = [row for row in ranked if row.contender not in _NUMPY and row.threads == own.threads]
            winners = [
                f"{row.contender} ({own.seconds / row.seconds:.2f} times as fast)"
                for row in others
                if row.seconds < own.seconds
            ]
            if winners:
                name = _NUMPY[own.contender]
                sentences.append(
                    f"{work}: {name} with {counted(own.threads, 'thread')} is slower than {', '.join(winners)}"
                )
        return sentences

    def advice(self, work: Work) -> str:
        """Return which of rnnlab's backends to use for this work, and how fast the best other library is."""
        ranked = [row for row in self.rows(work) if row.is_ranked]
        best = next((row for row in ranked if row.contender.is_own), None)
        if best is None:
            return f"for {work}: no backend could be measured"
        others = {
            "next": (row for row in ranked if row.contender.is_own and row.contender != best.contender),
            "best other library": (row for row in ranked if not row.contender.is_own),
        }
        times = [f"{milliseconds(best.seconds)} ms per step"]
        for label, rows in others.items():
            if row := next(rows, None):
                also = "" if row.threads == best.threads else f" with {counted(row.threads, 'thread')}"
                times.append(f"{label} {row.contender}{also} {milliseconds(row.seconds)} ms")
        chosen = best.contender
        setting = chosen.setting + (f", engine {chosen.engine}," if chosen.engine else "")
        return f"for {work}: use {setting} with {counted(best.threads, 'thread')} ({'; '.join(times)})"

    def as_json(self) -> list[dict[str, Any]]:
        """Return everything, work by work, as plain data."""
        return [
            {
                "cell": work.cell,
                "shape": work.shape,
                "operations": work.operations(),
                "rows": [_plain(row) for row in self.rows(work)],
                "losses": self.losses(work),
                "advice": self.advice(work),
                "trials": [{**_plain(trial), **trial.results} for trial in self.trials if trial.work == work],
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
    contender = trials[0].contender
    failed = next((trial.failure for trial in trials if trial.failure), "")
    wrong = next((f"{one.differs} is off by {one.difference:.1e}" for one in trials if one.is_wrong), "")
    loaded = any((trial.cores_of_others or 0) > TOO_BUSY for trial in trials)
    applies = {"failed": failed, "wrong": wrong, "loaded": loaded}
    row = Row(contender, trials[0].threads, tuple(mark for mark, does in applies.items() if does), failed or wrong)
    results = [trial.results for trial in trials if trial.results]
    if not results:
        return row
    peaks = [one["peak_bytes"] for one in results if one["peak_bytes"] is not None]
    medians = {name: statistics.median(one[name] for one in results) for name in ("median_s", "p90_s", "first_s")}
    return replace(row, **medians, min_s=min(one["min_s"] for one in results), peak_bytes=max(peaks, default=None))


def _plain(one: Row | Trial) -> dict[str, Any]:
    numbers = {field.name: getattr(one, field.name) for field in fields(one)}
    left = {name: value for name, value in numbers.items() if name not in {"contender", "work", "place", "results"}}
    return {"contender": str(one.contender), "own": one.contender.is_own, **left}
