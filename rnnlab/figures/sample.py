"""A sequence, what is wanted, and what the network answers."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rnnlab.figures.figure import COLOURS, DASHES, text
from rnnlab.inspection.sample import Sample

_ABOVE: dict[str, Any] = {"fontsize": 8, "loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.2}
_FEW = 4  # features that are drawn as lines; more are a map


def draw_sample(figure: Any, samples: Mapping[str, Sample]) -> None:
    """Draw the first of some samples: inputs above, target and answer below."""
    heading, one = next(iter(samples.items()))
    above, below = figure.subplots(2, 1, sharex=len(one.scored) > 1)
    _inputs(figure, above, one.inputs)
    above.set_title(text(f"{heading}: {one.task}"), loc="left")
    if len(one.scored) == 1:
        _bars(below, one)
    elif one.are_classes or one.targets.shape[1] > _FEW:
        _map(figure, below, one)
    else:
        _lines(below, one)


def _inputs(figure: Any, axes: Any, inputs: Any) -> None:
    features = inputs.shape[1]
    if features <= _FEW:
        for number in range(features):
            axes.step(
                np.arange(1, len(inputs) + 1), inputs[:, number], where="mid", label=f"input {number}", linewidth=1.2,
                color=COLOURS[number], linestyle=DASHES[number % 4],
            )  # fmt: skip
        axes.legend(ncols=features, **_ABOVE)
        axes.set_ylabel("input")
    else:
        drawn = axes.imshow(
            inputs.T, aspect="auto", cmap="cividis", interpolation="nearest", origin="lower",
            extent=(0.5, len(inputs) + 0.5, -0.5, features - 0.5),
        )  # fmt: skip
        figure.colorbar(drawn, ax=axes, label="value")
        axes.set_ylabel("input feature")
        axes.grid(visible=False)
    axes.set_xlabel("step")


def _bars(axes: Any, one: Sample) -> None:
    places = np.arange(one.targets.shape[1])
    axes.bar(places - 0.2, one.targets[0], 0.4, label="target", color=COLOURS[0])
    axes.bar(places + 0.2, one.answers[0], 0.4, label="network", color=COLOURS[1], hatch="//")
    axes.set_xticks(places)
    axes.set_xlim(min(-0.6, len(places) / 2 - 2), max(len(places) - 0.4, len(places) / 2 + 1))
    axes.set_xlabel("class" if one.are_classes else "output feature")
    axes.set_ylabel("probability" if one.are_classes else "output")
    axes.set_title(f"at the last step, {int(one.scored[0]) + 1}", loc="left", fontsize=9)
    axes.legend(ncols=2, **_ABOVE)


def _lines(axes: Any, one: Sample) -> None:
    for number in range(one.targets.shape[1]):
        colour = COLOURS[number]
        steps, dashes = one.scored + 1, DASHES[number % len(DASHES)]
        axes.plot(steps, one.targets[:, number], color=colour, linewidth=4, alpha=0.3, label=f"target {number}")
        axes.plot(
            steps, one.answers[:, number], color=colour, linestyle=dashes, linewidth=1.4, label=f"network {number}"
        )
    axes.set_xlabel("step")
    axes.set_ylabel("output")
    axes.legend(ncols=one.targets.shape[1], **_ABOVE)


def _map(figure: Any, axes: Any, one: Sample) -> None:
    drawn = axes.imshow(
        one.answers.T, aspect="auto", cmap="cividis", interpolation="nearest", origin="lower",
        extent=(one.scored[0] + 0.5, one.scored[-1] + 1.5, -0.5, one.answers.shape[1] - 0.5), vmin=0,
    )  # fmt: skip
    if one.are_classes:
        steps, classes = one.scored + 1, one.targets.argmax(axis=1)
        look = {"markerfacecolor": "white", "markeredgecolor": "black", "markersize": 4}  # seen on every colour
        axes.plot(steps, classes, "o", label="target", **look)
        axes.legend(**_ABOVE)
    figure.colorbar(drawn, ax=axes, label="probability" if one.are_classes else "output")
    axes.set_xlabel("step")
    axes.set_ylabel("class" if one.are_classes else "output feature")
    axes.grid(visible=False)
