"""The packages that a training needs besides those that rnnlab always has."""

from collections.abc import Callable, Iterator
from functools import partial

from rnnlab.backends.keras import KerasBackend
from rnnlab.backends.keras.engines import require_engine
from rnnlab.backends.numpy.compiled import require_compiler
from rnnlab.config.experiment import Experiment
from rnnlab.core.errors import EnvironmentFault
from rnnlab.training.store import require_tensorboard


def missing_packages(experiment: Experiment) -> Iterator[EnvironmentFault]:
    """Yield the error for each package that is needed and not installed; none is imported."""
    needs: list[Callable[[], None]] = []
    if experiment.backend == KerasBackend.name:
        needs.append(partial(require_engine, experiment.engine))
    if experiment.numpy.compiled:
        needs.append(require_compiler)
    if experiment.logging.tensorboard:
        needs.append(require_tensorboard)
    for require in needs:
        try:
            require()
        except EnvironmentFault as fault:
            yield fault
