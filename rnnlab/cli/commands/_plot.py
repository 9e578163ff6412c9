"""A picture as it is asked for: what is needed for it, and where it goes."""

from collections.abc import Sequence
from pathlib import Path

from rnnlab.cli.commands._runs import runs_named
from rnnlab.cli.errors import warn
from rnnlab.cli.render.output import show
from rnnlab.comparison import Comparison, compare
from rnnlab.comparison.representatives import representatives
from rnnlab.core.errors import EnvironmentFault, RnnlabError, UsageError
from rnnlab.core.text import visible
from rnnlab.figures import ENDINGS, KINDS, draw
from rnnlab.figures.kinds import Content
from rnnlab.inspection.diagnose import diagnose
from rnnlab.inspection.diagnoses.findings import Diagnosis
from rnnlab.inspection.sample import Sample, draw_sample
from rnnlab.runs import runs_root
from rnnlab.storage import RunFolder
from rnnlab.storage.files import write_atomic
from rnnlab.storage.reading import kind as kind_of


def plot(names: Sequence[str], *, kind: str, out: Path | None, metric: str | None, x: str, runs: Path | None) -> None:
    """Draw a picture and say where it is.

    Raises:
        UsageError: There is no such place or ending, or no network that can be looked into.
    """
    ending = _ending(out)
    comparison = compare(runs_named(runs_root(runs), names, fewest=1), metric)
    for one in comparison.damaged:
        warn(f"{one.name} is damaged and left out: {one.reason}")
    data = draw(kind, ending, _content(comparison, kind, x))
    if out is None and len(comparison.results) == 1:
        path = RunFolder(comparison.results[0].path).write_plot(f"{kind}.png", data)
    else:
        path = out or Path(f"{kind}.png")
        write_atomic(path, data, elsewhere="--out PATH")
    show(visible(str(path)))


def draw_ended(run: RunFolder) -> None:
    """Draw the curves of a run that has ended into its folder; what is in the way of that is a warning and no more."""
    try:
        comparison = compare([run])
        run.write_plot("curves.png", draw("curves", "png", Content(comparison, {}, {})))
    except (RnnlabError, OSError) as error:
        warn(f"no picture was drawn: {error}")


def _ending(out: Path | None) -> str:
    if out is None:
        return "png"
    ending = out.suffix.removeprefix(".").lower()
    if ending not in ENDINGS:
        known = ", ".join(f".{one}" for one in ENDINGS)
        raise UsageError(
            f"{visible(str(out))} ends in none of {known}", where="--out", hint="the ending tells the format"
        )
    if kind_of(out.absolute().parent) != "folder":
        raise UsageError(f"there is no folder {visible(str(out.parent))}", where="--out", hint="make it first")
    return ending


def _content(comparison: Comparison, kind: str, x: str) -> Content:
    finding = KINDS[kind].finding
    diagnoses: dict[str, Diagnosis] = {}
    samples: dict[str, Sample] = {}
    faults: list[RnnlabError] = []
    if finding is not None or kind == "sample":
        for heading, result in representatives(comparison).items():
            run = RunFolder(result.path)
            weights = "best" if run.has_weights("best") else "last"
            try:
                if finding is None:
                    samples[heading] = draw_sample(run, weights)  # type: ignore[arg-type]
                else:
                    diagnoses[heading] = diagnose(run, [finding], weights=weights)  # type: ignore[arg-type]
            except EnvironmentFault:
                raise
            except RnnlabError as error:
                faults.append(error)
                warn(f"{result.name} is left out: {error}")
        if not diagnoses and not samples:
            raise faults[0]
    return Content(comparison, diagnoses, samples, x)
