"""Any cell as a Keras cell and a Keras layer: usable in any Keras model, saved and loaded by Keras itself.

Importing this module imports Keras, on the engine chosen by then (`KERAS_BACKEND`, TensorFlow otherwise).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import keras
import numpy as np
from pydantic import ValidationError

from rnnlab.backends.keras.derived.packs import Namespace
from rnnlab.cells import CELLS
from rnnlab.cells.base import AbstractCell
from rnnlab.core.code_files import CodeFile, located
from rnnlab.core.errors import UsageError
from rnnlab.core.parameters import Parameter
from rnnlab.core.registry import nearest

Tensor = Any
ops = keras.ops
_ROLES = {"kernel": "kernel_initializer", "recurrent_kernel": "recurrent_initializer", "bias": "bias_initializer"}
_OF_LAYER = ("name", "dtype", "trainable", "autocast", "activity_regularizer")
_OF_RNN = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")
# Arguments of Keras's own recurrent layers that no cell has -> what to write instead.
_INSTEAD = {
    "dropout": "put keras.layers.Dropout between the layers",
    "recurrent_dropout": "put keras.layers.Dropout between the layers",
    "regularizer": "set weight_decay in the optimizer, or call the layer's add_loss",
    "constraint": "set clipnorm or weight_decay in the optimizer",
    "use_bias": "leave it out: the cell has its biases",
    "unit_forget_bias": "set forget_bias, where the cell has it",
    "implementation": "leave it out",
    "cell_options": "give each option as an argument of its own",
}


@final
@keras.saving.register_keras_serializable(package="rnnlab")
class EquationCell(keras.layers.Layer):
    """A Keras cell whose step is the equation of an rnnlab cell, for `keras.layers.RNN`.

    Its weights have the names, shapes and order of the cell's own parameters.

    Args:
        cell: Its name, e.g. `carry`; `./my_cell.py:MyCell`, which imports that file; or the configured cell.
        units: H.
        kernel_initializer: Of each matrix that the inputs are multiplied with.
        recurrent_initializer: Of each matrix that the state is multiplied with.
        bias_initializer: Of each bias.
        arguments: The cell's own options, e.g. `activation`; and `name`, `dtype` or `trainable` of a layer.

    Call arguments:
        inputs: (B, I).
        states: One array for each state, (B, its size).

    Raises:
        UsageError: There is no such cell or no such argument, or the cell does not take a value.
    """

    def __init__(
        self,
        cell: str | AbstractCell,
        units: int | None = None,
        *,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        **arguments: Any,
    ) -> None:
        super().__init__(**{name: arguments.pop(name) for name in _OF_LAYER if name in arguments})
        given = arguments if units is None else {"units": units, **arguments}
        if given and not isinstance(cell, str):
            raise UsageError("a configured cell takes no options", hint="give its name")
        self.equation = _configured(cell, given) if isinstance(cell, str) else cell
        initializers = (kernel_initializer, recurrent_initializer, bias_initializer)
        self._initializers = dict(zip(_ROLES, map(keras.initializers.get, initializers), strict=True))
        self._seed = keras.initializers.RandomUniform().seed  # which `keras.utils.set_random_seed` determines

    @property
    def state_size(self) -> list[int]:
        """The features of each array of the state."""
        return list(self.equation.state_sizes().values())

    @property
    def output_size(self) -> int:
        """H."""
        return self.equation.options.units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for inputs of `input_shape[-1]` features."""
        features = input_shape[-1]
        assert features is not None
        described = self.equation.parameters(features)
        self._named = {
            name: self.add_weight(shape=parameter.shape, name=name, initializer=self._initializer(described, name))
            for name, parameter in described.items()
        }
        self.built = True

    def call(self, inputs: Tensor, states: Sequence[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        """Return the output (B, H) and the new states, from inputs (B, I) and states (B, its size)."""
        names = list(self.equation.state_sizes())
        state = dict(zip(names, states, strict=True))
        step = self.equation.step(Namespace(self.compute_dtype), self._named, inputs, state)
        return step.output, [step.state[name] for name in names]

    def get_initial_state(self, batch_size: int | None = None) -> list[Tensor]:
        """Return zeros, (B, its size) for each array of the state."""
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.state_size]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this cell again."""
        options = self.equation.options
        drawn = {_ROLES[role]: keras.initializers.serialize(one) for role, one in self._initializers.items()}
        return {
            **super().get_config(),
            "cell": options.type,
            **options.model_dump(mode="json", include={*_own_options(type(self.equation))}),
            **drawn,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "EquationCell":
        """Return the cell that `get_config` describes."""
        _require_hash(config)
        return cls(**config)

    def _initializer(self, described: Mapping[str, Parameter], name: str) -> Callable[..., Tensor]:
        """Return what draws a weight, by the rules of `rnnlab.core.parameters`."""
        parameter, place = described[name], list(described).index(name)
        offset = np.asarray(parameter.offset)
        if parameter.opposite:
            other = self._initializer(described, parameter.opposite)
            return lambda shape, dtype=None: ops.cast(offset, dtype) - other(shape, dtype=dtype)
        if own := parameter.initializer:
            rng = np.random.default_rng([self._seed, place])
            value = own.draw(rng, parameter.shape) + offset
            return lambda _, dtype=None: ops.convert_to_tensor(value, dtype=dtype)
        drawn = self._initializers[parameter.role]
        config = drawn.get_config()
        if isinstance(config.get("seed"), int):  # one seed would give matrices of one shape the same numbers
            config["seed"] += place
        again = type(drawn).from_config(config)
        return lambda shape, dtype=None: again(shape, dtype=dtype) + ops.cast(offset, dtype)


@final
@keras.saving.register_keras_serializable(package="rnnlab")
class EquationRNN(keras.layers.RNN):
    """Any rnnlab cell as one layer, as `keras.layers.LSTM` is one.

    Args:
        cell: Its name, e.g. `carry`; or the configured cell.
        units: H.
        return_sequences: Give the output of every step, (B, T, H), or of the last, (B, H).
        return_state: Give the last state too.
        go_backwards: Read the sequence from its end.
        stateful: Carry the state from one batch to the next.
        unroll: Lay the steps out instead of looping.
        zero_output_for_mask: Give zeros for steps that are masked.
        arguments: Those of `EquationCell`.

    Raises:
        UsageError: As `EquationCell`.
    """

    def __init__(
        self,
        cell: str | AbstractCell,
        units: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **arguments: Any,
    ) -> None:
        of_layer = {name: arguments.pop(name) for name in _OF_LAYER if name in arguments}
        super().__init__(
            EquationCell(cell, units, dtype=of_layer.get("dtype"), **arguments),
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            **of_layer,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        of_cell = {name: value for name, value in self.cell.get_config().items() if name not in _OF_LAYER}
        return {**super().get_config(), **of_cell}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "EquationRNN":
        """Return the layer that `get_config` describes; it makes its cell itself."""
        _require_hash(config)
        return cls(**config)


def _require_hash(config: Mapping[str, Any]) -> None:
    """Pass unless a saved model, which anyone may have written, names a file without saying which content it had."""
    file = CodeFile.of(config["cell"]) if isinstance(config.get("cell"), str) else None
    if file and not file.sha256:
        problem = f"a saved layer names {str(file)[:200]} without the SHA-256 of that file"
        raise UsageError(
            problem, hint=f"make the layer in Python, EquationRNN({str(file)[:200]!r}, …), and load weights"
        )


def _own_options(kind: type[AbstractCell]) -> list[str]:
    """Return which options of a cell are arguments; Keras stacks layers, and draws weights, in its own way."""
    return [name for name in kind.Options.model_fields if name not in {"type", "layers", "initializers"}]


def _configured(cell: str, arguments: Mapping[str, Any]) -> AbstractCell:
    if (file := CodeFile.of(cell)) and not file.sha256:  # named by the program that runs, which may import it
        cell = located(cell)
    kind: type[AbstractCell] = CELLS.get(cell)
    known = _own_options(kind)
    for name in arguments:
        if name not in known:
            instead = next((hint for part, hint in _INSTEAD.items() if name == part or name.endswith(f"_{part}")), "")
            hint = instead or nearest(name, [*known, *_ROLES.values(), *_OF_RNN, *_OF_LAYER])
            raise UsageError(f"the cell {cell!r} has no argument {name!r}", hint=hint)
    try:
        return kind(kind.Options.model_validate({"type": cell, **arguments}))
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise UsageError(f"an argument of the cell {cell!r} cannot be used: {'; '.join(faults)}") from error
