"""How much memory going through time takes, and when it is too much to keep."""

from functools import cache

from rnnlab.backends.base import Network
from rnnlab.backends.numpy.chunks import rows_in_cache

# Beyond this the states are kept only now and then. A fixed number, for a rule must not depend on the machine; it is
# far above what a cache holds, so that nobody pays for it who need not.
_TOO_MUCH = 2**30  # bytes


def tape_bytes(network: Network, *, batch_size: int, timesteps: int, recompute: bool = False) -> int:
    """Return about how many bytes are kept for going back: D·B·T·(I + L·(S + G - 1)·H), or √ of it in T.

    D bytes a number, B sequences, T steps, L layers, S states and G gates of the cell.
    """
    cell, layers = network.cell, network.cell.options.layers
    described = network.layer_parameters(0).values()
    width = sum(parameter.size for parameter in described if parameter.role == "bias")
    units = cell.options.units
    numbers = network.input_features + layers * ((len(cell.states) - 1) * units + width) + (layers - 1) * units
    if recompute:
        chunk = chunk_steps(network, batch_size)
        timesteps = min(timesteps, 2 * chunk * (1 + int((timesteps / chunk) ** 0.5)))
    return batch_size * timesteps * numbers * network.dtype.itemsize


def chunk_steps(network: Network, batch_size: int) -> int:
    """Return how many steps are computed at a time, at most."""
    return max(1, rows_in_cache(network.cell.options.units) // batch_size)


@cache  # asked for at every step
def should_recompute(network: Network, *, batch_size: int, timesteps: int) -> bool:
    """Say whether `recompute: auto` does; `timesteps` are those between two cuts of the gradient."""
    return tape_bytes(network, batch_size=batch_size, timesteps=timesteps) > _TOO_MUCH
