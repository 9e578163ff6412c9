"""Weights that are not what they should be, through the whole program: named in an error, and nothing is changed.

test_bad_input lists where the other kinds of bad input are tested.
"""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from rnnlab.storage import disk
from rnnlab.storage.weights import load_arrays, save_arrays
from tests.cli.jobs import BEST, EVALUATE, EXPORT, RESUME, Harm, everything
from tests.cli.program import rnnlab
from tests.cli.test_bad_input import error_lines


def safetensors(header: bytes, data: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def npz() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, W=np.zeros(9))
    return file.getvalue()


class Touch:
    """Unpickled, makes a file."""

    def __reduce__(self) -> object:
        return Path.touch, (Path("executed"),)


LIE = b'{"W":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}'


KINDS = {
    "nothing": (b"", "its 0 bytes are not a whole safetensors file"),
    "a pickle": (pickle.dumps(Touch()), "it looks like a pickle; rnnlab reads safetensors only"),
    "npy of 2 TiB": (b"\x93NUMPY\x01\0" + bytes(120), "it looks like npy; rnnlab reads safetensors only"),
    "npz": (npz(), "it looks like a zip (npz or .keras); rnnlab reads safetensors only"),
    "4 TiB declared": (safetensors(LIE), "it is cut, extended or changed"),
    "a header beyond the end": ((1 << 60).to_bytes(8, "little") + b"{}", "it is cut, extended or changed"),
    "a deep header": (safetensors(b"[" * 200_000), "its 200,008 bytes are not a whole safetensors file"),
    "a key twice": (safetensors(b'{"__metadata__":{},"__metadata__":{}}'), "bytes are not a whole safetensors file"),
    "another program's": (safetensors(b"{}      "), "is a safetensors file, but not one that rnnlab wrote"),
    "a newer format": (safetensors(b'{"__metadata__":{"format":"rnnlab-arrays/9"}}'), "this rnnlab reads 'rnnlab-arr"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "problem"), KINDS.values(), ids=KINDS)
def test_weights_of_another_kind(job: Path, content: bytes, problem: str) -> None:
    (job / BEST).write_bytes(content)
    before = everything(Path())
    for command in (EVALUATE, EXPORT):
        result = rnnlab(*command)
        assert (result.code, result.stdout) == (4, "")
        (line,) = error_lines(result)
        assert line.startswith(f"{job / BEST}: ")
        assert problem in line
        assert "allow_pickle" not in line
    assert everything(Path()) == before


CHANGES = {
    "nan": (lambda arrays: arrays["head.b"].fill(np.nan), "contains NaN or infinity in head.b"),
    "one missing": (lambda arrays: arrays.pop("head.b"), "does not fit this network: head.b is missing"),
    "two faults": (
        lambda arrays: arrays.update({"head.b": np.zeros(3), "layers.9.W": np.eye(2)}),
        "head.b is (3,) float64, expected (1,) float32; layers.9.W is unexpected",
    ),
    **{
        f"{kind} for float32": (
            lambda arrays, kind=kind: arrays.update({"head.b": np.zeros(1, kind)}),
            f"does not fit this network: head.b is (1,) {kind}, expected (1,) float32",
        )
        for kind in ("float16", "float64", "int64", "bool")
    },
    "another width": (
        lambda arrays: arrays.update({"layers.0.U": np.zeros((5, 5), np.float32), "layers.0.b": np.zeros(5)}),
        "layers.0.U is (5, 5) float32, expected (4, 4) float32; layers.0.b is (5,) float64, expected (4,) float32",
    ),
}


@pytest.mark.parametrize(("change", "problem"), CHANGES.values(), ids=CHANGES)
def test_weights_with_a_true_checksum_and_wrong_content(job: Path, change: Harm, problem: str) -> None:
    arrays, description = load_arrays(job / BEST)
    change(arrays)
    save_arrays(job / BEST, arrays, description)
    result = rnnlab(*EVALUATE)
    assert (result.code, result.stdout) == (4, "")
    (line,) = error_lines(result)
    assert problem in line


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_can_be_looked_at(job: Path, value: float) -> None:
    """An export takes them with an option; nothing computes with them."""
    arrays, description = load_arrays(job / BEST)
    arrays["layers.0.U"][1, 2] = value
    save_arrays(job / BEST, arrays, description)
    look = "`rnnlab export RUN --format npz --allow-nonfinite` writes them all the same, to look at"
    for command in (EVALUATE, EXPORT, ("diagnose", "job")):
        result = rnnlab(*command)
        assert (result.code, result.stdout) == (4, "")
        assert error_lines(result) == [f"{job / BEST}: contains NaN or infinity in layers.0.U — {look}"]
    assert rnnlab("doctor", "job").code == 4
    assert rnnlab(*EXPORT, "--allow-nonfinite").code == 0
    with np.load("out.npz") as written:
        assert {name: array.tobytes() for name, array in written.items()} == {
            name: array.tobytes() for name, array in arrays.items()
        }


def test_a_checkpoint_of_a_newer_format_is_not_gone_round(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No older one is left that could be used; and none is deleted, for the newer rnnlab that wrote it."""
    with monkeypatch.context() as patch:
        patch.setattr("rnnlab.storage.weights.FORMAT", "rnnlab-arrays/9")
        for path in (job / "checkpoints").iterdir():
            save_arrays(path, {}, {})
    before = everything(Path())
    result = rnnlab(*RESUME)
    assert (result.code, result.stdout) == (4, "")
    (line,) = error_lines(result)
    assert "no checkpoint can be used: step-0000000020-0001.safetensors is written in the format 'rnnlab-arr" in line
    after = everything(Path())
    assert {name: after.get(name) for name in before} == before


def test_what_is_verified_is_what_is_used(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file swapped between check and use would have to be opened twice."""
    opened: list[str] = []
    original = disk.open_read
    monkeypatch.setattr(disk, "open_read", lambda path: (opened.append(path.name), original(path))[1])
    assert rnnlab(*EVALUATE).code == 0
    assert opened.count("best.safetensors") == 1
