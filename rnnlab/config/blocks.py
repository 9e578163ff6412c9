"""The blocks of a config that do not depend on the chosen cell, task or optimiser."""

from typing import Any, Literal

from pydantic import Field, field_validator

from rnnlab.backends.keras.engines import DEFAULT_ENGINE
from rnnlab.core.options import Options

LARGEST_SEED = 2**32 - 1
MOST_TIMESTEPS = 10_000_000
MOST_STEPS = 1_000_000_000
# What a block is where it does not say its `type`.
DEFAULT_TYPES = {"cell": "simple", "optimizer": "adam", "schedule": "constant"}


class ShapeOptions(Options):
    """The shape of a sequence; what is left out comes from the task, what is given must agree with it."""

    timesteps: list[int] | None = Field(
        None, description="steps of a sequence: a number, or [shortest, longest] to draw each length uniformly"
    )
    input_features: int | None = Field(
        None, ge=1, le=1_000_000, description="I, numbers a step; the task's own when left out"
    )
    output_features: int | None = Field(
        None, ge=1, le=1_000_000, description="O, raw outputs a step; the task's own when left out"
    )
    return_sequences: bool | None = Field(None, description="score every step, or the last; the task's own")

    @field_validator("timesteps", mode="plain", json_schema_input_type=int | list[int] | None)
    @classmethod
    def _one_or_two(cls, value: Any) -> list[int] | None:
        if value is None:
            return None
        pair = [value, value] if isinstance(value, int) else value
        is_pair = isinstance(pair, list) and len(pair) == 2
        if not is_pair or any(isinstance(end, bool) or not isinstance(end, int) for end in pair):
            raise ValueError("expected a number of steps, or a list of two: [shortest, longest]")
        if not 1 <= pair[0] <= pair[1] <= MOST_TIMESTEPS:
            raise ValueError(f"expected 1 <= shortest <= longest <= {MOST_TIMESTEPS:,}")
        return pair


class PlateauOptions(Options):
    """Stop when the validation loss no longer improves."""

    evaluations: int = Field(ge=1, le=1_000_000, description="how many evaluations in a row may bring no improvement")
    min_improvement: float = Field(
        0.0, ge=0, le=1e9, description="how much lower than the best counts as an improvement"
    )


class CheckpointOptions(Options):
    """How often all that a training has to remember goes to the disk; whichever comes first. Also when it stops."""

    every_steps: int | None = Field(None, ge=1, le=MOST_STEPS, description="steps between checkpoints; null: any")
    every_seconds: float | None = Field(
        10.0, ge=0, le=1e9, description="seconds between checkpoints, at the next step's end; null: any"
    )


class TrainingOptions(Options):
    """How long and with what to train; `optimizer` and `schedule` are blocks of their own."""

    steps: int = Field(1000, ge=1, le=MOST_STEPS, description="updates at most: the budget")
    batch_size: int = Field(32, ge=1, le=1_048_576, description="B, sequences a step")
    clip_norm: float | None = Field(
        None, gt=0, le=1e9, description="bound on the global norm of the gradient; null: none"
    )
    clip_value: float | None = Field(
        None, gt=0, le=1e9, description="bound on each gradient's absolute value; null: none"
    )
    bptt_steps: int | None = Field(
        None,
        ge=1,
        le=MOST_TIMESTEPS,
        description="cut gradients at every multiple of this many steps; null: reach to the first step",
    )
    recompute: Literal["auto", "off", "sqrt"] = Field(
        "auto",
        description="sqrt: keep states only now and then and compute the rest again on the way back: memory grows with "
        "the root of the steps, for a third more time and the same numbers; auto: where it would take over 1 GiB",
    )
    evaluate_every: int = Field(100, ge=1, le=MOST_STEPS, description="steps between evaluations on the validation set")
    stop_when_solved: bool = Field(True, description="stop as soon as the task's own success rule is met")
    stop_on_plateau: PlateauOptions | None = Field(
        None, description="stop when the validation loss stalls; null: never"
    )
    checkpoint: CheckpointOptions = Field(
        CheckpointOptions(every_steps=None, every_seconds=10.0), description="how much a kill can cost at most"
    )
    record: Literal["gradient"] | None = Field(
        None,
        description="gradient: with each evaluation the gradient of the last step's loss by lag; null: nothing",
    )
    max_seconds: float | None = Field(
        None, gt=0, le=1e9, description="seconds a process may train, saving included, before it stops to be resumed"
    )


class EvaluationOptions(Options):
    """The fixed validation set."""

    sequences: int = Field(1000, ge=1, le=10_000_000, description="sequences in the validation set")


class LoggingOptions(Options):
    """What else is written while a training goes on; it changes no number."""

    tensorboard: bool = Field(
        False, description="event files for TensorBoard; needs `pip install 'rnnlab[tensorboard]'`"
    )


class TopOptions(Options):
    """What stands at the top of a config beside the blocks."""

    name: str = Field("run", description="what the run is called; left out, the file's own name")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="from it all random streams of the run are drawn")
    precision: Literal["float32", "float64"] = Field("float32", description="of parameters and states")
    backend: str = Field("numpy", description="what computes: numpy or keras")
    engine: str = Field(
        DEFAULT_ENGINE, description="what Keras runs on: tensorflow, jax or torch; with backend numpy it has no part"
    )
