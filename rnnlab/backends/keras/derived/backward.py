"""The backward pass through a plan's steps on an engine, and the gradients of the parameters after it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, final

import keras

from rnnlab.backends.keras.derived.forward import ForwardPass
from rnnlab.backends.keras.derived.packs import Namespace, Pack, product, side_by_side, summed_product
from rnnlab.backends.keras.engines.base import AbstractEngine
from rnnlab.equations.evaluate import compute
from rnnlab.equations.graph import Node

Tensor = Any
Tensors = tuple[Tensor, ...]
Named = Mapping[str, Tensor]
# Number of a pack, neighbours in it, and the matrix that they are multiplied by.
_Matrix = tuple[int, tuple[Node, ...], Tensor]
ops = keras.ops


@final
class BackwardPass:
    """The backward pass through a plan's steps; of each step the gradients of all sums are kept, in `packs`."""

    def __init__(self, forward: ForwardPass, engine: AbstractEngine) -> None:
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
        """Return the gradient of every parameter, by name, and of the inputs, (T, B, I).

        `kept` is what `ForwardPass.run` gave; `gradient` is dL/d outputs, (T, B, H), or, unless `every_step`, dL/d last
        output, (B, H). `cuts` has one array by which the states' gradients are multiplied, step by step, or none.
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

    def _transposed(self, parameters: Named, pairs: Sequence[tuple[Node, str]]) -> list[_Matrix]:
        """Return for neighbours of each pack, by its number, their matrices' transposes one upon the other."""
        found = list[_Matrix]()
        for number, pack in enumerate(self._packs):
            for run in pack.runs(gradient for gradient, _ in pairs):
                columns = []
                for node in run:
                    own = [parameters[name] for gradient, name in pairs if gradient is node]
                    columns.append(sum(own[1:], own[0]))
                found.append((number, run, ops.transpose(side_by_side(columns))))
        return found

    def _back(self, packed: Sequence[Tensor], matrices: Sequence[_Matrix], multiply: Any) -> Tensor:
        """Return the sum of neighbours' products."""
        parts = [multiply(self._packs[number].part(packed[number], *run), matrix) for number, run, matrix in matrices]
        return sum(parts[1:], parts[0])

    def _of_parameters(
        self, parameters: Named, inputs: Tensor, kept: Tensors, packed: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        plan, sums = self._plan, dict[str, Tensor]()

        def add(run: Sequence[Node], whole: Tensor, names: Mapping[Node, Iterable[str]]) -> None:
            for node, part in Pack(run).parts(whole).items():
                for name in names.get(node, ()):
                    sums[name] = sums[name] + part if name in sums else part

        for pack, array in zip(self._packs, packed, strict=False):
            for operand in plan.operands:
                names = _names(
                    {name: [g for o, g in pairs if o is operand] for name, pairs in plan.matrix_gradients.items()}
                )
                left = inputs if operand is self._forward.inputs else self._forward.found(operand, kept)
                for run in pack.runs(names):
                    add(run, summed_product(left, pack.part(array, *run)), names)
            names = _names(plan.vector_gradients)
            for run in pack.runs(names):
                add(run, ops.sum(pack.part(array, *run), axis=(0, 1)), names)
        return {name: sums[name] if name in sums else ops.zeros_like(array) for name, array in parameters.items()}


def _names(nodes: Mapping[str, Sequence[Node]]) -> dict[Node, list[str]]:
    """Return the names that each node has."""
    found = dict[Node, list[str]]()
    for name, own in nodes.items():
        for node in own:
            found.setdefault(node, []).append(name)
    return found
