"""A diagnosis as a person reads it: a curve, short tables, and a sentence to each."""

from collections.abc import Iterator, Sequence
from math import inf, isfinite, log10
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnlab.cli.render.curves import Curve, draw
from rnnlab.cli.render.output import can_show, console, plain_table, show
from rnnlab.cli.render.output import printable as fit
from rnnlab.core.errors import UsageError
from rnnlab.core.registry import nearest
from rnnlab.core.text import visible
from rnnlab.inspection.diagnose import KINDS, USUAL, Kind
from rnnlab.inspection.diagnoses.findings import Diagnosis, FixedPoints, Lengths
from rnnlab.training.gradient_flow import GradientFlow

if TYPE_CHECKING:
    from rich.console import RenderableType

_VANISHED = 0.01
_LOWEST = -12  # powers of ten that a picture reaches below its highest point


def kinds_of(only: str | None, *, fixed_points: bool) -> set[Kind]:
    """Return what is asked for.

    Raises:
        UsageError: A name is none of the kinds.
    """
    asked = set(USUAL) if only is None else {name.strip() for name in only.split(",")}
    known = {str(kind): kind for kind in KINDS}
    for name in asked:
        if name not in known:
            told = f"there are {', '.join(known)}"
            raise UsageError(
                f"'{visible(name[:60])}' is no kind of finding", where="--only", hint=nearest(name, known) or told
            )
    return {known[name] for name in asked} | ({"fixed-points"} if fixed_points else set())


def show_diagnosis(found: Diagnosis) -> None:
    """Print it on stdout."""
    from rich.text import Text

    head = (
        f"{found.name}: {found.weights} weights (step {found.step:,}), "
        f"{found.sequences:,} sequences of T={found.timesteps}"
    )
    parts: list[RenderableType] = [Text(fit(head)), Text("")]
    for lines in (_flow(found), _matrices(found), _gates(found), _states(found), _lengths(found), _fixed(found)):
        parts += [*lines, Text("")] if lines else []
    show(*parts[:-1])


def _flow(found: Diagnosis) -> "list[RenderableType]":
    from rich.text import Text

    if found.flow is None:
        return []
    curves = [Curve(name, _powers(found.flow, name)) for name in found.flow.median]
    picture = draw(
        curves,
        y_label="log10 of the gradient's norm",
        x_label="lag",
        width=console().width,
        braille=can_show("⣿"),
    )
    return [Text("Gradient of the last scored step's loss"), *picture, *map(Text, map(fit, flow_sentences(found.flow)))]


def _powers(flow: GradientFlow, name: str) -> list[tuple[int, float | None]]:
    values = flow.median[name]
    highest = float(np.nanmax(values))
    floor = (log10(highest) if highest > 0 else 0.0) + _LOWEST
    return [
        (int(lag), max(log10(value), floor) if value > 0 else None)
        for lag, value in zip(flow.lags, values, strict=True)
        if not np.isnan(value)
    ]


def flow_sentences(flow: GradientFlow) -> list[str]:
    """Return, for each state, how far back its gradient reaches, in words."""
    return [_reach(name, flow.median[name]) for name in flow.median]


def _reach(name: str, values: Any) -> str:
    known = values[~np.isnan(values)]
    highest = float(known.max())
    if highest == 0:
        return f"{name}: no gradient at all."
    first = int(np.argmax(known > 0))
    left = float(known[-1] / known[first])
    below = np.flatnonzero(known[first:] < _VANISHED * known[first])
    if not len(below):
        return f"{name}: after {len(known) - 1} steps {left:.2g} times that of lag {first}: the past still teaches."
    beyond = "and stays so" if known[-1] < _VANISHED * known[first] else "for a while"
    return (
        f"{name}: below 1 % of that of lag {first} after {int(below[0]) + first} steps, {beyond}; "
        f"after {len(known) - 1}, {left:.1g} times."
    )


def _matrices(found: Diagnosis) -> "list[RenderableType]":
    from rich.text import Text

    lines: list[RenderableType] = []
    if found.spectra:
        table = plain_table(
            "matrix", "spectral radius", "largest singular", numbers=("spectral radius", "largest singular")
        )
        for name, one in found.spectra.items():
            table.add_row(Text(fit(name)), f"{one.radius:.3f}", f"{one.singular_values[0]:.3f}")
        lines += [table]
    for name, step in found.jacobians.items():
        largest = float(np.median(step.singular_values[:, 0]))
        typical = float(np.exp(np.log(np.maximum(step.singular_values, 1e-300)).mean()))
        does = "stretches some change of the state" if largest > 1 else "shrinks every change of the state"
        values = f"largest singular value of its Jacobian {largest:.3g}, geometric mean {typical:.3g}"
        lines.append(Text(fit(f"{name}: one step {does}: {values}.")))
    return lines


def _gates(found: Diagnosis) -> "list[RenderableType]":
    from rich.text import Text

    if not found.gates:
        return []
    table = plain_table("values of", "mean", "at low end", "at high end", numbers=("mean", "at low end", "at high end"))
    for name, one in found.gates.items():
        table.add_row(Text(fit(name)), f"{one.mean:.3f}", f"{one.low:.0%}", f"{one.high:.0%}")
    sentences = [
        f"{name}: half of the units keep 1/e of what they hold for {_steps(one.median)} or more, the longest "
        f"{_steps(float(one.steps[-1]))}."
        for name, one in found.retention.items()
    ]
    return [table, *(Text(fit(sentence)) for sentence in sentences)]


def _steps(value: float) -> str:
    return "ever" if value == inf else f"{value:.3g} steps"


def _states(found: Diagnosis) -> "list[RenderableType]":
    from rich.text import Text

    lines = [
        f"{name}: the first {len(one.explained)} principal components hold {one.explained.sum():.0%} of the variance "
        f"({', '.join(f'{share:.0%}' for share in one.explained)})."
        for name, one in found.components.items()
    ]
    if found.capacity:
        lines.append(
            f"memory capacity: {found.capacity.total:.1f} steps of a random input can be read linearly from the state."
        )
    return [Text(fit(line)) for line in lines]


def _lengths(found: Diagnosis) -> "list[RenderableType]":
    from rich.text import Text

    if found.lengths is None:
        return []
    names = [*found.lengths.metrics]
    heads = ("T", "loss", "baseline", *names, "solved")
    table = plain_table(*map(fit, heads), numbers=tuple(map(fit, heads)))
    for cells in _length_rows(found.lengths, names):
        table.add_row(*cells)
    low, high = found.lengths.trained
    return [Text(f"Other lengths (trained on {low if low == high else f'{low}…{high}'})"), table]


def _length_rows(lengths: Lengths, names: Sequence[str]) -> Iterator[list[str]]:
    for place, length in enumerate(lengths.timesteps):
        metrics = [_figure(float(lengths.metrics[name][place])) for name in names]
        scores = [_figure(float(lengths.loss[place])), _figure(float(lengths.baseline[place]))]
        yield [f"{length:,}", *scores, *metrics, "yes" if lengths.solved[place] else "no"]


def _figure(value: float) -> str:
    return f"{value:.4g}" if isfinite(value) else "not finite"


def _fixed(found: Diagnosis) -> "list[RenderableType]":
    from rich.text import Text

    return [Text(fit(f"{name}: {_points(one)}")) for name, one in found.fixed_points.items()]


def _points(one: FixedPoints) -> str:
    stable = int((one.radius < 1).sum())
    if not len(one.radius):
        return "no fixed points without input were found."
    largest = ", ".join(f"{value:.2f}" for value in np.sort(one.radius)[:12]) + " …" * (len(one.radius) > 12)
    return f"{len(one.radius)} fixed points without input, {stable} of them stable (largest eigenvalues {largest})."
