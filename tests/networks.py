"""Small networks and batches that the numerical tests share."""

from typing import Any, Literal

import numpy as np

from rnnlab.backends.base import Network, Training
from rnnlab.cells import CELLS
from rnnlab.core.batch import Batch, last_step_mask, within_lengths
from rnnlab.core.losses import LOSSES
from rnnlab.core.streams import stream
from rnnlab.optim.rules import OPTIMIZERS
from rnnlab.optim.schedules import SCHEDULES

LEARNING_RATE = 0.01
# Options that change a cell's equation, besides the defaults and the activations; 4 units fit all.
VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("gru", {"reset_after": False}),
    ("indrnn", {"recurrent_min": 0.3, "recurrent_max": 0.6, "activation": "tanh"}),
    ("lstm_1997", {"cells_per_block": 2}),
    ("lstm_1997", {"cells_per_block": 2, "truncate": True, "hidden_bias": "gates"}),
    ("lstm_1997", {"gate_feedback": False, "hidden_bias": "none", "state_activation": "linear"}),
    ("lstm_1997", {"cells_per_block": 4, "output_gate": False}),
    ("lstm_1997", {"cell_feedback": False, "gate_feedback": False, "output_gate": False, "hidden_bias": "none"}),
    ("lstm_peephole", {"peephole_gradient": False, "activation": "linear"}),
    ("mingru", {"positive": False, "activation": "tanh"}),
    ("slstm", {"forget_activation": "exp"}),
)


def network(
    cell: str = "simple", *, sequences: bool = False, loss: str = "mse", precision: str = "float64", **options: Any
) -> Network:
    """Return a network of 3 inputs, 2 outputs; options are the cell's (units 5 unless given)."""
    kind = CELLS.get(cell)
    return Network(
        cell=kind(kind.Options(**{"units": 5, **options})),
        input_features=3,
        output_features=2,
        return_sequences=sequences,
        loss=loss,
        precision=precision,
    )


def parameters(network: Network, seed: int = 1) -> dict[str, Any]:
    """Return parameters with no zero among them, so that no gradient hides."""
    rng = stream(seed, "test/parameters")
    return {
        name: rng.normal(0, 0.4, parameter.shape).astype(network.dtype)
        for name, parameter in network.parameters().items()
    }


def training(
    rule: str = "sgd",
    bptt_steps: int | None = None,
    longest: int | None = None,
    clip_norm: float | None = None,
    recompute: Literal["auto", "off", "sqrt"] = "auto",
    sums_steps: bool = False,
    gradient_regularizer: float | None = None,
    **options: Any,
) -> Training:
    """Return a training recipe with a constant schedule, and without clipping unless asked for."""
    optimizer, schedule = OPTIMIZERS.get(rule), SCHEDULES.get("constant")
    return Training(
        optimizer=optimizer(optimizer.Options(**options)),
        learning_rate=LEARNING_RATE,
        schedule=schedule(schedule.Options(), total_steps=1),
        clip_norm=clip_norm,
        bptt_steps=bptt_steps,
        longest=longest,
        recompute=recompute,
        sums_steps=sums_steps,
        gradient_regularizer=gradient_regularizer,
    )


def batch(
    network: Network,
    *,
    batch_size: int = 4,
    timesteps: int = 7,
    ragged: bool = False,
    holes: bool = False,
    seed: int = 2,
) -> Batch:
    """Return random inputs and targets; `ragged` draws lengths, `holes` leaves steps unscored."""
    rng = stream(seed, "test/batch")
    lengths = rng.integers(2, timesteps + 1, batch_size) if ragged else np.full(batch_size, timesteps)
    mask = within_lengths(lengths, timesteps) if network.return_sequences else last_step_mask(lengths, timesteps)
    if holes:
        mask &= rng.random(mask.shape) < 0.6
        mask[0, 0] = True
    shape = (batch_size, timesteps) if network.return_sequences else (batch_size,)
    if LOSSES[network.loss].integer_targets:
        targets = rng.integers(0, network.output_features, shape)
    else:
        targets = (rng.random((*shape, network.output_features)) < 0.5).astype(float)
    inputs = rng.normal(size=(batch_size, timesteps, network.input_features))
    inputs *= within_lengths(lengths, timesteps)[:, :, None]
    return Batch(inputs, targets, mask, lengths)
