"""Stored arrays of 4 GiB that take 4 KiB on the disk: noticed, and read in little memory if they are read at all."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnnlab.storage import RunFolder
from rnnlab.storage.layout import Header
from rnnlab.storage.reading import opened
from tests.cli.program import TINY, rnnlab

SIZE = 1 << 32  # bytes of arrays
MOST = 500 * 10**6  # bytes of memory
# A child counts the memory of the process that started it as its own: between the two there has to be a small one.
MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def fill(path: Path, *, sealed: bool) -> None:
    """Make the arrays of a file one sparse array; with `sealed`, its SHA-256 is right."""
    with opened(path) as descriptor:
        texts = dict(Header.read(descriptor).texts, sha256="0" * 64)
    array = {"dtype": "F32", "shape": [SIZE // 4], "data_offsets": [0, SIZE]}
    text = json.dumps({"__metadata__": texts, "model/parameters/head.W": array}).encode()
    header = len(text).to_bytes(8, "little") + text
    if sealed:
        digest, piece = hashlib.sha256(header.replace(b"0" * 64, b"", 1)), bytes(1 << 20)
        for _ in range(SIZE // len(piece)):
            digest.update(piece)
        header = header.replace(b"0" * 64, digest.hexdigest().encode(), 1)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + SIZE)
    assert path.stat().st_blocks < 100


def measured(*arguments: str | Path) -> tuple[int, str]:
    """Run the program as a child, with a limit on its memory and time; return its exit code and its output."""
    began = time.perf_counter()
    command = [sys.executable, "-c", MEASURE, sys.executable, "-m", "rnnlab", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    *shown, kibibytes = done.stderr.splitlines()
    assert int(kibibytes) * 1024 < MOST
    assert time.perf_counter() - began < 60
    return done.returncode, done.stdout + "\n".join(shown)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    (tmp_path / "x.yaml").write_text(TINY)
    often = "training.checkpoint={every_steps: 10, every_seconds: null}"
    assert rnnlab("train", tmp_path / "x.yaml", "--into", tmp_path / "run", "-q", "--set", often).code == 0
    return RunFolder(tmp_path / "run")


def sparse(run: RunFolder, *, sealed: bool) -> None:
    newest, *_ = run.checkpoints().steps()
    fill(run.checkpoints().path(newest), sealed=sealed)
    fill(run.path / "weights" / "last.safetensors", sealed=sealed)


@pytest.mark.parametrize("sealed", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_they_are_found_before_they_are_read(run: RunFolder, sealed: bool) -> None:
    sparse(run, sealed=sealed)
    code, output = measured("doctor", run.path, "--json")
    assert code == 4, output
    assert output.count(f"contains {SIZE:,} bytes of arrays, expected at most") == 1
    assert output.count("does not fit this network") == 1
    code, output = measured("train", "--resume", run.path, "--set", "training.steps=30")
    assert code == 0, output
    assert "resuming from the checkpoint of step 10" in output
    assert rnnlab("doctor", run.path).code == 0


def test_no_memory_is_taken_for_them_by_any_reader(run: RunFolder) -> None:
    """The readers in this process: an array of 4 GiB would be allocated and filled."""
    sparse(run, sealed=False)
    fill(run.path / "weights" / "best.safetensors", sealed=False)
    newest, *_ = run.checkpoints().steps()
    began = time.perf_counter()
    for command in (("evaluate",), ("export", "--format", "npz"), ("diagnose",), ("diagnose", "--at-step", newest)):
        result = rnnlab(command[0], run.path, *map(str, command[1:]))
        assert result.code == 4, result.stderr
    assert time.perf_counter() - began < 5


@pytest.mark.soak
@pytest.mark.parametrize("sealed", [False, True])
def test_where_nothing_is_expected_they_are_hashed_by_pieces(run: RunFolder, sealed: bool) -> None:
    """Without its config, a run's network is unknown, and with it the size of its arrays."""
    sparse(run, sealed=sealed)
    (run.path / "resolved.yaml").write_text("task: none")
    code, output = measured("doctor", run.path, "--json")
    assert code == 4, output
    assert output.count("its content does not match its SHA-256") == (1 if sealed else 3)


def test_a_record_is_read_line_by_line(run: RunFolder) -> None:
    os.truncate(run.path / "metrics.jsonl", SIZE)
    code, output = measured("doctor", run.path)
    assert code == 4, output
    code, output = measured("train", "--resume", run.path, "--set", "training.steps=30")
    assert code == 0, output
    assert rnnlab("doctor", run.path).code == 0
