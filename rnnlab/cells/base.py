"""The cell contract: parameters, states, and one step, which is all that any engine needs.

A cell is one file in this folder that exports `CELL`. Its `step` is the equation as on paper, written once against an
array namespace `xp` with the functions of `keras.ops`. `rnnlab.equations` derives the gradient from it, and the plan
by which NumPy, machine code and Keras compute it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator

from rnnlab.core import activations
from rnnlab.core.errors import UsageError
from rnnlab.core.options import Options, Short
from rnnlab.core.parameters import GlorotUniform, Initializer, Orthogonal, Parameter, VectorInitializer, Zeros
from rnnlab.core.text import docstring_equations, docstring_section

Array = Any
Arrays = Mapping[str, Array]


class Initializers(Options):
    """One initialiser for each role of parameter; the defaults are Keras's."""

    kernel: Annotated[Initializer, Short("type")] = Field(
        GlorotUniform(), description="W: from inputs, and the output layer's matrix"
    )
    recurrent_kernel: Annotated[Initializer, Short("type")] = Field(
        Orthogonal(), description="U and V: from the state and the carry"
    )
    bias: Annotated[VectorInitializer, Short("type")] = Field(Zeros(), description="b")


class CellOptions(Options):
    """Options of every cell; a cell adds its own typed fields."""

    type: str = Field(description="which cell; see `rnnlab cells`")
    units: int = Field(32, ge=1, le=65_536, description="H, the size of each layer's state")
    layers: int = Field(1, ge=1, le=64, description="stacked recurrent layers")
    activation: str = Field("tanh", description=f"of the output: {', '.join(activations.names())}")
    initializers: Initializers = Field(Initializers(), description="how parameters are first drawn")

    @field_validator("activation", "recurrent_activation", "state_activation", check_fields=False)
    @classmethod
    def _known_activation(cls, value: str) -> str:
        try:
            activations.get(value)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return value


@dataclass(frozen=True, slots=True)
class Step:
    """The result of one step.

    Attributes:
        output: (B, H).
        state: Named arrays, (B, H) unless `state_sizes` differs: the state the next step starts from.
        saved: Named values of this step: what diagnoses show, and what a `step_vjp` by hand needs.
    """

    output: Array
    state: dict[str, Array]
    saved: dict[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepGradients:
    """The result of one step's vector-Jacobian product: each array has the shape of what it is the gradient of."""

    parameters: dict[str, Array]
    inputs: Array
    state: dict[str, Array]


class AbstractCell(ABC):
    """One recurrent cell, configured; what does not depend on the options is a class attribute.

    Attributes:
        name: The file's stem, the YAML name.
        version: Raised whenever the equation changes; stored with weights and checked on load.
        Options: The typed options block of this cell.
        states: Names of the state's arrays, each (B, H); zero at the start of every sequence.
        gates: Names of those saved arrays of a step that are an activation's values -> the activation, or the option
            that names it.
        forget: The gate that its memory is multiplied with at each step; empty for a cell without.
        title: For `rnnlab cells`.
        equations, source: Likewise; left out, they are the indented lines of the docstring, and its section `Source`.
        memory: How it remembers, for a reader new to it; may be empty.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    Options: ClassVar[type[CellOptions]]
    states: ClassVar[tuple[str, ...]]
    gates: Mapping[str, str] = {}
    forget: str = ""
    title: ClassVar[str]
    equations: ClassVar[str] = ""
    source: ClassVar[str] = ""
    memory: ClassVar[str] = ""
    options: CellOptions

    def __init_subclass__(cls) -> None:
        for name, found in (("equations", docstring_equations(cls)), ("source", docstring_section(cls, "Source"))):
            if found and name not in vars(cls):
                setattr(cls, name, found)

    def __init__(self, options: CellOptions) -> None:
        self.options = options
        self.activation = activations.get(options.activation)

    def __repr__(self) -> str:
        return f"<Cell {self.name}: {self.options.units} units, {self.options.layers} layers>"

    @abstractmethod
    def parameters(self, input_features: int) -> dict[str, Parameter]:
        """Return the parameters of one layer, in their fixed order, for inputs of I features."""

    @abstractmethod
    def step(self, xp: Any, parameters: Arrays, inputs: Array, state: Arrays) -> Step:
        """Run one step.

        Args:
            xp: The array namespace.
            parameters: One layer's parameters by name.
            inputs: (B, I).
            state: Named arrays, each (B, H).
        """

    def state_sizes(self) -> dict[str, int]:
        """Return the features of each array of the state, by name, in the order of `states`: H, unless it differs."""
        return dict.fromkeys(self.states, self.options.units)

    def gate_activations(self) -> dict[str, str]:
        """Return the name of the activation of each gate."""
        return {name: getattr(self.options, one, one) for name, one in self.gates.items()}

    def initial_state(self, xp: Any, batch_size: int, dtype: Any) -> dict[str, Array]:
        """Return the zero state, each array (B, H)."""
        return {name: xp.zeros((batch_size, size), dtype=dtype) for name, size in self.state_sizes().items()}


class AbstractDerivedByHand(AbstractCell):
    """A cell that also has its derivative by hand, for readers; that of any other is derived from its equation."""

    @abstractmethod
    def step_vjp(
        self, xp: Any, parameters: Arrays, saved: Arrays, *, output_gradient: Array, state_gradient: Arrays
    ) -> StepGradients:
        """Propagate gradients back through one step.

        Args:
            xp: The array namespace.
            parameters: One layer's parameters by name.
            saved: What `step` saved.
            output_gradient: dL/d output from outside the recurrence, (B, H).
            state_gradient: dL/d of each array of the state after the step, (B, H).
        """
