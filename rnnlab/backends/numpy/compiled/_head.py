"""The output layer and the loss where each lane is a network of its own, and the columns are sequences of them."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import final

from rnnlab.backends.numpy.compiled._code import Code
from rnnlab.backends.numpy.compiled._items import Items
from rnnlab.backends.numpy.compiled._layout import Layout
from rnnlab.backends.numpy.compiled._order import Order
from rnnlab.backends.numpy.compiled._places import Gather, Piece, Rows
from rnnlab.backends.numpy.compiled._symbols import Lookups, parted, with_lookups
from rnnlab.backends.numpy.compiled._values import Place, Vector
from rnnlab.backends.numpy.compiled._weights import Buffers, Shapes, Weights, add
from rnnlab.equations.formula import Formula
from rnnlab.equations.graph import Node, ordered
from rnnlab.equations.schedule import stages


@final
class Head:
    """The output layer and the loss.

    Args:
        errors: Whether to find how far outputs are from their targets.
        lookups: What reads rows of its parameters, where inputs are symbols.
        every_step: Whether the sums of gradients are of one step alone.

    Attributes:
        loss: Where the sum of the losses is.
        error: Where it is how far an output of the last step is from its target.
        share: Where it is read by what the gradient is multiplied.
    """

    def __init__(
        self,
        code: Code,
        buffers: Buffers,
        formula: Formula,
        *,
        layout: Layout,
        inputs: int,
        shapes: Shapes,
        columns: int,
        errors: bool = False,
        lookups: Lookups | None = None,
        every_step: bool = False,
    ) -> None:
        self._code, self._columns, self._lookups = code, columns, lookups
        output, ones = layout.states[layout.plan.output], layout.ones
        self.features, self.units = formula["slope"].width, output.count
        h, slope = Rows("next", output.start, output.count), Rows("head", 1, self.features)
        places = {"h": h, "targets": Rows("targets", 0, 0), "outputs": Rows("outputs", 0, self.features)}
        places |= {name: Rows(name, 0, 1) for name in ("scored", "share")}
        places["inputs"] = Rows("inputs", 0, inputs)
        given = {
            node: places[node.detail] for node in ordered(formula.values()) if node.operation in {"state", "number"}
        }
        wanted: dict[Node, list[Rows]] = {
            formula["outputs"]: [places["outputs"]],
            formula["value"]: [Rows("head", 0, 1)],
            formula["slope"]: [slope],
            formula["flow"]: [Rows("head", 1 + self.features, self.units)],
        }
        if errors:
            wanted[formula["error"]] = [Rows("head", 1 + self.features + self.units, 1)]
        direction = Order(given, wanted, ones=ones).direction(stages([*wanted], []))
        read = {"head.W": h, "head.V": places["inputs"], "head.b": ones}
        operands = {name: rows for name, rows in read.items() if name in shapes}
        ends = [0, *accumulate(rows.count for rows in operands.values())]
        pieces = tuple(
            Piece(name, False, slice(*edges), slice(0, self.features))
            for name, edges in zip(operands, pairwise(ends), strict=True)
        )
        gather, self._looked_up = Gather(tuple(operands.values()), 0, self.features, pieces), tuple[Piece, ...]()
        if lookups:
            direction = with_lookups(direction)
            gather, self._looked_up = parted(gather)
        self.weights = Weights(code, buffers, name="head", directions=[direction], gathers=[gather], shapes=shapes)
        self._items = Items(
            code,
            direction,
            name="head",
            starts=self.weights.starts,
            vectors={},
            columns=columns,
            per_lane=True,
            lookups=lookups,
        )
        self._own = buffers.new("head", 2 + self.features + self.units)
        self.error = self._own + (1 + self.features + self.units) * columns
        work, self._scored, self.share, self.loss = (
            buffers.new(f"head's {name}", rows)
            for name, rows in (("work", direction.work), ("scored", 1), ("share", 1), ("loss", 1))
        )
        self._items.bases |= {"weights": self.weights.joint, "work": work, "head": self._own}
        self._items.bases |= {"scored": self._scored, "share": self.share}
        self._add_gradients = self.weights.gathering(
            "head ", columns=columns, strides=lambda _: (0, 0), adds=not every_step
        )

    def step(self, bases: Mapping[str, Place], to: Place, scored: Sequence[Vector], **given: Place) -> None:
        """Do a step if some column has it scored, which `scored` says, 1 or 0; add to the gradient of the outputs.

        `bases` are those of the layer below; `given` are the `targets`, `outputs` and the network's `inputs`.
        """
        code, width = self._code, self._columns
        condition = code.any(scored[0].differs(0.0))
        for one in scored[1:]:
            condition = code.builder.or_(condition, code.any(one.differs(0.0)))
        with code.where(condition):
            self._items.bases |= {**given, "record": bases["record"], "next": bases["next"]}
            for number, one in enumerate(scored):
                (self._scored + number * code.lanes).write(one)
            self._items.step()
            add(code, self.loss, self._own, width)
            add(code, to, self._own + (1 + self.features) * width, self.units * width)
            self._add_gradients(self._items.place, lambda _: self._own + width, 1)
            if self._lookups and self._looked_up:
                self._lookups.add(self._looked_up, given["inputs"], self._own + width)
