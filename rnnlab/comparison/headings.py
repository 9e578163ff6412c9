"""What to call each run in a comparison: short, and different for every run."""

from collections.abc import Callable, Sequence

from rnnlab.runs.run import Run
from rnnlab.storage.naming import FOLDER_NAME


def headings(results: Sequence[Run]) -> dict[str, str]:
    """Return name of a run -> heading: its label; with the seed, else the random letters, where labels are equal."""
    called: dict[str, str] = {}
    labelled: dict[str, list[Run]] = {}
    for result in results:
        labelled.setdefault(result.label, []).append(result)
    for alike in labelled.values():
        called |= {result.name: text for result, text in zip(alike, _distinct(alike), strict=True)}
    # One label may read as another with its seed.
    clear = len(set(called.values())) == len(called)
    return called if clear else {result.name: result.name for result in results}


def _distinct(alike: Sequence[Run]) -> list[str]:
    ways: list[Callable[[Run], str]] = [
        lambda result: result.label,
        lambda result: f"{result.label} seed {result.config.get('seed')}",
        lambda result: f"{result.label} {_token(result)}",
    ]
    for way in ways:
        texts = [way(result) for result in alike]
        if len(set(texts)) == len(texts):
            return texts
    return [result.name for result in alike]


def _token(result: Run) -> str:
    match = FOLDER_NAME.fullmatch(result.name)
    return match["token"] if match else result.name
