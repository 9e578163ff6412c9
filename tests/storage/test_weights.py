import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from rnnlab.core.errors import EnvironmentFault, VerificationError
from rnnlab.storage.layout import encode
from rnnlab.storage.weights import load_arrays, save_arrays
from tests.disk_faults import Faults

ARRAYS = {
    "W": np.arange(6, dtype=np.float32).reshape(2, 3),
    "U": np.eye(3)[:, ::-1],
    "step": np.array(7, dtype=np.int64),
    "none": np.zeros((0, 4), np.float32),
    "mask": np.array([True, False]),
}
DESCRIPTION: dict[str, Any] = {"cell": "carry@1", "activation": "tanh", "step": 7, "é": [1.5, None]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.safetensors"
    save_arrays(path, ARRAYS, DESCRIPTION)
    return path


def refusal(path: Path, expected: Any = None) -> str:
    with pytest.raises(VerificationError) as caught:
        load_arrays(path, expected)
    assert caught.value.where == str(path)
    return caught.value.problem


def test_round_trip_is_exact_to_the_bit(path: Path) -> None:
    arrays, description = load_arrays(path, {name: (a.shape, a.dtype) for name, a in ARRAYS.items()})
    assert description == DESCRIPTION
    assert arrays.keys() == ARRAYS.keys()
    for name, array in arrays.items():
        assert array.dtype == ARRAYS[name].dtype
        assert array.shape == ARRAYS[name].shape
        assert array.tobytes() == ARRAYS[name].tobytes()
        assert array.flags.writeable


def test_other_readers_of_safetensors_read_it(path: Path) -> None:
    arrays = safetensors.numpy.load_file(path)
    assert arrays["U"].tolist() == ARRAYS["U"].tolist()
    with safetensors.safe_open(path, "numpy") as file:  # type: ignore[no-untyped-call]
        texts = file.metadata()
    assert texts["format"] == "rnnlab-arrays/2"
    assert json.loads(texts["description"]) == DESCRIPTION


def test_equal_content_gives_equal_bytes_whatever_the_order_and_layout(path: Path, tmp_path: Path) -> None:
    arrays = {name: np.array(array, order="F") for name, array in reversed(ARRAYS.items())}
    arrays["U"] = arrays["U"].astype(">f8")
    digest = save_arrays(tmp_path / "b", arrays, dict(reversed(DESCRIPTION.items())))
    assert (tmp_path / "b").read_bytes() == path.read_bytes()
    assert digest.encode() in path.read_bytes()


def test_every_flipped_bit_is_refused(path: Path) -> None:
    data = path.read_bytes()
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(VerificationError):
            load_arrays(path)


def test_every_cut_is_refused(path: Path) -> None:
    data = path.read_bytes()
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        with pytest.raises(VerificationError):
            load_arrays(path)


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, W=ARRAYS["W"])
    return file.getvalue()


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, ARRAYS["W"])
    return file.getvalue()


def lying(shape: list[int], end: int) -> bytes:
    text = json.dumps({"W": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}).encode()
    return len(text).to_bytes(8, "little") + text + bytes(16)


class Bomb:
    def __reduce__(self) -> Any:
        return (Path("exploded").touch, ())


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "its 0 bytes are not a whole safetensors file"),
        (b"x", "its 1 bytes are not a whole safetensors file"),
        (b"some text, nothing more", "its 23 bytes are not a whole safetensors file"),
        (bytes(5000), "its 5,000 bytes are not a whole safetensors file"),
        (b"\2" + bytes(7) + b"[]", "its 10 bytes are not a whole safetensors file"),
        (b"\xff" * 64, "its 64 bytes are not a whole safetensors file"),
        (pickle.dumps(Bomb()), "it looks like a pickle; rnnlab reads safetensors only"),
        (npz(), "it looks like a zip (npz or .keras); rnnlab reads safetensors only"),
        (npy(), "it looks like npy; rnnlab reads safetensors only"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "it looks like HDF5; rnnlab reads safetensors only"),
        (lying([1 << 40], 16), "it is cut, extended or changed ("),
        (lying([1 << 40], 1 << 42), "it is cut, extended or changed ("),
        (lying([4], 12), "it is cut, extended or changed ("),
    ],
)
def test_what_is_no_weights_file_is_refused(path: Path, data: bytes, problem: str) -> None:
    path.write_bytes(data)
    assert refusal(path).startswith(f"cannot be loaded: {problem}")
    assert not Path("exploded").exists()


@pytest.mark.parametrize(
    "change", [lambda d: d + b"\0", lambda d: d[:-40] + bytes(40), lambda d: d + d, lambda d: d[8:]]
)
def test_appended_and_zeroed_bytes_are_refused(path: Path, change: Any) -> None:
    data = change(path.read_bytes())
    assert data != path.read_bytes()
    path.write_bytes(data)
    refusal(path)


def test_a_changed_number_is_told_as_such(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data.replace(np.float32(5).tobytes(), np.float32(6).tobytes()))
    assert refusal(path) == "was changed since it was written: its content does not match its SHA-256"


def test_arrays_that_traded_places_or_another_description_are_refused(path: Path) -> None:
    data = path.read_bytes()
    for old, new in ((b'"W":{', b'"V":{'), (b"carry@1", b"carry@2"), (b"[2,3]", b"[3,2]")):
        path.write_bytes(data.replace(old, new))
        assert data != path.read_bytes()
        assert refusal(path) == "was changed since it was written: its content does not match its SHA-256"


def test_all_differences_are_listed(path: Path) -> None:
    expected = {
        "W": ((2, 3), "float64"),
        "U": ((4, 4), "float64"),
        "b": ((3,), "float32"),
        "step": ((), "int64"),
        "mask": ((2,), "bool"),
    }
    assert refusal(path, expected) == (
        "does not fit this network: U is (3, 3) float64, expected (4, 4) float64; "
        "W is (2, 3) float32, expected (2, 3) float64; b is missing; none is unexpected"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_values_are_refused_unless_allowed(path: Path, value: float) -> None:
    save_arrays(path, {"W": np.array([1.0, value]), "V": np.array([value]), "U": np.eye(2)}, {})
    assert refusal(path) == "contains NaN or infinity in V, W"
    arrays, _ = load_arrays(path, allow_nonfinite=True)
    assert arrays["W"].tobytes() == np.array([1.0, value]).tobytes()


def test_formats_of_others_are_named(path: Path) -> None:
    path.write_bytes(b"".join(encode(ARRAYS, {"format": "rnnlab-arrays/3"})))
    assert refusal(path) == "is written in the format 'rnnlab-arrays/3', this rnnlab reads 'rnnlab-arrays/2'"
    safetensors.numpy.save_file({"W": ARRAYS["W"]}, path)
    assert refusal(path) == "is a safetensors file, but not one that rnnlab wrote"


@pytest.mark.parametrize("array", [np.array([object()]), np.zeros(1, complex), np.array(["x"])])
def test_only_numbers_are_stored_and_the_old_file_stays(path: Path, array: Any) -> None:
    before = path.read_bytes()
    with pytest.raises(TypeError, match="cannot be stored"):
        save_arrays(path, {"W": array}, {})
    assert path.read_bytes() == before


def test_a_failed_save_keeps_the_old_weights(path: Path, faults: Faults) -> None:
    faults.arm(2)
    with pytest.raises(EnvironmentFault):
        save_arrays(path, {"W": np.zeros(5)}, {})
    assert load_arrays(path)[1] == DESCRIPTION
