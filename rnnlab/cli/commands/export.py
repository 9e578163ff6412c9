"""Write the network of a trained RUN as a file for other programs, whichever backend trained it.

The model gives raw outputs (logits, for classes). It has no mask: it reads whole sequences of any length, one
length to a batch.
"""

from typing import Annotated, Literal

import typer

from rnnlab.cli.options import JsonOption, OutOption, RunArgument, RunsOption


def command(
    run: RunArgument,
    format: Annotated[
        Literal["keras", "keras-weights", "npz", "onnx", "savedmodel"],
        typer.Option(
            "--format",
            help="A Keras model, its weights alone, arrays by name, or a model for ONNX runtimes or TensorFlow alone.",
            show_default=False,
        ),
    ],
    weights: Annotated[Literal["best", "last"], typer.Option(help="Best by validation loss, or last.")] = "best",
    out: OutOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an export that is there already.")] = False,
    allow_nonfinite: Annotated[
        bool, typer.Option("--allow-nonfinite", help="Write weights that hold NaN or infinity, too, to look at them.")
    ] = False,
    runs: RunsOption = None,
    json: JsonOption = False,
) -> None:
    from rnnlab.cli.render.card import facts
    from rnnlab.cli.render.output import show, show_json
    from rnnlab.core.text import visible
    from rnnlab.inspection.export import export
    from rnnlab.runs import find_run, runs_root

    found = find_run(runs_root(runs), run)
    done = export(found, format, weights=weights, out=out, force=force, allow_nonfinite=allow_nonfinite)
    if json:
        show_json(
            "export",
            {
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
            },
        )
        return
    shapes = [
        ("inputs", f"{_shape(done.inputs)} {done.dtype}"),
        ("outputs", f"{_shape(done.outputs)} {done.dtype}, raw"),
    ]
    head = f"{visible(str(done.path))}: {done.weights} weights (step {done.step:,}), {done.bytes:,} bytes"
    show(head, facts(shapes), visible(done.load))


def _shape(shape: tuple[int | None, ...]) -> str:
    """Write a shape in the letters of the axes: (B, T, 2)."""
    return f"({', '.join(letter if size is None else str(size) for size, letter in zip(shape, 'BT?', strict=False))})"
