"""The contract of every cell: its gradient is the slope of its step, and all engines compute the same numbers."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, NoReturn

import numpy as np

from rnnlab.backends.keras.engines import ENGINES, usual_engine
from rnnlab.backends.numpy.reference import step_gradients
from rnnlab.cells import CELLS
from rnnlab.cells.base import AbstractCell, Step
from rnnlab.config.load import check_document
from rnnlab.config.reading import document_of_data
from rnnlab.core.batch import Array
from rnnlab.core.code_files import located
from rnnlab.core.errors import UsageError, VerificationError
from rnnlab.core.namespace import NUMPY
from rnnlab.core.streams import stream
from rnnlab.equations.contract import described_parameters, run_step
from rnnlab.equations.evaluate import pull_back
from rnnlab.equations.graph import ordered
from rnnlab.equations.plan import Plan, plan_of
from rnnlab.inspection.verify import verify

_FEATURES, _ROWS = 3, 4
_COMPILED = "compiled"  # the backend numpy with `compiled: true`
# Last step alone and sequences of several lengths, each step scored and two layers, windows of three steps.
_CONFIGS: Mapping[str, dict[str, Any]] = {
    "sequences of 4 to 9 steps": {"task": "adding", "shape": {"timesteps": [4, 9]}},
    "every step scored": {"task": "flip_flop", "shape": {"timesteps": 7}, "cell": {"layers": 2}},
    "bptt_steps: 3": {"task": "adding", "shape": {"timesteps": [4, 9]}, "training": {"bptt_steps": 3}},
}


def check_cell(
    cell: str | type[AbstractCell],
    options: Mapping[str, Any] | None = None,
    *,
    engines: Sequence[str] | None = None,
) -> None:
    """Pass if a cell keeps the contract of all cells, on every engine that is installed.

    One step returns what it must in float32 and float64, finite and the same when it is called again, uses each
    parameter, writes to no argument, and treats each sequence by itself. On each engine the gradient agrees with
    central differences of the step, or of one truncated, and outputs, loss, gradient and trained weights agree with
    those of NumPy: of sequences of several lengths, in several layers.

    Args:
        cell: A path, `./my_cell.py:MyCell`, relative to the current folder; the name of a cell, or its class there.
        options: Its options, where those are not the defaults; units are 5 unless given.
        engines: Of numpy, compiled, tensorflow, jax and torch; left out, all that are installed, and of those of Keras,
            which takes one per process, that in use or the first.

    Raises:
        VerificationError: What is not as it must be, with the numbers.
        UsageError: It cannot even be computed; with file and line.
    """
    name = located(cell) if isinstance(cell, str) else cell.name
    chosen = {"units": 5, **(options or {})}
    kind: type[AbstractCell] = CELLS.get(name)
    check_step(kind(kind.Options.model_validate(chosen)))
    engines = list(_installed() if engines is None else engines)
    keras = [engine for engine in engines if engine in ENGINES.names()]
    if unknown := set(engines) - {"numpy", _COMPILED, *keras}:
        raise UsageError(f"unknown engine {min(unknown)!r}", hint="of numpy, compiled, tensorflow, jax, torch")
    runs: list[tuple[bool, str]] = [(compiled, "") for compiled in (False, True) if _named(compiled) in engines]
    for compiled, engine in [*runs, *((False, engine) for engine in keras)]:
        for what, config in _CONFIGS.items():
            precision = "float32" if engine in {"jax", "torch"} else "float64"
            own = {"type": name, **chosen, **config.get("cell", {})}
            training = {"batch_size": 4, **config.get("training", {})}
            more = {
                "numpy": {"compiled": compiled},
                "precision": precision,
                "backend": "keras" if engine else "numpy",
                "engine": engine or "tensorflow",
            }
            data = {**config, **more, "cell": own, "training": training}
            experiment = check_document(document_of_data(data), default_name="check")
            for check in verify(experiment, steps=3, backends=["keras"] if engine else []):
                if not check.passed:
                    problem = f"{engine or _named(compiled)}, {what}: {check.what} differs from {check.against}"
                    _fail(kind, f"{problem} by {check.difference:.1e}, expected at most {check.tolerance:.0e}")


def check_step(cell: AbstractCell) -> None:
    """One step: shapes, types, rows that do not see each other, and arguments that stay as they are."""
    with np.errstate(all="ignore"):  # a value that is not finite is an error of its own
        _check_step(cell)


def _check_step(cell: AbstractCell) -> None:
    plan = plan_of(cell, _FEATURES)
    if unused := [name for name in (*plan.matrices, *plan.vectors) if name not in _used(plan)]:
        _fail(type(cell), f"`step` never uses the parameter {unused[0]!r}")
    for dtype in ("f4", "f8"):
        arrays = _arrays(cell, dtype)
        for array in arrays.values():
            array.flags.writeable = False
        parameters = {name: arrays[name] for name in described_parameters(cell, _FEATURES)}
        inputs, state = arrays["/inputs"], {name: arrays[f"/{name}"] for name in cell.states}
        try:
            step = run_step(cell, NUMPY, parameters, inputs, state)
            again = run_step(cell, NUMPY, parameters, inputs, state)
            _check_values(cell, step, again, 1e-14 if dtype == "f8" else 1e-6)
            flowing: dict[str, Any] = {
                "output_gradient": np.ones_like(step.output),
                "state_gradient": {name: np.ones_like(array) for name, array in step.state.items()},
            }
            given: dict[str, Any] = {"inputs": inputs, "state": state}
            by_hand = step_gradients(cell, parameters, **given, step=step, **flowing)
            derived = pull_back(plan, NUMPY, parameters, **given, **flowing)
        except ValueError as error:
            if "read-only" not in str(error):
                raise
            raise VerificationError("`step` writes to one of its arguments", where=type(cell).__name__) from error
        results = {"output": (step.output, cell.options.units)}
        results |= {name: (step.state[name], size) for name, size in cell.state_sizes().items()}
        for name, (array, size) in results.items():
            if (array.shape, array.dtype) != ((_ROWS, size), np.dtype(dtype)):
                expected = f"expected {np.dtype(dtype)} {(_ROWS, size)}"
                _fail(type(cell), f"`step` returns {name} as {array.dtype} {array.shape}, {expected}")
        own, right = ({**one.parameters, "the inputs": one.inputs, **one.state} for one in (by_hand, derived))
        for name, array in right.items():
            close = 1e-10 if dtype == "f8" else 1e-4
            if own[name].dtype != array.dtype or not np.allclose(own[name], array, rtol=close, atol=close):
                _fail(type(cell), f"`step_vjp` gives another gradient of {name} than is derived from `step`")
    for row in range(_ROWS):
        one = slice(row, row + 1)
        alone = run_step(cell, NUMPY, parameters, inputs[one], {name: array[one] for name, array in state.items()})
        pairs = [(alone.output, step.output), *((alone.state[name], step.state[name]) for name in cell.states)]
        if not all(np.allclose(a[0], b[row], rtol=0, atol=1e-14) for a, b in pairs):
            _fail(type(cell), "`step` of one sequence depends on the others of the batch")


def _check_values(cell: AbstractCell, step: Step, again: Step, close: float) -> None:
    """Pass if what a step returns is finite, and the same when it is called again."""
    other = {"output": again.output, **again.state}
    for name, array in {"output": step.output, **step.state}.items():
        if not np.isfinite(array).all():
            _fail(type(cell), f"`step` returns {name} that is not finite")
        if not np.allclose(array, other[name], rtol=0, atol=close):
            hint = "draw no random numbers, and change no attribute"
            _fail(type(cell), f"`step` returns another {name} when it is called again with the same values: {hint}")


def _used(plan: Plan) -> set[str]:
    """Return the names of the parameters that a step depends on."""
    nodes = ordered(plan.after.values())
    names = {node.detail for node in nodes if node.operation == "parameter"}
    return names.union(*((*node.sum.matrices, *node.sum.biases) for node in nodes if node.operation == "linear"))


def _arrays(cell: AbstractCell, dtype: str) -> dict[str, Array]:
    """Return the parameters, the inputs and a state, none of them zero."""
    shapes = {name: one.shape for name, one in described_parameters(cell, _FEATURES).items()}
    shapes |= {"/inputs": (_ROWS, _FEATURES)} | {f"/{name}": (_ROWS, n) for name, n in cell.state_sizes().items()}
    return {name: stream(3, f"test/{name}").normal(0, 0.5, shape).astype(dtype) for name, shape in shapes.items()}


def _installed() -> Iterator[str]:
    yield "numpy"
    if find_spec("llvmlite"):
        yield _COMPILED
    if find_spec("keras") and find_spec(engine := usual_engine()):
        yield engine


def _named(compiled: bool) -> str:
    return _COMPILED if compiled else "numpy"


def _fail(kind: type, problem: str) -> NoReturn:
    raise VerificationError(problem, where=kind.__name__)
