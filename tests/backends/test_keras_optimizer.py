"""A user's own update rule on Keras: it works if it names its counterpart, and is rejected clearly if not."""

from dataclasses import replace
from typing import Any, Literal

import pytest

from rnnlab.core.errors import UsageError
from rnnlab.optim.rules.base import AbstractOptimizer, Arrays, OptimizerOptions
from tests.backends.contenders import Contender, assert_close
from tests.networks import batch, training


class LionOptions(OptimizerOptions):
    """The numbers of Chen et al. 2023."""

    type: Literal["lion"] = "lion"
    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.99


class Lion(AbstractOptimizer[LionOptions]):
    """θ ← θ - η·sign(β₁·m + (1-β₁)·g), m ← β₂·m + (1-β₂)·g."""

    name, keras_name = "lion", "Lion"
    Options = LionOptions

    def slot_names(self) -> tuple[str, ...]:
        return ("momentum",)

    def numbers(self, step: Any, learning_rate: Any) -> dict[str, Any]:
        return {"rate": learning_rate}

    def move(self, xp: Any, at: Arrays, numbers: Arrays) -> dict[str, Any]:
        m, g, options, rate = at["momentum"], at["gradients"], self.options, numbers["rate"]
        step = xp.where(m * options.beta_1 + g * (1 - options.beta_1) > 0, rate, -rate)
        return {"parameters": at["parameters"] - step, "momentum": m * options.beta_2 + g * (1 - options.beta_2)}


class Unknown(Lion):
    keras_name = None


class Misnamed(Lion):
    keras_name = "SGD"


class WithOtherSlots(Lion):
    def slot_names(self) -> tuple[str, ...]:
        return ("velocity",)


def built(contender: Contender, rule: type[Any]) -> Any:
    net = contender.network("simple")
    recipe = replace(training(), optimizer=rule(LionOptions()))
    return contender.backend.build(net, parameters=net.draw(0), training=recipe)


@pytest.mark.parametrize("contender", ["keras-loop"], indirect=True)
def test_a_rule_that_names_its_counterpart(contender: Contender, engine: str) -> None:
    ours, theirs = built(Contender.named("numpy-fast", engine), Lion), built(contender, Lion)
    if contender.precision == "float32":
        pytest.skip("the signs of gradients near zero differ in float32")
    data = batch(ours.network)
    for _ in range(5):
        ours.train_step(data)
        theirs.train_step(data)
    assert_close(theirs.state_dict(), ours.state_dict(), ours.network, "trained")


@pytest.mark.parametrize("contender", ["keras-loop"], indirect=True)
@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (Unknown, "it names no optimizer of keras.optimizers as `keras_name`"),
        (Misnamed, "Keras's SGD does not take its options: "),
        (WithOtherSlots, "Keras's Lion has no variable 'velocity', a slot of this rule"),
    ],
)
def test_a_rule_that_cannot_run_on_keras(contender: Contender, rule: type[Any], why: str) -> None:
    with pytest.raises(UsageError) as caught:
        built(contender, rule)
    assert caught.value.problem.startswith(f"the optimizer 'lion' cannot run on Keras: {why}")
    assert (caught.value.where, caught.value.hint) == (
        "training.optimizer",
        "set backend: numpy, or choose another optimizer",
    )
