import json
import os
import platform
import subprocess
import sys
import types
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from rnnlab.storage import provenance as repository
from rnnlab.storage.provenance import collect, describe_repository, hash_of, is_as_given


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


def test_facts_of_the_process_and_nothing_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"OMP_NUM_THREADS": "3", "SLURM_JOB_ID": "42", "SLURM_JWT": "hush", "API_KEY": "hush"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setitem(sys.modules, "keras", types.SimpleNamespace(__version__="3.99"))  # type: ignore[arg-type]
    monkeypatch.chdir(tmp_path)
    about = {"config_yaml_sha256": hash_of(b"abc"), "config_sha256": "ab", "attempt": 1}
    found = collect(argv=["rnnlab", "x\udcff"], seed=7, **about)
    text = json.dumps(found, allow_nan=False)
    assert "hush" not in text
    assert str(tmp_path) not in text
    assert sys.prefix not in text
    assert (found["argv"], found["seed"], found["config_sha256"]) == (["rnnlab", "x\udcff"], 7, "ab")
    # FIPS 180-2, appendix B.1: the hash of "abc".
    assert found["config_yaml_sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert [is_as_given(found, data) for data in (b"abc", b"abd")] == [True, False]
    assert found["attempt"] == 1
    assert found["slurm"] == {"SLURM_JOB_ID": "42"}
    assert found["threads"]["OMP_NUM_THREADS"] == "3"
    assert found["versions"]["numpy"] == np.__version__ == metadata.version("numpy")
    assert found["versions"]["python"] == platform.python_version()
    assert found["versions"]["keras"] == "3.99"
    assert "tensorflow" not in found["versions"]
    assert found["cpu"]["logical_cores"] == os.cpu_count()
    assert {"internal_api", "num_threads", "version"} <= found["blas"][0].keys()


def test_a_clean_and_a_changed_repository(repo: Path) -> None:
    commit = git(repo, "rev-parse", "HEAD").strip()
    (repo / "below").mkdir()
    (repo / "not tracked").touch()
    assert describe_repository(repo / "below") == {"commit": commit, "dirty": False, "diff": "", "diff_complete": True}
    (repo / "a").write_text("two\n")
    found = describe_repository(repo / "below")
    assert found
    assert found["dirty"]
    assert found["diff"].endswith("@@ -1 +1 @@\n-one\n+two\n")


def test_a_long_diff_is_cut(repo: Path) -> None:
    (repo / "a").write_text("x" * 3_000_000)
    found = describe_repository(repo)
    assert found
    assert (len(found["diff"]), found["dirty"], found["diff_complete"]) == (1 << 20, True, False)


def test_the_repository_starts_no_program(repo: Path) -> None:
    program = repo / "program"
    program.write_text(f"#!/bin/sh\ntouch {repo}/started\n")
    program.chmod(0o755)
    (repo / "a").write_text("two\n")
    (repo / ".git" / "info" / "attributes").write_text("a diff=x\n")
    for key in ("diff.external", "core.fsmonitor", "diff.x.textconv", "diff.x.command"):
        git(repo, "config", key, str(program))
    assert "+two" in (describe_repository(repo) or {})["diff"]
    assert not (repo / "started").exists()


@pytest.mark.parametrize("dirty", [False, True])
def test_asking_does_not_change_the_repository(repo: Path, dirty: bool) -> None:
    (repo / "b").touch()
    git(repo, "add", "b")
    git(repo, "commit", "-qm", "m")
    os.utime(repo / "a", (1, 1))
    (repo / "b").write_text("x" * dirty)
    before = (repo / ".git" / "index").stat().st_mtime_ns, (repo / ".git" / "index").read_bytes()
    assert (describe_repository(repo) or {})["dirty"] is dirty
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


def test_no_memory_for_a_thread_is_no_git(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(repository.threading.Timer, "start", refuse)
    assert describe_repository(repo) is None
