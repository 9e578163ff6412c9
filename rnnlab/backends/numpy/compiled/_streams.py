"""Updates at every step of streams as one function of machine code, a network and its stream in each lane of a vector.

Lanes are at different places of their sequences: each has its own row and step, and ends or begins a stream when its
own errors or lengths say so.
"""

import ctypes
from collections.abc import Callable
from typing import Any, final

from llvmlite import ir

from rnnlab.backends._recipe import Stream
from rnnlab.backends.base import Network
from rnnlab.backends.numpy.compiled import _functions as functions
from rnnlab.backends.numpy.compiled._code import Code
from rnnlab.backends.numpy.compiled._head import Head
from rnnlab.backends.numpy.compiled._machine import Program
from rnnlab.backends.numpy.compiled._one_step import OneStep
from rnnlab.backends.numpy.compiled._rule import Rule
from rnnlab.backends.numpy.compiled._values import Mask, Number, Vector
from rnnlab.backends.numpy.compiled._weights import Buffers, clear
from rnnlab.equations.formula import formula_of_head
from rnnlab.equations.plan import plan_of
from rnnlab.equations.traces import Traces
from rnnlab.optim.rules.base import AbstractOptimizer

# What the caller gives, besides the rule's slots: addresses of each lane's own arrays, float64 but for the outputs;
_TABLES = ("inputs by lane", "targets by lane", "mask by lane", "outputs by lane")
# whole numbers of each lane: T, the place of its next step among all, its row, steps of its stream, at most, how many
# streams may end, and of all how many lanes are at work;
_WHOLE = ("timesteps", "index", "row", "steps", "most", "left", "working")
# by row and lane: steps, learning rate, and the results; and by lane.
_BY_ROW = ("lengths", "rates", "losses", "norms", "factors")
_BY_LANE = ("numbers", "decay", "parameters", "decays", "record", "traces", "factor", "fresh", "on", "moved")
GIVEN = (*_TABLES, *_WHOLE, *_BY_ROW, *_BY_LANE)
_OWN = ("alive", "t", "length", "rate", "mask", "first", "count", "loss", "norm", "is scored", "is over")


@final
class Streams:
    """Writes the function (table; rows, the most steps of a lane).

    The table has the addresses of what is `GIVEN`, then of the rule's slots, then of the buffers in `sizes`.

    Args:
        network: Of every lane.
        rule: How all are updated; of its numbers only `rate` changes, with the learning rate.
        stream: When a stream ends, of which this differs not between lanes: `reset` and `tolerance`.
        traces: Of the cell.
        lanes: How many networks there are.

    Attributes:
        sizes: By name, how many numbers a buffer has, and how many more for each time step.
        numbers: The names of the numbers of an update, in order.
        record: How many rows the record has; `states`: the first of each state; `ones`: the one that is 1.
    """

    def __init__(
        self, network: Network, rule: AbstractOptimizer[Any], stream: Stream, traces: Traces, *, lanes: int
    ) -> None:
        self._network, self._stream, self._module = network, stream, ir.Module(name="streams")
        self._code = code = Code(self._module, "train", places=1, numbers=2, precision=network.precision, lanes=lanes)
        table, given = code.places[0], (*GIVEN, *rule.slot_names())
        self._at = at = {name: table.read_place(number) for number, name in enumerate(given)}
        buffers = Buffers(table + len(given) * (8 // code.size), lanes)
        self.sizes = buffers.sizes
        shapes, self._size = dict[str, tuple[int, tuple[int, ...]]](), 0
        for name, parameter in network.parameters().items():
            shapes[name], self._size = (self._size, parameter.shape), self._size + parameter.size
        self._targets = 1 if network.loss_function.integer_targets else network.output_features
        rows = {"inputs": network.input_features, "targets": self._targets, "outputs": network.output_features}
        for name, count in {**rows, **dict.fromkeys(_OWN, 1)}.items():
            at[name] = buffers.new(f"own {name}", count)
        own = {name.removeprefix("layers.0."): one for name, one in shapes.items() if name.startswith("layers.0.")}
        plan = plan_of(network.cell, network.input_features)
        self._step = OneStep(code, buffers, plan, traces=traces, shapes=own, at=at)
        layout = self._step.layout
        self.record, self.ones = layout.record, layout.ones.start
        self.states = {name: rows.start for name, rows in layout.states.items()}
        self._head = Head(
            code,
            buffers,
            formula_of_head(network.loss_function, parameters=network.parameters()),
            layout=layout,
            inputs=network.input_features,
            shapes=shapes,
            columns=lanes,
            errors=stream.ends_at_errors,
            every_step=True,
        )
        # Of other parameters gradients come by traces alone, if at all: they begin with zero.
        known = {f"layers.0.{name}" for name in self._step.weights.known} | self._head.weights.known
        self._others = [(shapes[name][0], one.size) for name, one in network.parameters().items() if name not in known]
        self._rule = Rule(code, buffers, rule, at=at, size=self._size)
        self.numbers = self._rule.numbers
        self._write()

    def function(self) -> Callable[..., None]:
        """Return the machine code."""
        return Program(self._module).function("train", [ctypes.c_void_p] + [ctypes.c_int64] * 2)

    def _write(self) -> None:
        code, at = self._code, self._at
        self._rule.read(at["numbers"])
        self._head.share.write(code.constant(1.0))
        for name, source in (("length", "lengths"), ("rate", "rates")):
            at[name].write(at[source].read())
        with code.loop(code.numbers[1]), code.where(at["working"].read_whole(code.whole(0)) >= 1):
            self._tick()
        code.done()

    def _tick(self) -> None:
        """Go on by a step in each lane that is at work."""
        code, at, step = self._code, self._at, self._step
        with code.loop(code.lanes) as lane, code.where((at["on"] + lane).is_true()):
            self._fetch(lane)
        on, fresh = at["on"].read() > 0.0, at["fresh"].read() > 0.0
        scored = on & at["mask"].read().differs(0.0)
        factor = functions.where(fresh, code.constant(1.0), at["factor"].read())
        at["first"].write(functions.where(at["t"].read().equals(0.0), factor, at["first"].read()))
        at["is scored"].write(functions.as_vector(scored))
        begins = fresh | (on & at["t"].read().equals(0.0)) if self._stream.reset == "both" else fresh
        step.begin(begins)
        for weights in (step.weights, self._head.weights):
            weights.load(at["parameters"], clears=False)
        to = step.forward()
        clear(code, self._head.loss, code.lanes)
        clear(code, at["outputs"], self._network.output_features * code.lanes)
        given = {name: at[name] for name in ("targets", "outputs", "inputs")}
        self._head.step(step.bases, to, [at["is scored"].read()], **given)
        step.backward()
        for weights in (step.weights, self._head.weights):
            weights.unload(self._rule.gradients, adds=False)
        for first, size in self._others:
            clear(code, self._rule.gradients + first * code.lanes, size * code.lanes)
        step.move(self._rule.gradients, fresh=begins, on=on)
        bad = self._update(scored, factor)
        step.end(on)
        self._end(on=on, scored=scored, bad=bad, factor=factor)

    def _fetch(self, lane: Number) -> None:
        """Put a lane's next inputs and targets beside those of the others."""
        code, at, lanes = self._code, self._at, self._code.lanes
        index = at["index"].read_whole(lane)
        row = index if self._network.return_sequences else at["row"].read_whole(lane)
        parts = {
            "inputs": (index, self._network.input_features),
            "targets": (row, self._targets),
            "mask": (index, 1),
        }
        for name, (first, count) in parts.items():
            source = at[f"{name} by lane"].read_place(lane)
            with code.loop(count) as n:
                source.copy_double_to(first * count + n, at[name] + n * lanes + lane)

    def _update(self, scored: Mask, factor: Vector) -> Mask:
        """Update the lanes with a scored step, but those where it is not finite; return which these are."""
        code, at = self._code, self._at
        norm, loss = self._rule.clip(), self._head.loss.read()
        is_fine = functions.is_finite(loss) & functions.is_finite(norm)
        good, bad = functions.as_vector(scored & is_fine), scored & ~is_fine
        at["alive"].write(good)
        (at["numbers"] + self.numbers.index("rate") * code.lanes).write(at["rate"].read() * factor)
        self._rule.move()
        at["moved"].write(at["moved"].read() + good)
        at["count"].write(at["count"].read() + at["is scored"].read())
        for name, value in (("loss", loss), ("norm", norm)):
            total = at[name].read() + functions.where(scored, value, code.constant(0.0))
            at[name].write(functions.where(bad, value, total))
        return bad

    def _end(self, *, on: Mask, scored: Mask, bad: Mask, factor: Vector) -> None:
        """Find which lanes have ended a sequence or a stream, and let all go on to their next step."""
        code, at = self._code, self._at
        t = at["t"].read() + 1.0
        over, nothing = (t >= at["length"].read()) | bad, code.constant(0.0)
        ends = nothing
        if self._stream.ends_at_errors:
            assert self._stream.tolerance is not None
            wrong = scored & ~(self._head.error.read() <= self._stream.tolerance)
            over, ends = over | wrong, functions.as_vector(wrong)
        elif self._stream.reset == "sequence":
            ends = functions.as_vector(over)
        over = on & over
        at["is over"].write(functions.as_vector(over))
        at["factor"].write(functions.where(on, factor * at["decay"].read(), at["factor"].read()))
        at["fresh"].write(functions.where(on, ends, at["fresh"].read()))
        scored_steps = functions.where(bad, code.constant(1.0), functions.maximum(at["count"].read(), 1.0))
        for name in ("loss", "norm"):
            at[name].write(functions.where(over, at[name].read() / scored_steps, at[name].read()))
        with code.loop(code.lanes) as lane, code.where((at["on"] + lane).is_true()):
            self._go_on(lane)
        for name, value in (("t", t), *((name, at[name].read()) for name in ("loss", "norm", "count"))):
            at[name].write(functions.where(over, nothing, functions.where(on, value, at[name].read())))

    def _go_on(self, lane: Number) -> None:
        code, at, features = self._code, self._at, self._network.output_features
        row, index = (at[name].read_whole(lane) for name in ("row", "index"))
        with code.where((at["is scored"] + lane).is_true()):
            to = at["outputs by lane"].read_place(lane)
            to = to + (index if self._network.return_sequences else row) * features
            with code.loop(features) as n:
                (at["outputs"] + n * code.lanes + lane).copy_to(to + n)
        at["index"].write_whole(lane, index + 1)
        at["steps"].write_whole(lane, at["steps"].read_whole(lane) + 1)
        with code.where((at["is over"] + lane).is_true()):
            self._next_row(lane, row)

    def _next_row(self, lane: Number, row: Number) -> None:
        """Write the results of a lane's row, and go on to the next.

        A lane ends after its last row, with a bad loss, or with as many streams as may end.
        """
        code, at = self._code, self._at
        here, following = row * code.lanes + lane, row + 1
        for name, to in (("loss", "losses"), ("norm", "norms"), ("first", "factors")):
            (at[name] + lane).copy_to(at[to] + here)
        with code.where(at["steps"].read_whole(lane) >= at["most"].read_whole(lane)):
            (at["fresh"] + lane).write_one(1.0)
        with code.where((at["fresh"] + lane).is_true()):
            at["steps"].write_whole(lane, 0)
            at["left"].write_whole(lane, at["left"].read_whole(lane) - 1)
        at["row"].write_whole(lane, following)
        at["index"].write_whole(lane, at["timesteps"].read_whole(lane) * following)
        is_bad = code.builder.not_((at["alive"] + lane).is_true())
        is_last = code.builder.or_(
            following >= code.numbers[0], code.builder.and_(is_bad, (at["is scored"] + lane).is_true())
        )
        is_last = code.builder.or_(is_last, at["left"].read_whole(lane) <= 0)
        with code.where(is_last):
            (at["on"] + lane).write_one(0.0)
            at["working"].write_whole(code.whole(0), at["working"].read_whole(code.whole(0)) - 1)
        with code.where(code.builder.not_(is_last)):
            for name, source in (("length", "lengths"), ("rate", "rates")):
                (at[source] + here + code.lanes).copy_to(at[name] + lane)
