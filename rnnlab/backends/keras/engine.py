"""Starting Keras on TensorFlow: when first needed, and without its start-up noise."""

import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Iterator
from types import ModuleType

from rnnlab.core.errors import EnvironmentFault

ENGINE = "tensorflow"


def start() -> ModuleType:
    """Import Keras on TensorFlow and return it; a second call returns the same.

    Raises:
        EnvironmentFault: TensorFlow cannot be imported, or this process runs Keras on another engine already.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = ENGINE
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what matters comes as an exception
        try:
            with _quiet_native_code():
                importlib.import_module("keras")
        except ImportError as error:
            raise EnvironmentFault(f"Keras cannot be imported: {error}", hint="pip install tensorflow") from error
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of every second model of a process
    keras = importlib.import_module("keras")
    running = keras.backend.backend()
    if running != ENGINE:
        raise EnvironmentFault(f"this process runs Keras on {running}, expected {ENGINE}", hint="unset KERAS_BACKEND")
    return keras


@contextlib.contextmanager
def _quiet_native_code() -> Iterator[None]:
    """Keep silent what native libraries write to file descriptor 2 while they load; Python's own errors still come."""
    if sys.stderr is not None:
        sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
