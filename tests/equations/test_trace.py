"""What an equation cannot have: one message with the operation, the cell's file and line, and what to write instead."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from rnnlab.cells import CELLS
from rnnlab.cells.base import AbstractCell, CellOptions, Step
from rnnlab.core.errors import UsageError
from rnnlab.core.parameters import Parameter
from rnnlab.equations.plan import plan_of
from rnnlab.equations.trace import trace

Values = Mapping[str, Any]
Write = Callable[[Any, Values, Any, Any], Any]


class Wrong(AbstractCell):
    """A cell whose new state is what the function of a test gives."""

    name = "wrong"
    Options = CellOptions
    states = ("h",)
    title = equations = source = ""

    def __init__(self, write: Write) -> None:
        super().__init__(CellOptions(type="wrong", units=4))
        self.write = write

    def parameters(self, input_features: int) -> dict[str, Parameter]:
        shapes = {"W": (input_features, 4), "U": (4, 4), "half": (input_features, 2)}
        return {name: Parameter(shape, "kernel") for name, shape in shapes.items()} | {"b": Parameter((4,), "bias")}

    def step(self, xp: Any, parameters: Values, inputs: Any, state: Values) -> Step:
        h = self.write(xp, parameters, inputs, state["h"])
        return Step(output=h, state={"h": h})


def a_branch(xp: Any, p: Values, x: Any, h: Any) -> Any:
    return h if h > 0 else -h  # here


def an_and(xp: Any, p: Values, x: Any, h: Any) -> Any:
    return xp.where((h > 0) and (h < 1), h, 0)  # here


def an_index(xp: Any, p: Values, x: Any, h: Any) -> Any:
    return h[:, :2]  # here


def a_loop(xp: Any, p: Values, x: Any, h: Any) -> Any:
    return sum(part for part in h)  # here


def of_numpy(xp: Any, p: Values, x: Any, h: Any) -> Any:
    return np.tanh(h)  # here


def numpy_dot(xp: Any, p: Values, x: Any, h: Any) -> Any:
    return np.dot(np.ones((3, 4)), h)  # here


def an_array(xp: Any, p: Values, x: Any, h: Any) -> Any:
    return xp.add(h, np.ones(4))  # here


def an_unknown_function(xp: Any, p: Values, x: Any, h: Any) -> Any:
    return xp.tanhh(h)  # here


def a_sum(xp: Any, p: Values, x: Any, h: Any) -> Any:
    return xp.sum(h, axis=-1)  # here


def a_concatenation(xp: Any, p: Values, x: Any, h: Any) -> Any:
    return xp.concatenate([x, h], axis=-1)  # here


def another_width(xp: Any, p: Values, x: Any, h: Any) -> Any:
    return h + xp.matmul(x, p["half"])  # here


def a_matrix_of_another_size(xp: Any, p: Values, x: Any, h: Any) -> Any:
    return xp.matmul(h, p["W"])  # here


def a_product_of_values(xp: Any, p: Values, x: Any, h: Any) -> Any:
    return xp.matmul(h, h)  # here


def a_matrix_alone(xp: Any, p: Values, x: Any, h: Any) -> Any:
    return xp.matmul(x, -p["W"])  # here


def a_method(xp: Any, p: Values, x: Any, h: Any) -> Any:
    return h.mean()  # here


def a_cube(xp: Any, p: Values, x: Any, h: Any) -> Any:
    return h**3  # here


@pytest.mark.parametrize(
    ("write", "what", "instead"),
    [
        (a_branch, "`if`, `and` or `or` on a value", "xp.where(condition, a, b)"),
        (an_and, "`if`, `and` or `or` on a value", "& or |"),
        (an_index, "an index", "one matrix for each part"),
        (a_loop, "a loop over a value", "operations on the whole array"),
        (of_numpy, "np.tanh", "xp.tanh"),
        (numpy_dot, "a function of NumPy", "the same function of `xp`"),
        (an_array, "a value of type ndarray", "a number, or what `xp`, inputs and state give"),
        (an_unknown_function, "xp.tanhh", "did you mean 'tanh'?"),
        (a_sum, "xp.sum", "a product with a matrix"),
        (a_concatenation, "xp.concatenate", "one matrix for each operand"),
        (another_width, "values of 2 and 4 features together", "values of one size"),
        (a_matrix_of_another_size, "a product of a value of 4 features with W", "a value of 3 features"),
        (a_product_of_values, "a product of two values", "xp.matmul(value, parameter), the parameter a matrix"),
        (a_matrix_alone, "a matrix outside a product", "xp.matmul(value, parameter)"),
        (a_method, "`.mean` of a value", "functions of `xp`"),
        (a_cube, "a power of 3", "** 2 is known"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_an_equation_cannot_have(write: Write, what: str, instead: str) -> None:
    lines, first = inspect.getsourcelines(write)
    line = first + next(n for n, text in enumerate(lines) if text.endswith("# here\n"))
    with pytest.raises(UsageError) as caught:
        trace(Wrong(write), 3)
    assert caught.value.problem.startswith(f"an equation cannot have {what}")
    assert caught.value.where == f"{__file__}:{line}"
    assert caught.value.hint.startswith("write ")
    assert instead in caught.value.hint


def test_a_state_of_another_size_is_named() -> None:
    with pytest.raises(UsageError, match=r"output has 2 features after a step of the cell 'wrong', not 4"):
        trace(Wrong(lambda xp, p, x, h: xp.matmul(x, p["half"])), 3)


def test_a_state_that_is_a_number_is_named() -> None:
    with pytest.raises(UsageError, match="output has 0 features"):
        trace(Wrong(lambda xp, p, x, h: xp.zeros_like(h)), 3)


def test_the_same_value_is_computed_once() -> None:
    """h·U + x·W + b is one sum of products, whatever the order and however often it is written."""

    def write(xp: Any, p: Values, x: Any, h: Any) -> Any:
        one = xp.tanh(p["b"] + xp.matmul(h, p["U"]) + xp.matmul(x, p["W"]))
        return one * xp.tanh(p["b"] + xp.matmul(h, p["U"]) + xp.matmul(x, p["W"])) + 0 * h

    traced = trace(Wrong(write), 3)
    assert traced.output.operation == "multiply"
    left, right = traced.output.operands
    assert left is right
    (total,) = left.operands
    assert (total.operation, set(total.sum.matrices), total.sum.biases) == ("linear", {"U", "W"}, ("b",))


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_one_stage_of_products_and_one_block(name: str) -> None:
    """A GRU that resets before its product needs two of each; the products with the inputs are of no stage's chain."""
    kind = CELLS.get(name)
    assert len(plan_of(kind(kind.Options(units=4)), 3).forward) == 1
    if name == "gru":
        assert len(plan_of(kind(kind.Options(units=4, reset_after=False)), 3).forward) == 2
