"""A graph computed with arrays: the readable execution of a plan, one node after the other."""

from collections.abc import Iterable, Mapping
from typing import Any

from rnnlab.cells.base import Array, Arrays, StepGradients
from rnnlab.equations.graph import Node, ordered
from rnnlab.equations.plan import OUTPUT, Plan


def evaluate(
    ends: Iterable[Node], values: Mapping[Node, Array], *, xp: Any, parameters: Arrays
) -> dict[Node, Array | float]:
    """Return the values of the ends and of all that they are computed from; those given are (B, width) each."""
    found: dict[Node, Array | float] = dict(values)
    compute(ordered(ends, values), found, xp=xp, parameters=parameters)
    return found


def compute(nodes: Iterable[Node], found: dict[Node, Array | float], *, xp: Any, parameters: Arrays) -> None:
    """Add the values of nodes, each after its operands, to those that are found already."""
    for node in nodes:
        if node not in found:
            found[node] = _value(node, [found[operand] for operand in node.operands], xp, parameters)


def pull_back(
    plan: Plan,
    xp: Any,
    parameters: Arrays,
    *,
    inputs: Array,
    state: Arrays,
    output_gradient: Array,
    state_gradient: Arrays,
) -> StepGradients:
    """Return the gradients of one step, derived from the cell's equation; arrays as in a cell's `step_vjp`."""
    flowing = {name: state_gradient[name] for name in plan.after if name != OUTPUT}
    flowing[plan.output] = flowing[plan.output] + output_gradient if plan.output in flowing else output_gradient
    values: dict[Node, Array] = {}
    wanted = [*plan.kept_back, *plan.before.values(), *plan.operands]
    for node in ordered(wanted):
        if node.operation == "input":
            values[node] = inputs
        elif node.operation == "state":
            values[node] = state[node.detail]
        elif node.operation == "gradient":
            values[node] = flowing[node.detail]
    found = evaluate(wanted, values, xp=xp, parameters=parameters)
    sums = {name: sum(xp.sum(found[node], axis=0) for node in nodes) for name, nodes in plan.vector_gradients.items()}
    sums |= {
        name: sum(xp.matmul(xp.transpose(found[operand]), found[gradient]) for operand, gradient in pairs)
        for name, pairs in plan.matrix_gradients.items()
    }
    of_inputs = sum(xp.matmul(found[node], xp.transpose(parameters[name])) for node, name in plan.input_products)
    of_inputs = of_inputs + found[plan.input_rest] if plan.input_rest is not None else of_inputs
    return StepGradients(
        parameters={name: xp.zeros_like(parameters[name]) + sums[name] for name in parameters},
        inputs=xp.zeros_like(inputs) + of_inputs,
        state={
            name: xp.zeros_like(array) + (found[plan.before[name]] if name in plan.before else 0)
            for name, array in state.items()
        },
    )


def _value(node: Node, operands: list[Any], xp: Any, parameters: Arrays) -> Any:
    match node.operation:
        case "constant":
            value = node.detail
        case "parameter":
            value = parameters[node.detail]
        case "linear":
            value = _total(node, operands, xp, parameters)
        case "activation":
            value = node.activation(xp, *operands)
        case "repeat":
            value = xp.repeat(operands[0], node.detail, axis=-1)
        case "group_sum":
            value = xp.sum(xp.reshape(operands[0], (*operands[0].shape[:-1], -1, node.detail)), axis=-1)
        case "where":  # of two numbers NumPy would make float64
            dtype = next(iter(parameters.values())).dtype
            numbers = [xp.full((), one, dtype=dtype) if isinstance(one, float) else one for one in operands[1:]]
            value = xp.where(operands[0], *numbers)
        case "copy":
            (value,) = operands
        case _:
            value = getattr(xp, node.operation)(*operands)
    return value


def _total(node: Node, operands: list[Any], xp: Any, parameters: Arrays) -> Any:
    matrices = (parameters[name] for name in node.sum.matrices)
    parts = [
        xp.matmul(operand, xp.transpose(matrix) if node.sum.transposed else matrix)
        for operand, matrix in zip(operands, matrices, strict=True)
    ]
    return sum([*parts[1:], *(parameters[name] for name in node.sum.biases)], parts[0])
