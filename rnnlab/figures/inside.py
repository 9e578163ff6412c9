"""What networks do inside: gradients by lag, states, gates, eigenvalues, other lengths."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rnnlab.figures.figure import COLOURS, DASHES, GREY, MARKERS, named, style, text
from rnnlab.inspection.diagnoses.findings import Components, Diagnosis, called

_LOWEST = 1e-12
_TRAJECTORIES = 24
_MOST = 8  # lines


def draw_gradient(figure: Any, diagnoses: Mapping[str, Diagnosis]) -> None:
    """Draw the norm of the gradient by lag, as a share of that of the last step; a dash a state, a colour a network."""
    axes = figure.subplots()
    lowest = 1.0
    for place, (heading, found) in enumerate(list(diagnoses.items())[:_MOST]):
        if found.flow is None:
            continue
        names = called(found.flow.median)
        for number, (state, values) in enumerate(found.flow.median.items()):
            first = int(np.argmax(np.nan_to_num(values) > 0))
            if not values[first] > 0:
                continue
            top, lags = values[first], found.flow.lags[first:]
            share = np.maximum(values[first:] / top, _LOWEST)
            low = np.maximum(found.flow.low[state][first:] / top, _LOWEST)
            high = np.maximum(found.flow.high[state][first:] / top, _LOWEST)
            colour = COLOURS[place % len(COLOURS)]
            axes.plot(lags, share, color=colour, linestyle=DASHES[number % 4], label=text(f"{heading}: {names[state]}"))
            axes.fill_between(lags, low, high, color=colour, alpha=0.13, linewidth=0)
            lowest = min(lowest, float(np.nanmin(low)))
    axes.set_yscale("log")
    if lowest <= _LOWEST:
        axes.axhline(_LOWEST, color=GREY, linestyle=":", linewidth=1)
        named(axes, "vanished: below 10⁻¹²", _LOWEST)
    axes.set_xlabel("lag: steps back from the last")
    axes.set_ylabel("share of the gradient norm that is left")
    axes.set_title("How much of the gradient reaches the past", loc="left")
    axes.plot([], [], " ", label="band: 10 to 90 % of sequences")
    axes.legend()


def draw_states(figure: Any, diagnoses: Mapping[str, Diagnosis]) -> None:
    """Draw the trajectories of the first network's states in the plane of their first two components."""
    found = next(iter(diagnoses.values()))
    states = list(found.components.items())[:4]
    columns = min(2, len(states)) or 1
    grid = figure.subplots(-(-len(states) // columns) or 1, columns, squeeze=False)
    for axes in grid.flat[len(states) :]:
        axes.set_visible(False)
    names = called(found.components)
    for axes, (name, one) in zip(grid.flat, states, strict=False):
        _trajectories(axes, text(names[name]), one)
    figure.suptitle(text(f"{next(iter(diagnoses))}: states of {found.timesteps} steps"), x=0.01, ha="left", fontsize=11)


def _trajectories(axes: Any, name: str, one: Components) -> None:
    for path in one.trajectories[:_TRAJECTORIES]:
        axes.plot(
            path[:, 0], path[:, 1] if path.shape[1] > 1 else 0 * path[:, 0], color=COLOURS[0], alpha=0.35, linewidth=0.8
        )
        known = path[~np.isnan(path[:, 0])]
        if len(known):
            axes.plot(*known[-1, : min(2, path.shape[1])], "o", color=COLOURS[1], markersize=3)
    share = [*one.explained, 0.0]
    axes.set_xlabel(f"component 1 ({share[0]:.0%})")
    axes.set_ylabel(f"component 2 ({share[1]:.0%})")
    axes.set_title(f"{name} (dots: last steps)", loc="left", fontsize=9)


def draw_gates(figure: Any, diagnoses: Mapping[str, Diagnosis]) -> None:
    """Draw how often each gate takes each value, a panel a network."""
    shown = [(heading, found) for heading, found in diagnoses.items() if found.gates][:4]
    grid = figure.subplots(max(1, len(shown)), 1, squeeze=False)
    for axes, (heading, found) in zip(grid.flat, shown, strict=False):
        names = called(found.gates)
        for place, (name, gate) in enumerate(list(found.gates.items())[:_MOST]):
            total = max(1, int(gate.counts.sum()))
            stuck = f", {gate.low + gate.high:.0%} at an end" if gate.low + gate.high else ""
            axes.stairs(gate.counts / total, gate.edges, label=text(f"{names[name]}{stuck}"), **style(place))
        axes.set_ylabel("share of values")
        axes.set_title(text(heading), loc="left")
        axes.legend(fontsize=8)
    grid.flat[-1].set_xlabel("value of the gate or activation")


def draw_spectrum(figure: Any, diagnoses: Mapping[str, Diagnosis]) -> None:
    """Draw the eigenvalues of the recurrent matrices and the unit circle."""
    axes = figure.subplots()
    turn = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(turn), np.sin(turn), color=GREY, linestyle=":", linewidth=1.2, label="unit circle")
    for place, (heading, found) in enumerate(list(diagnoses.items())[:_MOST]):
        names = called(found.spectra)
        for number, (name, one) in enumerate(found.spectra.items()):
            axes.plot(
                one.eigenvalues.real, one.eigenvalues.imag, linestyle="", marker=MARKERS[number % len(MARKERS)],
                color=COLOURS[place % len(COLOURS)], markersize=5, alpha=0.8, fillstyle=("full", "none")[number % 2],
                label=text(f"{heading}: {names[name]}, radius {one.radius:.2f}"),
            )  # fmt: skip
    axes.set_aspect("equal")
    axes.set_xlabel("real part")
    axes.set_ylabel("imaginary part")
    axes.set_title("Eigenvalues of the recurrent matrices", loc="left")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.02, 0.5))


def draw_lengths(figure: Any, diagnoses: Mapping[str, Diagnosis]) -> None:
    """Draw the loss against the length of the sequences, the trained lengths shaded."""
    axes = figure.subplots()
    values: list[float] = []
    for place, (heading, found) in enumerate(list(diagnoses.items())[:_MOST]):
        one = found.lengths
        if one is None:
            continue
        axes.plot(one.timesteps, one.loss, marker=MARKERS[place % len(MARKERS)], label=text(heading), **style(place))
        values += [float(value) for value in one.loss if np.isfinite(value)]
    axes.set_xscale("log")
    axes.minorticks_off()
    first = next((found.lengths for found in diagnoses.values() if found.lengths), None)
    if first is not None:
        low, high = first.trained
        axes.plot(first.timesteps, first.baseline, color=GREY, linestyle=":", zorder=3, label="baseline")
        axes.axvspan(low * 0.97, high * 1.03, color=GREY, alpha=0.15, linewidth=0, label="trained")
        axes.set_xticks(first.timesteps, [f"{length:,}" for length in first.timesteps])
    if values and min(values) > 0:
        axes.set_yscale("log")
    axes.set_xlabel("sequence length T, steps")
    axes.set_ylabel("loss")
    axes.set_title("Other lengths than trained", loc="left")
    axes.legend()
