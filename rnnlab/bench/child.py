"""The measurement of one contender, in a process of its own: `python -m rnnlab.bench.child REQUEST`.

REQUEST is one JSON object; the answer is one JSON line on stdout. All that a library prints goes to stderr.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnnlab.backends.keras.engines import start
from rnnlab.bench.contenders.base import AbstractContender
from rnnlab.bench.entrants import Entrant
from rnnlab.bench.machine import peak_memory
from rnnlab.bench.work import Work

_WARM_UPS = 3
_SECONDS, _FEWEST, _MOST = 1.0, 5, 200  # of the timed calls
_SIZE, _PRODUCTS = 1024, 8  # of the matrices whose product shows the library's highest speed


@dataclass(frozen=True, slots=True)
class Request:
    """What to measure.

    Attributes:
        entrant: The contender and its engine.
        work: What it does.
        threads: How many it may use.
        gradients: The npz file for its gradients; not written if it computes another function.
    """

    entrant: Entrant
    work: Work
    threads: int
    gradients: Path

    def to_json(self) -> str:
        """Return the request as one line."""
        fields = {"entrant": asdict(self.entrant), "work": self.work.as_json(), "threads": self.threads}
        return json.dumps(fields | {"gradients": str(self.gradients)})

    @classmethod
    def from_json(cls, text: str) -> "Request":
        """Return the request that `to_json` wrote."""
        fields = json.loads(text)
        work = Work.from_json(fields["work"])
        return cls(Entrant(**fields["entrant"]), work, fields["threads"], Path(fields["gradients"]))


def measure(request: Request) -> dict[str, Any]:
    """Measure in this process, and return the results, ready for JSON.

    Time is measured first and memory next, so that gradients and the product of matrices affect neither.
    """
    contender = _made(request)
    with contender.running():
        first, *seconds = _times(contender.step)
    each = sorted(one / contender.calls for one in seconds)
    memory = peak_memory()
    loss = _save_gradients(request)
    return {
        "first_s": first,
        "steps": len(each) * contender.calls,
        "median_s": statistics.median(each),
        "min_s": each[0],
        "p90_s": float(np.quantile(each, 0.9)),
        "peak_bytes": memory,
        "loss": loss,
        "gflops": _gflops(contender),
        "kernels": contender.kernels(),
        "versions": _versions(request.entrant),
    }


def _times(step: Callable[[], None]) -> list[float]:
    """Return the seconds of the first call, and of those after the warm-up."""
    first = _seconds(step)
    for _ in range(_WARM_UPS):
        step()
    times: list[float] = []
    while len(times) < _FEWEST or (sum(times) < _SECONDS and len(times) < _MOST):
        times.append(_seconds(step))
    return [first, *times]


def _seconds(call: Callable[[], object]) -> float:
    before = time.perf_counter()
    call()
    return time.perf_counter() - before


def _made(request: Request) -> AbstractContender:
    if request.entrant.engine:
        start(request.entrant.engine)  # before the contender's module imports Keras
    kind = request.entrant.contender.load()
    return kind(request.work, engine=request.entrant.engine, threads=request.threads)


def _save_gradients(request: Request) -> float | None:
    """Write the gradients of the first step and return its loss; None for another function."""
    contender = _made(request)
    with contender.running():
        figures = contender.figures()
    if figures is None:
        return None
    arrays: dict[str, Any] = {name: np.asarray(array) for name, array in figures.gradients.items()}
    np.savez(request.gradients, **arrays)
    return figures.loss


def _gflops(contender: AbstractContender) -> float:
    matrix = np.random.default_rng(0).standard_normal((_SIZE, _SIZE), np.float32)
    multiply = contender.product(matrix)
    multiply()
    return 2 * _SIZE**3 / min(_seconds(multiply) for _ in range(_PRODUCTS)) / 1e9


def _versions(entrant: Entrant) -> dict[str, str]:
    names = {"numpy", *entrant.contender.packages, *filter(None, [entrant.engine])}
    return {name: str(sys.modules[name].__version__) for name in sorted(names) if name in sys.modules}


def main() -> None:
    """Measure what the command line requests, and write the answer."""
    answer = os.dup(1)
    os.dup2(2, 1)
    results = measure(Request.from_json(sys.argv[1]))
    with os.fdopen(answer, "w", encoding="ascii") as out:
        out.write(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
