"""What a cell's `parameters` and `step` must return, checked before an engine depends on it."""

import inspect
from collections.abc import Mapping
from typing import Any

from rnnlab.cells.base import AbstractCell, Step
from rnnlab.core import activations
from rnnlab.core.code_faults import fail_at, kind_of
from rnnlab.core.errors import UsageError
from rnnlab.core.parameters import Parameter


def described_parameters(cell: AbstractCell, input_features: int) -> Mapping[str, Parameter]:
    """Return what `parameters` returns.

    Raises:
        UsageError: It is no mapping of names to `Parameter`.
    """
    described: object = cell.parameters(input_features)
    expected = 'a dict of names and rnnlab.core.parameters.Parameter: {"W": Parameter(…)}'
    if not isinstance(described, Mapping):
        fail_at(cell.parameters, f"returns {kind_of(described)}, expected {expected}", "return that dict")
    for name, one in described.items():
        if not isinstance(name, str) or not isinstance(one, Parameter):
            fail_at(cell.parameters, f"has {kind_of(one)} as {name!r}, expected {expected}", "return that dict")
        if one.opposite and one.opposite not in described:
            fail_at(cell.parameters, f"has {name!r} as opposite of {one.opposite!r}, which it has not", "name another")
    return described


def run_step(cell: AbstractCell, xp: Any, *arguments: Any) -> Step:
    """Return what `step` returns.

    Raises:
        UsageError: It is no `Step`, or has other states than the cell.
    """
    step: object = cell.step(xp, *arguments)
    wanted = [*cell.state_sizes()]
    hint = f"return Step(output=…, state={{{', '.join(f'{name!r}: …' for name in wanted)}}})"
    if not isinstance(step, Step):
        fail_at(cell.step, f"returns {kind_of(step)}, expected rnnlab.cells.base.Step", hint)
    state: object = step.state
    if not isinstance(state, Mapping) or set(state) != set(wanted):
        given = kind_of(state) if not isinstance(state, Mapping) else ", ".join(map(repr, state)) or "none"
        fail_at(cell.step, f"returns as states {given}; expected {', '.join(map(repr, wanted))}, as in `states`", hint)
    return step


def check_gates(cell: AbstractCell, step: Step) -> None:
    """Pass if a step saves each of the gates, and each has an activation.

    Raises:
        UsageError: It does not, or the forget gate is none of them.
    """
    kind = type(cell).__name__
    for name, activation in cell.gate_activations().items():
        if name not in step.saved:
            hint = f"return Step(…, saved={{{name!r}: …}}), or correct `gates`"
            fail_at(cell.step, f"saves no {name!r}, which is one of the cell's `gates`", hint)
        if activation not in activations.names() and not hasattr(cell.options, cell.gates[name]):
            problem = f"{kind}.gates[{name!r}] is {activation!r}, expected an activation, or an option that names one"
            raise UsageError(problem, where=_file(cell), hint=f"of {', '.join(activations.names())}")
    if cell.forget and cell.forget not in cell.gates:
        problem = f"{kind}.forget is {cell.forget!r}, expected one of its `gates`"
        raise UsageError(problem, where=_file(cell), hint=f"gates = {{{cell.forget!r}: …}}, or leave out `forget`")


def _file(cell: AbstractCell) -> str:
    return inspect.getsourcefile(cell.step) or ""
