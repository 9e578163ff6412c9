"""rnnlab: train, evaluate and compare small recurrent networks on published synthetic tasks.

import rnnlab
run = rnnlab.train("quickstart")
run.summary.loss, run.records, run.weights("best")
print(rnnlab.compare(rnnlab.sweep("vanishing_sweep")))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnlab.api import Comparison as Comparison
    from rnnlab.api import Run as Run
    from rnnlab.api import Sweep as Sweep
    from rnnlab.api import compare as compare
    from rnnlab.api import diagnose as diagnose
    from rnnlab.api import evaluate as evaluate
    from rnnlab.api import export as export
    from rnnlab.api import open_run as open_run
    from rnnlab.api import predict as predict
    from rnnlab.api import resume as resume
    from rnnlab.api import sweep as sweep
    from rnnlab.api import table as table
    from rnnlab.api import train as train

__version__ = "0.1.0"
__all__ = [
    "Comparison", "Run", "Sweep", "__version__", "compare", "diagnose", "evaluate", "export", "open_run", "predict",
    "resume", "sweep", "table", "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # Imported when first used: `rnnlab --help` must not wait for NumPy and pydantic.
    if name in __all__:
        from rnnlab import api

        return getattr(api, name)
    if name == "runs":  # `rnnlab.runs.table()`
        return import_module("rnnlab.runs")
    raise AttributeError(f"module 'rnnlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
