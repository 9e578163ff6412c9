"""The array namespace that activations are spelled in, for vectors in the making."""

from typing import Any

from llvmlite import ir

from rnnlab.backends.numpy.compiled._code import Mask, Vector

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
    x = where(x < low, x.code.constant(low), x)
    return where(x > high, x.code.constant(high), x)


def maximum(x: Vector, low: float) -> Vector:
    """Return the larger of the two; what is not a number stays so."""
    return where(x < low, x.code.constant(low), x)


def abs(x: Vector) -> Vector:  # as NumPy calls it
    """Return |x|."""
    return where(x < 0.0, 0.0 - x, x)


def where(condition: Mask, then: Vector, other: Vector) -> Vector:
    """Return one or the other, lane by lane."""
    return Vector(then.code, then.code.builder.select(condition.value, then.value, other.value))


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
