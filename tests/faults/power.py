"""A model of a disk that loses, when the power goes, whatever was not pushed to it.

What is certain after a power cut is little: the content that a file had when it was last synced, under the names that
its folder had when that was last synced. Of all the rest some may have come through as well, in any order: a system
writes when it likes. So there is one certain state and many possible ones, of which the model makes the worst.

Source: Pillai et al. 2014, "All file systems are not created equal" (OSDI), sections 2 and 3.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from rnnlab.storage import disk

# What came through beside what was synced: nothing; all names, without content; the newest content under old names;
# half of what was appended; all that was appended, as NUL bytes.
Luck = Literal["nothing", "names", "contents", "half", "zeros"]
LUCKS: tuple[Luck, ...] = ("nothing", "names", "contents", "half", "zeros")


@dataclass
class _File:
    synced: bytes = b""


@dataclass
class _Folder:
    synced: dict[str, "_File | _Folder"] = field(default_factory=dict)
    names: dict[str, "_File | _Folder"] = field(default_factory=dict)


class Power:
    """Wraps the seam and keeps book of what is on the disk for certain.

    Args:
        patch: To wrap the seam with.
        root: The folder to observe; what it has now is on the disk.
    """

    def __init__(self, patch: pytest.MonkeyPatch, root: Path) -> None:
        self._root, self._tree = root, _scan(root)
        self._open: dict[int, _File | _Folder] = {}
        for name in ("open_new", "open_append", "open_folder", "close", "fsync", "rename", "link", "unlink", "mkdir"):
            patch.setattr(disk, name, self._watched(getattr(self, f"_{name}"), getattr(disk, name)))

    def cut(self, luck: Luck) -> None:
        """Cut the power: leave in the folder what a disk may have then."""
        kept = _contents(self._root)
        shutil.rmtree(self._root)
        _restore(self._tree, self._root, luck, kept)
        self._open.clear()

    def _watched(self, note: Callable[..., None], call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any) -> Any:
            result = call(*arguments)
            note(result, *arguments)
            return result

        return watched

    def _open_new(self, descriptor: int, path: Path) -> None:
        self._open[descriptor] = self._around(path).names[path.name] = _File()

    def _open_append(self, descriptor: int, path: Path) -> None:
        self._open[descriptor] = self._around(path).names.setdefault(path.name, _File())

    def _open_folder(self, descriptor: int, path: Path) -> None:
        self._open[descriptor] = self._find(path)

    def _close(self, _: None, descriptor: int) -> None:
        self._open.pop(descriptor, None)

    def _fsync(self, _: None, descriptor: int) -> None:
        one = self._open[descriptor]
        if isinstance(one, _Folder):
            one.synced = dict(one.names)
        else:
            one.synced = Path(f"/proc/self/fd/{descriptor}").read_bytes()

    def _rename(self, _: None, source: Path, target: Path) -> None:
        self._around(target).names[target.name] = self._around(source).names.pop(source.name)

    def _link(self, _: None, source: Path, target: Path) -> None:
        self._around(target).names[target.name] = self._around(source).names[source.name]

    def _unlink(self, _: None, path: Path) -> None:
        del self._around(path).names[path.name]

    def _mkdir(self, _: None, path: Path) -> None:
        self._around(path).names[path.name] = _Folder()

    def _around(self, path: Path) -> _Folder:
        return self._find(path.parent)

    def _find(self, path: Path) -> _Folder:
        one: _File | _Folder = self._tree
        for part in path.relative_to(self._root).parts:
            assert isinstance(one, _Folder)
            one = one.names[part]
        assert isinstance(one, _Folder)
        return one


def _scan(path: Path) -> _Folder:
    names = {one.name: _scan(one) if one.is_dir() else _File(one.read_bytes()) for one in path.iterdir()}
    return _Folder(dict(names), dict(names))


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _restore(folder: _Folder, path: Path, luck: Luck, kept: dict[Path, bytes]) -> None:
    """Write what came through; `kept` is the newest content by newest name."""
    path.mkdir()
    for name, one in (folder.names if luck == "names" else folder.synced).items():
        if isinstance(one, _Folder):
            _restore(one, path / name, luck, kept)
        else:
            (path / name).write_bytes(
                _through(one, luck, kept.get(path / name) if folder.names.get(name) is one else None)
            )


def _through(file: _File, luck: Luck, newest: bytes | None) -> bytes:
    """Return the content that came through of a file whose newest content is this, if it still has that name."""
    more = len(newest) - len(file.synced) if newest is not None and newest.startswith(file.synced) else 0
    if luck == "contents":
        return newest if newest is not None else file.synced
    if luck == "half":
        return file.synced if newest is None else file.synced + newest[len(file.synced) :][: more // 2]
    if luck == "zeros":
        return file.synced + bytes(more)
    return file.synced
