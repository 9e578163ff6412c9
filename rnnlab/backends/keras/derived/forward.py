"""The steps of a plan on an engine, and what is kept of them for the backward pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import keras
import numpy as np

from rnnlab.backends.keras.derived.packs import Namespace, Pack, product, side_by_side
from rnnlab.backends.keras.engines.base import AbstractEngine
from rnnlab.core.activations import AbstractScaledTanh
from rnnlab.equations.evaluate import compute
from rnnlab.equations.graph import Node, ordered
from rnnlab.equations.plan import Plan
from rnnlab.equations.schedule import Stage

Tensor = Any
Tensors = tuple[Tensor, ...]
Named = Mapping[str, Tensor]
ops = keras.ops


@dataclass(frozen=True, slots=True)
class _StepStage:
    """A stage of a step."""

    operands: tuple[Node, ...]  # what is multiplied here, for this stage and later ones
    direct: Pack  # sums to which nothing is applied but a scaled tanh, side by side
    activated: Pack  # the values of that
    others: tuple[Node, ...]  # the other sums
    block: tuple[Node, ...]  # what is element-wise, without `activated`


@final
class ForwardPass:
    """A plan's steps.

    Attributes:
        plan: Of the cell.
        inputs: The node of the inputs.
        fixed: The nodes that are the same at every step, of the way forward and of that back.
        back: The nodes of the backward pass and what they are computed from.
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
        self.inputs = next((node for node in nodes if node.operation == "input"), Node("input"))
        self._states = [node for node in nodes if node.operation == "state"]
        self._activation = _activations(plan, nodes)
        self.targets, self._stages = list[Node](), list[_StepStage]()
        for stage in plan.forward:
            self._stages.append(self._staged(stage))
        operands = dict.fromkeys(operand for target in self.targets for operand in target.operands)
        self._packs = {one: Pack(target for target in self.targets if one in target.operands) for one in operands}
        self._reads_inputs = any(self.inputs in (*stage.block, *stage.operands) for stage in self._stages)
        read = {plan.after[plan.output], *plan.operands}
        read |= {node for node in self.back if node.operation == "state" or node in plan.given_back}
        self.kept = self._what_is_kept([node for node in nodes if node in read & varying and node is not self.inputs])

    def _staged(self, stage: Stage) -> _StepStage:
        direct = [node for node in stage.products if node in self._activation]
        others = [node for node in stage.products if node not in self._activation]
        known = {operand for target in self.targets for operand in target.operands}
        self.targets += [*direct, *others]
        operands = dict.fromkeys(operand for target in stage.products for operand in target.operands)
        return _StepStage(
            operands=tuple(one for one in operands if one not in known and one is not self.inputs),
            direct=Pack(direct),
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

        def arguments(targets: Pack, products: Mapping[Node, Tensor]) -> Tensor:
            found = list[Tensor]()
            for one in dict.fromkeys(operand for target in targets.nodes for operand in target.operands):
                pack = self._packs[one]
                found += [targets.widened(pack.part(products[one], *run), run) for run in targets.runs(pack.nodes)]
            rest = [one for one in targets.nodes if one.sum.biases and self.inputs not in one.operands]
            found += [targets.widened(Pack(run).joined(biases), run) for run in targets.runs(rest)]
            return sum(found[1:], found[0])

        def step(before: list[Tensor], at: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            values = fixed | {node: before[names.index(node.detail)] for node in self._states}
            values[self.inputs], products, packs = at[-1], {self.inputs: at[0]}, dict[Pack, Tensor]()
            for stage, scale in zip(self._stages, scales, strict=True):
                products |= {one: ops.matmul(values[one], matrices[one]) for one in stage.operands}
                values |= {target: arguments(Pack([target]), products) for target in stage.others}
                if stage.direct.nodes:
                    y = ops.tanh(arguments(stage.direct, products))
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

    def _scale(self, stage: _StepStage, dtype: Any) -> tuple[Tensor, Tensor] | None:
        """Return factor and summand of what is activated; None where they change nothing."""
        nodes = stage.activated.nodes
        if all((node.detail.gain, node.detail.shift) == (1, 0) for node in nodes):
            return None
        gain, shift = (
            ops.convert_to_tensor(np.repeat([getattr(n.detail, what) for n in nodes], [n.width for n in nodes]), dtype)
            for what in ("gain", "shift")
        )
        return gain, shift


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
