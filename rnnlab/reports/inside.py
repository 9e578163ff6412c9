"""Charts of what networks do inside, from diagnoses of some runs."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rnnlab.core.text import visible
from rnnlab.inspection.diagnoses.findings import Diagnosis, called
from rnnlab.reports.chart import COLOURS, DASHES, SYMBOLS, Chart, line, power, told
from rnnlab.training.gradient_flow import GradientFlow

_LOWEST = 1e-12  # of the largest gradient: what is drawn as vanished
_VANISHED = 0.01


def sentences_inside(diagnoses: Mapping[str, Diagnosis]) -> list[str]:
    """Return of each network whether its gradient reaches back to what it has to learn from, in words."""
    told = {heading: _reach(found.flow) for heading, found in diagnoses.items() if found.flow is not None}
    sentences = [f"{visible(heading)}: {sentence}" for heading, sentence in told.items() if sentence]
    why = "A network can learn from what happened some steps ago only where its gradient reaches back so far."
    return [why, *sentences] if sentences else []


def _reach(flow: GradientFlow) -> str:
    """Return how much is left at the longest lag, of the state through which most arrives there."""
    names, shares = called(flow.median), _shares(flow)
    if not shares:
        return ""
    state = max(shares, key=lambda name: float(shares[name][1][-1]))
    lags, values = shares[state]
    left, far = float(values[-1]), int(lags[-1])
    of = f"{power(left)} of the last step's gradient is left {far:,} steps back, through {names[state]}"
    if left >= _VANISHED:
        return f"{of}. What happened there can be learned."
    lost = int(lags[np.flatnonzero(values < _VANISHED)[0]])
    return f"{of}, and less than 1 % {lost:,} steps back already. It has vanished: what happened there is not learned."


def _shares(flow: GradientFlow) -> dict[str, tuple[Any, Any]]:
    """Return state -> lags, and norms as a share of the first that is not 0; a state without any is left out."""
    found = {}
    for state, values in flow.median.items():
        first = int(np.argmax(np.nan_to_num(values) > 0))
        if values[first] > 0:
            found[state] = flow.lags[first:], values[first:] / values[first]
    return found


def charts_inside(diagnoses: Mapping[str, Diagnosis]) -> Iterator[Chart]:
    """Yield the charts, each of all networks together, from heading -> diagnosis."""
    for draw in (_flow, _lengths, _gates, _spectra):
        chart = draw(diagnoses)
        if chart:
            yield chart


def _flow(diagnoses: Mapping[str, Diagnosis]) -> Chart | None:
    traces, rows = [], []
    for place, (heading, found) in enumerate(diagnoses.items()):
        if found.flow is None:
            continue
        names = called(found.flow.median)
        for number, (state, (lags, values)) in enumerate(_shares(found.flow).items()):
            share = np.maximum(values, _LOWEST)
            name = f"{visible(heading)}: {names[state]}"
            style = {"color": COLOURS[place % len(COLOURS)], "dash": DASHES[number % len(DASHES)], "width": 2.5}
            traces.append(
                line(name, lags, share, place, hovertemplate="%{x} steps back: %{y:.2g}<extra></extra>")
                | {"line": style}
            )
            known = dict(zip(lags.tolist(), values.tolist(), strict=True))
            marks = [lag for lag in (1, 10, 20, 50, 100) if lag in known]
            rows.append([name, "; ".join(f"{lag} steps back: {power(known[lag])}" for lag in marks)])
    if not traces:
        return None
    return Chart(
        name="gradient",
        title="The gradient by lag: does the past still teach?",
        caption="A network learns by its gradient: how its error would change if its state at some step were another. "
        "The line tells how much of that arrives some steps before the answer, as a share of what arrives at the "
        "nearest; h is the state, the cell's last output, and c the carry. A line that falls by many powers of ten "
        "has vanished: what happened so long ago cannot be learned. Values below 10⁻¹² are drawn there.",
        traces=traces,
        x={"title": {"text": "lag, steps back from the last"}},
        y={
            "title": {"text": "share of the gradient left"},
            "type": "log",
            "exponentformat": "power",
            "dtick": 2,
        },
        head=["network and state", "share left"],
        rows=rows,
        may_log=True,
    )


def _lengths(diagnoses: Mapping[str, Diagnosis]) -> Chart | None:
    traces, rows = [], []
    for place, (heading, found) in enumerate(diagnoses.items()):
        if found.lengths is None:
            continue
        one, name = found.lengths, visible(heading)
        marker = {"size": 8, "symbol": SYMBOLS[place % len(SYMBOLS)]}
        traces.append(line(name, one.timesteps, one.loss, place, mode="lines+markers", marker=marker))
        rows += [
            [name, told(int(length)), told(float(loss)), told(float(baseline)), "yes" if solved else "no"]
            for length, loss, baseline, solved in zip(one.timesteps, one.loss, one.baseline, one.solved, strict=True)
        ]
    if not traces:
        return None
    first = next(found.lengths for found in diagnoses.values() if found.lengths is not None)
    style = {"line": {"color": COLOURS[6], "dash": DASHES[2], "width": 2}}
    traces.append(line("baseline", first.timesteps, first.baseline, 6, hoverinfo="skip") | style)
    return Chart(
        name="lengths",
        title="Other lengths than trained",
        caption="The loss on fresh sequences from half to ten times the length of training. Low everywhere: the "
        "network has learned the rule. Low at one length alone: it has learned that length.",
        traces=traces,
        x={"title": {"text": "sequence length T, steps"}, "type": "log", "tickvals": first.timesteps},
        y={"title": {"text": "loss"}, "exponentformat": "power"},
        head=["network", "T", "loss", "baseline", "solved"],
        rows=rows,
        may_log=True,
    )


def _gates(diagnoses: Mapping[str, Diagnosis]) -> Chart | None:
    traces, rows = [], []
    for place, (heading, found) in enumerate(diagnoses.items()):
        names = called(found.gates)
        for number, (name, gate) in enumerate(found.gates.items()):
            total = max(int(gate.counts.sum()), 1)
            middles = (gate.edges[1:] + gate.edges[:-1]) / 2
            label = f"{visible(heading)}: {names[name]}"
            style = {"color": COLOURS[place % len(COLOURS)], "dash": DASHES[number % len(DASHES)], "width": 2}
            is_forget = name.endswith(".f") or len(found.gates) == 1
            visibility: dict[str, Any] = {} if is_forget else {"visible": "legendonly"}
            traces.append(line(label, middles, gate.counts / total, place, **visibility) | {"line": style})
            rows.append([label, f"{gate.mean:.3f}", f"{gate.low:.0%}", f"{gate.high:.0%}", _kept(found, name)])
    if not traces:
        return None
    return Chart(
        name="gates",
        title="What the gates do",
        caption="How often a gate or activation takes each value. A forget gate f near 1 keeps the carry, near 0 it "
        "drops it; a gate piled up at an end of its range is saturated, and hardly learns any more.",
        traces=traces,
        x={"title": {"text": "value"}},
        y={"title": {"text": "share of values"}, "tickformat": ".0%", "rangemode": "tozero"},
        head=["network and gate", "mean", "at low end", "at high end", "median steps kept"],
        rows=rows,
    )


def _kept(found: Diagnosis, gate: str) -> str:
    layer, _, letter = gate.rpartition(".")
    kept = found.retention.get(f"{layer}.c")
    return told(kept.median) if kept and letter == "f" else "—"


def _spectra(diagnoses: Mapping[str, Diagnosis]) -> Chart | None:
    turn = np.linspace(0, 2 * np.pi, 121)
    traces: list[dict[str, Any]] = []
    rows = []
    for place, (heading, found) in enumerate(diagnoses.items()):
        names = called(found.spectra)
        for number, (name, one) in enumerate(found.spectra.items()):
            label = f"{visible(heading)}: {names[name]}"
            marker = {
                "color": COLOURS[place % len(COLOURS)],
                "symbol": SYMBOLS[number % len(SYMBOLS)],
                "size": 7,
                "opacity": 0.8,
            }
            point = {"type": "scatter", "mode": "markers", "name": label, "marker": marker}
            shown = {} if number == len(found.spectra) - 1 or len(found.spectra) == 1 else {"visible": "legendonly"}
            traces.append({**point, "x": one.eigenvalues.real, "y": one.eigenvalues.imag, **shown})
            rows.append([label, f"{one.radius:.3f}", f"{one.singular_values[0]:.3f}"])
    if not traces:
        return None
    circle = line("unit circle", np.cos(turn), np.sin(turn), 6, hoverinfo="skip") | {
        "line": {"color": COLOURS[6], "dash": DASHES[2], "width": 1.5}
    }
    return Chart(
        name="spectrum",
        title="Eigenvalues of the recurrent matrices",
        caption="Each point is an eigenvalue in the complex plane. Inside the circle a state fades by that factor at "
        "every step, on it it is kept, outside it grows.",
        traces=[circle, *traces],
        x={"title": {"text": "real part"}, "constrain": "domain"},
        y={"title": {"text": "imaginary part"}, "scaleanchor": "x"},
        head=["network and matrix", "spectral radius", "largest singular value"],
        rows=rows,
    )
