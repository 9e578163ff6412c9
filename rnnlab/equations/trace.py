"""A cell's `step`, run once on symbols: what it computes, as a graph.

`Operations` is the array namespace of a trace, with the functions of `keras.ops` that an equation may use.
"""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, final

from rnnlab.cells.base import AbstractCell
from rnnlab.core.activations import AbstractActivation, Relu, Sigmoid, Softsign, Tanh
from rnnlab.core.errors import UsageError
from rnnlab.core.registry import nearest
from rnnlab.equations.contract import check_gates, described_parameters, run_step
from rnnlab.equations.graph import Graph, Node

_INSTEAD = {
    "dot": "xp.matmul(inputs, parameters[…])",
    "einsum": "xp.matmul(inputs, parameters[…])",
    "sum": "a product with a matrix",
    "mean": "a product with a matrix",
    "concatenate": "one matrix for each operand, and a sum of products",
    "split": "one matrix for each part",
    "transpose": "a matrix of the other shape",
    "cond": "xp.where(condition, a, b)",
    "softmax": "xp.exp and a division",
    "random": "nothing: a step has no random numbers",
}
_NAMES = (
    "abs", "absolute", "add", "clip", "divide", "exp", "greater", "greater_equal", "less", "less_equal", "log",
    "logical_and", "logical_or", "matmul", "maximum", "minimum", "multiply", "negative", "ones_like", "relu",
    "repeat", "sigmoid", "softsign", "sqrt", "square", "stop_gradient", "subtract", "tanh", "where", "zeros_like",
)  # fmt: skip


@final
@dataclass(frozen=True, slots=True)
class Traced:
    """A step as a graph."""

    graph: Graph
    output: Node
    states: Mapping[str, Node]  # each state after the step, by name
    sizes: Mapping[str, int]  # features of each state, by name
    matrices: Mapping[str, tuple[int, int]]  # shape of each parameter that is a matrix, (in, out), by name
    vectors: Mapping[str, int]  # size of each parameter that is a vector, by name


def _operator(name: str, *, is_reflected: bool = False) -> Callable[["Symbol", Any], "Symbol"]:
    """Return a method of symbols: the operation of this name, of the other operand first if it is reflected."""

    def apply(self: "Symbol", other: Any) -> "Symbol":
        operation: Callable[[Any, Any], Symbol] = getattr(self.xp, name)
        return operation(other, self) if is_reflected else operation(self, other)

    return apply


@final
class Symbol:
    """A value, a vector of parameters or a matrix of the step being traced, with the operators of an array."""

    def __init__(self, xp: "Operations", node: Node | None, matrix: tuple[str, int, int] | None = None) -> None:
        self.xp, self.node, self.matrix = xp, node, matrix

    @property
    def shape(self) -> tuple[int]:
        """The features."""
        return (self.xp.node(self).width,)

    __add__, __radd__ = _operator("add"), _operator("add", is_reflected=True)
    __sub__, __rsub__ = _operator("subtract"), _operator("subtract", is_reflected=True)
    __mul__, __rmul__ = _operator("multiply"), _operator("multiply", is_reflected=True)
    __truediv__, __rtruediv__ = _operator("divide"), _operator("divide", is_reflected=True)
    __matmul__ = _operator("matmul")
    __gt__, __ge__, __lt__, __le__ = map(_operator, ("greater", "greater_equal", "less", "less_equal"))
    __and__, __or__ = _operator("logical_and"), _operator("logical_or")

    def __neg__(self) -> "Symbol":
        return self.xp.negative(self)

    def __pow__(self, exponent: Any) -> "Symbol":
        if exponent != 2:
            self.xp.fail(f"a power of {exponent!r}", "a product, or xp.exp and xp.log; ** 2 is known")
        return self.xp.square(self)

    def __bool__(self) -> NoReturn:
        self.xp.fail("`if`, `and` or `or` on a value", "xp.where(condition, a, b), & or |")

    def __iter__(self) -> NoReturn:
        self.xp.fail("a loop over a value", "operations on the whole array")

    def __getitem__(self, key: Any) -> NoReturn:
        self.xp.fail("an index", "one matrix for each part, and so one value for each")

    def __array_ufunc__(self, function: Any, *_: Any, **__: Any) -> NoReturn:
        self.xp.fail(f"np.{function.__name__}", f"xp.{function.__name__}, if `xp` has it")

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self.xp.fail("a function of NumPy", "the same function of `xp`")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        self.xp.fail(f"`.{name}` of a value", "functions of `xp`")


@final
class Operations:
    """The array namespace `xp` of a trace."""

    def __init__(self, graph: Graph, file: str = "") -> None:
        self._graph, self._file = graph, file

    def activate(self, activation: AbstractActivation, x: Any) -> Symbol:
        """Return an activation's values as one node; `AbstractActivation` calls it."""
        return self._elementwise("activation", x, detail=activation)

    def tanh(self, x: Any) -> Symbol:
        return self.activate(Tanh(), x)

    def sigmoid(self, x: Any) -> Symbol:
        return self.activate(Sigmoid(), x)

    def relu(self, x: Any) -> Symbol:
        return self.activate(Relu(), x)

    def softsign(self, x: Any) -> Symbol:
        return self.activate(Softsign(), x)

    def matmul(self, x: Any, matrix: Any) -> Symbol:
        """Return a value times a parameter."""
        if not isinstance(matrix, Symbol) or matrix.matrix is None or not isinstance(x, Symbol) or x.node is None:
            self.fail("a product of two values", "xp.matmul(value, parameter), the parameter a matrix")
        name, rows, columns = matrix.matrix
        if x.node.width != rows or not x.node.has_batch:
            self.fail(f"a product of {_sized(x)} with {name}, {matrix.matrix[1:]}", f"a value of {rows} features")
        return Symbol(self, self._graph.product(x.node, name, width=columns))

    def add(self, a: Any, b: Any) -> Symbol:
        nodes = self._nodes(a, b)
        return Symbol(self, self._graph.add(*nodes))

    def stop_gradient(self, x: Any) -> Symbol:
        """Return the value itself, through which no gradient flows back."""
        (node,) = self._nodes(x)
        return Symbol(self, self._graph.node("stop_gradient", [node], width=node.width))

    def repeat(self, x: Any, repeats: int, axis: int = -1) -> Symbol:
        """Return each feature so many times in a row."""
        (node,) = self._nodes(x)
        if axis not in {-1, 1} or not node.has_batch:
            self.fail("`repeat` of another axis", "xp.repeat(value, count, axis=-1)")
        if repeats == 1:
            return Symbol(self, node)
        return Symbol(self, self._graph.node("repeat", [node], width=node.width * repeats, detail=repeats))

    def clip(self, x: Any, low: float, high: float) -> Symbol:
        return self.minimum(self.maximum(x, low), high)

    def square(self, x: Any) -> Symbol:
        return self.multiply(x, x)

    def abs(self, x: Any) -> Symbol:
        return self.absolute(x)

    def zeros_like(self, x: Any) -> Symbol:
        return Symbol(self, self._graph.constant(0.0))

    def ones_like(self, x: Any) -> Symbol:
        return Symbol(self, self._graph.constant(1.0))

    def node(self, value: Any) -> Node:
        """Return the node of a value."""
        return self._nodes(value)[0]

    def fail(self, what: str, instead: str) -> NoReturn:
        """Raise a `UsageError` with the line of the cell's file that is being traced."""
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename != self._file and frame.f_back is not None:
            frame = frame.f_back
        where = f"{self._file}:{frame.f_lineno}" if frame.f_code.co_filename == self._file else self._file
        raise UsageError(f"an equation cannot have {what}", where=where, hint=f"write {instead}")

    def __getattr__(self, name: str) -> Callable[..., Symbol]:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in _NAMES:
            self.fail(f"xp.{name}", _INSTEAD.get(name) or f"it otherwise; {nearest(name, _NAMES)}")
        return lambda *operands: self._elementwise(name, *operands)

    def _elementwise(self, operation: str, *operands: Any, detail: Any = None) -> Symbol:
        nodes = self._nodes(*operands)
        if operation == "divide" and nodes[1].operation == "constant" and not nodes[1].detail:
            self.fail("a division by zero", "a divisor that cannot be 0")
        return Symbol(self, self._graph.elementwise(operation, *nodes, detail=detail))

    def _nodes(self, *values: Any) -> list[Node]:
        nodes = []
        for value in values:
            if isinstance(value, bool | int | float):
                nodes.append(self._graph.constant(value))
            elif isinstance(value, Symbol) and value.node is not None:
                nodes.append(value.node)
            elif isinstance(value, Symbol):
                self.fail("a matrix outside a product", "xp.matmul(value, parameter)")
            else:
                self.fail(f"a value of type {type(value).__name__}", "a number, or what `xp`, inputs and state give")
        widths = {node.width for node in nodes if node.width}
        if len(widths) > 1:
            self.fail(f"values of {' and '.join(map(str, sorted(widths)))} features together", "values of one size")
        return nodes


def trace(cell: AbstractCell, input_features: int) -> Traced:
    """Return what one step of a cell computes.

    Raises:
        UsageError: It uses an operation that no engine knows, with the line of the cell's file.
    """
    graph, file = Graph(), inspect.getsourcefile(type(cell)) or ""
    xp, matrices, vectors = Operations(graph, file), dict[str, tuple[int, int]](), dict[str, int]()
    parameters = {}
    for name, parameter in described_parameters(cell, input_features).items():
        if len(parameter.shape) == 2:
            matrices[name] = rows, columns = parameter.shape[0], parameter.shape[1]
            parameters[name] = Symbol(xp, None, (name, rows, columns))
        else:
            (vectors[name],) = parameter.shape
            parameters[name] = Symbol(xp, graph.node("parameter", width=vectors[name], detail=name))
    sizes = cell.state_sizes()
    state = {name: Symbol(xp, graph.node("state", width=size, detail=name)) for name, size in sizes.items()}
    step = run_step(cell, xp, parameters, Symbol(xp, graph.node("input", width=input_features)), state)
    check_gates(cell, step)
    output, states = xp.node(step.output), {name: xp.node(step.state[name]) for name in sizes}
    wanted = [("the output", output, cell.options.units), *((name, states[name], size) for name, size in sizes.items())]
    for what, node, size in wanted:
        if node.width != size:
            problem = f"{what} has {node.width} features after a step of the cell {cell.name!r}, not {size}"
            raise UsageError(problem, where=file, hint="its `step` and its `state_sizes` must agree")
    return Traced(graph, output, states, sizes, matrices, vectors)


def _sized(x: Symbol) -> str:
    return f"a value of {x.node.width} features" if x.node else "a parameter"
