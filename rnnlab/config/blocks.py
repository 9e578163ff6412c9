"""The blocks of a config that do not depend on the chosen cell, task or optimiser."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_serializer, field_validator

from rnnlab.config.check import EMPTY, Member
from rnnlab.core.options import Options
from rnnlab.optim.rules import OPTIMIZERS
from rnnlab.optim.rules.base import OptimizerOptions
from rnnlab.optim.schedules import SCHEDULES
from rnnlab.optim.schedules.base import ScheduleOptions

LARGEST_SEED = 2**32 - 1
MOST_TIMESTEPS = 10_000_000
MOST_STEPS = 1_000_000_000


class ShapeOptions(Options):
    """The shape of a sequence. What is not given comes from the task; what is given must agree with it."""

    timesteps: list[int] | None = Field(
        None, description="T, a number, or [shortest, longest] to draw the length of each sequence uniformly"
    )
    input_features: int | None = Field(
        None, ge=1, le=1_000_000, description="I, inputs per timestep; default: the task's"
    )
    output_features: int | None = Field(
        None, ge=1, le=1_000_000, description="O, outputs per timestep; default: the task's"
    )
    return_sequences: bool | None = Field(
        None, description="whether every timestep is scored, or only the last; default: the task's"
    )

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

    @field_serializer("timesteps")
    def _as_short_as_possible(self, value: list[int] | None) -> int | list[int] | None:
        return value[0] if value and value[0] == value[1] else value


class PlateauOptions(Options):
    """Stop when the validation loss no longer improves."""

    evaluations: int = Field(
        ge=1,
        le=1_000_000,
        description="number of consecutive evaluations without improvement after which training stops",
    )
    min_improvement: float = Field(0.0, ge=0, le=1e9, description="decrease of the loss that counts as an improvement")


class CheckpointOptions(Options):
    """How often a checkpoint is saved: whichever comes first. One is always saved when training stops."""

    every_steps: int | None = Field(None, ge=1, le=MOST_STEPS, description="steps between checkpoints; null: no limit")
    every_seconds: float | None = Field(10.0, ge=0, le=1e9, description="seconds between checkpoints; null: no limit")


class TrainingOptions(Options):
    """How to train."""

    steps: int = Field(1000, ge=1, le=MOST_STEPS, description="maximum number of updates")
    batch_size: int = Field(32, ge=1, le=1_048_576, description="B, sequences per step")
    clip_norm: float | None = Field(
        None, gt=0, le=1e9, description="maximum of the global norm of the gradient; null: none"
    )
    clip_value: float | None = Field(
        None, gt=0, le=1e9, description="maximum of the absolute value of each gradient; null: none"
    )
    bptt_steps: int | None = Field(
        None,
        ge=1,
        le=MOST_TIMESTEPS,
        description="truncate gradients at every multiple of this many timesteps; null: never",
    )
    recompute: Literal["auto", "off", "sqrt"] = Field(
        "auto",
        description="sqrt: store only some states and recompute the others in the backward pass: memory grows with the "
        "square root of the timesteps, training takes a third longer, and results are bit-identical; "
        "auto: sqrt if storing all states would take more than 1 GiB",
    )
    evaluate_every: int = Field(100, ge=1, le=MOST_STEPS, description="steps between evaluations on the validation set")
    stop_when_solved: bool = Field(True, description="stop as soon as the success rule of the task is met")
    stop_on_plateau: PlateauOptions | None = Field(
        None, description="stop when the validation loss no longer improves; null: never"
    )
    checkpoint: CheckpointOptions = Field(
        CheckpointOptions(every_steps=None, every_seconds=10.0), description="how often a checkpoint is saved"
    )
    record: Literal["gradient"] | None = Field(
        None,
        description="gradient: with each evaluation the gradient of the last step's loss by lag; null: nothing",
    )
    max_seconds: float | None = Field(
        None, gt=0, le=1e9, description="seconds after which a process saves its state and stops; it can be resumed"
    )
    optimizer: Annotated[OptimizerOptions, Member(OPTIMIZERS, "adam")] = Field(EMPTY, description="the update rule")
    schedule: Annotated[ScheduleOptions, Member(SCHEDULES, "constant")] = Field(
        EMPTY, description="factor on the learning rate as a function of the step"
    )


class EvaluationOptions(Options):
    """The fixed validation set."""

    sequences: int = Field(1000, ge=1, le=10_000_000, description="sequences in the validation set")


class LoggingOptions(Options):
    """What else is written during training; it does not change results."""

    tensorboard: bool = Field(
        False, description="event files for TensorBoard; needs `pip install 'rnnlab[tensorboard]'`"
    )
