"""A repository that comes with a config: whatever its settings name, no program of theirs is started."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnlab.storage import repository as repository_module
from rnnlab.storage.repository import describe_repository

Attack = Callable[[Path, str], None]


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    author = ("-c", "user.name=n", "-c", "user.email=e@x", "-c", "protocol.file.allow=always")
    command = ["git", *author, *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=check, stdin=subprocess.DEVNULL, timeout=20
    ).stdout


def repository(path: Path) -> Path:
    path.mkdir()
    git(path, "init", "-q")
    (path / "a").write_text("one\n")
    git(path, "add", "a")
    git(path, "commit", "-qm", "m")
    return path


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return repository(tmp_path / "repo")


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "program"
    path.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    path.chmod(0o755)
    return str(path)


def setting(key: str) -> Attack:
    return lambda repo, program: git(repo, "config", key, program) and None


def filtered(name: str, key: str, attributes: str) -> Attack:
    def attack(repo: Path, program: str) -> None:
        git(repo, "config", f"filter.{name}.{key}", program)
        git(repo, "config", f"filter.{name}.required", "true")
        (repo / attributes).write_text(f"a filter={name}\n")

    return attack


def included(repo: Path, program: str) -> None:
    (repo / "more").write_text(f'[filter "x"]\n\tclean = {program}\n[core]\n\tfsmonitor = {program}\n')
    git(repo, "config", "include.path", "../more")
    (repo / ".gitattributes").write_text("a filter=x\n")


def hooks(repo: Path, program: str) -> None:
    (repo / "hooks").mkdir()
    for name in ("post-index-change", "fsmonitor-watchman", "reference-transaction", "post-checkout"):
        (repo / "hooks" / name).symlink_to(program)
    git(repo, "config", "core.hooksPath", "hooks")


def submodule(repo: Path, program: str) -> None:
    repository(repo.parent / "inner")
    git(repo, "submodule", "add", "-q", str(repo.parent / "inner"), "inner")
    git(repo, "commit", "-qm", "m")
    git(repo, "config", "diff.submodule", "diff")
    filtered("x", "clean", ".gitattributes")(repo / "inner", program)
    git(repo / "inner", "config", "core.fsmonitor", program)
    (repo / "inner" / "a").write_text("two\n")


def partial(transport: str) -> Attack:
    """A clone that lacks the file that is to be compared, and would fetch it."""

    def attack(repo: Path, program: str) -> None:
        git(repo, "config", "extensions.partialClone", "origin")
        git(repo, "config", "remote.origin.promisor", "true")
        git(repo, "config", "core.sshCommand", program)
        git(repo, "config", "remote.origin.uploadpack", program)
        git(repo, "config", "protocol.allow", "always")
        address = {"ssh": "ssh://nowhere.invalid/x", "file": str(repo.parent), "ext": f"ext::{program}"}[transport]
        git(repo, "config", "remote.origin.url", address)
        blob = git(repo, "rev-parse", "HEAD:a").strip()
        (repo / ".git" / "objects" / blob[:2] / blob[2:]).unlink()

    return attack


ATTACKS: dict[str, Attack] = {
    **{key: setting(key) for key in ("core.fsmonitor", "diff.external", "core.pager", "core.askPass", "core.editor")},
    **{key: setting(key) for key in ("pager.status", "pager.diff", "alias.status", "credential.helper")},
    "a filter": filtered("x", "clean", ".gitattributes"),
    "a filter that stays": filtered("x", "process", ".gitattributes"),
    "a filter of a strange name": filtered("a=b.c", "clean", ".gitattributes"),
    "a filter of the repository": filtered("x", "clean", ".git/info/attributes"),
    "an included file": included,
    "hooks": hooks,
    "a submodule": submodule,
    **{f"a partial clone by {one}": partial(one) for one in ("ssh", "file", "ext")},
}
# What git, asked without care, starts: the others are here in case it does one day.
WORKS = ("a filter", "a filter of a strange name", "an included file", "a submodule", "a partial clone by ssh")


def planted(repo: Path, program: str, name: str) -> str:
    ATTACKS[name](repo, program)
    (repo / "a").write_text("two\n")
    (repo.parent / "started").unlink(missing_ok=True)
    return git(repo, "rev-parse", "HEAD").strip()


@pytest.mark.parametrize("name", ATTACKS)
def test_it_starts_no_program(repo: Path, program: str, name: str) -> None:
    commit = planted(repo, program, name)
    found: Any = describe_repository(repo)
    assert not (repo.parent / "started").exists()
    assert found.commit == commit
    assert found.dirty
    assert "+two" in (found.diff or "+two (git could not tell)")


@pytest.mark.parametrize("name", WORKS)
def test_git_by_itself_would(repo: Path, program: str, name: str) -> None:
    planted(repo, program, name)
    for command in (("status",), ("diff", "HEAD")):
        git(repo, *command, check=False)
    assert (repo.parent / "started").exists()


def test_filters_of_the_user_stay(repo: Path, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Git LFS has one: without it, each of its files would count as changed."""
    (tmp_path / "user").write_text(f'[filter "lfs"]\n\tclean = {program}\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "user"))
    (repo / ".gitattributes").write_text("a filter=lfs\n")
    (repo / "a").write_text("two\n")
    assert describe_repository(repo)
    assert (tmp_path / "started").exists()


def test_it_shows_no_file_of_another_folder(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "a").write_text("secret\n")
    git(repo, "config", "core.worktree", str(tmp_path / "secrets"))
    found: Any = describe_repository(repo)
    assert (found.dirty, found.diff) == (False, "")


def test_the_folder_may_be_relative_or_a_link(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repo / "below").mkdir()
    (repo / "a").write_text("two\n")
    (tmp_path / "link").symlink_to("repo/below")
    expected = describe_repository(repo)
    assert expected
    assert expected.diff
    monkeypatch.chdir(repo)
    for folder in (Path(), Path("below"), tmp_path / "link", Path("../link")):
        assert describe_repository(folder) == expected


def test_a_bare_one_among_the_files_is_not_asked(tmp_path: Path, program: str) -> None:
    """As a folder of a repository one trusts, it can be a repository in disguise."""
    repository(tmp_path / "other")
    git(tmp_path, "clone", "-q", "--bare", "other", "bare")
    git(tmp_path / "bare", "config", "core.fsmonitor", program)
    assert describe_repository(tmp_path / "bare") is None


@pytest.mark.parametrize("key", ["include.path", "core.attributesFile", "diff.orderFile"])
def test_a_pipe_as_a_file_of_settings(repo: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(repo / "pipe")
    git(repo, "config", key, str(repo / "pipe"))
    (repo / "a").write_text("two\n")
    monkeypatch.setattr(repository_module, "PATIENCE", 0.3)
    began = time.perf_counter()
    describe_repository(repo)
    assert time.perf_counter() - began < 3
