"""What a cell's `parameters` and `step` must return, checked before an engine depends on it."""

from collections.abc import Mapping
from typing import Any

from rnnlab.cells.base import AbstractCell, Step
from rnnlab.core.code_files import fail_at, kind_of
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
