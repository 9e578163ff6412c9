"""The array namespace that activations are spelled in, for vectors in the making."""

import math
import operator
import sys
from collections.abc import Callable, Mapping, Sequence

from llvmlite import ir

from rnnlab.backends.numpy.compiled._values import Mask, Vector
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
# Polynomials of e^x for |x| <= ½·ln 2 and of log(1 + x). Source: Cephes, single precision, `expf.c` and `logf.c`.
_EXP = (
    1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
)  # fmt: skip
_LOG = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_LN_2, _LOG2_E = (0.693359375, -2.12194440e-4), 1.44269504088896341
_SMALLEST = 2.0**-126  # that is normal
_MAGIC = 1.5 * 2.0**23  # added to a small number, it leaves the nearest whole one in the last bits


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


def floor(x: Vector) -> Vector:
    """Return the next whole number below."""
    return _intrinsic(x, "floor")


def exp(x: Vector) -> Vector:
    """Return e to the power of x: in float32 2ⁿ times a polynomial of what is left, in float64 that of the library."""
    if x.code.precision == "float64":
        return _of_each_lane(x, "exp")
    x = clip(x, -104.0, 89.0)  # where it is 0, or infinite
    _, n = _rounded(x * _LOG2_E)
    rest = x - n * _LN_2[0] - n * _LN_2[1]
    half, _ = _rounded(n * 0.5)  # 2ⁿ itself may be too large or too small
    other, _ = _rounded(n - (half - _MAGIC))
    return (_polynomial(rest, _EXP) * rest * rest + rest + 1.0) * half.power_of_two() * other.power_of_two()


def log(x: Vector) -> Vector:
    """Return the natural logarithm: in float32 that of a mantissa between √½ and √2 plus that of its power of two."""
    if x.code.precision == "float64":
        return _of_each_lane(x, "log")
    is_small = x < _SMALLEST
    exponent, mantissa = where(is_small, x * 2.0**24, x).parted()
    exponent = where(is_small, exponent - 24.0, exponent)
    rest = mantissa - 1.0
    square = rest * rest
    y = _polynomial(rest, _LOG) * rest * square + exponent * _LN_2[1] - 0.5 * square + rest + exponent * _LN_2[0]
    y = where((x > 0.0) & (x < math.inf), y, x)  # infinity and what is not a number stay so
    return where(x < 0.0, x.code.constant(math.nan), where(x.equals(0.0), x.code.constant(-math.inf), y))


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


def is_finite(x: Vector) -> Mask:
    """Return where it is a number and not infinite."""
    return abs(x) < math.inf


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


def _rounded(x: Vector) -> tuple[Vector, Vector]:
    """Return the nearest whole number, with the magic one added to it and without."""
    whole = x + _MAGIC
    return whole, whole - _MAGIC


def _of_each_lane(x: Vector, name: str) -> Vector:
    """Return a function of the C library of each lane, by a function that all places in the module call."""
    code, module, own = x.code, x.code.function.module, f"{name} of {x.code.lanes}"
    if own not in module.globals:
        function = ir.Function(module, ir.FunctionType(code.vector, [code.vector]), own)
        function.linkage = "internal"
        function.attributes.add("noinline")
        builder = ir.IRBuilder(function.append_basic_block())
        one = module.globals.get(name) or ir.Function(module, ir.FunctionType(code.scalar, [code.scalar]), name)
        (result,) = given = function.args
        for lane in range(code.lanes):
            index = ir.Constant(ir.IntType(32), lane)
            value = builder.call(one, [builder.extract_element(given[0], index)])
            result = builder.insert_element(result, value, index)
        builder.ret(result)
    return Vector(code, code.builder.call(module.globals[own], [x.value]))


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
