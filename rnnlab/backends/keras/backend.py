"""The backend itself: light to import; Keras comes with the first model."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, final

from numpy.typing import NDArray

from rnnlab.backends.base import AbstractBackend, AbstractModel, Network, Training
from rnnlab.backends.keras.options import KerasOptions, plan
from rnnlab.backends.keras.starting import DEFAULT_ENGINE, start
from rnnlab.core.errors import UsageError


@final
class KerasBackend(AbstractBackend):
    """Builds Keras models.

    Args:
        engine: `tensorflow`, `jax` or `torch`.
        options: What the config says of Keras.
    """

    name = "keras"

    def __init__(self, *, engine: str = DEFAULT_ENGINE, options: KerasOptions | None = None) -> None:
        self.engine, self.options = engine, options or KerasOptions()

    @contextmanager
    def running(self) -> Iterator[None]:
        """An engine keeps its own threads: nothing to set."""
        yield

    def facts(self, network: Network) -> dict[str, Any]:
        chosen = plan(self.options, network.cell, engine=self.engine)
        return {"name": self.name, **start(self.engine).facts(), "path": chosen.path, "xla": chosen.xla}

    def build(
        self, network: Network, *, parameters: Mapping[str, NDArray[Any]], training: Training | None = None
    ) -> AbstractModel:
        if network.precision == "float64" and self.engine != "tensorflow":
            raise UsageError(
                f"precision float64 on engine {self.engine}: Keras computes there in float32",
                hint="set precision: float32, or engine: tensorflow",
            )
        engine = start(self.engine)
        from rnnlab.backends.keras.model import KerasModel

        chosen = plan(self.options, network.cell, engine=self.engine)
        return KerasModel(network, training, parameters=parameters, engine=engine, plan=chosen)
