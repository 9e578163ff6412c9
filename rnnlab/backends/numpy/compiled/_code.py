"""A function under construction: its loops, sums and calls."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

from llvmlite import ir

from rnnlab.backends.numpy.compiled._machine import vector_bytes
from rnnlab.backends.numpy.compiled._values import POINTER, WHOLE, Mask, Number, Place, Vector, Whole


@final
class Code:
    """One function that takes places and whole numbers, and returns nothing.

    Args:
        places: How many places it takes, before the numbers.
        numbers: How many whole numbers it takes.
        lanes: Numbers per vector; as many as a register has if left out.
    """

    def __init__(
        self, module: ir.Module, name: str, *, places: int, numbers: int, precision: str, lanes: int = 0
    ) -> None:
        self.scalar = ir.FloatType() if precision == "float32" else ir.DoubleType()
        self.size = 4 if precision == "float32" else 8  # bytes of one
        self.lanes = lanes or vector_bytes() // self.size
        self.vector, self.precision = ir.VectorType(self.scalar, self.lanes), precision
        kind = ir.FunctionType(ir.VoidType(), [POINTER] * places + [WHOLE] * numbers)
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

    def whole(self, number: int) -> Number:
        """Return a whole number as one that is known when the function runs."""
        return Number(self.builder, Number.of(number))

    def real(self, number: Number) -> Vector:
        """Return a whole number in every lane."""
        return self.broadcast(self.builder.sitofp(number.value, self.scalar))

    def any(self, mask: Mask) -> Any:
        """Return whether a condition is true in some lane."""
        bits = self.builder.bitcast(mask.value, ir.IntType(self.lanes))
        return self.builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

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
        index = builder.phi(WHOLE)
        index.add_incoming(Number.of(start), before)
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
            write(Number(self.builder, Number.of(whole)), count - whole)

    def sums(
        self, count: Whole, first: Sequence[Vector], add: Callable[[Number, Sequence[Vector]], Sequence[Vector]]
    ) -> list[Vector]:
        """Return sums of vectors, to which `add` adds for every number below `count`, of which 0 is one."""
        builder = self.builder
        before, body, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
        builder.branch(body)
        builder.position_at_end(body)
        index, sums = builder.phi(WHOLE), [builder.phi(self.vector) for _ in first]
        index.add_incoming(Number.of(0), before)
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
        self.builder.call(function.function, [*(one.value for one in places), *map(Number.of, numbers)])

    def done(self) -> None:
        """End the function."""
        self.builder.ret_void()
