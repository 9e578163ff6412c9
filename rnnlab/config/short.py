"""Texts in a config that are short for a mapping: `cell: simple` for `cell: {type: simple}`."""

from rnnlab.config.blocks import SweepOptions
from rnnlab.config.check import short_for
from rnnlab.config.document import InFull, Node
from rnnlab.config.experiment import Experiment


def in_full(root: Node) -> InFull:
    """Return what finds the key that a text in a config is short for, given its path.

    Example:
        >>> from rnnlab.config.reading import document_of_data
        >>> find = in_full(document_of_data({"cell": "simple", "task": "forecast", "name": "x"}).root)
        >>> find(("cell",)), find(("task", "csv")), find(("sweep", "metric")), find(("name",))
        ('type', 'path', 'name', None)
    """

    def find(path: tuple[str, ...]) -> str | None:
        data = root.plain()
        if path[0] == "sweep" and path[1:]:
            return short_for(SweepOptions, path[1:], data.get("sweep", {}))
        return short_for(Experiment, path, data)

    return find
