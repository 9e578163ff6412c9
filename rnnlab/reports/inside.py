"""Charts of what networks do inside, from diagnoses of some runs."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rnnlab.core.text import visible
from rnnlab.diagnosis.findings import Diagnosis
from rnnlab.reports.chart import COLOURS, DASHES, SYMBOLS, Chart, line, told

_LOWEST = 1e-12  # of the largest gradient: what is drawn as vanished


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
        for number, (state, values) in enumerate(found.flow.median.items()):
            first = int(np.argmax(np.nan_to_num(values) > 0))
            top = float(values[first])
            if not top > 0:
                continue
            share = np.maximum(values[first:] / top, _LOWEST)
            lags = found.flow.lags[first:]
            name = f"{visible(heading)}: {state}"
            style = {"color": COLOURS[place % len(COLOURS)], "dash": DASHES[number % len(DASHES)], "width": 2.5}
            traces.append(
                line(name, lags, share, place, hovertemplate="%{x} steps back: %{y:.2g}<extra></extra>")
                | {"line": style}
            )
            marks = [lag for lag in (1, 10, 20, 50, 100) if lag < len(values)]
            rows.append([name, "; ".join(f"lag {lag}: {values[lag] / top:.1g}" for lag in marks)])
    if not traces:
        return None
    return Chart(
        name="gradient",
        title="The gradient by lag: does the past still teach?",
        caption="How much of the gradient of the last step's loss arrives at the network's state some steps earlier, "
        "as a share of what arrives at the last. Learning follows this gradient. A line that falls by many powers of "
        "ten has vanished: what happened so long ago cannot be learned. The carry c is the track that keeps it alive. "
        "Values below 10⁻¹² are drawn there.",
        traces=traces,
        x={"title": {"text": "lag, steps back from the last"}},
        y={
            "title": {"text": "share of the gradient that is left"},
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
    place = 0
    for heading, found in diagnoses.items():
        for name, gate in found.gates.items():
            total = max(int(gate.counts.sum()), 1)
            middles = (gate.edges[1:] + gate.edges[:-1]) / 2
            label = f"{visible(heading)}: {name}"
            is_forget = name.endswith(".f") or len(found.gates) == 1
            visibility: dict[str, Any] = {} if is_forget else {"visible": "legendonly"}
            traces.append(line(label, middles, gate.counts / total, place, **visibility) | {"mode": "lines"})
            rows.append([label, f"{gate.mean:.3f}", f"{gate.low:.0%}", f"{gate.high:.0%}", _kept(found, name)])
            place += 1
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
        for number, (name, one) in enumerate(found.spectra.items()):
            label = f"{visible(heading)}: {name}"
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
