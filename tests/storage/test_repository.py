import os
import subprocess
import threading
from pathlib import Path

import pytest

from rnnlab.storage import repository
from rnnlab.storage.repository import Git, describe_repository


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("one\n")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "m")
    return tmp_path


def described(repo: Path) -> Git:
    found = describe_repository(repo)
    assert found is not None
    return found


def test_a_clean_and_a_changed_repository(repo: Path) -> None:
    commit = git(repo, "rev-parse", "HEAD").strip()
    (repo / "below").mkdir()
    (repo / "not tracked").touch()
    assert describe_repository(repo / "below") == Git(commit=commit, dirty=False, diff="", diff_complete=True)
    (repo / "a").write_text("two\n")
    found = describe_repository(repo / "below")
    assert found
    assert found.dirty
    assert found.diff.endswith("@@ -1 +1 @@\n-one\n+two\n")


def test_a_long_diff_is_cut(repo: Path) -> None:
    (repo / "a").write_text("x" * 3_000_000)
    found = describe_repository(repo)
    assert found
    assert (len(found.diff), found.dirty, found.diff_complete) == (1 << 20, True, False)


def test_the_repository_starts_no_program(repo: Path) -> None:
    program = repo / "program"
    program.write_text(f"#!/bin/sh\ntouch {repo}/started\n")
    program.chmod(0o755)
    (repo / "a").write_text("two\n")
    (repo / ".git" / "info" / "attributes").write_text("a diff=x\n")
    for key in ("diff.external", "core.fsmonitor", "diff.x.textconv", "diff.x.command"):
        git(repo, "config", key, str(program))
    assert "+two" in described(repo).diff
    assert not (repo / "started").exists()


@pytest.mark.parametrize("dirty", [False, True])
def test_asking_does_not_change_the_repository(repo: Path, dirty: bool) -> None:
    (repo / "b").touch()
    git(repo, "add", "b")
    git(repo, "commit", "-qm", "m")
    os.utime(repo / "a", (1, 1))
    (repo / "b").write_text("x" * dirty)
    before = (repo / ".git" / "index").stat().st_mtime_ns, (repo / ".git" / "index").read_bytes()
    assert described(repo).dirty is dirty
    assert ((repo / ".git" / "index").stat().st_mtime_ns, (repo / ".git" / "index").read_bytes()) == before


def test_a_hook_of_another_repository_does_not_mislead(
    repo: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(repo / ".git"))
    assert describe_repository(tmp_path_factory.mktemp("elsewhere")) is None


def test_no_git_no_commit_and_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert describe_repository(tmp_path / "gone") is None
    git(tmp_path, "init", "-q")
    assert describe_repository(tmp_path) is None
    monkeypatch.setenv("PATH", "")
    assert describe_repository(tmp_path) is None


def test_a_git_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(repository, "PATIENCE", 0.1)
    assert describe_repository(tmp_path) is None


def test_asking_starts_no_thread(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that begins in too little memory can end unseen, and its creator then waits forever."""

    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert describe_repository(repo) is not None
