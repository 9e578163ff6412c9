"""A class in a Python file that a config names by path, `./my_cell.py:MyCell`.

To import a file is to run it. It is imported where a user's own config or command names it, by `PATH.py:CLASS`. What
rnnlab stores has the full path and the SHA-256 of the file besides, `/home/me/my_cell.py:MyCell@ab12…`: such a name is
read from any folder that anyone may have written, so what it leads to must be the same file, see `read_again`.
"""

import ast
import hashlib
import os
import re
import sys
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, Self, final

from rnnlab.core.code_faults import PREFIX, error_text
from rnnlab.core.errors import UsageError
from rnnlab.core.named_files import home_expanded, read_named, sha256_of
from rnnlab.core.registry import nearest

VARIABLE = "RNNLAB_CODE"  # files, separated as in PATH: where to look for a file that is not where it was
IN_A_FILE = r"\.py:[^\W\d]\w*(@[0-9a-f]{64})?$"  # what a name of a class in a file ends with
KEYS = ("cell.type", "task.type", "training.optimizer.type", "training.schedule.type")  # of a config, which name them
_MOST_BYTES = 1 << 20
_NAME = re.compile(r"(?P<path>.+\.py):(?P<name>[^\W\d]\w*)(?:@(?P<sha256>[0-9a-f]{64}))?")
_SOURCE = "__source__"  # of a module: the bytes it was made from
_MARKS = (("status.json", "resolved.yaml"), ("plan.json", "sweep.yaml"))  # files of a run and of a sweep
_HINT = "name a file and a class in it: ./my_cell.py:MyCell"


@final
@dataclass(frozen=True, slots=True)
class CodeFile:
    """A class in a file."""

    path: Path
    name: str
    sha256: str = ""  # of the file; empty where a user names it

    @classmethod
    def of(cls, text: str) -> Self | None:
        """Return what a text names; None if it is the name of something else.

        Example:
            >>> CodeFile.of("./my_cell.py:MyCell").name, CodeFile.of("janet")
            ('MyCell', None)
        """
        match = _NAME.fullmatch(text)
        return cls(Path(match["path"]), match["name"], match["sha256"] or "") if match else None

    def __str__(self) -> str:
        return f"{self.path}:{self.name}" + (f"@{self.sha256}" if self.sha256 else "")

    @property
    def identity(self) -> str:
        """A short name that no other file has: the class and the beginning of the hash."""
        return f"{self.name}-{self.sha256[:12]}"

    @property
    def module(self) -> str:
        """The name of its module in this process."""
        return PREFIX + hashlib.sha256(f"{self.path}@{self.sha256}".encode()).hexdigest()[:16]

    @property
    def is_loaded(self) -> bool:
        """Whether this process has imported it."""
        return self.module in sys.modules

    @property
    def source(self) -> bytes:
        """The content of the file, once it is imported."""
        content: bytes = vars(sys.modules[self.module])[_SOURCE]
        return content

    def located(self, folder: Path) -> "CodeFile":
        """Return a file that a user names from `folder`, with its full path and its hash, after it was imported.

        Raises:
            UsageError: There is no such file or class, or an error was raised in it.
        """
        path = Path(os.path.realpath(folder / home_expanded(self.path)))
        source = _read(path)
        file = replace(self, path=path, sha256=hashlib.sha256(source).hexdigest())
        if self.sha256 not in {"", file.sha256}:
            _fail_changed(self, path, file.sha256)
        _import(file, source)
        return file

    def load(self) -> Any:
        """Return the class; a file that is not yet imported is, if it is the same file as when it was named.

        Raises:
            UsageError: It is not, or as from `located`.
        """
        if not self.is_loaded:
            _import(self, _read_again(self))
        return getattr(sys.modules[self.module], self.name)


def located(name: str) -> str:
    """Return what a command's argument names: a class in a file with its full path and hash, after it was imported.

    Raises:
        UsageError: There is no such file or class, or an error was raised in it.
    """
    file = CodeFile.of(name)
    return str(file.located(Path())) if file else name


def without_path(text: Any) -> Any:
    """Return the class of a file for its full name; anything else as it is.

    Example:
        >>> without_path("/home/me/my_cell.py:MyCell@" + "0" * 64), without_path("janet")
        ('MyCell', 'janet')
    """
    file = CodeFile.of(text) if isinstance(text, str) else None
    return file.name if file else text


def with_code_labels(configs: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return configs by dotted key, with the class alone for one in a file, wherever that is.

    Classes of one name in different files have the first digits of the hash besides.

    Example:
        >>> texts = ["/a/x.py:One@" + "0" * 64, "/b/x.py:One@" + "0" * 64, "/a/x.py:Two@" + "1" * 64]
        >>> [one["cell.type"] for one in with_code_labels([{"cell.type": text} for text in texts])]
        ['One', 'One', 'Two']
    """
    configs = list(configs)
    files = [code_files_of(one) for one in configs]
    several = Counter(name for name, _ in {(file.name, file.sha256) for named in files for file in named.values()})
    return [
        {**one, **{key: file.name + f"@{file.sha256[:7]}" * (several[file.name] > 1) for key, file in named.items()}}
        for one, named in zip(configs, files, strict=True)
    ]


def code_files_of(config: Mapping[str, Any]) -> dict[str, CodeFile]:
    """Return the classes in files that a config by dotted key names, by key."""
    named = {key: CodeFile.of(text) for key in KEYS if isinstance(text := config.get(key), str)}
    return {key: file for key, file in named.items() if file}


def require_code_name(text: str) -> None:
    """Pass if a text is no path of a Python file, or is followed by a class as it must be.

    Raises:
        UsageError: There is no class.
    """
    if (text.endswith(".py") or ".py:" in text) and CodeFile.of(text) is None:
        raise UsageError(f"{text[:200]!r} names no class", hint=_HINT)


def _read(path: Path, hint: str = _HINT) -> bytes:
    try:
        return read_named(path, _MOST_BYTES, hint=hint)
    except FileNotFoundError:
        raise UsageError("no such file", where=str(path), hint=hint) from None
    except UsageError as error:
        raise UsageError(error.problem, where=str(path), hint=error.hint) from None


def _has_hash(path: Path, sha256: str) -> bool:
    with suppress(FileNotFoundError, UsageError):
        return sha256_of(path, _MOST_BYTES, hint=_HINT) == sha256
    return False


def _read_again(file: CodeFile) -> bytes:
    """Return the content of a file whose name and hash were stored.

    A stored folder can be anyone's. So that it cannot make this process run what its owner likes, the file must have
    the stored hash, be under its own path (not `/proc/self/cwd/…`), not be a part of a run or sweep, and belong to the
    user or the system. A file that a user names by the environment needs the hash only.
    """
    if (source := _named_elsewhere(file)) is not None:
        return source
    hint = f"if it is elsewhere, and you trust it: {VARIABLE}=FOLDER/{file.path.name} rnnlab …"
    real = Path(os.path.realpath(file.path))
    marks = ([folder / name for name in names] for folder in real.parents for names in _MARKS)
    if real != file.path or any(all(mark.exists() for mark in of_folder) for of_folder in marks):
        raise UsageError("no code is run from the folder of a run, or through a link", where=str(file.path), hint=hint)
    try:
        source = _read(file.path)
    except UsageError as error:
        if moved := _here(file):
            hint = f"the same file is at {moved}; if you trust it: {VARIABLE}={moved} rnnlab …"
        raise UsageError(f"{error.problem}: the code of {file.name}", where=str(file.path), hint=hint) from None
    if hasattr(os, "geteuid") and file.path.stat().st_uid not in {0, os.geteuid()}:
        raise UsageError("belongs to another user, whose code is not run unasked", where=str(file.path), hint=hint)
    if (now := hashlib.sha256(source).hexdigest()) != file.sha256:
        _fail_changed(file, file.path, now)
    return source


def _named_elsewhere(file: CodeFile) -> bytes | None:
    """Return the content of a file that the environment names; None if it does not."""
    hint = f"{VARIABLE} has files, without a class, separated by {os.pathsep!r}"
    for path in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        source = _read(home_expanded(path), hint)
        if hashlib.sha256(source).hexdigest() == file.sha256:
            return source
    return None


@contextmanager
def all_missing_named(files: Iterable[CodeFile]) -> Iterator[None]:
    """Name all of these files that are not where they were in the error of the first, as of a project that was moved.

    Raises:
        UsageError: As raised inside, unless several are missing.
    """
    try:
        yield
    except UsageError as error:
        absent = {file.path: file for file in files if not file.is_loaded and not file.path.exists()}
        missing = [file for file in absent.values() if _named_elsewhere(file) is None]
        if len(missing) < 2:
            raise
        places = os.pathsep.join(str(_here(file) or f"FOLDER/{file.path.name}") for file in missing)
        problem = f"no such files: the code of {' and '.join(file.name for file in missing)}"
        hint = f"if they are elsewhere, and you trust them: {VARIABLE}={places} rnnlab …"
        raise UsageError(problem, where=", ".join(str(file.path) for file in missing), hint=hint) from error


def _here(file: CodeFile) -> Path | None:
    """Return where in the current folder the same file is, as in a project that was moved; None if it is not there.

    It is named and not run: the author of a run chooses its hash too.
    """
    ends = (Path(*file.path.parts[n:]) for n in range(1, len(file.path.parts)))
    return next((end for end in ends if _has_hash(end, file.sha256)), None)


def _fail_changed(file: CodeFile, path: Path, now: str) -> None:
    problem = f"was changed: SHA-256 {now[:12]}… now, {file.sha256[:12]}… of the {file.name} that is asked for"
    hint = f"bring that file back (a run has a copy), or name it: {VARIABLE}=FOLDER/{path.name} rnnlab …"
    raise UsageError(problem, where=str(path), hint=hint)


def _import(file: CodeFile, source: bytes) -> None:
    """Import a file, unless it lacks the class, which is looked up before anything is run."""
    if file.is_loaded:
        return
    try:
        tree = ast.parse(source, str(file.path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        _fail(file, error, line)
    if file.name not in (classes := [node.name for node in tree.body if isinstance(node, ast.ClassDef)]):
        hint = nearest(file.name, classes) if classes else _HINT
        raise UsageError(f"has no class {file.name!r}", where=str(file.path), hint=hint)
    module = ModuleType(file.module)
    module.__file__ = str(file.path)
    vars(module)[_SOURCE] = source
    sys.modules[file.module] = module
    try:
        exec(compile(tree, str(file.path), "exec"), module.__dict__)  # noqa: S102 - what it is for
    except KeyboardInterrupt:
        del sys.modules[file.module]
        raise
    except BaseException as error:  # SystemExit too
        del sys.modules[file.module]
        lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_globals is module.__dict__]
        _fail(file, error, lines[-1] if lines else None)


def _fail(file: CodeFile, error: BaseException, line: int | None) -> NoReturn:
    problem = f"cannot be imported: {error_text(error)}"
    where = f"{file.path}:{line}" if line else str(file.path)
    hint = f"fix this file, from which {file.name} is taken"
    if isinstance(error, ModuleNotFoundError) and error.name:
        beside = file.path.parent / error.name.partition(".")[0]
        if beside.is_dir() or beside.with_suffix(".py").exists():
            hint = "this file must be complete in itself: move that code into it; a package can have several"
    raise UsageError(problem, where=where, hint=hint) from error
