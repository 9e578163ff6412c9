"""A function under construction: whole numbers, loops, and vectors with the operators of NumPy's arrays."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Union, final

from llvmlite import ir

from rnnlab.backends.numpy.compiled._machine import vector_bytes

_WHOLE = ir.IntType(64)
_POINTER = ir.PointerType()
# A product and the sum it goes into may be rounded once; nothing else may differ from what is written.
_FLAGS = ("contract",)
Whole = Union["Number", int]


@final
class Number:
    """A whole number that is known when the function runs."""

    def __init__(self, builder: ir.IRBuilder, value: Any) -> None:
        self._builder, self.value = builder, value

    def __add__(self, other: Whole) -> "Number":
        return Number(self._builder, self._builder.add(self.value, self._same(other)))

    def __mul__(self, other: Whole) -> "Number":
        return Number(self._builder, self._builder.mul(self.value, self._same(other)))

    def __rsub__(self, other: Whole) -> "Number":
        return Number(self._builder, self._builder.sub(self._same(other), self.value))

    def __sub__(self, other: Whole) -> "Number":
        return Number(self._builder, self._builder.sub(self.value, self._same(other)))

    def __floordiv__(self, other: Whole) -> "Number":
        return Number(self._builder, self._builder.udiv(self.value, self._same(other)))

    def at_most(self, other: Whole) -> "Number":
        """Return the smaller of the two."""
        return Number(self._builder, self._builder.select(self < other, self.value, self._same(other)))

    def __mod__(self, other: Whole) -> "Number":
        return Number(self._builder, self._builder.urem(self.value, self._same(other)))

    def __le__(self, other: Whole) -> Any:
        return self._builder.icmp_signed("<=", self.value, self._same(other))

    def __lt__(self, other: Whole) -> Any:
        return self._builder.icmp_signed("<", self.value, self._same(other))

    def __ge__(self, other: Whole) -> Any:
        return self._builder.icmp_signed(">=", self.value, self._same(other))

    __radd__, __rmul__ = __add__, __mul__

    def _same(self, other: Whole) -> Any:
        return other.value if isinstance(other, Number) else ir.Constant(_WHOLE, other)


@final
class Place:
    """A place in memory, from which the numbers of an array follow: floating-point, of the code's precision."""

    def __init__(self, code: "Code", value: Any) -> None:
        self._code, self.value, self.lanes = code, value, code.lanes

    def __add__(self, count: Whole) -> "Place":
        index = count.value if isinstance(count, Number) else ir.Constant(_WHOLE, count)
        moved = self._code.builder.gep(self.value, [index], source_etype=self._code.scalar)
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
        kind = ir.FunctionType(code.vector, [_POINTER, ir.IntType(32), lanes, code.vector])
        name = f"llvm.masked.load.v{code.lanes}f{8 * code.size}.p0"
        function = code.function.module.declare_intrinsic(name, (), kind)
        mask = ir.Constant(lanes, [lane < count for lane in range(code.lanes)])
        align = ir.Constant(ir.IntType(32), code.size)
        return Vector(code, code.builder.call(function, [self.value, align, mask, code.constant(0.0).value]))

    def read_whole(self, index: Number) -> Number:
        """Return one of the whole numbers, of 64 bits, that follow from here."""
        at = self._code.builder.gep(self.value, [index.value], source_etype=_WHOLE)
        return Number(self._code.builder, self._code.builder.load(at, align=8, typ=_WHOLE))

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


@final
class Vector:
    """As many numbers as fit a register of the processor; operators work lane by lane, as on a NumPy array."""

    def __init__(self, code: "Code", value: Any) -> None:
        self.code, self.value = code, value

    def __add__(self, other: "Vector | float") -> "Vector":
        return self._with(self.code.builder.fadd, self, other)

    def __mul__(self, other: "Vector | float") -> "Vector":
        return self._with(self.code.builder.fmul, self, other)

    def __sub__(self, other: "Vector | float") -> "Vector":
        return self._with(self.code.builder.fsub, self, other)

    def __rsub__(self, other: float) -> "Vector":
        return self._with(self.code.builder.fsub, self.code.constant(other), self)

    def __truediv__(self, other: "Vector | float") -> "Vector":
        return self._with(self.code.builder.fdiv, self, other)

    def __pow__(self, exponent: int) -> "Vector":
        assert exponent == 2
        return self * self

    def __gt__(self, other: "Vector | float") -> Mask:
        return self._compared(">", other)

    def __lt__(self, other: "Vector | float") -> Mask:
        return self._compared("<", other)

    def __ge__(self, other: "Vector | float") -> Mask:
        return self._compared(">=", other)

    def __le__(self, other: "Vector | float") -> Mask:
        return self._compared("<=", other)

    def differs(self, other: float) -> Mask:
        """Return where it is not this number."""
        return self._compared("!=", other)

    __radd__, __rmul__ = __add__, __mul__

    def _with(self, operation: Callable[..., Any], left: "Vector", right: "Vector | float") -> "Vector":
        return Vector(self.code, operation(left.value, self.code.constant(right).value, flags=_FLAGS))

    def _compared(self, how: str, other: "Vector | float") -> Mask:
        return Mask(self.code, self.code.builder.fcmp_ordered(how, self.value, self.code.constant(other).value))


@final
class Code:
    """One function that takes places and whole numbers, and returns nothing.

    Args:
        module: Where it goes.
        name: Its name there.
        places: How many places it takes, before the numbers.
        numbers: How many whole numbers it takes.
        precision: Of the numbers at the places, `float32` or `float64`.

    Attributes:
        places: The places.
        numbers: The whole numbers.
        lanes: Numbers per vector.
        size: Bytes of one.
    """

    def __init__(self, module: ir.Module, name: str, *, places: int, numbers: int, precision: str) -> None:
        self.scalar = ir.FloatType() if precision == "float32" else ir.DoubleType()
        self.size = 4 if precision == "float32" else 8
        self.lanes = vector_bytes() // self.size
        self.vector, self.precision = ir.VectorType(self.scalar, self.lanes), precision
        kind = ir.FunctionType(ir.VoidType(), [_POINTER] * places + [_WHOLE] * numbers)
        self.function = ir.Function(module, kind, name)
        self.builder = ir.IRBuilder(self.function.append_basic_block())
        self.places = [Place(self, value) for value in self.function.args[:places]]
        self.numbers = [Number(self.builder, value) for value in self.function.args[places:]]

    def constant(self, value: "Vector | float") -> Vector:
        """Return a number in every lane; a vector as it is."""
        if isinstance(value, Vector):
            return value
        return Vector(self, ir.Constant(self.vector, [float(value)] * self.lanes))

    def broadcast(self, value: Any) -> Vector:
        """Return a scalar in every lane."""
        nothing = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(nothing, value, ir.Constant(ir.IntType(32), 0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return Vector(self, self.builder.shuffle_vector(first, nothing, lanes))

    def shuffled(self, one: Vector, other: Vector, lanes: Sequence[int]) -> Vector:
        """Return the lanes of two vectors, counted on from the first to the second, in another order."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), list(lanes))
        return Vector(self, self.builder.shuffle_vector(one.value, other.value, mask))

    def transposed(self, rows: Sequence[Vector]) -> list[Vector]:
        """Return the columns of as many vectors as a vector has lanes: in each round neighbours swap their halves."""
        vectors, width = list(rows), self.lanes // 2
        while width:
            first = [lane + (self.lanes - width if lane & width else 0) for lane in range(self.lanes)]
            second = [lane + width for lane in first]
            for one in range(self.lanes):
                if not one & width:
                    a, b = vectors[one], vectors[one + width]
                    vectors[one], vectors[one + width] = self.shuffled(a, b, first), self.shuffled(a, b, second)
            width //= 2
        return vectors

    @contextmanager
    def loop(self, count: Whole, *, step: int = 1, start: Whole = 0) -> Iterator[Number]:
        """Do what follows for a number from `start` on, as long as a whole step fits below `count`."""
        builder = self.builder
        before = builder.block
        head, body, after = (builder.append_basic_block() for _ in range(3))
        builder.branch(head)
        builder.position_at_end(head)
        index = builder.phi(_WHOLE)
        index.add_incoming(self._whole(start), before)
        number = Number(builder, index)
        builder.cbranch(number + step <= count, body, after)
        builder.position_at_end(body)
        yield number
        index.add_incoming((number + step).value, builder.block)
        builder.branch(head)
        builder.position_at_end(after)

    def tiles(self, count: int, size: int, write: Callable[[Number, int], None]) -> None:
        """Call `write` with each start and size of parts of `count`: whole ones in a loop, then what is left."""
        whole = count - count % size
        if whole:
            with self.loop(whole, step=size) as start:
                write(start, size)
        if count > whole:
            write(Number(self.builder, self._whole(whole)), count - whole)

    def sums(
        self, count: Whole, first: Sequence[Vector], add: Callable[[Number, Sequence[Vector]], Sequence[Vector]]
    ) -> list[Vector]:
        """Return sums of vectors, to which `add` adds for every number below `count`, of which 0 is one."""
        builder = self.builder
        before, body, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
        builder.branch(body)
        builder.position_at_end(body)
        index, sums = builder.phi(_WHOLE), [builder.phi(self.vector) for _ in first]
        index.add_incoming(self._whole(0), before)
        new = add(Number(builder, index), [Vector(self, one) for one in sums])
        for phi, value, begin in zip(sums, new, first, strict=True):
            phi.add_incoming(begin.value, before)
            phi.add_incoming(value.value, builder.block)
        following = Number(builder, index) + 1
        index.add_incoming(following.value, builder.block)
        builder.cbranch(following < count, body, after)
        builder.position_at_end(after)
        return list(new)

    @contextmanager
    def where(self, condition: Any) -> Iterator[None]:
        """Do what follows if a comparison of whole numbers is true."""
        with self.builder.if_then(condition):
            yield

    def call(self, function: "Code", places: Sequence[Place], numbers: Sequence[Whole]) -> None:
        """Call another function."""
        self.builder.call(function.function, [*(one.value for one in places), *map(self._whole, numbers)])

    def done(self) -> None:
        """End the function."""
        self.builder.ret_void()

    def _whole(self, number: Whole) -> Any:
        return number.value if isinstance(number, Number) else ir.Constant(_WHOLE, number)
