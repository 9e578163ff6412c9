"""What describes stored arrays: the run and step they are of, and all that defines the function they belong to."""

from pathlib import Path
from typing import Annotated, Literal, final

from pydantic import AfterValidator, Field, JsonValue, model_validator

from rnnlab.core.options import Options
from rnnlab.storage.fields import LARGEST_WHOLE, LONGEST_TEXT, Count, Name, RunId, Step
from rnnlab.storage.jsonfile import fitting
from rnnlab.storage.status import Attempt
from rnnlab.storage.weights import Expected, Loaded, load_arrays


def _require_bounds(value: JsonValue) -> JsonValue:
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise ValueError(f"should have at most {LONGEST_TEXT} characters")
    if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        raise ValueError("should be within 64 bits")
    for inner in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        _require_bounds(inner)
    return value


_MOST = 10_000  # columns, and series
Finite = Annotated[float, Field(ge=-1e300, le=1e300)]
Positive = Annotated[float, Field(ge=0, le=1e300)]

# The options of a cell and the state of a schedule may be a user's own, of any form.
Plain = Annotated[dict[Name, Annotated[JsonValue, AfterValidator(_require_bounds)]], Field(max_length=1000)]


@final
class OutputDescription(Options):
    """Of the output layer.

    Attributes:
        bias: Whether it has a bias.
        inputs: Whether it reads the inputs of the step too.
    """

    bias: bool
    inputs: bool


@final
class NetworkDescription(Options):
    """As `Network.describe` returns it.

    Attributes:
        cell: The name of the cell; of one in a file, its class.
        cell_version: The version of its equation.
        cell_options: Its options.
        input_features: I.
        output_features: O.
        return_sequences: Whether every step has an output, or the last one only.
        loss: The loss that it was trained with.
        precision: The type of its numbers.
        output: What its output layer has.
    """

    cell: Name
    cell_version: Count
    cell_options: Plain
    input_features: Count
    output_features: Count
    return_sequences: bool
    loss: Name
    precision: Literal["float32", "float64"]
    output: OutputDescription


Numbers = Annotated[list[Annotated[list[Finite], Field(max_length=_MOST)]], Field(max_length=_MOST)]


@final
class ScaleDescription(Options):
    """As `Scale.describe` returns it.

    Attributes:
        names: The columns.
        mean: A list per series, a number per column.
        deviation: The same.
    """

    names: Annotated[list[Name], Field(max_length=_MOST)]
    mean: Numbers
    deviation: Annotated[list[Annotated[list[Positive], Field(max_length=_MOST)]], Field(max_length=_MOST)]


@final
class ScalingDescription(Options):
    """As `Scaling.describe` returns it.

    Attributes:
        series: The names of the series.
        inputs: The scale of the columns that the network reads.
        outputs: The scale of what it predicts.
    """

    series: Annotated[list[Name], Field(min_length=1, max_length=_MOST)]
    inputs: ScaleDescription
    outputs: ScaleDescription

    @model_validator(mode="after")
    def _is_rectangular(self) -> "ScalingDescription":
        for scale in (self.inputs, self.outputs):
            for rows in (scale.mean, scale.deviation):
                if [len(row) for row in rows] != [len(scale.names)] * len(self.series):
                    raise ValueError("should have a number per series and column")
        return self


@final
class WeightsDescription(Options):
    """Of the file of a run's weights.

    Attributes:
        id: The run's.
        step: Updates done.
        network: The network.
        task: The full name of the task.
        scaling: The scale of the columns, where the network was trained on those of a file.
    """

    id: RunId
    step: Step
    network: NetworkDescription
    task: Name
    scaling: ScalingDescription | None = None


def load_weights(path: Path, expected: Expected | None, *, allow_nonfinite: bool, keep: bool) -> Loaded:
    """Return what `weights.load_arrays` returns; the description is of weights.

    Raises:
        VerificationError: It is not, or as from there.
        EnvironmentFault: The file cannot be read.
    """
    arrays, description = load_arrays(path, expected, allow_nonfinite=allow_nonfinite, keep=keep)
    with fitting(path, "a file of weights"):
        WeightsDescription.model_validate(description)
    return arrays, description


@final
class About(Options):
    """What the weights in a checkpoint are of.

    Attributes:
        network: The network.
        task: The full name of the task.
        scaling: The scale of the columns, where the network was trained on those of a file.
    """

    network: NetworkDescription
    task: Name
    scaling: ScalingDescription | None = None


@final
class CheckpointDescription(Options):
    """Of a checkpoint.

    Attributes:
        kind: That it is a checkpoint.
        id: The run's.
        attempt: Which process of the run wrote it, from 1.
        step: Updates done.
        metrics_bytes: Length of `metrics.jsonl` at this step; what follows was measured later.
        about: What the weights are of.
        state: What is not arrays, by the part of the training.
    """

    kind: Literal["checkpoint"]
    id: RunId
    attempt: Attempt
    step: Step
    metrics_bytes: Count
    about: About
    state: dict[Name, Plain]
