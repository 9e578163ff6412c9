"""What a cell's `parameters` and `step` must return, checked before an engine depends on it."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from rnnlab.cells.base import AbstractCell, Step
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
        _fail(cell.parameters, f"returns {_kind(described)}, expected {expected}", "return that dict")
    for name, one in described.items():
        if not isinstance(name, str) or not isinstance(one, Parameter):
            _fail(cell.parameters, f"has {_kind(one)} as {name!r}, expected {expected}", "return that dict")
        if one.opposite and one.opposite not in described:
            _fail(cell.parameters, f"has {name!r} as opposite of {one.opposite!r}, which it has not", "name another")
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
        _fail(cell.step, f"returns {_kind(step)}, expected rnnlab.cells.base.Step", hint)
    state: object = step.state
    if not isinstance(state, Mapping) or set(state) != set(wanted):
        given = _kind(state) if not isinstance(state, Mapping) else ", ".join(map(repr, state)) or "none"
        _fail(cell.step, f"returns as states {given}; expected {', '.join(map(repr, wanted))}, as in `states`", hint)
    return step


def _fail(method: Callable[..., Any], problem: str, hint: str) -> NoReturn:
    code = method.__func__.__code__  # type: ignore[attr-defined]
    where = f"{code.co_filename}:{code.co_firstlineno}"
    raise UsageError(f"`{method.__name__}` {problem}", where=where, hint=hint)


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
