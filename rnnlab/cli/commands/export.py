"""Write the network of a trained RUN to a file for other programs.

The model returns raw outputs (logits, for classes). It has no mask: it reads whole sequences of any length, all
sequences of a batch having the same length. A network that was trained on a CSV file reads and returns the units of
the file: its scaling is in the model. In `npz` it is beside the weights, as `inputs.mean` and the like, and it is
printed.
"""

from pathlib import Path
from typing import Annotated, Literal

from rnnlab.cli.named import run_named
from rnnlab.cli.options import RUNS, JsonOption, RunArgument, RunsOption, WeightsOption, flag, option, path_option
from rnnlab.cli.render.output import show, show_json
from rnnlab.cli.render.tables import show_table
from rnnlab.core.scaling import FORMULA, scale_table
from rnnlab.inspection.export import Export, Format, export


def command(
    run: RunArgument,
    format: Annotated[
        Format,
        option(None, "A Keras model, its weights alone, NumPy arrays, or a model for ONNX runtimes or for TensorFlow."),
    ],
    out: Annotated[
        Path | None, path_option("PATH", "Where to write.", "RUN-WEIGHTS.ENDING in the current folder")
    ] = None,
    weights: WeightsOption = "best",
    series: Annotated[
        str | None, option("NAME", "Of a file with several series, the one whose scale the model has.")
    ] = None,
    force: Annotated[bool, flag("--force", "Replace an existing file.")] = False,
    allow_nonfinite: Annotated[
        bool, flag("--allow-nonfinite", "Write weights even if they contain NaN or infinity.")
    ] = False,
    runs: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    found = run_named(runs, run)
    done = export(found, format, weights=weights, out=out, series=series, force=force, allow_nonfinite=allow_nonfinite)
    if json:
        document = {
            "run": found.name,
            "path": found.path,
            "weights": done.weights,
            "steps": done.step,
            "file": done.path,
            "file_format": done.format,
            "bytes": done.bytes,
            "inputs": {"shape": done.inputs, "dtype": done.dtype},
            "outputs": {"shape": done.outputs, "dtype": done.dtype},
            "load": done.load,
            "in_units": done.in_units,
            "scaling": done.scaling.describe() if done.scaling else None,
        }
        show_json("export", document)
        return
    show(
        f"{done.path}: {done.weights} weights (step {done.step:,}), {done.bytes:,} bytes",
        f"inputs   {_shape(done.inputs)} {done.dtype}{_columns(done, 'inputs')}",
        f"outputs  {_shape(done.outputs)} {done.dtype}{_columns(done, 'outputs') or ', raw'}",
        done.load,
    )
    if done.scaling and not done.in_units:
        show("", f"{FORMULA}, in float64:", "")
        show_table(scale_table(done.scaling))


def _columns(done: Export, end: Literal["inputs", "outputs"]) -> str:
    if done.scaling is None:
        return ""
    names = ", ".join(getattr(done.scaling, end).names)
    return f", {'in units of the file' if done.in_units else 'scaled'}: {names}"


def _shape(shape: tuple[int | None, ...]) -> str:
    """Write a shape in the letters of the axes: (B, T, 2)."""
    return f"({', '.join(letter if size is None else str(size) for size, letter in zip(shape, 'BT?', strict=False))})"
