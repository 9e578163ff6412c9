"""The blocks of a config that do not depend on the chosen cell, task or optimiser; `sweep` is the last of them."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, field_serializer, field_validator, model_validator

from rnnlab.config.check import EMPTY, Member
from rnnlab.config.document import DOTTED_KEY
from rnnlab.config.streaming import MOST_STEPS, StreamingOptions
from rnnlab.config.success import SuccessOptions
from rnnlab.core.options import Options, Short
from rnnlab.optim.rules import OPTIMIZERS
from rnnlab.optim.rules.base import OptimizerOptions
from rnnlab.optim.schedules import SCHEDULES
from rnnlab.optim.schedules.base import ScheduleOptions

LARGEST_SEED = 2**32 - 1
MOST_TIMESTEPS = 10_000_000
MOST_TRIALS = 20_000

Method = Literal["grid", "random", "tpe"]
Scalar = bool | int | float | str | None


class ShapeOptions(Options):
    """The shape of a sequence. What is not given comes from the task; what is given must agree with it.

    Attributes:
        timesteps: T, a number, or [shortest, longest] to draw the length of each sequence uniformly
        lengths: per_batch: all sequences of a training batch have the same length, drawn anew for each batch; those of
            the validation set still have their own
        input_features: I, inputs per timestep; default: the task's
        output_features: O, outputs per timestep; default: the task's
        return_sequences: whether every timestep is scored, or only the last; default: the task's
    """

    timesteps: list[int] | None = None
    lengths: Literal["per_sequence", "per_batch"] = "per_sequence"
    input_features: int | None = Field(None, ge=1, le=1_000_000)
    output_features: int | None = Field(None, ge=1, le=1_000_000)
    return_sequences: bool | None = None

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

    @property
    def is_complete(self) -> bool:
        """Whether nothing has to come from the task."""
        return None not in {self.input_features, self.output_features, self.return_sequences} and bool(self.timesteps)

    @field_serializer("timesteps")
    def _as_short_as_possible(self, value: list[int] | None) -> int | list[int] | None:
        return value[0] if value and value[0] == value[1] else value


class PlateauOptions(Options):
    """Stop when the validation loss no longer improves.

    Attributes:
        evaluations: number of consecutive evaluations without improvement after which training stops
        min_improvement: decrease of the loss that counts as an improvement
    """

    evaluations: int = Field(ge=1, le=1_000_000)
    min_improvement: float = Field(0.0, ge=0, le=1e9)


class CheckpointOptions(Options):
    """How often a checkpoint is saved: whichever is first. One is saved after a second, and one when training stops."""

    every_steps: int | None = Field(None, ge=1, le=MOST_STEPS, description="steps between checkpoints; null: no limit")
    every_seconds: float | None = Field(10.0, ge=0, le=1e9, description="seconds between checkpoints; null: no limit")


class TrainingOptions(StreamingOptions):
    """How to train.

    Attributes:
        batch_size: B, sequences per step
        loss: sigmoid_mse: the squared error of the outputs' sigmoids, the mean over outputs, as papers before 2000 have
            it; a class is a target of 1 at its output and 0 at the others; sigmoid_cross_entropy: their cross-entropy
            instead, with the same targets; null: the task's own loss
        reduction: what the gradient is of, where every timestep is scored: mean: the mean loss of all scored timesteps;
            sum: the sum over those of each sequence, as papers before 2000 have it; losses are reported as means in any
            case
        gradient_regularizer: weight of a regularizer against vanishing gradients, by which the gradient keeps its norm
            from step to step (Pascanu et al. 2013); the simple cell with backend numpy only; null: none
        clip_norm: maximum of the global norm of the gradient; null: none
        clip_value: maximum of the absolute value of each gradient; null: none
        bptt_steps: truncated back-propagation through time, TBPTT(k, k): gradients flow back within windows of this
            many timesteps, counted from the end of each sequence, and all windows make one update; null: no windows
        recompute: sqrt: store only some states and recompute the others in the backward pass: memory grows with the
            square root of the timesteps, training takes a third longer, and results are bit-identical; auto: sqrt if
            storing all states would take more than 1 GiB
        evaluate_every: steps between evaluations on the validation set
        evaluate_at: further steps with an evaluation; a run that was made longer has the former last step here
        success: when training has succeeded, in place of the task's own rule: {last: 2000, wrong: 0, loss_below: 0.01}
            of the last training sequences, or {validation: {error_rate: 0.01}}; null: the task's own
        stop_when_solved: stop as soon as the success rule is met
        stop_on_plateau: stop when the validation loss no longer improves; null: never
        checkpoint: how often a checkpoint is saved
        record: gradient: with each evaluation the gradient of the last step's loss by lag, through all steps, also
            where bptt_steps cuts that of the training; null: nothing
        max_seconds: seconds after which a process saves its state and stops; it can be resumed
        optimizer: the update rule
        schedule: factor on the learning rate as a function of the step
    """

    batch_size: int = Field(32, ge=1, le=1_048_576)
    loss: Literal["sigmoid_mse", "sigmoid_cross_entropy"] | None = None
    reduction: Literal["mean", "sum"] = "mean"
    gradient_regularizer: float | None = Field(None, gt=0, le=1e9)
    clip_norm: float | None = Field(None, gt=0, le=1e9)
    clip_value: float | None = Field(None, gt=0, le=1e9)
    bptt_steps: int | None = Field(None, ge=1, le=MOST_TIMESTEPS)
    recompute: Literal["auto", "off", "sqrt"] = "auto"
    evaluate_every: int = Field(100, ge=1, le=MOST_STEPS)
    evaluate_at: list[Annotated[int, Field(ge=1, le=MOST_STEPS)]] = Field([], max_length=1000)
    success: SuccessOptions | None = None
    stop_when_solved: bool = True
    stop_on_plateau: PlateauOptions | None = None
    checkpoint: CheckpointOptions = CheckpointOptions(every_steps=None, every_seconds=10.0)
    record: Literal["gradient"] | None = None
    max_seconds: float | None = Field(None, gt=0, le=1e9)
    optimizer: Annotated[OptimizerOptions, Member(OPTIMIZERS, "adam")] = EMPTY
    schedule: Annotated[ScheduleOptions, Member(SCHEDULES, "constant")] = EMPTY


class EvaluationOptions(Options):
    """The fixed validation set.

    Attributes:
        sequences: sequences in the validation set
        streams: with training.reset never or error, streams that these sequences make up
    """

    sequences: int = Field(1000, ge=1, le=10_000_000)
    streams: int = Field(10, ge=1, le=10_000)


class LoggingOptions(Options):
    """What else is written during training; it does not change results.

    Attributes:
        tensorboard: event files for TensorBoard; needs `pip install 'rnnlab[tensorboard]'`
    """

    tensorboard: bool = False


class Range(Options):
    """Numbers from `from` to `to`, both included if a step meets it; between integers only integers."""

    from_: int | float = Field(alias="from", description="the first number")
    to: int | float = Field(description="the last number")
    count: int | None = Field(None, ge=2, le=10_000, description="number of values, evenly spaced")
    step: int | float | None = Field(None, gt=0, description="distance between values; with scale: log, their ratio")
    scale: Literal["linear", "log"] = Field(
        "linear", description="log: each value is a fixed multiple of the previous one"
    )

    @model_validator(mode="after")
    def _is_a_range(self) -> "Range":
        if self.from_ >= self.to:
            raise ValueError("expected `from` to be less than `to`")
        if self.count is not None and self.step is not None:
            raise ValueError("expected `count` or `step`, not both")
        if self.scale == "log" and self.from_ <= 0:
            raise ValueError("expected `from` to be more than 0 with scale: log")
        if self.scale == "log" and self.step is not None and self.step <= 1:
            raise ValueError("expected `step`, a ratio with scale: log, to be more than 1")
        return self


class MetricOptions(Options):
    """The metric by which trials are ordered, those that solved their task before the others."""

    name: str = Field(
        "loss",
        pattern=r"^[a-z_]+(\.[a-z_]+)*$",
        max_length=200,
        description="dotted name in a run's summary: loss, metrics.error_rate, best.metrics.loss, solved_at.sequences",
    )
    goal: Literal["minimize", "maximize"] = Field("minimize", description="whether lower or higher is better")


def _check_key(key: str) -> str:
    if not DOTTED_KEY.fullmatch(key):
        raise ValueError("expected a dotted key of a config: cell.units, training.optimizer, seed")
    return key


def _axis_kind(axis: object) -> str | None:
    return "range" if isinstance(axis, dict | Range) else "list" if isinstance(axis, list) else None


Axis = Annotated[
    Annotated[Range, Tag("range")] | Annotated[list[Any], Tag("list")],
    Discriminator(
        _axis_kind,
        custom_error_type="axis_type",
        custom_error_message="a list of values, or a range with `from` and `to`",
    ),
]


class SweepOptions(Options):
    """The trials of a sweep.

    Attributes:
        axes: dotted key -> values to try: a list, or a range
        zip: groups of axes that vary together: the first value of each, the second value of each, …
        when: axis -> {other axis: value, or list of values}: set only where the other axis has that value
        seeds: seeds of each combination: 10 for 0 to 9, or a list; default: the config's seed
        method: grid: every combination; random: combinations drawn from the axes; tpe: combinations proposed by Optuna
            from the results so far
        trials: number of combinations with method: random or tpe; each is trained with all seeds
        pruner: with method: tpe, Optuna's pruner, which stops trials that are unlikely to be among the best
        metric: metric by which trials are ordered
        population: number of trials that a process trains side by side, where they differ only in numbers such as the
            seed or the learning rate; results do not change; auto: as many as the backend gains from; with method: tpe,
            always 1
    """

    axes: dict[Annotated[str, AfterValidator(_check_key)], Axis] = Field(default_factory=dict, max_length=50)
    zip: list[list[str]] = Field(default_factory=list)
    when: dict[str, dict[str, Scalar | list[Scalar]]] = Field(default_factory=dict)
    seeds: int | list[Annotated[int, Field(ge=0, le=LARGEST_SEED)]] | None = None
    method: Method = "grid"
    trials: int | None = Field(None, ge=1, le=MOST_TRIALS)
    pruner: Literal["median", "hyperband"] | None = None
    metric: Annotated[MetricOptions, Short("name")] = Field(default_factory=MetricOptions)
    population: Literal["auto", "off"] | Annotated[int, Field(ge=1, le=64)] = "auto"

    @property
    def seed_list(self) -> list[int] | None:
        """The seeds of each combination; None for the config's own."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: int | list[int] | None) -> int | list[int] | None:
        count = seeds if isinstance(seeds, int) else len(seeds or [0])
        if not 1 <= count <= MOST_TRIALS:
            raise ValueError(f"expected 1 to {MOST_TRIALS:,} seeds")
        if isinstance(seeds, list) and len(set(seeds)) < len(seeds):
            raise ValueError("expected distinct seeds")
        return seeds
