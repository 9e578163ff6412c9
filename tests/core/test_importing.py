"""Waiting for a package: called once, right after its import, and leaving nothing behind."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from rnnlab.core.importing import after_import


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package that is not imported yet."""
    (tmp_path / "waited_for").mkdir()
    (tmp_path / "waited_for" / "__init__.py").write_text("import waited_for.inner\nready = True\n")
    (tmp_path / "waited_for" / "inner.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])
    yield "waited_for"
    for name in ("waited_for", "waited_for.inner"):
        sys.modules.pop(name, None)


def test_called_once_when_the_package_is_complete(package: str) -> None:
    seen, finders = [], sys.meta_path[:]
    after_import(package, lambda: seen.append(importlib.import_module(package).ready))
    assert importlib.util.find_spec(package) is not None
    assert seen == []
    module = importlib.import_module(package)
    assert seen == [True]
    importlib.reload(module)
    assert seen == [True]
    assert sys.meta_path == finders


def test_called_now_where_the_package_is_there_already(package: str) -> None:
    importlib.import_module(package)
    seen, finders = [], sys.meta_path[:]
    after_import(package, lambda: seen.append(1))
    assert seen == [1]
    assert sys.meta_path == finders


def test_the_package_keeps_its_own_loader(package: str) -> None:
    after_import(package, lambda: None)
    module = importlib.import_module(package)
    plain = importlib.util.find_spec(package)
    assert type(module.__loader__) is type(module.__spec__.loader) is SourceFileLoader
    assert module.__spec__ == plain


def test_two_may_wait_for_one(package: str) -> None:
    seen = []
    after_import(package, lambda: seen.append("first"))
    after_import(package, lambda: seen.append("second"))
    importlib.import_module(package)
    assert sorted(seen) == ["first", "second"]


def test_a_failed_import_is_waited_for_again(package: str, tmp_path: Path) -> None:
    seen, file = [], tmp_path / "waited_for" / "__init__.py"
    after_import(package, lambda: seen.append(1))
    file.write_text("raise ImportError('not today')")
    with pytest.raises(ImportError, match="not today"):
        importlib.import_module(package)
    assert seen == []
    file.write_text("second_try = True")
    importlib.import_module(package)
    assert seen == [1]


def test_our_failure_is_a_warning_and_the_import_goes_on(package: str) -> None:
    after_import(package, lambda: importlib.import_module("waited_for.missing"))
    told = "after the import of waited_for: ModuleNotFoundError: No module named 'waited_for.missing'"
    with pytest.warns(RuntimeWarning, match=told):
        assert importlib.import_module(package).ready


def test_a_package_that_is_not_installed_stays_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])
    after_import("not_installed_at_all", lambda: None)
    with pytest.raises(ModuleNotFoundError, match="No module named 'not_installed_at_all'"):
        importlib.import_module("not_installed_at_all")
    assert importlib.util.find_spec("not_installed_at_all") is None
