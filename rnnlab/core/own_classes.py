"""Classes of a user's own files as members of a registry: cells, tasks, update rules and schedules alike.

A config names one by path, `./my_cell.py:MyCell`. The member is the class as it is written there, with a name and a
type of its own, and with what it need not have.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any, Literal, final

from pydantic import ValidationError

from rnnlab.core.code_files import CodeFile, require_code_name
from rnnlab.core.errors import UsageError, VerificationError
from rnnlab.core.options import Options


@final
@dataclass(frozen=True)
class OwnClasses:
    """What a class in a file must be, so that it is a member of a registry."""

    abstract: type  # the class that it derives from
    options: type[Options]  # the class that its `Options` derive from, which they are if it has none
    command: str  # what has those that there are, to learn from: `rnnlab cells`, or a package
    # raises a TypeError if something that is no method is missing in a class
    check: Callable[[type], None] | None = None
    name: Callable[[CodeFile], str] = attrgetter("name")
    # returns what it has of attributes that it lacks
    defaults: Callable[[type, CodeFile], dict[str, Any]] | None = None

    def require(self, kind: Any) -> None:
        """Pass if an object is a class that can be configured.

        Raises:
            TypeError: It is not.
        """
        wanted, abstract = self.options, self.abstract
        if not (isinstance(kind, type) and issubclass(kind, abstract)):
            raise TypeError(f"{_shown(kind)} is not a subclass of {abstract.__module__}.{abstract.__name__}")
        if missing := sorted(getattr(kind, "__abstractmethods__", ())):
            raise TypeError(f"{kind.__name__} has no {' and no '.join(missing)}")
        options = getattr(kind, "Options", wanted)
        if not (isinstance(options, type) and issubclass(options, wanted)):
            raise TypeError(f"{kind.__name__}.Options is not a subclass of {wanted.__module__}.{wanted.__name__}")
        if self.check:
            self.check(kind)

    def member(self, name: str, run: bool) -> Any:
        """Return the class that a name takes from a file, or None if it names no file.

        If the file may not be run for it, and was not yet, the class has its name alone.

        Raises:
            UsageError: There is no such class, or it is not what it must be.
        """
        require_code_name(name)
        file = CodeFile.of(name)
        if file is None:
            return None
        return _own(self, file) if run or file.is_loaded else _unread(self, file)


@cache
def _own(classes: OwnClasses, file: CodeFile) -> type:
    kind = file.load()
    try:
        classes.require(kind)
    except TypeError as error:
        hint = f"`{classes.command}` has those to learn from"
        raise UsageError(str(error), where=str(file.path), hint=hint) from error
    return _derived(classes, file, kind, getattr(kind, "Options", classes.options))


@cache
def _unread(classes: OwnClasses, file: CodeFile) -> type:
    fields = classes.options.model_fields.items()
    required = [name for name, field in fields if field.is_required()]  # it may have a default there
    own = {"__annotations__": dict.fromkeys(required, Any), **dict.fromkeys(required), "__module__": __name__}
    unknown = type("Options", (classes.options,), own, extra="allow")
    return _derived(classes, file, classes.abstract, unknown)


def _derived(classes: OwnClasses, file: CodeFile, kind: type, options: type[Options]) -> type:
    """Return the class with a name of its own, and with options whose type names the file."""
    text = str(file)
    of_options: dict[str, Any] = {"__annotations__": {"type": Literal[text]}, "type": text, "__module__": __name__}
    of_options["__doc__"] = options.__doc__
    defaults = classes.defaults(kind, file) if classes.defaults else {}
    missing = {key: value for key, value in defaults.items() if not getattr(kind, key, "")}
    own = {"Options": type("Options", (options,), of_options), "__module__": kind.__module__, "__doc__": kind.__doc__}
    derived = type(file.name, (kind,), missing | own)
    derived.name = classes.name(file)  # type: ignore[attr-defined]  # not earlier: a task with a name makes its options
    return derived


def is_known(options: Options) -> bool:
    """Return whether options are of a class that was imported; those of a stored run's file are not, until it is."""
    return options.model_config.get("extra") != "allow"


def configured(kind: Any, options: Options) -> Any:
    """Return the options as those of a class that was imported since they were read.

    Raises:
        VerificationError: They are not its options.
    """
    try:
        return options if isinstance(options, kind.Options) else kind.Options.model_validate(dict(options))
    except ValidationError as error:
        raise VerificationError(f"its options are not those of {kind.__name__}: {error}") from error


def without_place(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a block of a config without where its files are; the SHA-256 that it has of each identifies it.

    Example:
        >>> without_place({"csv": {"path": "a.csv", "sha256": "3b0c"}, "type": "/home/me/a.py:A@" + "0" * 64})["csv"]
        {'sha256': '3b0c'}
    """
    found: dict[str, Any] = {
        key: {name: inner for name, inner in value.items() if name != "path" or "sha256" not in value}
        if isinstance(value, Mapping)
        else value
        for key, value in definition.items()
    }
    file = CodeFile.of(found["type"]) if isinstance(found.get("type"), str) else None
    return found | {"type": f"{file.name}@{file.sha256}"} if file else found


def _shown(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) else repr(kind)[:100]
