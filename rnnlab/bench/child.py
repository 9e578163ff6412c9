"""The measurement of one contender, in a process of its own: `python -m rnnlab.bench.child REQUEST`.

REQUEST is one JSON object; the answer is one JSON line on stdout. All that a library prints goes to stderr.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnnlab.backends.keras.engines import start
from rnnlab.bench.contenders import CONTENDERS
from rnnlab.bench.contenders.base import AbstractContender
from rnnlab.bench.devices import Device
from rnnlab.bench.work import Work
from rnnlab.core.text import jsonable

_WARM_UPS = 3
_SECONDS, _FEWEST, _MOST = 1.0, 5, 200  # of the timed calls
_SIZE, _PRODUCTS = 1024, 8  # of the matrices whose product shows the library's highest speed


@dataclass(frozen=True, slots=True)
class Request:
    """What to measure: a contender by its name in `CONTENDERS`, and the npz file for its gradients."""

    contender: str
    work: Work
    threads: int
    gradients: Path
    device: Device = "cpu"

    def to_json(self) -> str:
        """Return the request as one line."""
        return json.dumps(jsonable(self))

    @classmethod
    def from_json(cls, text: str) -> "Request":
        """Return the request that `to_json` wrote."""
        fields = json.loads(text)
        work, gradients = Work.from_json(fields["work"]), Path(fields["gradients"])
        return cls(fields["contender"], work, fields["threads"], gradients, fields["device"])


def measure(request: Request) -> dict[str, Any]:
    """Measure in this process, and return the results, ready for JSON.

    Time is measured first and memory next, so that gradients and the product of matrices affect neither.
    """
    contender = _made(request)
    with contender.running():
        first = _seconds(contender.step)
        each = sorted(one / contender.calls for one in _times(contender.step))
    memory = peak_memory()
    loss = _save_gradients(request)
    known = CONTENDERS[request.contender]
    packages = [name for name in sorted({"numpy", *known.packages}) if name in sys.modules]
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
        "versions": {name: str(sys.modules[name].__version__) for name in packages},
    }


def _times(step: Callable[[], None]) -> list[float]:
    """Return the seconds of the calls after the warm-up."""
    for _ in range(_WARM_UPS):
        step()
    times: list[float] = []
    while len(times) < _FEWEST or (sum(times) < _SECONDS and len(times) < _MOST):
        times.append(_seconds(step))
    return times


def _seconds(call: Callable[[], object]) -> float:
    before = time.perf_counter()
    call()
    return max(1e-9, time.perf_counter() - before)  # the clock counts nanoseconds


def _made(request: Request) -> AbstractContender:
    known = CONTENDERS[request.contender]
    if known.engine:
        start(known.engine)  # before the contender's module imports Keras
    made = known.load()(request.work, engine=known.engine, threads=request.threads)
    if request.device == "gpu" and all("cpu" in name.lower() for name in made.devices()):
        raise RuntimeError("its library finds no GPU: install the one for CUDA")
    return made


def _save_gradients(request: Request) -> float:
    """Write the gradients of the first step and return its loss."""
    contender = _made(request)
    with contender.running():
        figures = contender.figures()
    arrays: dict[str, Any] = {name: np.asarray(array) for name, array in figures.gradients.items()}
    np.savez(request.gradients, **arrays)
    return figures.loss


def _gflops(contender: AbstractContender) -> float:
    tensor = contender.tensor(np.random.default_rng(0).standard_normal((_SIZE, _SIZE), np.float32))

    def multiply() -> None:
        product = tensor @ tensor
        np.asarray(product.cpu() if hasattr(product, "cpu") else product)  # waits for it; copies only from a GPU

    multiply()
    return 2 * _SIZE**3 / min(_seconds(multiply) for _ in range(_PRODUCTS)) / 1e9


def peak_memory() -> int | None:
    """Return the peak memory of this process, in bytes; None where the system does not report it.

    The present private memory of its children is added: they keep it from step to step.

    Differs: Linux passes `ru_maxrss` on through fork and exec, so that a child would show its parent's; it does not do
        so with VmHWM.
    """
    own = _kernel_bytes(Path("/proc/self/status"), "VmHWM:")
    children: list[str] = []
    for path in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # a thread that has ended
            children += path.read_text(encoding="utf-8").split()
    private = (_kernel_bytes(Path("/proc", child, "smaps_rollup"), "Private_") for child in children)
    return own + sum(private) if own else None


def _kernel_bytes(path: Path, field: str) -> int:
    """Return the sum of the fields that begin so of a file in /proc, in bytes; 0 without the file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def main() -> None:
    """Measure what the command line requests, and write the answer."""
    answer = os.dup(1)
    os.dup2(2, 1)
    results = measure(Request.from_json(sys.argv[1]))
    with os.fdopen(answer, "w", encoding="ascii") as out:
        out.write(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
