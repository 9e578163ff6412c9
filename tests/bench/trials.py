"""Trials made by hand."""

from typing import Any

from rnnlab.bench.contenders import CONTENDERS, Contender
from rnnlab.bench.measure import Trial
from rnnlab.bench.work import NAMED, Work

CARRY, SIMPLE = Work.of("carry", NAMED["M"]), Work.of("simple", NAMED["M"])
NUMPY, JAX, TORCH = CONTENDERS["numpy"], CONTENDERS["keras/jax"], CONTENDERS["torch_loop"]


def trial(contender: Contender, ms: float, *, threads: int = 1, work: Work = CARRY, **more: Any) -> Trial:
    """The trial of a median step of `ms`, a fastest of 0.9 times and a 90th percentile of 1.1 times that."""
    results = {
        "first_s": 0.5, "steps": 50, "median_s": ms / 1e3, "min_s": 0.9 * ms / 1e3, "p90_s": 1.1 * ms / 1e3,
        "peak_bytes": 100 * 2**20, "loss": 1.0, "gflops": 200.0 * threads, "kernels": "", "versions": {"numpy": "2.4"},
    }  # fmt: skip
    fields: dict[str, Any] = {
        "difference": 1e-6,
        "differs": "loss",
        "cores_of_others": 0.0,
        "round": 1,
        "place": (1, 1),
    }
    return Trial(work, contender, threads, results=results | more.pop("results", {}), **fields | more)


def failed(contender: Contender, *, threads: int = 1, work: Work = CARRY) -> Trial:
    """The trial of a child that was killed."""
    return Trial(work, contender, threads, round=1, place=(1, 1), results={}, failure="killed by SIGKILL")
