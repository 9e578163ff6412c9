"""The gradient by lag over a training, as a map: how far back a network learns to learn."""

from typing import Any

import numpy as np

from rnnlab.comparison import Comparison
from rnnlab.comparison.recorded import recorded_flow
from rnnlab.figures.figure import text
from rnnlab.inspection.diagnoses import findings

_LOWEST = -12.0


def draw_flow(figure: Any, comparison: Comparison) -> None:
    """Draw the first run's recorded norms, a panel a state; colours are powers of ten of the share of lag 0.

    Raises:
        UsageError: It recorded none.
    """
    run = comparison.results[0]
    flow = recorded_flow(run)
    panels = figure.subplots(1, len(flow.norms), squeeze=False, sharey=True)[0]
    called = findings.called(flow.norms)
    for axes, (name, norms) in zip(panels, flow.norms.items(), strict=True):
        norms[:, : _first(norms)] = np.nan  # nothing reads the last carry: no gradient, and none that vanished
        top = np.nanmax(norms, axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.clip(np.log10(norms / top), _LOWEST, 0)
        drawn = axes.pcolormesh(_edges(flow.lags), _edges(flow.steps), share, cmap="cividis", vmin=_LOWEST, vmax=0)
        axes.set_title(text(called[name]), loc="left")
        axes.set_xlabel("lag: steps back")
        axes.grid(visible=False)
    panels[0].set_ylabel("training step")
    label = "log10 of the share of the largest gradient"
    figure.colorbar(drawn, ax=list(panels), label=label, extend="min")
    figure.suptitle(text(f"{comparison.headings[run.name]}: the gradient by lag"), x=0.01, ha="left", fontsize=11)


def _first(norms: Any) -> int:
    """Return the first column in which anything is above 0."""
    return int(np.argmax((np.nan_to_num(norms) > 0).any(axis=0)))


def _edges(centres: Any) -> Any:
    """Return the bounds of cells around points, one more than there are points."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])
