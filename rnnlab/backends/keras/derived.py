"""A layer over a whole sequence with the gradient that is derived from its cell's equation, on any Keras engine.

Automatic differentiation of a loop adds up every weight's gradient step by step. Here the loop only passes the
gradient back; all weight gradients are one product for each operand after it, which is several times faster on small
networks. In the loop, too, each operand is multiplied once, by its matrices side by side.

Inside, arrays are time-major: (T, B, feature).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, final

import keras
import numpy as np

from rnnlab.backends.keras.engines.base import AbstractEngine
from rnnlab.backends.keras.packs import Namespace, Pack, product, side_by_side, summed_product
from rnnlab.cells.base import AbstractCell
from rnnlab.core.activations import AbstractScaledTanh
from rnnlab.equations.evaluate import compute
from rnnlab.equations.graph import Node, ordered
from rnnlab.equations.plan import Plan, Stage, plan_of

Tensor = Any
Tensors = tuple[Tensor, ...]
Values = dict[Node, Any]
Named = Mapping[str, Tensor]
ops = keras.ops


@final
class DerivedLayer:
    """One recurrent layer on an engine.

    Args:
        engine: Runs the loop, and takes the gradient given here for its own.
        cell: The configured cell.
        input_features: I of this layer.
    """

    def __init__(self, engine: AbstractEngine, cell: AbstractCell, *, input_features: int) -> None:
        self.names, plan = list(cell.parameters(input_features)), plan_of(cell, input_features)
        self._engine, self._forward = engine, _Forward(plan, engine)
        self._backward = _Backward(self._forward, engine)

    def __call__(
        self,
        parameters: Sequence[Tensor],
        inputs: Tensor,
        state: Sequence[Tensor],
        *,
        every_step: bool,
        flows: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Run all steps.

        Args:
            parameters: This layer's, in the order of the cell's own.
            inputs: (T, B, I).
            state: Each array of the state, (B, its size); no gradient flows into it.
            every_step: Whether to give the outputs of all steps or of the last alone.
            flows: Of each step, 1 where its gradient flows to the step before and 0 where it is cut: (T, B, 1), or
                (T, 1, 1) for the whole batch; None where it always does.

        Returns:
            The outputs, (T, B, H) or (B, H), and the state after the last step, through which no gradient flows.
        """
        count, cuts = len(self.names), [] if flows is None else [flows]
        arguments = [*parameters, inputs, *state, *cuts]

        def forward(*given: Tensor) -> tuple[Tensors, Tensors]:
            named = dict(zip(self.names, given[:count], strict=True))
            outputs, after, kept = self._forward.run(named, given[count], given[count + 1 : count + 1 + len(state)])
            return (outputs if every_step else outputs[-1], *after), (*given, *kept)

        def backward(saved: Tensors, gradients: Tensors) -> Tensors:
            given, kept = saved[: len(arguments)], saved[len(arguments) :]
            named, others = dict(zip(self.names, given[:count], strict=True)), given[count + 1 :]
            found, of_inputs = self._backward.run(
                named, given[count], kept, gradient=gradients[0], every_step=every_step, cuts=others[len(state) :]
            )
            return (*(found[name] for name in self.names), of_inputs, *(ops.zeros_like(array) for array in others))

        outputs, *after = self._engine.with_gradient(forward, backward)(*arguments)
        return outputs, after


@dataclass(frozen=True, slots=True)
class _Stage:
    """A stage of a step.

    Attributes:
        operands: What is multiplied here, for this stage and later ones.
        runs: Sums to which nothing is applied but a scaled tanh, those of the same operands together.
        activated: The values of that.
        others: The other sums.
        block: What is element-wise, without `activated`.
    """

    operands: tuple[Node, ...]
    runs: tuple[tuple[Node, ...], ...]
    activated: Pack
    others: tuple[Node, ...]
    block: tuple[Node, ...]


@final
class _Forward:
    """A plan's steps.

    Attributes:
        plan: Of the cell.
        inputs: The node of the inputs; None where nothing reads them.
        fixed: The nodes that are the same at every step, of the way forward and of that back.
        back: The nodes of the way back and what they are computed from.
        targets: All sums, in the order in which they lie side by side.
        kept: What each array consists of that is kept of every step.
    """

    def __init__(self, plan: Plan, engine: AbstractEngine) -> None:
        self.plan, self._engine = plan, engine
        self.back = ordered([*plan.kept_back, *plan.before.values()], plan.given_back)
        nodes = list(dict.fromkeys((*ordered(plan.after.values()), *self.back)))
        varying = set[Node]()
        for node in nodes:
            if node.operation in {"input", "state", "gradient"} or varying.intersection(node.operands):
                varying.add(node)
        self.fixed = [node for node in nodes if node not in varying]
        self.inputs = next((node for node in nodes if node.operation == "input"), None)
        self._states = [node for node in nodes if node.operation == "state"]
        self._activation = _activations(plan, nodes)
        self.targets, self._stages = list[Node](), list[_Stage]()
        for stage in plan.forward:
            self._stages.append(self._staged(stage))
        operands = dict.fromkeys(operand for target in self.targets for operand in target.operands)
        self._packs = {one: Pack(target for target in self.targets if one in target.operands) for one in operands}
        self._reads_inputs = any(self.inputs in (*stage.block, *stage.operands) for stage in self._stages)
        read = {plan.after[plan.output], *plan.operands}
        read |= {node for node in self.back if node.operation == "state" or node in plan.given_back}
        self.kept = self._what_is_kept([node for node in nodes if node in read & varying and node is not self.inputs])

    def _staged(self, stage: Stage) -> _Stage:
        direct = [node for node in stage.products if node in self._activation]
        others = [node for node in stage.products if node not in self._activation]
        known = {operand for target in self.targets for operand in target.operands}
        self.targets += [*direct, *others]
        operands = dict.fromkeys(operand for target in stage.products for operand in target.operands)
        return _Stage(
            operands=tuple(one for one in operands if one not in known and one is not self.inputs),
            runs=tuple(tuple(run) for _, run in groupby(direct, lambda target: frozenset(target.operands))),
            activated=Pack(self._activation[node] for node in direct),
            others=tuple(others),
            block=tuple(node for node in stage.block if node not in self._activation.values()),
        )

    def _what_is_kept(self, read: Sequence[Node]) -> list[Pack]:
        packs = [stage.activated for stage in self._stages if not set(read).isdisjoint(stage.activated.nodes)]
        together = {node for pack in packs for node in pack.nodes}
        return packs + [Pack([node]) for node in read if node not in together]

    def run(self, parameters: Named, inputs: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, list[Tensor], Tensors]:
        """Return outputs (T, B, H), the last state and what is kept, (T, B, …) each."""
        plan, xp, names = self.plan, Namespace(inputs.dtype), list(self.plan.after)[: len(state)]
        fixed = dict[Node, Any]()
        compute(self.fixed, fixed, xp=xp, parameters=parameters)
        matrices = {one: self._matrix(parameters, one) for one in self._packs}
        biases = {target: self._bias(parameters, target, inputs.dtype) for target in self.targets}
        scales = [self._scale(stage, inputs.dtype) for stage in self._stages]
        early = self._packs.get(self.inputs)
        sequences = [] if early is None else [product(inputs, matrices[self.inputs]) + early.joined(biases)]
        sequences += [] if sequences and not self._reads_inputs else [inputs]

        def argument(run: Sequence[Node], products: Values) -> Tensor:
            operands = dict.fromkeys(run[0].operands)
            parts = [self._packs[one].part(products[one], *run) for one in operands]
            if self.inputs not in operands and any(target.sum.biases for target in run):
                parts.append(Pack(run).joined(biases))
            return sum(parts[1:], parts[0])

        def step(before: list[Tensor], at: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            values = fixed | {node: before[names.index(node.detail)] for node in self._states}
            values[self.inputs], products, packs = at[-1], {self.inputs: at[0]}, dict[Pack, Tensor]()
            for stage, scale in zip(self._stages, scales, strict=True):
                products |= {one: ops.matmul(values[one], matrices[one]) for one in stage.operands}
                values |= {target: argument([target], products) for target in stage.others}
                if stage.runs:
                    y = ops.tanh(side_by_side([argument(run, products) for run in stage.runs]))
                    packs[stage.activated] = y if scale is None else y * scale[0] + scale[1]
                    values |= stage.activated.parts(packs[stage.activated])
                compute(stage.block, values, xp=xp, parameters=parameters)
            kept = [packs[pack] if pack in packs else pack.joined(values) for pack in self.kept]
            return [values[plan.after[name]] for name in names], kept

        after, kept = self._engine.scan(step, list(state), sequences, widths=[pack.width for pack in self.kept])
        return self.found(plan.after[plan.output], kept), after, tuple(kept)

    def found(self, node: Node, kept: Sequence[Tensor]) -> Tensor:
        """Return what is kept of a node."""
        return next(pack.part(array, node) for pack, array in zip(self.kept, kept, strict=True) if node in pack.nodes)

    def _matrix(self, parameters: Named, operand: Node) -> Tensor:
        """Return the matrices of an operand side by side, with the factor inside of a scaled tanh."""
        columns = []
        for target in self._packs[operand].nodes:
            pairs = zip(target.operands, target.sum.matrices, strict=True)
            own = [parameters[name] for one, name in pairs if one is operand]
            columns.append(self._inside(target) * sum(own[1:], own[0]))
        return side_by_side(columns)

    def _bias(self, parameters: Named, target: Node, dtype: Any) -> Tensor:
        own = [parameters[name] for name in target.sum.biases]
        return self._inside(target) * sum(own[1:], own[0]) if own else ops.zeros(target.width, dtype)

    def _inside(self, target: Node) -> float:
        return self._activation[target].detail.inner if target in self._activation else 1.0

    def _scale(self, stage: _Stage, dtype: Any) -> tuple[Tensor, Tensor] | None:
        """Return factor and summand of what is activated; None where they change nothing."""
        nodes = stage.activated.nodes
        if all((node.detail.gain, node.detail.shift) == (1, 0) for node in nodes):
            return None
        gain, shift = (
            ops.convert_to_tensor(np.repeat([getattr(n.detail, what) for n in nodes], [n.width for n in nodes]), dtype)
            for what in ("gain", "shift")
        )
        return gain, shift


@final
class _Backward:
    """The way back through a plan's steps; of each step the gradients of all sums are kept, in `packs`."""

    def __init__(self, forward: _Forward, engine: AbstractEngine) -> None:
        self._forward, self._engine, self._plan = forward, engine, forward.plan
        computed = [node for node in forward.back if node not in self._plan.given_back]
        self._reads = {operand for node in computed for operand in node.operands}
        self._gradients = [node for node in forward.back if node.operation == "gradient"]
        self._packs = self._packed()

    def _packed(self) -> list[Pack]:
        """Return what is multiplied in each stage of products, and then the rest of what is kept."""
        plan, place = self._plan, dict[Node, int]()
        for number, target in enumerate(self._forward.targets):
            for operand, name in zip(target.operands, target.sum.matrices, strict=True):
                for one, gradient in plan.matrix_gradients[name]:
                    if one is operand:
                        place.setdefault(gradient, number)
        groups = [[one for node in stage.products for one in node.operands] for stage in plan.backward]
        packs, known = list[Pack](), set[Node]()
        for group in [*(group for group in groups if group), plan.kept_back]:
            new = [node for node in dict.fromkeys(group) if node not in known]
            packs.append(Pack(sorted(new, key=lambda node: place.get(node, len(place)))))
            known.update(new)
        return packs

    def run(
        self,
        parameters: Named,
        inputs: Tensor,
        kept: Tensors,
        *,
        gradient: Tensor,
        every_step: bool,
        cuts: Sequence[Tensor],
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the gradient of every parameter and of the inputs.

        Args:
            parameters: By the cell's names.
            inputs: (T, B, I).
            kept: What `_Forward.run` gave.
            gradient: dL/d outputs, (T, B, H), or dL/d last output, (B, H).
            every_step: Which of the two.
            cuts: One array by which the states' gradients are multiplied, step by step, or none.
        """
        plan, forward, xp = self._plan, self._forward, Namespace(inputs.dtype)
        fixed = dict[Node, Any]()
        compute(forward.fixed, fixed, xp=xp, parameters=parameters)
        read = [(pack, array) for pack, array in zip(forward.kept, kept, strict=True) if self._reads & {*pack.nodes}]
        read += [(Pack([forward.inputs]), inputs)] if forward.inputs in self._reads else []
        read = read or [(forward.kept[0], kept[0])]  # there must be one
        sequences = [*(array for _, array in read), *([gradient] if every_step else []), *cuts]
        matrices = {
            node: self._transposed(parameters, list(zip(node.operands, node.sum.matrices, strict=True)))
            for stage in plan.backward
            for node in stage.products
        }

        def step(flowing: list[Tensor], at: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            values, packed = dict(fixed), list[Tensor]()
            for (pack, _), array in zip(read, at, strict=False):
                values |= pack.parts(array)
            arrived = dict(zip(plan.after, flowing, strict=True))
            if every_step:
                arrived[plan.output] = arrived[plan.output] + at[len(read)]
            values |= {node: arrived[node.detail] for node in self._gradients}
            for stage in plan.backward:
                if stage.products:
                    packed.append(self._packs[len(packed)].joined(values))
                for node in stage.products:
                    values[node] = self._back(packed, matrices[node], ops.matmul)
                compute(stage.block, values, xp=xp, parameters=parameters)
            packed += [pack.joined(values) for pack in self._packs[len(packed) :] if pack.nodes]
            before = {name: values[node] * at[-1] if cuts else values[node] for name, node in plan.before.items()}
            return [before[name] if name in before else ops.zeros_like(arrived[name]) for name in plan.after], packed

        batch_size = inputs.shape[1]
        start = {name: ops.zeros((batch_size, size), inputs.dtype) for name, size in plan.sizes.items()}
        start |= {} if every_step else {plan.output: gradient}
        widths = [pack.width for pack in self._packs if pack.nodes]
        _, packed = self._engine.scan(step, list(start.values()), sequences, widths=widths, reverse=True)
        values = dict[Node, Any]()
        for pack, array in zip(self._packs, packed, strict=False):
            values |= pack.parts(array)
        of_inputs = ops.zeros_like(inputs) if plan.input_rest is None else values[plan.input_rest]
        if plan.input_products:
            of_inputs = of_inputs + self._back(packed, self._transposed(parameters, plan.input_products), product)
        return self._of_parameters(parameters, inputs, kept, packed), of_inputs

    def _transposed(self, parameters: Named, pairs: Sequence[tuple[Node, str]]) -> list[tuple[int, Sequence[Node], Tensor]]:
        """Return for neighbours of each pack, by its number, their matrices' transposes one upon the other."""
        found = []
        for number, pack in enumerate(self._packs):
            for run in pack.runs(gradient for gradient, _ in pairs):
                columns = []
                for node in run:
                    own = [parameters[name] for gradient, name in pairs if gradient is node]
                    columns.append(sum(own[1:], own[0]))
                found.append((number, run, ops.transpose(side_by_side(columns))))
        return found

    def _back(self, packed: Sequence[Tensor], matrices: Sequence[tuple[int, Sequence[Node], Tensor]], multiply: Any) -> Tensor:
        """Return the sum of neighbours' products."""
        parts = [multiply(self._packs[number].part(packed[number], *run), matrix) for number, run, matrix in matrices]
        return sum(parts[1:], parts[0])

    def _of_parameters(self, parameters: Named, inputs: Tensor, kept: Tensors, packed: Sequence[Tensor]) -> dict[str, Tensor]:
        plan, sums = self._plan, dict[str, Tensor]()

        def add(run: Sequence[Node], whole: Tensor, names: Mapping[Node, Iterable[str]]) -> None:
            for node, part in Pack(run).parts(whole).items():
                for name in names.get(node, ()):
                    sums[name] = sums[name] + part if name in sums else part

        for pack, array in zip(self._packs, packed, strict=False):
            for operand in plan.operands:
                names = _names({name: [g for o, g in pairs if o is operand] for name, pairs in plan.matrix_gradients.items()})
                left = inputs if operand is self._forward.inputs else self._forward.found(operand, kept)
                for run in pack.runs(names):
                    add(run, summed_product(left, pack.part(array, *run)), names)
            names = _names(plan.vector_gradients)
            for run in pack.runs(names):
                add(run, ops.sum(pack.part(array, *run), axis=(0, 1)), names)
        return {name: sums[name] if name in sums else ops.zeros_like(array) for name, array in parameters.items()}


def _activations(plan: Plan, nodes: Sequence[Node]) -> dict[Node, Node]:
    """Return for each sum of a step that nothing else reads than one scaled tanh that one."""
    readers = {node: [one for one in nodes if node in one.operands] for node in nodes}
    return {
        node: readers[node][0]
        for stage in plan.forward
        for node in stage.products
        if len(readers[node]) == 1 and node not in plan.given_back
        if readers[node][0].operation == "activation" and isinstance(readers[node][0].detail, AbstractScaledTanh)
    }


def _names(nodes: Mapping[str, Sequence[Node]]) -> dict[Node, list[str]]:
    """Return the names that each node has."""
    found = dict[Node, list[str]]()
    for name, own in nodes.items():
        for node in own:
            found.setdefault(node, []).append(name)
    return found
