"""A plan as text: what is computed at each step, in the backward pass, and after the loop over time."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import final

from rnnlab.equations.graph import Node, ordered
from rnnlab.equations.plan import OUTPUT, Plan
from rnnlab.equations.schedule import Stage

# The sign of an operation, and how strongly it binds.
_INFIX = {
    "greater": (" > ", 1), "greater_equal": (" >= ", 1), "less": (" < ", 1), "less_equal": (" <= ", 1),
    "add": (" + ", 2), "subtract": (" - ", 2), "multiply": ("*", 3), "divide": ("/", 3),
}  # fmt: skip
_ATOM = 4


def plan_text(plan: Plan) -> list[str]:
    r"""Return the lines that show a plan.

    `x` is the input of a step, `h` a state before it, `h_next` after it, `dh` a gradient of the loss; `*` and `/` are
    element-wise, `·` is a product with a matrix, and `ᵀ` transposes.

    Example:
        >>> from rnnlab.cells.simple import Simple, SimpleOptions
        >>> from rnnlab.equations.plan import plan_of
        >>> print(*plan_text(plan_of(Simple(SimpleOptions(units=2)), 1)), sep="\n")
        forward, at every step
          p1 = x·W + h·U + b
          h_next = tanh(p1)
        stored for the backward pass: x, h, h_next
        backward, at every step, from dh_next
          g1 = dh_next*(1 - h_next*h_next)
          dh = g1·Uᵀ
        after the loop, over all steps and sequences
          dW = sum of xᵀ·g1
          dU = sum of hᵀ·g1
          db = sum of g1
          dx = g1·Wᵀ
    """
    return list(_Text(plan).lines())


@final
class _Text:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._names: dict[Node, str] = {node: f"{self._state(name)}_next" for name, node in plan.after.items()}
        self._names |= {node: f"d{name}" for name, node in plan.before.items()}
        ends = [*plan.after.values(), *plan.before.values(), *plan.kept_back]
        self._readers = Counter(operand for node in ordered(ends) for operand in node.operands)
        self._needed = {*plan.saved, *plan.kept_back, *ends}

    def lines(self) -> Iterator[str]:
        plan = self._plan
        yield "forward, at every step"
        yield from self._stages(plan.forward, "p")
        leaves = [one for one in self._read_back() if one.operation in {"input", "state"}]
        yield f"stored for the backward pass: {', '.join(map(self._shown, [*leaves, *plan.given_back]))}"
        yield f"backward, at every step, from {', '.join(map(self._gradient, plan.after))}"
        yield from self._stages(plan.backward, "g")
        yield "after the loop, over all steps and sequences"
        for name, pairs in plan.matrix_gradients.items():
            products = " + ".join(f"{self._shown(a, _ATOM)}ᵀ·{self._shown(b, _ATOM)}" for a, b in pairs)
            yield f"  d{name} = {f'sum of {products}' if products else '0'}"
        for name, nodes in plan.vector_gradients.items():
            yield f"  d{name} = {f'sum of {self._joined(nodes)}' if nodes else '0'}"
        of_inputs = [f"{self._shown(node, _ATOM)}·{name}ᵀ" for node, name in plan.input_products]
        rest = [self._shown(plan.input_rest)] if plan.input_rest else []
        yield f"  dx = {' + '.join([*of_inputs, *rest]) or '0'}"

    def _read_back(self) -> Iterable[Node]:
        """Return the inputs and states that the backward pass or the products after it read."""
        plan = self._plan
        return dict.fromkeys([*ordered([*plan.before.values(), *plan.kept_back], plan.given_back), *plan.operands])

    def _stages(self, stages: Iterable[Stage], letter: str) -> Iterator[str]:
        for stage in stages:
            for node in (*stage.products, *stage.block):
                # A value that is read once, at the same place, is part of the line that reads it.
                here = self._readers[node] == 1 and any(node in one.operands for one in stage.block)
                if node.operation != "linear" and here and node not in self._needed:
                    continue
                right, _ = self._formula(node)
                yield f"  {self._names.setdefault(node, self._next(letter))} = {right}"

    def _next(self, letter: str) -> str:
        return f"{letter}{sum(name[0] == letter and name[1:].isdigit() for name in self._names.values()) + 1}"

    def _shown(self, node: Node, least: int = 0) -> str:
        """Return a value, in parentheses where it binds less strongly than what it is part of."""
        text, strength = (self._names[node], _ATOM) if node in self._names else self._formula(node)
        return text if strength >= least else f"({text})"

    def _joined(self, nodes: Iterable[Node]) -> str:
        return " + ".join(map(self._shown, nodes))

    def _formula(self, node: Node) -> tuple[str, int]:
        """Return what a node is computed from, and how strongly the expression binds."""
        operation, operands, detail = node.operation, node.operands, node.detail
        match operation:
            case "constant":
                found = f"{detail:g}", _ATOM if detail >= 0 else 2
            case "negative":
                found = f"-{self._shown(operands[0], 3)}", 2
            case "copy":
                found = self._shown(operands[0]), 2
            case "linear":
                t = "ᵀ" if node.sum.transposed else ""
                pairs = zip(operands, node.sum.matrices, strict=True)
                products = [f"{self._shown(operand, _ATOM)}·{name}{t}" for operand, name in pairs]
                found = " + ".join([*products, *node.sum.biases]), 2
            case _ if operation in _INFIX:
                found = self._infix(node)
            case _ if node.is_leaf:
                found = {"input": "x", "gradient": self._gradient(detail)}.get(operation, str(detail)), _ATOM
            case _:
                name = node.activation.name if operation == "activation" else operation
                number = [str(detail)] if operation in {"repeat", "group_sum"} else []
                found = f"{name}({', '.join([*map(self._shown, operands), *number])})", _ATOM
        return found

    def _infix(self, node: Node) -> tuple[str, int]:
        (sign, strength), (left, right) = _INFIX[node.operation], node.operands
        if node.operation == "add" and right.operation == "constant" and right.detail < 0:
            return f"{self._shown(left, strength)} - {-right.detail:g}", strength
        most = strength + (node.operation not in {"add", "multiply"})  # a - (b - c), and not a - b - c
        return f"{self._shown(left, max(strength, 2))}{sign}{self._shown(right, most)}", strength

    def _gradient(self, state: str) -> str:
        return f"d{self._state(state)}_next"

    def _state(self, name: str) -> str:
        """Return the name of a state; of an output that is no state, one that no state has."""
        return name if name != OUTPUT else "output" + "_" * ("output" in self._plan.sizes)
