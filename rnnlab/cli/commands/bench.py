"""Time a training step on every backend and with other libraries.

It is that of CONFIG's network, or of a grid of shapes. A step is forward, backward, clipping and an Adam update,
float32, one output from the last step. Each contender runs in a process of its own, in turn, with the same processors
and threads, and is ranked only if its gradients agree with the reference. Shapes: N is T120 B64 D14 H16, S T50 B64 D16
H32, M T100 B32 D32 H128, L T100 B128 D64 H256.

With `--device gpu` it is the step on a GPU of NVIDIA: on Keras's engines, and with PyTorch, whose layers are those of
cuDNN there.

The exit code is 4 if the gradients of a contender are wrong, and 5 if its process failed; the results of the others
are shown in both cases. Ctrl-C stops it and shows the results so far.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from rnnlab.bench.contenders import choose, with_peers
from rnnlab.bench.devices import Device, require
from rnnlab.bench.measure import Trial, measure
from rnnlab.bench.report import Report, milliseconds
from rnnlab.bench.work import NAMED, TOLERANCE, Shape, Work, read_shape
from rnnlab.cli.errors import note
from rnnlab.cli.options import JsonOption, OptionalConfigArgument, QuietOption, SetOption, option, whole_number_to
from rnnlab.cli.render.bench import as_document
from rnnlab.cli.render.output import show_text
from rnnlab.config.load import load_experiment
from rnnlab.core.code_files import located
from rnnlab.core.errors import EnvironmentFault, UsageError, VerificationError
from rnnlab.core.threads import allotted_cpus
from rnnlab.training.resources import in_words, memory_available

_THREADS = (1, 2)


def command(
    config: OptionalConfigArgument = None,
    overrides: SetOption = None,
    shapes: Annotated[str | None, option("LIST", "Shapes, by name or spelled out: M,T5xB4xD2xH3.", "N,S,M,L")] = None,
    cells: Annotated[str | None, option("LIST", "Cells, for each shape, by name or path.", "those of torch.nn")] = None,
    against: Annotated[
        str | None, option("LIST", "Other libraries: torch,jax,tensorflow,keras, or none.", "all that are installed")
    ] = None,
    threads: Annotated[
        str | None, option("LIST", "How many threads each contender uses.", "1,2 if available; 1 on a GPU")
    ] = None,
    rounds: Annotated[
        int, option("INTEGER", "How often each contender is measured.", parser=whole_number_to(1000))
    ] = 3,
    device: Annotated[Device, option(None, "What contenders compute on.")] = "cpu",
    format: Annotated[Literal["table", "markdown"], option(None, "How to print.")] = "table",
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    works = _works(config, overrides or [], shapes=_parts(shapes), cells=_parts(cells))
    counts = _thread_counts(_parts(threads) or (["1"] if device == "gpu" else None))
    require(device, os.environ)
    entered = choose(works, _parts(against), device=device)
    _check_memory(works)
    trials, complete = _followed(measure(entered, threads=counts, rounds=rounds, device=device), quiet=quiet)
    show_text(as_document(Report(trials), rounds=rounds, complete=complete, form="json" if json else format))
    if not complete:
        raise typer.Exit(130)
    _raise_failures(trials)


def _parts(text: str | None) -> list[str] | None:
    return None if text is None else list(dict.fromkeys(part.strip() for part in text.split(",")))


def _works(
    config: Path | None, overrides: Sequence[str], *, shapes: list[str] | None, cells: list[str] | None
) -> list[Work]:
    """Return what to measure: the config's network at its longest sequences, or every cell at every shape."""
    if config is None:
        if overrides:
            raise UsageError("there is no CONFIG to override", where="--set", hint="name a config first")
        read = [read_shape(text) for text in shapes or NAMED]
        cells = [located(cell) for cell in cells] if cells else with_peers()
        return list(dict.fromkeys(Work.of(cell, shape) for shape in read for cell in cells))
    if shapes or cells:
        raise UsageError(
            "CONFIG already defines the shape and the cell", hint="leave out CONFIG, or --shapes and --cells"
        )
    experiment = load_experiment(config, overrides).experiment
    shape = Shape(
        timesteps=experiment.timesteps[1],
        batch_size=experiment.training.batch_size,
        input_features=experiment.build_task().input_features,
        units=experiment.cell.units,
    )
    return [Work(experiment.cell, shape)]


def _thread_counts(given: list[str] | None) -> list[int]:
    allotted = allotted_cpus()
    if given is None:
        return [count for count in _THREADS if count <= allotted]
    possible = {str(count): count for count in range(1, allotted + 1)}
    for text in given:
        if text not in possible:
            problem = f"got {text[:60]!r}, expected 1 to {allotted}, as many as this process is allotted"
            raise UsageError(problem, where="--threads", hint="as in --threads 1,2")
    return [possible[text] for text in given]


def _check_memory(works: Sequence[Work]) -> None:
    available, (needed, largest) = memory_available(), max((work.memory(), str(work)) for work in works)
    if available is not None and needed > available:
        problem = f"needs about {in_words(needed)} of memory, and {in_words(available)} are available"
        raise EnvironmentFault(problem, where=largest, hint="choose a smaller shape")


def _followed(trials: Iterator[Trial], *, quiet: bool) -> tuple[list[Trial], bool]:
    """Report each trial on stderr; return them, and whether they are complete: Ctrl-C stops the measurement."""
    done: list[Trial] = []
    try:
        for trial in trials:
            done.append(trial)
            if not quiet:
                number, total = trial.place
                result = trial.failure or f"{milliseconds(trial.results['median_s'])} ms"
                mark = " (wrong)" if trial.is_wrong else ""
                note(f"{number}/{total} {trial.work}: {trial.contender} ×{trial.threads}: {result}{mark}")
    except KeyboardInterrupt:
        note(f"stopped after {len(done)} of {done[0].place[1] if done else 'all'} measurements")
        return done, False
    return done, True


def _raise_failures(trials: Sequence[Trial]) -> None:
    wrong = next((trial for trial in trials if trial.is_wrong), None)
    if wrong:
        off = f"the {wrong.differs} is off by {wrong.difference:.1e}, expected at most {TOLERANCE:.0e}"
        raise VerificationError(off, where=f"{wrong.contender}, {wrong.work}")
    failed = next((trial for trial in trials if trial.failure), None)
    if failed:
        raise EnvironmentFault(failed.failure, where=f"{failed.contender}, {failed.work}")
