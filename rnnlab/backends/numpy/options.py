"""What a config may say of the NumPy backend."""

from pydantic import Field

from rnnlab.core.options import Options


class NumpyOptions(Options):
    """How NumPy computes; with `backend: keras` it has no part."""

    shards: int | None = Field(
        None,
        ge=1,
        le=64,
        description="parts into which a batch is split, each for one processor; they decide the order of sums, and so "
        "the last bits; null: by a rule of batch and units; 1 is fastest where there is one processor",
    )
    compiled: bool = Field(
        False,
        description="make machine code of the steps (pip install 'rnnlab[compiled]'): small networks are up to three "
        "times as fast, the numbers the same but for the last bits",
    )
