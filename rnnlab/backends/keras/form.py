"""What networks have in common that are computed by the same compiled code, and that code."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import final

from rnnlab.backends.base import Network, Training
from rnnlab.backends.keras import Way
from rnnlab.backends.keras.engines.base import AbstractEngine
from rnnlab.backends.keras.functions import NetworkFunctions
from rnnlab.equations.plan import plan_of


@final
@dataclass(frozen=True, slots=True)
class Form:
    """The form of a network.

    Attributes:
        network: Text of its equations, sizes and loss.
        rule: Text of the update rule with its options, but for the learning rate, and of the clipping.
        one: A network that is so.
        engine, way, bptt_steps: How it is computed.
    """

    network: str
    rule: str = field(compare=False)
    one: Network = field(compare=False)
    engine: AbstractEngine = field(compare=False)
    way: Way
    bptt_steps: int | None

    @classmethod
    def of(cls, network: Network, training: Training | None, *, engine: AbstractEngine, way: Way) -> "Form":
        """Return the form of a network."""
        about = network.describe()
        if way.path == "derived":  # numbers that parameters begin with make no other equation
            layers = range(network.cell.options.layers)
            about["cell_options"] = [plan_of(network.cell, network.layer_features(layer)).form for layer in layers]
            about["units"] = network.cell.options.units
        rule = ""
        if training:
            options = training.optimizer.options.model_dump(exclude={"learning_rate"})
            rule = f"{type(training.optimizer)} {options} {training.clip_norm} {training.clip_value}"
        text = f"{engine.name} {type(network.cell)} {about}"
        return cls(text, rule, network, engine, way, training.bptt_steps if training else None)

    def why_apart(self, other: "Form") -> str:
        """Return why networks of these forms cannot be trained by one program; empty where they can."""
        if self != other:
            return "their cells, sizes, losses or bptt_steps differ"
        return "" if self.rule == other.rule else "their update rules differ in more than the learning rate"


@final
class Compiled:
    """The compiled functions of networks of one form."""

    def __init__(self, form: Form) -> None:
        engine = form.engine
        self.functions = NetworkFunctions(form.one, engine=engine, way=form.way, bptt_steps=form.bptt_steps)
        self.gradients = engine.compile_gradients(self.functions.loss, xla=form.way.xla)
        # Without XLA, whose compiling takes longer than it saves on the few predictions of a training.
        self.states = engine.compile_function(self.functions.states, xla=False)
        self.stretch = engine.compile_function(self.functions.stretch, xla=False)


@lru_cache(maxsize=16)
def compiled(form: Form) -> Compiled:
    """Return the compiled functions of a form, compiled once per process: it takes longer than a small training."""
    return Compiled(form)
