"""A run exported: loaded elsewhere by the printed line, written whole or not at all, the run left as it was."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnlab
from rnnlab.backends.keras.engines import start
from rnnlab.core.errors import EnvironmentFault, UsageError, VerificationError
from rnnlab.inspection.export import ENDINGS, Format
from tests.cli.jobs import everything
from tests.small import SMALL

in_saving = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own
SEQUENCES = {**SMALL, "task": "flip_flop", "cell": {"type": "carry", "units": 4, "layers": 2}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, rnnlab.Run]:
    """A last-step run of the simple cell and a sequence run of the carry cell."""
    runs = tmp_path_factory.mktemp("trained")
    return {"simple": rnnlab.train(SMALL, ["cell.type=simple"], runs=runs), "carry": rnnlab.train(SEQUENCES, runs=runs)}


@pytest.fixture
def simple(trained: dict[str, rnnlab.Run]) -> Iterator[rnnlab.Run]:
    """The simple run; nothing in its folder may have changed by the end of the test."""
    before = everything(trained["simple"].path)
    yield trained["simple"]
    assert everything(trained["simple"].path) == before


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def computed(load: str, call: str, *, x: Any, without: tuple[str, ...]) -> Any:
    """Return what a fresh process computes in which some packages cannot be imported."""
    np.save("x.npy", x)
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({without}))\nimport numpy\n{load}\nx = numpy.load('x.npy')\n"
        f"numpy.save('y.npy', numpy.asarray({call}))\n"
    )
    quiet = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", program], env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return np.load("y.npy")


@in_saving
@pytest.mark.parametrize(
    ("format", "cell", "call", "without"),
    [
        ("keras", "simple", "model(x)", ("rnnlab",)),
        pytest.param("savedmodel", "simple", "model.serve(x)", ("rnnlab", "keras"), marks=pytest.mark.soak),
        ("savedmodel", "carry", "model.serve(x)", ("rnnlab", "keras")),
        ("npz", "simple", "arrays['layers.0.W'] * x[0, 0, 0]", ("rnnlab", "keras", "tensorflow")),
        pytest.param(
            "onnx", "carry", "model.run(None, {'inputs': x})[0]", ("rnnlab", "keras", "tensorflow"),
            marks=pytest.mark.onnx,
        ),
    ],
)  # fmt: skip
def test_the_printed_line_loads_it_in_a_fresh_process(
    here: Path, trained: dict[str, rnnlab.Run], format: Format, cell: str, call: str, without: tuple[str, ...]
) -> None:
    if format == "onnx":
        pytest.importorskip("onnx", reason="needs the extra `onnx`")
    run = trained[cell]
    done = rnnlab.export(run, format)
    assert "rnnlab" not in done.load.partition(";")[0]
    x = np.random.default_rng(0).normal(size=(3, 9, done.inputs[-1])).astype("float32")
    got = computed(done.load, call, x=x, without=without)
    expected = run.weights()["layers.0.W"] * x[0, 0, 0] if format == "npz" else run.model().predict(x).outputs
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)
    assert len(done.outputs) == got.ndim


WITHOUT_ITS_LAYER = """
try:
    keras.models.load_model('x.keras')
except TypeError as error:
    assert "Could not locate class 'EquationRNN'" in str(error)
else:
    raise AssertionError("loaded without its layer")
"""


@in_saving
def test_a_carry_network_needs_the_module_of_its_layer(here: Path, trained: dict[str, rnnlab.Run]) -> None:
    done = rnnlab.export(trained["carry"], "keras", out=Path("x.keras"))
    assert done.load == "import keras, rnnlab.backends.keras.layers; model = keras.models.load_model('x.keras')"
    x = np.random.default_rng(0).normal(size=(3, 9, done.inputs[-1])).astype("float32")
    got = computed(f"import keras, rnnlab{WITHOUT_ITS_LAYER}{done.load}", "model(x)", x=x, without=())
    np.testing.assert_allclose(got, trained["carry"].model().predict(x).outputs, rtol=0, atol=1e-5)


def test_what_is_returned(here: Path, simple: rnnlab.Run, trained: dict[str, rnnlab.Run]) -> None:
    done = rnnlab.export(simple, "npz", weights="last")
    assert done.path == Path(f"{simple.path.name}-last.npz")
    assert (done.format, done.weights, done.step, done.dtype) == ("npz", "last", 5, "float32")
    assert done.bytes == done.path.stat().st_size
    assert (done.inputs, done.outputs) == ((None, None, 1), (None, 1))
    carry = rnnlab.export(trained["carry"], "npz", out="carry.npz")
    assert (carry.path, carry.inputs, carry.outputs) == (Path("carry.npz"), (None, None, 3), (None, None, 3))
    assert names(here) == [done.path.name, "carry.npz"]


def test_the_arrays_have_their_full_names(here: Path, trained: dict[str, rnnlab.Run]) -> None:
    run = trained["carry"]
    for which in ("best", "last"):
        with np.load(rnnlab.export(run, "npz", weights=which).path, allow_pickle=False) as arrays:
            expected = run.weights(which)
            assert list(arrays) == list(run.experiment().network().parameters())
            assert all(np.array_equal(arrays[name], array) for name, array in expected.items())


def test_arrays_need_no_tensorflow(here: Path, simple: rnnlab.Run) -> None:
    program = f"import sys, rnnlab; rnnlab.export({str(simple.path)!r}, 'npz'); print('keras' in sys.modules)"
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert child.stdout == "False\n"


@in_saving
@pytest.mark.parametrize(
    "format", [pytest.param(name, marks=[pytest.mark.onnx] if name == "onnx" else []) for name in ENDINGS]
)
def test_every_format_has_its_ending_and_is_replaced_by_force(here: Path, simple: rnnlab.Run, format: Format) -> None:
    if format == "onnx":
        pytest.importorskip("onnx", reason="needs the extra `onnx`")
    first = rnnlab.export(simple, format)
    assert first.path.name == f"{simple.path.name}-best{ENDINGS[format]}"
    files = [first.path] if first.path.is_file() else [path for path in first.path.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) == first.bytes
    files[0].write_bytes(b"another")
    if first.path.is_dir():
        (first.path / "more").write_bytes(b"x")
    with pytest.raises(UsageError) as caught:
        rnnlab.export(simple, format)
    assert str(caught.value) == (
        f"{first.path}: already exists — replace it with --force, or choose another place with --out"
    )
    assert files[0].read_bytes() == b"another"
    rnnlab.export(simple, format, force=True)
    assert files[0].read_bytes() != b"another"
    assert not (first.path / "more").exists()
    assert names(here) == [first.path.name]


@in_saving
def test_a_run_trained_on_keras(here: Path) -> None:
    run = rnnlab.train(SMALL, ["backend=keras", "training.steps=1"], runs="runs")
    start()
    from keras.models import load_model

    model = load_model(rnnlab.export(run, "keras").path)
    x = np.random.default_rng(0).normal(size=(3, 6, 1)).astype("float32")
    np.testing.assert_allclose(model(x).numpy(), run.model().predict(x).outputs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("format", "out", "reported"),
    [
        ("keras", "x.h5", "x.h5: expected a name that ends in .keras"),
        ("keras-weights", "x.h5", "x.h5: expected a name that ends in .weights.h5"),
        ("npz", "folder", "folder: expected a name that ends in .npz"),
        ("savedmodel", ".", ".: expected a name for a folder"),
        ("savedmodel", "folder/..", "folder/..: expected a name for a folder"),
        ("savedmodel", "folder", "folder: already exists, and is not a SavedModel"),
        ("savedmodel", "file", "file: already exists, and is not a SavedModel"),
        ("savedmodel", "link", "link: already exists, and is not a SavedModel"),
        ("onnx", "folder.onnx", "folder.onnx: already exists, and is not a file"),
        ("npz", "no/x.npz", "no/x.npz: the folder for it does not exist — create it first, or"),
    ],
)
def test_a_place_that_will_not_do(here: Path, simple: rnnlab.Run, format: Format, out: str, reported: str) -> None:
    (here / "folder").mkdir()
    (here / "folder.onnx").mkdir()
    (here / "file").write_bytes(b"")
    (here / "model").mkdir()
    (here / "model" / "saved_model.pb").write_bytes(b"")
    (here / "link").symlink_to("model")
    before = sorted(here.rglob("*"))
    for force in (False, True):
        with pytest.raises(UsageError) as caught:
            rnnlab.export(simple, format, out=out, force=force)
        assert str(caught.value).startswith(reported)
        assert str(caught.value).endswith(" choose another place with --out")
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("inside", ["x.npz", "weights/x.npz", "link/x.npz", ""])
def test_no_export_into_a_run_or_in_its_place(here: Path, simple: rnnlab.Run, inside: str) -> None:
    place = Path(inside) if inside.startswith("link") else simple.path / inside
    Path("link").symlink_to(simple.path / "weights")
    with pytest.raises(UsageError) as caught:
        rnnlab.export(simple, "npz" if inside else "savedmodel", out=place, force=True)
    reason = "is inside a run's folder, which must contain only that run — choose another place with --out"
    assert str(caught.value) == f"{place}: {reason}"


@in_saving
@pytest.mark.parametrize("format", ["npz", "savedmodel"])
def test_a_place_that_the_system_refuses(here: Path, simple: rnnlab.Run, format: Format) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        rnnlab.export(simple, format, out="/proc/x" + ENDINGS[format])
    assert str(caught.value).endswith(": No such file or directory — check the disk (its log may say more), or choose "
                                      "another place with --out")  # fmt: skip
    assert caught.value.where == "/proc/x" + ENDINGS[format]
    assert caught.value.exit_code == 5


def test_damaged_weights_are_not_exported(here: Path) -> None:
    run = rnnlab.train(SMALL, ["training.steps=1"], runs="runs")
    path = run.path / "weights" / "best.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(VerificationError, match="does not match its SHA-256"):
        rnnlab.export(run, "npz")
    assert names(here) == ["runs"]


@pytest.fixture(scope="module")
def forecast(tmp_path_factory: pytest.TempPathFactory) -> rnnlab.Run:
    """A run on a file whose target is far from 0, beside a column that never changes in the training part."""
    pytest.importorskip("pandas", reason="needs the extra `data`")
    folder = tmp_path_factory.mktemp("forecast")
    rows = (f"{np.sin(t / 3):.4f},{7 + (t > 55)},{70000 + 20 * np.cos(t / 3):.4f}" for t in range(60))
    (folder / "x.csv").write_text("x,fixed,y\n" + "\n".join(rows))
    task = {"type": "forecast", "csv": str(folder / "x.csv"), "target": "y"}
    return rnnlab.train({**SMALL, "task": task, "shape": {"timesteps": 4}, "precision": "float64"}, runs=folder)


def by_hand(run: rnnlab.Run) -> tuple[Any, Any]:
    """Return six rows of the file, and what the network makes of them in the units of the file."""
    rows = np.loadtxt(run.experiment().task.files["csv"].place, delimiter=",", skiprows=1)
    training = rows[:45]
    deviation = training.std(axis=0)
    deviation[1] = 1
    scaled = (rows[None, -6:] - training.mean(axis=0)) / deviation
    return rows[None, -6:], run.model().predict(scaled).outputs * deviation[2] + training[:, 2].mean()


@in_saving
@pytest.mark.parametrize("format", ["keras", "savedmodel", pytest.param("onnx", marks=pytest.mark.onnx)])
def test_a_model_of_a_file_reads_and_returns_its_units(here: Path, forecast: rnnlab.Run, format: Format) -> None:
    if format == "onnx":
        pytest.importorskip("onnx", reason="needs the extra `onnx`")
    done = rnnlab.export(forecast, format)
    assert done.in_units
    rows, expected = by_hand(forecast)
    calls = {"keras": "model(x)", "savedmodel": "model.serve(x)", "onnx": "model.run(None, {'inputs': x})[0]"}
    got = computed(done.load, calls[format], x=rows, without=())
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_arrays_of_a_file_come_with_its_scale(here: Path, forecast: rnnlab.Run) -> None:
    done = rnnlab.export(forecast, "npz")
    rows = np.loadtxt(forecast.experiment().task.files["csv"].place, delimiter=",", skiprows=1)[:45]
    with np.load(done.path, allow_pickle=False) as arrays:
        np.testing.assert_allclose(arrays["inputs.mean"], rows.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(arrays["inputs.deviation"], rows.std(axis=0), rtol=1e-12)
        assert arrays["inputs.deviation"][1] == 0
        assert (arrays["outputs.mean"], arrays["outputs.deviation"]) == (
            arrays["inputs.mean"][2:],
            arrays["inputs.deviation"][2:],
        )
    assert not done.in_units
    assert done.scaling
    assert done.scaling.inputs.names == ("x", "fixed", "y")
    with pytest.raises(UsageError, match="the network has learnt no series 'A'"):
        rnnlab.export(forecast, "npz", series="A", force=True)
