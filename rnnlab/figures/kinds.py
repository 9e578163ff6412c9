"""Which pictures there are, and what each needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

from rnnlab.comparison import Comparison
from rnnlab.figures.curves import draw_curves
from rnnlab.figures.figure import image
from rnnlab.figures.flow import draw_flow
from rnnlab.figures.inside import draw_gates, draw_gradient, draw_lengths, draw_spectrum, draw_states
from rnnlab.figures.sample import draw_sample
from rnnlab.inspection.diagnose import Kind
from rnnlab.inspection.diagnoses.findings import Diagnosis
from rnnlab.inspection.sample import Sample


@final
@dataclass(frozen=True, slots=True)
class Picture:
    """A kind of picture.

    Attributes:
        about: What it shows, for the help.
        finding: What a diagnosis has to look for; None where it needs none.
        size: Inches.
    """

    about: str
    finding: Kind | None = None
    size: tuple[float, float] = (6.4, 4.0)


@final
@dataclass(frozen=True, slots=True)
class Content:
    """What there is to draw.

    Attributes:
        comparison: The runs.
        diagnoses: Heading -> what was found in one of them.
        samples: Heading -> a sequence, and what the network makes of it.
        x: What the curves run over: `step`, `sequences` or `seconds`.
    """

    comparison: Comparison
    diagnoses: Mapping[str, Diagnosis]
    samples: Mapping[str, Sample]
    x: str = "step"


KINDS: dict[str, Picture] = {
    "curves": Picture("the metric during training, with the baseline"),
    "gradient": Picture("the gradient of the last step's loss by lag: the vanishing gradient", "flow"),
    "flow": Picture("the gradient by lag over the training steps, where it was recorded"),
    "states": Picture("trajectories of the states in their principal components", "states", (6.4, 5.0)),
    "gates": Picture("how often gates and activations take each value", "gates"),
    "spectrum": Picture("eigenvalues of the recurrent matrices, and the unit circle", "spectrum", (7.2, 4.4)),
    "lengths": Picture("the loss at other lengths than trained", "lengths"),
    "sample": Picture("a sequence, its target, and the network's answer", None, (6.4, 4.6)),
}

_DRAW: dict[str, Callable[[Any, Content], None]] = {
    "curves": lambda figure, content: draw_curves(figure, content.comparison, content.x),
    "gradient": lambda figure, content: draw_gradient(figure, content.diagnoses),
    "flow": lambda figure, content: draw_flow(figure, content.comparison),
    "states": lambda figure, content: draw_states(figure, content.diagnoses),
    "gates": lambda figure, content: draw_gates(figure, content.diagnoses),
    "spectrum": lambda figure, content: draw_spectrum(figure, content.diagnoses),
    "lengths": lambda figure, content: draw_lengths(figure, content.diagnoses),
    "sample": lambda figure, content: draw_sample(figure, content.samples),
}


def draw(kind: str, ending: str, content: Content) -> bytes:
    """Return a picture's bytes.

    Args:
        kind: One of `KINDS`.
        ending: `png`, `pdf` or `svg`.
        content: What there is to draw.

    Raises:
        EnvironmentFault: matplotlib is not installed.
    """
    return image(ending, lambda figure: _DRAW[kind](figure, content), size=KINDS[kind].size)
