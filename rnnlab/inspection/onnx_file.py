"""A trained network as an ONNX file, written from the plan of its cell: a loop (`Scan`) for any cell.

A cell that ONNX has an operator for becomes that, which runtimes compute faster than a loop.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from rnnlab.backends.base import Network
from rnnlab.cells.base import AbstractCell
from rnnlab.core.activations import AbstractActivation, Tanh
from rnnlab.core.packages import missing_package
from rnnlab.core.scaling import Scaling
from rnnlab.equations.graph import Graph, Node, ordered
from rnnlab.equations.plan import Plan, plan_of
from rnnlab.equations.trace import Operations, Symbol

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

Arrays = Mapping[str, NDArray[Any]]
Ends = dict[str, list[str | int]]  # shape by name

_OPSET, _IR = 18, 8  # onnxruntime reads them since 1.14
_NAMES = {
    "absolute": "Abs", "add": "Add", "copy": "Identity", "divide": "Div", "exp": "Exp", "greater": "Greater",
    "greater_equal": "GreaterOrEqual", "less": "Less", "less_equal": "LessOrEqual", "log": "Log", "logical_and": "And",
    "logical_or": "Or", "maximum": "Max", "minimum": "Min", "multiply": "Mul", "negative": "Neg", "sqrt": "Sqrt",
    "subtract": "Sub", "where": "Where",
}  # fmt: skip
# Operators: their gates in ONNX's order, by the letters of ours; which activation each of them has.
_OPERATORS = {
    "simple": ("RNN", ("",), ("activation",)),
    "lstm": ("LSTM", tuple("iofg"), ("recurrent_activation", "activation", "activation")),
    "gru": ("GRU", tuple("zrn"), ("recurrent_activation", "activation")),
}
_APART = 1_000_000  # between the numbers of names in a loop and outside
_FUNCTIONS = {"tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu"}


def onnx_file(network: Network, parameters: Arrays, scaling: Scaling | None = None) -> bytes:
    """Return the content of an `.onnx` file, which computes `outputs` from `inputs`, for any batch and time.

    With the scaling of one series of a file, the model reads and returns the units of the file.

    Raises:
        EnvironmentFault: The package `onnx` is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise missing_package(f"the package onnx cannot be imported: {error}", extra="onnx") from error
    writer = _Writer(network.dtype)
    x = "inputs"
    if scaling:
        x = writer.add("Sub", x, writer.array(scaling.inputs.mean[0]))
        x = writer.add("Div", x, writer.array(scaling.inputs.divisor[0]))
    read, layers = x, network.cell.options.layers
    for layer in range(layers):
        own = {name: parameters[f"layers.{layer}.{name}"] for name in network.layer_parameters(layer)}
        every_step = network.return_sequences or layer < layers - 1
        plan = plan_of(network.cell, network.input_features if layer == 0 else network.cell.options.units)
        write = _operator if _has_operator(network.cell, network.precision) else _loop
        x = write(writer, plan, own, x, prefix=f"layers.{layer}.", every_step=every_step)
    scaled = "outputs" if scaling is None else "scaled"
    x = _output_layer(writer, network, parameters, (x, read), to=scaled)
    if scaling:
        x = writer.add("Mul", x, writer.array(scaling.outputs.divisor[0]))
        writer.add("Add", x, writer.array(scaling.outputs.mean[0]), to="outputs")
    axes: list[str | int] = ["batch", "time"]
    ends: Ends = {"inputs": [*axes, network.input_features]}
    ends["outputs"] = [*(axes if network.return_sequences else axes[:1]), network.output_features]
    opset = onnx.helper.make_opsetid("", _OPSET)
    model = onnx.helper.make_model(writer.graph(ends), opset_imports=[opset], ir_version=_IR, producer_name="rnnlab")
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def _output_layer(writer: "_Writer", network: Network, parameters: Arrays, given: tuple[str, str], *, to: str) -> str:
    """Add the output layer, of the last layer's outputs and the inputs of the network."""
    (x, read), parts = given, list[str]()
    if "head.V" in parameters:
        # An index without an axis of its own takes the axis away.
        shown = (
            read if network.return_sequences else writer.add("Gather", read, writer.array(-1, dtype=np.int64), axis=1)
        )
        parts.append(writer.add("MatMul", shown, writer.array(parameters["head.V"], "head.V")))
    if "head.b" in parameters:
        parts.append(writer.array(parameters["head.b"], "head.b"))
    x = writer.add("MatMul", x, writer.array(parameters["head.W"], "head.W"), to="" if parts else to)
    for number, part in enumerate(parts, start=1):
        x = writer.add("Add", x, part, to=to if number == len(parts) else "")
    return x


@final
class _Writer:
    """The nodes and arrays of a graph as they are added."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.nodes: list[NodeProto] = []
        self._arrays: dict[str, NDArray[Any]] = {}
        self._count = 0

    def name(self) -> str:
        """Return a name that nothing has yet."""
        self._count += 1
        return f"v{self._count}"

    def add(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        """Add a node with one output, and return its name."""
        return self.add_all(kind, inputs, [to or self.name()], **attributes)[0]

    def add_all(self, kind: str, inputs: Sequence[str], outputs: list[str], **attributes: Any) -> list[str]:
        """Add a node, and return the names of its outputs."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, outputs, **attributes))
        return outputs

    def array(self, values: Any, name: str = "", dtype: Any = None) -> str:
        """Add an array, and return its name."""
        name = name or self.name()
        self._arrays[name] = np.asarray(values, self.dtype if dtype is None else dtype)
        return name

    def numbers(self, *values: int) -> str:
        """Add integers, as of a shape, and return their name."""
        return self.array(values, dtype=np.int64)

    def graph(self, ends: Ends, *, inputs: int = 1) -> "GraphProto":
        """Return all that was added as a graph; of the ends, with their shapes, the first are its inputs."""
        from onnx import helper, numpy_helper

        kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        values = [helper.make_tensor_value_info(name, kind, shape) for name, shape in ends.items()]
        arrays = [numpy_helper.from_array(array, name) for name, array in self._arrays.items()]
        return helper.make_graph(self.nodes, "rnnlab", values[:inputs], values[inputs:], arrays)

    def within(self) -> "_Writer":
        """Return a writer for the body of a loop: what this one has can be used there, and no name is the same."""
        inner = _Writer(self.dtype)
        inner._count = self._count + _APART
        return inner


def _loop(writer: _Writer, plan: Plan, own: Arrays, x: str, *, prefix: str, every_step: bool) -> str:
    """Add one layer as a loop over time, and return its output: (B, T, H), or the last, (B, H)."""
    named = {name: writer.array(array, f"{prefix}{name}") for name, array in own.items()}
    body, step = writer.within(), f"{prefix}input"
    before = {name: f"{prefix}before.{name}" for name in plan.sizes}
    found: dict[Node, str] = {}
    for node in ordered(plan.after.values()):
        if node.operation in {"input", "state"}:
            found[node] = step if node.operation == "input" else before[node.detail]
    _add_nodes(body, list(plan.after.values()), found, named)
    ends: Ends = {before[name]: ["batch", size] for name, size in plan.sizes.items()}
    ends[step] = ["batch", plan.input_features]
    for name, node in plan.after.items():
        ends[body.add("Identity", found[node], to=f"{prefix}after.{name}")] = ["batch", plan.sizes[name]]
    output = body.add("Identity", found[plan.after[plan.output]], to=f"{prefix}output")
    ends[output] = ["batch", plan.sizes[plan.output]]
    graph = body.graph(ends, inputs=len(before) + 1)
    zeros = [_zeros(writer, x, size) for size in plan.sizes.values()]
    outputs = [writer.name() for _ in range(len(zeros) + 1)]
    axes = {"scan_input_axes": [1], "scan_output_axes": [1]}
    writer.add_all("Scan", [*zeros, x], outputs, body=graph, num_scan_inputs=1, **axes)
    return outputs[-1] if every_step else outputs[list(plan.sizes).index(plan.output)]


def _add_nodes(body: _Writer, ends: Sequence[Node], found: dict[Node, str], named: Mapping[str, str]) -> None:
    """Add what computes the ends from what is found, and to that the name of each node."""
    for node in ordered(ends, found):
        if node not in found:
            if node.operation == "activation" and not isinstance(node.activation, Tanh):
                spelled = _spelled(node.activation, node.operands[0])
                _add_nodes(body, [spelled], found, named)
                found[node] = found[spelled]
            else:
                found[node] = _added(body, node, [found[operand] for operand in node.operands], named)


def _added(body: _Writer, node: Node, operands: Sequence[str], named: Mapping[str, str]) -> str:
    match node.operation:
        case "parameter":
            added = named[node.detail]
        case "constant":
            added = body.array(node.detail)
        case "linear":
            pairs = zip(operands, node.sum.matrices, strict=True)
            added, *parts = (body.add("MatMul", operand, named[matrix]) for operand, matrix in pairs)
            for part in [*parts, *(named[name] for name in node.sum.biases)]:
                added = body.add("Add", added, part)
        case "activation":
            added = body.add("Tanh", *operands)
        case "repeat":
            column = body.add("Reshape", *operands, body.numbers(0, node.operands[0].width, 1))
            wide = body.add("Expand", column, body.numbers(1, 1, node.detail))
            added = body.add("Reshape", wide, body.numbers(0, node.width))
        case _:
            added = body.add(_NAMES[node.operation], *operands)
    return added


def _spelled(activation: AbstractActivation, operand: Node) -> Node:
    """Return an activation in simpler operations."""
    xp = Operations(Graph())
    return xp.node(activation.value(xp, Symbol(xp, operand)))


def _zeros(writer: _Writer, x: str, size: int) -> str:
    from onnx import numpy_helper

    shape = writer.add("Concat", writer.add("Shape", x, start=0, end=1), writer.numbers(size), axis=0)
    return writer.add("ConstantOfShape", shape, value=numpy_helper.from_array(np.zeros(1, writer.dtype)))


def _has_operator(cell: AbstractCell, precision: str) -> bool:
    """Return whether ONNX has an operator for a cell; onnxruntime has none of them in float64."""
    _, _, functions = _OPERATORS.get(cell.name, ("", (), ()))
    known = all(getattr(cell.options, function) in _FUNCTIONS for function in functions)
    return precision == "float32" and bool(functions) and known


def _operator(writer: _Writer, plan: Plan, own: Arrays, x: str, *, prefix: str, every_step: bool) -> str:
    """Add one layer as an operator, as `_loop`; its arrays are (1, gates·H, …), time is its first axis."""
    cell = plan.cell
    kind, gates, functions = _OPERATORS[cell.name]
    W, U, b = (np.concatenate([own[f"{letter}{gate}"] for gate in gates], axis=-1).T[None] for letter in "WUb")
    second = np.zeros_like(b)  # of two biases, the one that is added to the product with the state
    more = {}
    if cell.name == "gru":
        more["linear_before_reset"] = int("bhn" in own)
        second[0, 2 * cell.options.units :] = own.get("bhn", 0)
    both = np.concatenate([b, second], axis=-1)
    arrays = [writer.array(array, f"{prefix}{letter}") for letter, array in (("W", W), ("U", U), ("b", both))]
    names = [_FUNCTIONS[getattr(cell.options, function)] for function in functions]
    by_time = writer.add("Transpose", x, perm=[1, 0, 2])
    outputs = [writer.name(), writer.name()]
    writer.add_all(kind, [by_time, *arrays], outputs, hidden_size=cell.options.units, activations=names, **more)
    if not every_step:
        return writer.add("Squeeze", outputs[1], writer.numbers(0))
    return writer.add("Transpose", writer.add("Squeeze", outputs[0], writer.numbers(1)), perm=[1, 0, 2])
