"""Cells as Keras layers: usable in any Keras model, saved and loaded by Keras itself.

Importing this module imports Keras, on the engine chosen by then (`KERAS_BACKEND`, TensorFlow otherwise).
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, final

import keras

from rnnlab.cells import CELLS
from rnnlab.cells.base import AbstractCell
from rnnlab.cells.carry import Carry as CarryEquations
from rnnlab.cells.carry import CarryOptions
from rnnlab.core.parameters import Parameter

Tensor = Any


class AbstractEquationCell(keras.layers.Layer):
    """A Keras cell whose step is the equation of an rnnlab cell, evaluated on `keras.ops`.

    Its weights have the names, shapes and order of the cell's own parameters.
    """

    @property
    @abstractmethod
    def equations(self) -> AbstractCell:
        """The rnnlab cell, configured."""

    @property
    def state_size(self) -> list[int]:
        """H for each array of the state."""
        return [self.equations.options.units] * len(self.equations.states)

    @property
    def output_size(self) -> int:
        """H."""
        return self.equations.options.units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs of `input_shape[-1]` features."""
        features = input_shape[-1]
        assert features is not None
        self._named = {
            name: self.add_weight(shape=parameter.shape, name=name, initializer=self.initializer_of(name, parameter))
            for name, parameter in self.equations.parameters(features).items()
        }
        self.built = True

    def initializer_of(self, name: str, parameter: Parameter) -> Any:
        """Return the Keras initialiser of the weight `name`; the backend overwrites it with what rnnlab drew."""
        return keras.initializers.Constant(parameter.offset)

    def call(self, inputs: Tensor, states: Sequence[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        """Return the output (B, H) and the new states, from inputs (B, I) and states (B, H)."""
        cell = self.equations
        step = cell.step(keras.ops, self._named, inputs, dict(zip(cell.states, states, strict=True)))
        return step.output, [step.state[name] for name in cell.states]

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        """Return zeros, (B, H) for each array of the state."""
        return [keras.ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.state_size]


@final
@keras.saving.register_keras_serializable(package="rnnlab")
class EquationCell(AbstractEquationCell):
    """Any rnnlab cell by its name, for the Keras backend.

    Args:
        cell: The name, e.g. `simple`.
        options: Its options as plain data.
    """

    def __init__(self, cell: str, options: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._config = {"cell": cell, "options": options}
        kind = CELLS.get(cell)
        self._equations: AbstractCell = kind(kind.Options.model_validate(options))

    @property
    def equations(self) -> AbstractCell:
        return self._equations

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this cell again."""
        return {**super().get_config(), **self._config}


@final
@keras.saving.register_keras_serializable(package="rnnlab")
class CarryCell(AbstractEquationCell):
    """The carry cell for `keras.layers.RNN`; the equations are those of `rnnlab.cells.carry`.

    Args:
        units: H.
        activation: Of the output and of k, one of rnnlab's names.
        recurrent_activation: Of the gates i and f.
        forget_bias: Added to the initial bf.
        kernel_initializer: Of Wi, Wf, Wk, Wo, each (I, H).
        recurrent_initializer: Of Ui, Uf, Uk, Uo and Vo, each (H, H).
        bias_initializer: Of bi, bf, bk, bo, each (H,).

    Call arguments:
        inputs: (B, I).
        states: `[h, c]`, each (B, H).
    """

    def __init__(
        self,
        units: int,
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        forget_bias: float = 1.0,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._options = CarryOptions(
            units=units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            forget_bias=float(forget_bias),
        )
        self._equations = CarryEquations(self._options)
        self._initializers = {
            "kernel": keras.initializers.get(kernel_initializer),
            "recurrent_kernel": keras.initializers.get(recurrent_initializer),
            "bias": keras.initializers.get(bias_initializer),
        }

    @property
    def equations(self) -> CarryEquations:
        return self._equations

    def initializer_of(self, name: str, parameter: Parameter) -> Any:
        drawn = self._initializers[parameter.role]
        config = drawn.get_config()
        if isinstance(config.get("seed"), int):  # one seed would give matrices of one shape the same numbers
            config["seed"] += list(self._equations.parameters(1)).index(name)
        own = type(drawn).from_config(config)
        return lambda shape, dtype=None: own(shape, dtype=dtype) + parameter.offset

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this cell again."""
        options = self._options
        serialize = keras.initializers.serialize
        return {
            **super().get_config(),
            "units": options.units,
            "activation": options.activation,
            "recurrent_activation": options.recurrent_activation,
            "forget_bias": options.forget_bias,
            "kernel_initializer": serialize(self._initializers["kernel"]),
            "recurrent_initializer": serialize(self._initializers["recurrent_kernel"]),
            "bias_initializer": serialize(self._initializers["bias"]),
        }


@final
@keras.saving.register_keras_serializable(package="rnnlab")
class Carry(keras.layers.RNN):
    """`keras.layers.RNN(CarryCell(units))` as one layer, as `keras.layers.LSTM` is to its cell.

    Args:
        units: H.
        return_sequences: Give the output of every step, (B, T, H), or of the last, (B, H).
        return_state: Give the last h and c too.
        go_backwards: Read the sequence from its end.
        stateful: Carry the state from one batch to the next.
        unroll: Lay the steps out instead of looping.
        cell_options: The other arguments of `CarryCell`.
    """

    def __init__(
        self,
        units: int,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        cell_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self._cell_options = dict(cell_options or {})
        super().__init__(
            CarryCell(units, dtype=kwargs.get("dtype"), **self._cell_options),
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            **kwargs,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        config = super().get_config()
        config.pop("cell", None)
        return {**config, "units": self.cell.output_size, "cell_options": self._cell_options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Carry":
        """Return the layer that `get_config` describes; it makes its cell itself."""
        return cls(**config)
