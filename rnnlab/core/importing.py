"""Doing something as soon as another package is imported, without importing it.

Keras finds a custom layer in a file only by the name under which it was registered, and imports no module but its own
to look for it. A heavy package that may never come is waited for by a finder that finds it like all others do.

Source: PEP 369, "Post import hooks" (withdrawn), for the idea; PEP 451 for finders, specs and loaders.
"""

import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast, final

if TYPE_CHECKING:
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def after_import(name: str, act: Callable[[], object]) -> None:
    """Call `act` once, right after the package `name` was imported; now, where it has been.

    An `act` that fails is told as a `RuntimeWarning`: the import of somebody else's package must not fail for us.

    Args:
        name: Of a top-level package.
        act: May import `name` itself.

    Example:
        >>> after_import("sys", lambda: print("is there already"))
        is there already
    """
    if name in sys.modules:
        _attempt(name, act)
    else:
        sys.meta_path.insert(0, _Watcher(name, act))


def _attempt(name: str, act: Callable[[], object]) -> None:
    try:
        act()
    except Exception as error:
        warnings.warn(f"after the import of {name}: {type(error).__name__}: {error}", RuntimeWarning, stacklevel=2)


@final
class _Watcher:
    """A finder that leaves the finding to those after it, and hears when what they found has been executed."""

    def __init__(self, name: str, act: Callable[[], object]) -> None:
        self._name, self._act = name, act

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        # Being asked is not being imported: `importlib.util.find_spec` asks too, to see what is installed.
        if fullname != self._name or self not in sys.meta_path:
            return None
        others = sys.meta_path[sys.meta_path.index(self) + 1 :]
        spec = next(filter(None, (other.find_spec(fullname, path, target) for other in others)), None)
        if spec is not None and spec.loader is not None:
            spec.loader = cast("Loader", _ReportingLoader(spec.loader, self))
        return spec

    def imported(self) -> None:
        """Act, once, and wait no longer."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
            _attempt(self._name, self._act)


@final
class _ReportingLoader:
    """A loader that does what `loader` does, leaves that one in its place, and tells the watcher."""

    def __init__(self, loader: Any, watcher: _Watcher) -> None:
        self._loader, self._watcher = loader, watcher

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: "ModuleSpec") -> "ModuleType | None":
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: "ModuleType") -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._watcher.imported()
