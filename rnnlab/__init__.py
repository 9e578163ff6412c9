"""rnnlab: train, evaluate and compare small recurrent networks on published synthetic tasks.

import rnnlab
run = rnnlab.train("configs/quickstart.yaml")
run.summary["loss"], run.metrics, run.weights("best")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnlab.api import Run as Run
    from rnnlab.api import open_run as open_run
    from rnnlab.api import resume as resume
    from rnnlab.api import train as train

__version__ = "0.1.0"
__all__ = ["Run", "__version__", "open_run", "resume", "train"]


def __getattr__(name: str) -> Any:
    # Imported when first used: `rnnlab --help` must not wait for NumPy and pydantic.
    if name in {"Run", "open_run", "resume", "train"}:
        from rnnlab import api as run

        return getattr(run, name)
    raise AttributeError(f"module 'rnnlab' has no attribute {name!r}")
