"""The derived gradient of a step against central differences, for equations that together use every operation."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rnnlab.cells import CELLS
from rnnlab.cells.base import AbstractCell, CellOptions, Step
from rnnlab.core.namespace import NUMPY, FrozenNamespace
from rnnlab.core.parameters import Parameter
from rnnlab.equations.evaluate import evaluate, pull_back
from rnnlab.equations.plan import OUTPUT, plan_of
from tests.networks import VARIANTS

Array = NDArray[Any]
BATCH, INPUTS, UNITS = 3, 2, 4


class _Written(AbstractCell):
    """A cell of a test: its parameters are all matrices and vectors that any of them needs."""

    Options = CellOptions
    states = ("h", "c")
    title = equations = source = ""

    def parameters(self, input_features: int) -> dict[str, Parameter]:
        units = self.options.units
        shapes = {f"W{n}": (input_features, units) for n in range(4)} | {f"U{n}": (units, units) for n in range(5)}
        described = {name: Parameter(shape, "kernel") for name, shape in shapes.items()}
        return described | {f"b{n}": Parameter((units,), "bias") for n in range(4)}


class ResetBefore(_Written):
    """A GRU that resets before its product: two stages."""

    name = "reset_before"

    def step(self, xp: Any, parameters: Mapping[str, Any], inputs: Any, state: Mapping[str, Any]) -> Step:
        p, h = parameters, state["h"]
        z = xp.sigmoid(inputs @ p["W0"] + h @ p["U0"] + p["b0"])
        r = xp.sigmoid(inputs @ p["W1"] + h @ p["U1"] + p["b1"])
        n = xp.tanh(xp.matmul(r * h, p["U2"]) + p["b2"] + xp.matmul(inputs, p["W2"]))
        new = z * h + (1 - z) * n
        return Step(output=new, state={"h": new, "c": state["c"]})


class Peephole(_Written):
    """Vectors of parameters inside the loop, and a gate that reads the new carry."""

    name = "peephole"

    def step(self, xp: Any, parameters: Mapping[str, Any], inputs: Any, state: Mapping[str, Any]) -> Step:
        p, h, c = parameters, state["h"], state["c"]
        i = xp.sigmoid(inputs @ p["W0"] + p["b1"] * c + h @ p["U0"] + p["b0"])
        new = (1 - i) * c + i * xp.tanh(inputs @ p["W1"] + h @ p["U1"])
        o = xp.sigmoid(h @ p["U2"] + new * p["b2"])
        return Step(output=o * xp.tanh(new), state={"h": o * xp.tanh(new), "c": new})


class Everything(_Written):
    """Each function of the namespace, an output that is no state, and a product of a product."""

    name = "everything"

    def state_sizes(self) -> dict[str, int]:
        return {"h": self.options.units, "c": self.options.units // 2}

    def parameters(self, input_features: int) -> dict[str, Parameter]:
        half = self.options.units // 2
        extra = {"G": Parameter((input_features, half), "kernel"), "Q": Parameter((half, half), "kernel")}
        return super().parameters(input_features) | extra

    def step(self, xp: Any, parameters: Mapping[str, Any], inputs: Any, state: Mapping[str, Any]) -> Step:
        p, h, c = parameters, state["h"], state["c"]
        a = inputs @ p["W0"] - h @ p["U0"]
        e, positive = xp.exp(xp.minimum(a, 0.7)), xp.sqrt(1 + xp.square(a))
        q = xp.where((a > 0.1) | (h < -0.3), xp.log(1 + positive), -xp.abs(a) / positive)
        wide = xp.repeat(xp.sigmoid(inputs @ p["G"] + c @ p["Q"]), 2, axis=-1)
        clipped = xp.clip(h @ p["U1"] + p["b1"], -0.5, 0.5) * p["b2"]
        both = xp.where((a >= -2) & (a <= 0.2), xp.relu(e), xp.softsign(e) * xp.ones_like(e))
        new = xp.tanh(wide * q + clipped + xp.matmul(both, p["U2"]) + 0.1 * xp.maximum(a, h))
        return Step(output=new * q + xp.zeros_like(q), state={"h": new / (1 + e), "c": xp.tanh(inputs @ p["G"]) * c})


class Unchanged(_Written):
    """States that are inputs of the step, an output that is two states, and a linear activation."""

    name = "unchanged"

    def step(self, xp: Any, parameters: Mapping[str, Any], inputs: Any, state: Mapping[str, Any]) -> Step:
        h = inputs @ parameters["W0"] + state["c"] @ parameters["U0"] + parameters["b0"]
        return Step(output=h, state={"h": h, "c": h})


class NamedOutput(_Written):
    """A state that is called `output` and is not the output."""

    name = "named_output"
    states = ("output", "c")

    def step(self, xp: Any, parameters: Mapping[str, Any], inputs: Any, state: Mapping[str, Any]) -> Step:
        h = xp.tanh(inputs @ parameters["W0"] + state["output"] @ parameters["U0"])
        c = xp.sigmoid(state["c"] @ parameters["U1"] + parameters["b1"]) * h
        return Step(output=h * c, state={"output": h, "c": c})


CELLS_OF_TESTS: list[AbstractCell] = [
    *(CELLS.get(name)(CELLS.get(name).Options(units=UNITS)) for name in CELLS.names()),
    *(CELLS.get(name)(CELLS.get(name).Options(units=UNITS, **options)) for name, options in VARIANTS),
    *(
        kind(CellOptions(type=kind.name, units=UNITS))
        for kind in (ResetBefore, Peephole, Everything, Unchanged, NamedOutput)
    ),
]


def _drawn(cell: AbstractCell) -> tuple[dict[str, Array], Array, dict[str, Array]]:
    rng = np.random.default_rng(3)
    parameters = {name: rng.normal(0, 0.6, p.shape) for name, p in cell.parameters(INPUTS).items()}
    state = {name: rng.normal(0, 0.6, (BATCH, size)) for name, size in cell.state_sizes().items()}
    return parameters, rng.normal(0, 1, (BATCH, INPUTS)), state


@pytest.mark.parametrize("cell", CELLS_OF_TESTS, ids=lambda cell: cell.name)
def test_the_gradient_of_a_step_is_that_of_central_differences(cell: AbstractCell) -> None:
    parameters, inputs, state = _drawn(cell)
    rng = np.random.default_rng(4)
    to_output = rng.normal(0, 1, (BATCH, UNITS))
    to_state = {name: rng.normal(0, 1, array.shape) for name, array in state.items()}
    plan = plan_of(cell, INPUTS)
    found = pull_back(
        plan, NUMPY, parameters, inputs=inputs, state=state, output_gradient=to_output, state_gradient=to_state
    )

    xp = FrozenNamespace()
    cell.step(xp, parameters, inputs, state)

    def loss() -> float:
        step = cell.step(xp.again(), parameters, inputs, state)
        states = (np.sum(to_state[name] * step.state[name]) for name in state)
        return float(np.sum(to_output * step.output) + sum(states))

    arrays = [*((parameters[n], found.parameters[n]) for n in parameters), (inputs, found.inputs)]
    for array, gradient in [*arrays, *((state[n], found.state[n]) for n in state)]:
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + 1e-6
            more = loss()
            array[place] = kept - 1e-6
            less = loss()
            array[place] = kept
            assert gradient[place] == pytest.approx((more - less) / 2e-6, abs=1e-7, rel=1e-6)


@pytest.mark.parametrize("cell", CELLS_OF_TESTS, ids=lambda cell: cell.name)
def test_the_stages_give_the_step_and_its_gradient(cell: AbstractCell) -> None:
    """Executed stage by stage, with what is saved alone, each node finds its operands."""
    parameters, inputs, state = _drawn(cell)
    plan, step = plan_of(cell, INPUTS), cell.step(NUMPY, parameters, inputs, state)
    nodes = {
        node
        for stage in (*plan.forward, *plan.backward)
        for one in (*stage.products, *stage.block)
        for node in one.operands
    }
    leaves: dict[Any, Array] = {node: inputs for node in nodes if node.operation == "input"}
    leaves |= {node: state[node.detail] for node in nodes if node.operation == "state"}
    known = dict(leaves)
    for stage in plan.forward:
        for node in (*stage.products, *stage.block):
            assert all(o in known or not o.has_batch for o in node.operands)
            known |= {node: evaluate([node], known, xp=NUMPY, parameters=parameters)[node]}
    for name, node in plan.after.items():
        expected = step.output if name == OUTPUT else step.state[name]
        np.testing.assert_allclose(known[node], expected, rtol=1e-12)
    np.testing.assert_allclose(known[plan.after[plan.output]], step.output, rtol=1e-12)
    back = leaves | {node: known[node] for node in plan.given_back}
    back |= {node: np.ones((BATCH, node.width)) for node in nodes if node.operation == "gradient"}
    for stage in plan.backward:
        for node in (*stage.products, *stage.block):
            assert all(o in back or not o.has_batch for o in node.operands)
            back |= {node: evaluate([node], back, xp=NUMPY, parameters=parameters)[node]}
    assert {*plan.kept_back, *plan.before.values()} <= set(back)
    assert set(plan.operands) <= set(back)
