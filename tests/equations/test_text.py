"""The text of a plan, computed as the formulas that it shows."""

import re
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rnnlab.cells import CELLS
from rnnlab.cells.base import AbstractCell
from rnnlab.core import activations
from rnnlab.core.namespace import NUMPY
from rnnlab.equations.evaluate import pull_back
from rnnlab.equations.plan import OUTPUT, plan_of
from rnnlab.equations.text import plan_text
from tests.equations.test_derivative import CELLS_OF_TESTS

Array = NDArray[np.float64]
BATCH, INPUTS, UNITS = 5, 3, 4
FUNCTIONS: dict[str, Any] = {
    **{name: getattr(NUMPY, name) for name in ("absolute", "exp", "log", "logical_and", "logical_or", "maximum")},
    **{name: getattr(NUMPY, name) for name in ("minimum", "sqrt", "where")},
    **{name: partial(activations.get(name), NUMPY) for name in activations.names()},
    "repeat": lambda a, count: np.repeat(a, count, axis=-1),
    "group_sum": lambda a, count: a.reshape(*a.shape[:-1], -1, count).sum(axis=-1),
}
BUILT_IN = [kind(kind.Options(units=UNITS)) for kind in CELLS.members().values()]


@pytest.mark.parametrize("cell", [*BUILT_IN, *CELLS_OF_TESTS], ids=lambda cell: cell.name)
def test_the_formulas_give_the_gradients_of_the_plan(cell: AbstractCell) -> None:
    plan, random = plan_of(cell, INPUTS), np.random.default_rng(0)
    parameters = {name: random.normal(size=one.shape) for name, one in cell.parameters(INPUTS).items()}
    inputs = random.normal(size=(BATCH, INPUTS))
    state = {name: abs(random.normal(size=(BATCH, size))) + 0.1 for name, size in cell.state_sizes().items()}
    ahead = {name: random.normal(size=(BATCH, size)) for name, size in plan.sizes.items()}

    values: dict[str, Any] = {**parameters, **state, "x": inputs}
    own = "output_" if "output" in state else "output"
    values |= {f"d{own if name == OUTPUT else name}_next": array for name, array in ahead.items()}
    for line in plan_text(plan):
        if line.startswith("  "):
            name, formula = line.strip().split(" = ", 1)
            values[name] = computed(formula, values)

    of_output = ahead.get(OUTPUT, np.zeros((BATCH, plan.sizes[plan.output])))
    found = pull_back(
        plan, NUMPY, parameters, inputs=inputs, state=state, output_gradient=of_output,
        state_gradient={name: ahead[name] for name in state},
    )  # fmt: skip
    step = cell.step(NUMPY, parameters, inputs, state)
    for name in state:
        np.testing.assert_allclose(values[f"{name}_next"], step.state[name], rtol=1e-12)
    expected = {**found.parameters, "x": found.inputs}
    expected |= {name: array for name, array in found.state.items() if f"d{name}" in values}
    for name, array in expected.items():
        np.testing.assert_allclose(values[f"d{name}"] + np.zeros_like(array), array, rtol=1e-9, atol=1e-12)


def computed(formula: str, values: dict[str, Any]) -> Array:
    """Return the value of a formula of a plan."""
    is_sum, text = formula.startswith("sum of "), formula.removeprefix("sum of ")
    code = re.sub(r"(\w+)ᵀ", r"\1.T", text).replace("·", "@").replace(")ᵀ", ").T")
    value = eval(code, {**FUNCTIONS, **values})
    return np.asarray(value.sum(axis=0) if is_sum and "@" not in code else value)
