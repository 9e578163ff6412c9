"""A measurement as it is asked for: what to do, with how many threads, where the result goes, progress on stderr."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rnnlab.bench.measure import Trial
from rnnlab.bench.report import milliseconds
from rnnlab.bench.shapes import NAMED, Shape, read_shape
from rnnlab.bench.work import Work
from rnnlab.cli.errors import note
from rnnlab.cli.render.output import show_text
from rnnlab.config.load import load_experiment
from rnnlab.core.allotment import allotted_cpus
from rnnlab.core.errors import EnvironmentFault, UsageError
from rnnlab.core.text import visible
from rnnlab.training.resources import in_words, memory_available

_CELLS = ["simple", "carry"]
_THREADS = (1, 2)


def works_of(
    config: Path | None, overrides: Sequence[str], *, shapes: list[str] | None, cells: list[str] | None
) -> list[Work]:
    """Return what to do: the config's own network at its longest, or every cell at every shape.

    Raises:
        UsageError: Both were asked for, or an unknown shape or cell.
        ConfigError: The config cannot be used.
    """
    if config is None:
        if overrides:
            raise UsageError("there is no CONFIG to override", where="--set", hint="name a config first")
        read = [read_shape(text) for text in shapes or NAMED]
        return list(dict.fromkeys(Work.of(cell, shape) for shape in read for cell in cells or _CELLS))
    if shapes or cells:
        raise UsageError(
            "CONFIG tells the shape and the cell already", hint="leave out CONFIG, or --shapes and --cells"
        )
    experiment = load_experiment(config, overrides).experiment
    task = experiment.build_task()
    return [
        Work(
            experiment.cell,
            Shape(
                timesteps=experiment.timesteps[1],
                batch_size=experiment.training.batch_size,
                input_features=task.input_features,
                units=experiment.cell.units,
            ),
        )
    ]


def threads_of(given: list[str] | None) -> list[int]:
    """Return the numbers of threads to measure with.

    Raises:
        UsageError: Not a number, or more than are allotted to this process.
    """
    allotted = allotted_cpus()
    if given is None:
        return [count for count in _THREADS if count <= allotted]
    for text in given:
        if not (text.isdecimal() and text.isascii() and int(text) > 0):
            raise UsageError(f"{text[:60]!r} is no number of threads", where="--threads", hint="as in --threads 1,2")
        if int(text) > allotted:
            problem = f"{int(text):,} threads, and this process is allotted {allotted}"
            raise UsageError(problem, where="--threads", hint=f"ask for at most {allotted}")
    return [int(text) for text in given]


def check_place(out: str | None) -> None:
    """Pass if `out` can be written: before, not after, all has been measured.

    Raises:
        UsageError: It is a folder, or in none.
    """
    if out is not None and (Path(out).is_dir() or not Path(out).parent.is_dir()):
        raise UsageError("expected a file in a folder that is there", where=visible(out))


def check_memory(works: Sequence[Work]) -> None:
    """Pass if the machine has the memory that the largest work needs, or does not tell.

    Raises:
        EnvironmentFault: It has not.
    """
    there, (needed, largest) = memory_available(), max((work.memory(), str(work)) for work in works)
    if there is not None and needed > there:
        problem = f"needs about {in_words(needed)} of memory, and {in_words(there)} are available"
        raise EnvironmentFault(problem, where=largest, hint="choose a smaller shape")


def follow(trials: Iterator[Trial], *, quiet: bool) -> tuple[list[Trial], bool]:
    """Tell each trial on stderr; return them, and whether they are all: Ctrl-C ends them early."""
    done: list[Trial] = []
    try:
        for trial in trials:
            done.append(trial)
            if not quiet:
                note(_line(trial))
    except KeyboardInterrupt:
        note(f"stopped: {len(done)} of {done[0].place[1] if done else 'all'} measurements are there")
        return done, False
    return done, True


def write(text: str, out: str | None) -> None:
    """Put the text where it was asked for."""
    if out is None:
        show_text(text)
        return
    from rnnlab.storage.files import write_atomic

    write_atomic(Path(out), text.encode())
    note(f"written to {out}")


def _line(trial: Trial) -> str:
    number, total = trial.place
    result = trial.failure or f"{milliseconds(trial.told['median_s'])} ms"
    mark = " (wrong)" if trial.is_wrong else ""
    return f"{number}/{total} {trial.work}: {trial.entrant}, threads {trial.threads}: {result}{mark}"
