"""What Keras runs on, one file per engine; Keras is imported when it is first needed, without its start-up messages."""

import contextlib
import functools
import importlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

from rnnlab.backends.keras.engines.base import AbstractEngine
from rnnlab.core.errors import EnvironmentFault
from rnnlab.core.packages import is_installed, missing_package
from rnnlab.core.registry import Registry
from rnnlab.core.threads import MORE_PROCESSES, allotted_cpus, startable_threads

ENGINES = Registry("rnnlab.backends.keras.engines", "ENGINE", "engine")
DEFAULT_ENGINE = "tensorflow"
# More than any engine starts; one that cannot start a thread aborts the process. Measured: 18 and 24 on one and two
# processors (TensorFlow), 16 and 22 (JAX), 2 and 5 (PyTorch).
_THREADS, _THREADS_PER_CPU = 16, 8


def start(engine: str = DEFAULT_ENGINE) -> AbstractEngine:
    """Import Keras on an engine, once per process, and set the engine up.

    What the engine's native code writes to stderr as it loads is dropped, unless `RNNLAB_VERBOSE` is set.

    Raises:
        UsageError: There is no such engine.
        EnvironmentFault: It is not installed, cannot be imported, or this process runs Keras on another engine.
    """
    if engine not in ENGINES.names():
        ENGINES.get(engine)  # raises, and names the nearest
    if "keras" not in sys.modules:
        require_engine(engine)
        _require_threads(engine)
        verbose = bool(os.environ.get("RNNLAB_VERBOSE"))
        os.environ["KERAS_BACKEND"] = engine
        if not verbose:
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what matters comes as an exception
        try:
            with contextlib.nullcontext() if verbose else _quiet_native_code(), _without_jax(engine):
                importlib.import_module("keras")
        except MemoryError:
            raise
        except Exception as error:  # incompatible libraries raise anything
            what = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
            hint = f"repair or reinstall it: pip install 'rnnlab[{engine}]'"
            raise EnvironmentFault(f"Keras on {engine} cannot be imported: {what}", hint=hint) from error
        if not verbose:
            logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns about every second model of a process
    running = running_engine()
    if running != engine:
        raise EnvironmentFault(
            f"this process runs Keras on {running}, expected {engine}",
            hint="a process has one engine: start another process",
        )
    return _set_up(engine)


@functools.cache
def _set_up(engine: str) -> AbstractEngine:
    """Set an engine up, once per process: its threads cannot be changed after its first computation."""
    built: AbstractEngine = ENGINES.get(engine)(allotted_cpus())
    return built


def running_engine() -> str | None:
    """Return the engine that this process runs Keras on; None where Keras is not imported yet."""
    keras: Any = sys.modules.get("keras")
    return keras.backend.backend() if keras else None


def usual_engine() -> str:
    """Return the engine for what runs on any: that of this process, else TensorFlow, else what is installed."""
    return running_engine() or next(filter(is_installed, (DEFAULT_ENGINE, *ENGINES.names())), DEFAULT_ENGINE)


def require_engine(engine: str) -> None:
    """Pass if Keras and this engine are installed.

    Raises:
        EnvironmentFault: One is not.
    """
    missing = [name for name in ("keras", engine) if not is_installed(name)]
    if missing:
        other = usual_engine()
        instead = f"set engine: {other}" if missing == [engine] and is_installed(other) else ""
        problem = f"{missing[0]} is not installed, and engine {engine} needs it"
        raise missing_package(problem, extra=engine, instead=instead)  # each engine is an extra


def _require_threads(engine: str) -> None:
    needed = _THREADS + _THREADS_PER_CPU * len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    if (startable := startable_threads(needed)) < needed:
        problem = f"{engine} needs up to {needed:,} threads, and the system allows {startable:,} more"
        raise EnvironmentFault(problem, hint=f"{MORE_PROCESSES}, or set backend: numpy")


@contextlib.contextmanager
def _without_jax(engine: str) -> Iterator[None]:
    """Keep TensorFlow from loading JAX, a tenth of its own start, for a converter of JAX functions to phones."""
    hidden = engine == DEFAULT_ENGINE and "jax" not in sys.modules
    if hidden:
        sys.modules["jax"] = None  # type: ignore[assignment]  # so that importing it fails
    try:
        yield
    finally:
        if hidden:
            del sys.modules["jax"]


@contextlib.contextmanager
def _quiet_native_code() -> Iterator[None]:
    """Drop what native libraries write to file descriptor 2 while they load; Python's own errors are still raised."""
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
