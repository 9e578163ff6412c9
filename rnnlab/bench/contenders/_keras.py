"""What Keras's contenders share: a product of matrices on the engine that runs."""

from collections.abc import Callable

from rnnlab.bench.contenders.base import Array


def product(matrix: Array) -> Callable[[], object]:
    """Return a function that multiplies the matrix with itself on Keras's engine, and waits for it."""
    import keras

    tensor = keras.ops.convert_to_tensor(matrix)

    def multiply() -> object:
        result = keras.ops.matmul(tensor, tensor)
        wait = getattr(result, "block_until_ready", None)  # JAX goes on before it is done; the others do not
        return wait() if wait else result

    return multiply
