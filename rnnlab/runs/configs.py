"""The complete configs of many runs, as plain data and fast; the reader that marks lines is in `config`."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, final

import yaml

from rnnlab.core.errors import VerificationError
from rnnlab.runs.index import WORTH, Index
from rnnlab.storage.folder import RunFolder

# Ten times as fast as the reader that marks lines; `dump_yaml` writes what every reader takes for the same data.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@final
class Configs:
    """The configs of the runs in a folder, each read when it is asked for.

    Args:
        root: The folder that holds the runs.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._asked = 0
        self._index: Index | None = None

    def read(self, folder: RunFolder) -> dict[str, Any]:
        """Return the complete config of a run, empty where it cannot be read."""
        self._asked += 1
        if self._asked == WORTH:  # for few, the index takes longer to read than they
            self._index = Index(self._root, name="configs", files=("resolved.yaml",), version="1")
        if self._index is None:
            return read_config(folder)
        if isinstance(known := self._index.known(folder.name), dict):
            return known
        if config := read_config(folder):
            self._index.learn(folder.name, config)
        return config

    def remember(self, runs: Collection[str]) -> None:
        """Keep for the next time what was read; see `Index.save`."""
        if self._index is not None:
            self._index.save(runs)


def read_config(folder: RunFolder) -> dict[str, Any]:
    """Return the complete config of a run, empty where it cannot be read."""
    try:
        config = yaml.load(folder.read_resolved(), _LOADER)  # noqa: S506
    except (VerificationError, yaml.YAMLError, RecursionError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
