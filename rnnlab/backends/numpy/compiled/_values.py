"""What a function under construction computes with: whole numbers, places, and vectors with NumPy's operators."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Union, final

from llvmlite import ir

if TYPE_CHECKING:
    from rnnlab.backends.numpy.compiled._code import Code

WHOLE = ir.IntType(64)
POINTER = ir.PointerType()
# A product and the sum it goes into may be rounded once; nothing else may differ from what is written.
_FLAGS = ("contract",)
Whole = Union["Number", int]


def _operation(name: str) -> Callable[["Number", Whole], "Number"]:
    """Return a method of whole numbers: this instruction of both."""

    def apply(self: "Number", other: Whole) -> "Number":
        return Number(self._builder, getattr(self._builder, name)(self.value, Number.of(other)))

    return apply


def _comparison(how: str) -> Callable[["Number", Whole], Any]:
    def apply(self: "Number", other: Whole) -> Any:
        return self._builder.icmp_signed(how, self.value, Number.of(other))

    return apply


@final
class Number:
    """A whole number that is known when the function runs."""

    def __init__(self, builder: ir.IRBuilder, value: Any) -> None:
        self._builder, self.value = builder, value

    @staticmethod
    def of(number: Whole) -> Any:
        """Return a whole number as the function has it."""
        return number.value if isinstance(number, Number) else ir.Constant(WHOLE, number)

    def at_most(self, other: Whole) -> "Number":
        """Return the smaller of the two."""
        return Number(self._builder, self._builder.select(self < other, self.value, Number.of(other)))

    def __rsub__(self, other: int) -> "Number":
        return Number(self._builder, Number.of(other)) - self

    __add__ = __radd__ = _operation("add")
    __mul__ = __rmul__ = _operation("mul")
    __sub__, __floordiv__, __mod__ = _operation("sub"), _operation("udiv"), _operation("urem")
    __le__, __lt__, __ge__ = _comparison("<="), _comparison("<"), _comparison(">=")


@final
class Place:
    """A place in memory, from which the numbers of an array follow: floating-point, of the code's precision."""

    def __init__(self, code: "Code", value: Any) -> None:
        self._code, self.value, self.lanes = code, value, code.lanes

    def __add__(self, count: Whole) -> "Place":
        moved = self._code.builder.gep(self.value, [Number.of(count)], source_etype=self._code.scalar)
        return Place(self._code, moved)

    def read(self) -> "Vector":
        """Return the vector that begins here."""
        return Vector(self._code, self._code.builder.load(self.value, align=self._code.size, typ=self._code.vector))

    def read_first(self, count: int) -> "Vector":
        """Return the vector that begins here, of which only the first lanes are read; the others are 0."""
        code = self._code
        if count == code.lanes:
            return self.read()
        lanes = ir.VectorType(ir.IntType(1), code.lanes)
        kind = ir.FunctionType(code.vector, [POINTER, ir.IntType(32), lanes, code.vector])
        name = f"llvm.masked.load.v{code.lanes}f{8 * code.size}.p0"
        function = code.function.module.declare_intrinsic(name, (), kind)
        mask = ir.Constant(lanes, [lane < count for lane in range(code.lanes)])
        align = ir.Constant(ir.IntType(32), code.size)
        return Vector(code, code.builder.call(function, [self.value, align, mask, code.constant(0.0).value]))

    def read_whole(self, index: Number) -> Number:
        """Return one of the whole numbers, of 64 bits, that follow from here."""
        at = self._code.builder.gep(self.value, [index.value], source_etype=WHOLE)
        return Number(self._code.builder, self._code.builder.load(at, align=8, typ=WHOLE))

    def write_whole(self, index: Number, number: Whole) -> None:
        """Put a whole number, of 64 bits, at an index of those that follow from here."""
        at = self._code.builder.gep(self.value, [index.value], source_etype=WHOLE)
        self._code.builder.store(Number.of(number), at, align=8)

    def is_true(self) -> Any:
        """Return whether the one number that lies here is not 0."""
        number = self._code.builder.load(self.value, align=self._code.size, typ=self._code.scalar)
        return self._code.builder.fcmp_unordered("!=", number, ir.Constant(self._code.scalar, 0.0))

    def write_one(self, number: float) -> None:
        """Put one number here."""
        self._code.builder.store(ir.Constant(self._code.scalar, number), self.value, align=self._code.size)

    def read_place(self, index: Whole) -> "Place":
        """Return one of the places whose addresses follow from here."""
        at = self._code.builder.gep(self.value, [Number.of(index)], source_etype=WHOLE)
        return Place(self._code, self._code.builder.load(at, align=8, typ=POINTER))

    def read_doubles(self, index: Number) -> "Vector":
        """Return the numbers from an index on that are float64 here."""
        code = self._code
        at = code.builder.gep(self.value, [index.value], source_etype=ir.DoubleType())
        doubles = code.builder.load(at, align=8, typ=ir.VectorType(ir.DoubleType(), code.lanes))
        return Vector(code, doubles if code.size == 8 else code.builder.fptrunc(doubles, code.vector))

    def copy_double_to(self, index: Number, other: "Place") -> None:
        """Put the number at an index, which is a float64 here, there."""
        code = self._code
        at = code.builder.gep(self.value, [index.value], source_etype=ir.DoubleType())
        number = code.builder.load(at, align=8, typ=ir.DoubleType())
        code.builder.store(number if code.size == 8 else code.builder.fptrunc(number, code.scalar), other.value)

    def read_all_over(self) -> "Vector":
        """Return a vector that has the number which lies here in every lane."""
        return self._code.broadcast(self._code.builder.load(self.value, align=self._code.size, typ=self._code.scalar))

    def copy_to(self, other: "Place") -> None:
        """Put the one number that lies here there too."""
        number = self._code.builder.load(self.value, align=self._code.size, typ=self._code.scalar)
        self._code.builder.store(number, other.value, align=self._code.size)

    def write(self, vector: "Vector") -> None:
        """Put a vector here."""
        self._code.builder.store(vector.value, self.value, align=self._code.size)


@final
class Mask:
    """For each lane of a vector, whether a condition is true."""

    def __init__(self, code: "Code", value: Any) -> None:
        self.code, self.value = code, value

    def __and__(self, other: "Mask") -> "Mask":
        return Mask(self.code, self.code.builder.and_(self.value, other.value))

    def __or__(self, other: "Mask") -> "Mask":
        return Mask(self.code, self.code.builder.or_(self.value, other.value))

    def __invert__(self) -> "Mask":
        return Mask(self.code, self.code.builder.not_(self.value))


def _arithmetic(name: str) -> Callable[["Vector", "Vector | float"], "Vector"]:
    """Return a method of vectors: this instruction of both, lane by lane."""

    def apply(self: "Vector", other: "Vector | float") -> "Vector":
        operation = getattr(self.code.builder, name)
        return Vector(self.code, operation(self.value, self.code.constant(other).value, flags=_FLAGS))

    return apply


def _compared(how: str) -> Callable[["Vector", "Vector | float"], Mask]:
    """Return a method of vectors: where this is true; of what is not a number, nowhere."""

    def apply(self: "Vector", other: "Vector | float") -> Mask:
        return Mask(self.code, self.code.builder.fcmp_ordered(how, self.value, self.code.constant(other).value))

    return apply


@final
class Vector:
    """As many numbers as fit a register of the processor; operators work lane by lane, as on a NumPy array."""

    def __init__(self, code: "Code", value: Any) -> None:
        self.code, self.value = code, value

    __add__ = __radd__ = _arithmetic("fadd")
    __mul__ = __rmul__ = _arithmetic("fmul")
    __sub__, __truediv__ = _arithmetic("fsub"), _arithmetic("fdiv")
    __gt__, __lt__, __ge__, __le__ = map(_compared, (">", "<", ">=", "<="))
    equals, differs = _compared("=="), _compared("!=")

    def __rsub__(self, other: float) -> "Vector":
        return self.code.constant(other) - self

    def __pow__(self, exponent: int) -> "Vector":
        assert exponent == 2
        return self * self

    def power_of_two(self) -> "Vector":
        """Return 2ⁿ of a float32 vector whose last bits are the whole number n, from -126 to 127."""
        bits, builder = self._bits(), self.code.builder
        return self._of_bits(builder.shl(builder.add(bits, self._whole(127)), self._whole(23)))

    def parted(self) -> "tuple[Vector, Vector]":
        """Return n and m of a float32 vector m·2ⁿ, m from √½ to √2; it must be positive, finite and normal."""
        bits, builder = self._bits(), self.code.builder
        n = builder.ashr(builder.sub(bits, self._whole(0x3F3504F3)), self._whole(23))
        mantissa = self._of_bits(builder.sub(bits, builder.shl(n, self._whole(23))))
        return Vector(self.code, builder.sitofp(n, self.code.vector)), mantissa

    def _whole(self, number: int) -> Any:
        return ir.Constant(ir.VectorType(ir.IntType(32), self.code.lanes), [number] * self.code.lanes)

    def _bits(self) -> Any:
        return self.code.builder.bitcast(self.value, ir.VectorType(ir.IntType(32), self.code.lanes))

    def _of_bits(self, bits: Any) -> "Vector":
        return Vector(self.code, self.code.builder.bitcast(bits, self.code.vector))
