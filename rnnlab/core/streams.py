"""Named random streams: batch `n` of a stream is a pure function of (seed, stream, n).

A counter-based generator (Philox) has no state to save: resuming at batch 1,000 means drawing batch 1,000, and neither
the number of workers nor the order of the draws changes a value.
"""

import hashlib

import numpy as np


def stream(seed: int, name: str, n: int = 0) -> np.random.Generator:
    """Return the generator of draw `n` of the stream `name`.

    Args:
        seed: The run's seed, 0 or greater.
        name: The stream, e.g. `init/layers.0.W`, `data/train`, `data/test`; independent of all others.
        n: The number of the draw (of a batch), 0 or greater. Each has 2**192 blocks of 256 bits.

    Source: Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox-4x64-10).

    Example:
        >>> int(stream(7, "data/train", 3).integers(1000)) == int(stream(7, "data/train", 3).integers(1000))
        True
        >>> int(stream(7, "data/train", 3).integers(10**9)) == int(stream(7, "data/validation", 3).integers(10**9))
        False
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    key = np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)
    # The draw number is the top word of the counter, which the generator itself never reaches.
    return np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, 0, n], dtype=np.uint64)))
