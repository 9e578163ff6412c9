"""Three independent flip-flops, each storing the sign of its last pulse: eight cases, a stable state for each."""

from functools import partial

import numpy as np
from pydantic import Field

from rnnlab.core.batch import Array, Batch, Lengths, draw_lengths, within_lengths
from rnnlab.tasks.base import AbstractTask, Published, Reference, TaskOptions, Threshold, too_short


class FlipFlopOptions(TaskOptions):
    """The number of flip-flops, and how often they are set."""

    bits: int = Field(3, ge=1, le=256, description="independent flip-flops: inputs and outputs")
    pulse_probability: float = Field(
        0.5, gt=0.0, lt=1.0, description="probability of a pulse at each step of each input"
    )


class FlipFlop(AbstractTask):
    """Three-bit flip-flop memory.

    Three inputs; each is a pulse of -1 or +1 with probability 0.5 per step, else 0, with a pulse at the first step.
    Target of each: the sign of its last pulse, scored at all 64 steps. A constant 0 has loss 1.

    Every step and bit is scored, (B, T, bits). With p the probability of a pulse, a predictor that sees only the last k
    + 1 steps, and answers 0 if there was no pulse in them, is off by 1 exactly then:

        E[loss] = (1 - p)^(k+1) · E[max(L - k - 1, 0)] / E[L]        L the length

    which for k = 0, the input copied, is 0.4922 at L = 64.

    Source: Sussillo, Barak 2013, "Opening the black box", the three-bit memory; generator and stopping loss of the
        example of fixed-point-finder (Golub, Sussillo 2018).
    Differs: The paper gives no loss to reach; 1e-4 is where that example stops training.

    Example:
        >>> task = FlipFlop(FlipFlopOptions(bits=1))
        >>> inputs = np.array([[[1.0], [0.0], [-1.0], [0.0]]])
        >>> batch = Batch(inputs, np.array([[[1.0], [1.0], [-1.0], [-1.0]]]), np.ones((1, 4), bool), np.array([4]))
        >>> task.oracle(batch)[0, :, 0].tolist()
        [1.0, 1.0, -1.0, -1.0]
        >>> task.baseline((4, 4))  # 0.5 at each of three steps, of four
        0.375
    """

    name = "flip_flop@sussillo2013"
    Options = FlipFlopOptions
    loss = "mse"
    return_sequences = True
    default_timesteps = (64, 64)
    maximised = frozenset({"bit_accuracy"})
    solved = Threshold({"loss": 1e-4})
    published = (
        Published("a 16-unit LSTM: 8 stable fixed points, one per case, and saddles between", "fixed-point-finder"),
        Published("set-up of the example: GRU of 32 units, batch 512, until the loss is 1e-4", "fixed-point-finder"),
    )

    def __init__(self, options: FlipFlopOptions) -> None:
        super().__init__(options)
        self.bits, self.pulse_probability = options.bits, options.pulse_probability
        self.input_features = self.output_features = self.bits
        self.input_names = self.output_names = [f"bit {n + 1}" for n in range(self.bits)]

    def timesteps_fault(self, timesteps: Lengths) -> str | None:
        return too_short(timesteps, 2, "at the first one there is nothing to remember")

    def sample(self, rng: np.random.Generator, *, batch_size: int, timesteps: Lengths) -> Batch:
        lengths = draw_lengths(rng, batch_size, timesteps)
        mask = within_lengths(lengths, timesteps[1])
        shape = (batch_size, timesteps[1], self.bits)
        pulse = rng.random(shape) < self.pulse_probability
        pulse[:, 0] = True
        inputs = np.where(pulse, 2.0 * rng.integers(0, 2, size=shape) - 1.0, 0.0)
        inputs *= mask[:, :, None]
        return Batch(inputs, _last_sign(inputs) * mask[:, :, None], mask, lengths)

    def references(self, timesteps: Lengths) -> tuple[Reference, ...]:
        names = {0: "memoryless: copies the input", 1: "remembers one step", 3: "remembers three steps"}
        references = (
            Reference(name, self._loss(k, timesteps), partial(_remembered, steps=k), needs_memory=k > 0)
            for k, name in names.items()
        )
        return tuple(reference for reference in references if reference.loss > 0)

    def correct(self, outputs: Array, batch: Batch) -> Array:
        right = (outputs * batch.targets > 0).all(axis=-1)
        return np.asarray((right | ~batch.mask).all(axis=1))

    def metrics(self, outputs: Array, batch: Batch) -> dict[str, float]:
        right = (outputs * batch.targets > 0)[batch.mask]
        return super().metrics(outputs, batch) | {"bit_accuracy": float(right.mean())}

    def oracle(self, batch: Batch) -> Array:
        return _last_sign(batch.inputs)

    def _loss(self, k: int, timesteps: Lengths) -> float:
        lengths = np.arange(timesteps[0], timesteps[1] + 1)
        share = np.maximum(lengths - k - 1, 0).mean() / lengths.mean()
        return float((1 - self.pulse_probability) ** (k + 1) * share)


def _last_sign(inputs: Array) -> Array:
    return np.asarray(np.take_along_axis(inputs, _last_pulse(inputs), axis=1))


def _remembered(batch: Batch, *, steps: int) -> Array:
    step = np.arange(batch.inputs.shape[1])[:, None]
    return np.asarray(_last_sign(batch.inputs) * (step - _last_pulse(batch.inputs) <= steps))


def _last_pulse(inputs: Array) -> Array:
    """Return (B, T, bits): at each step, the step of the last pulse."""
    step = np.arange(inputs.shape[1])[:, None]
    return np.asarray(np.maximum.accumulate(np.where(inputs != 0, step, 0), axis=1))


TASKS = (FlipFlop,)
