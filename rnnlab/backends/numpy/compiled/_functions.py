"""The array namespace that activations are spelled in, for vectors in the making."""

import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llvmlite import ir

from rnnlab.backends.numpy.compiled._code import Mask, Vector
from rnnlab.equations.graph import Node

Value = Vector | Mask  # a mask is what a comparison gives

# tanh(x) ~ x·p(x²)/q(x²) up to |x| = 7.905, where float32 has it at 1 less 4 units in the last place: within 2.6e-7.
# Source: the minimax coefficients of Eigen's vectorised tanh.
_BOUND = 7.90531110763549805
_P = (
    -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08,
    1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03,
)  # fmt: skip
_Q = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)


def tanh(x: Vector) -> Vector:
    """Return tanh x: in float32 a rational approximation, in float64 that of the C library, lane by lane."""
    if x.code.precision == "float64":
        return _of_each_lane(x, "tanh")
    x = clip(x, -_BOUND, _BOUND)
    square = x * x
    return x * _polynomial(square, _P) / _polynomial(square, _Q)


def clip(x: Vector, low: float, high: float) -> Vector:
    """Return x where it lies between two bounds, else the nearer; what is not a number stays so."""
    return minimum(maximum(x, low), high)


def maximum(x: Vector, other: Vector | float) -> Vector:
    """Return the larger of the two; what is not a number stays so."""
    return where(x < other, x.code.constant(other), x)


def minimum(x: Vector, other: Vector | float) -> Vector:
    """Return the smaller of the two; what is not a number stays so."""
    return where(x > other, x.code.constant(other), x)


def abs(x: Vector) -> Vector:  # as NumPy calls it
    """Return |x|."""
    return where(x < 0.0, 0.0 - x, x)


def sqrt(x: Vector) -> Vector:
    """Return the root."""
    return _intrinsic(x, "sqrt")


def exp(x: Vector) -> Vector:
    """Return e to the power of x."""
    return _intrinsic(x, "exp")


def log(x: Vector) -> Vector:
    """Return the natural logarithm."""
    return _intrinsic(x, "log")


def where(condition: Mask, then: Vector, other: Vector) -> Vector:
    """Return one or the other, lane by lane."""
    return Vector(then.code, then.code.builder.select(condition.value, then.value, other.value))


def compute(node: Node, operands: Sequence[Value]) -> Value:
    """Return the value of an element-wise node."""
    if node.operation == "activation":
        activated: Vector = node.activation.value(sys.modules[__name__], *operands)
        return activated
    if node.operation == "where":
        condition, then, other = operands
        assert isinstance(then, Vector)
        assert isinstance(other, Vector)
        return where(_as_mask(condition), then, other)
    return _OPERATIONS[node.operation](*operands)


def as_vector(value: Value) -> Vector:
    """Return a vector as it is, and a mask as ones and zeros."""
    return where(value, value.code.constant(1.0), value.code.constant(0.0)) if isinstance(value, Mask) else value


def _as_mask(value: Value) -> Mask:
    return value if isinstance(value, Mask) else value.differs(0.0)


def ones_like(x: Vector) -> Vector:
    """Return 1 in every lane."""
    return x.code.constant(1.0)


def zeros_like(x: Vector) -> Vector:
    """Return 0 in every lane."""
    return x.code.constant(0.0)


def _polynomial(x: Vector, coefficients: tuple[float, ...]) -> Vector:
    total = x.code.constant(coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def _of_each_lane(x: Vector, name: str) -> Vector:
    code, builder, module = x.code, x.code.builder, x.code.function.module
    kind = ir.FunctionType(code.scalar, [code.scalar])
    function: Any = module.globals.get(name) or ir.Function(module, kind, name)
    result = x.value
    for lane in range(code.lanes):
        index = ir.Constant(ir.IntType(32), lane)
        value = builder.call(function, [builder.extract_element(x.value, index)])
        result = builder.insert_element(result, value, index)
    return Vector(code, result)


def _intrinsic(x: Vector, name: str) -> Vector:
    code, kind = x.code, ir.FunctionType(x.code.vector, [x.code.vector])
    function = code.function.module.declare_intrinsic(f"llvm.{name}.v{code.lanes}f{8 * code.size}", (), kind)
    return Vector(code, code.builder.call(function, [x.value]))


_OPERATIONS: Mapping[str, Callable[..., Value]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "negative": lambda x: 0.0 - x,
    "copy": lambda x: x,
    "absolute": abs,
    "maximum": maximum,
    "minimum": minimum,
    "exp": exp,
    "log": log,
    "sqrt": sqrt,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "less": operator.lt,
    "less_equal": operator.le,
    "logical_and": lambda a, b: _as_mask(a) & _as_mask(b),
    "logical_or": lambda a, b: _as_mask(a) | _as_mask(b),
}
