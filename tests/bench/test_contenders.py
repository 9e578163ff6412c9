"""Every contender computes the same function, and one that does not is detected."""

from pathlib import Path

import numpy as np
import pytest

from rnnlab.backends.keras.engines import start
from rnnlab.backends.numpy import NumpyBackend
from rnnlab.bench.child import Request, measure
from rnnlab.bench.contenders import CONTENDERS, Contender, choose
from rnnlab.bench.work import TOLERANCE, Figures, Work, largest_difference, read_shape, reference
from rnnlab.cells import CELLS
from rnnlab.core.code_files import CodeFile
from rnnlab.core.errors import EnvironmentFault, RnnlabError, UsageError
from rnnlab.core.text import jsonable
from tests.backends.swapped_gates import in_the_kernel
from tests.cells.leaky import LEAKY

SHAPE = read_shape("T5xB4xD2xH3")
# Those whose library this process may import; JAX is tested as a child process, in `test_measure.py`.
IN_THIS_PROCESS = [
    (CONTENDERS["fit/tensorflow"], "simple", 2),
    (CONTENDERS["fit/tensorflow"], "carry", 1),
    (CONTENDERS["tensorflow_loop"], "simple", 1),
    (CONTENDERS["tensorflow_loop"], "carry", 2),
    (CONTENDERS["tensorflow_loop"], "lstm_1997", 1),
]
# Options with which an equation stops gradients.
STOPPED = [("lstm_1997", {"truncate": True}), ("lstm_peephole", {"peephole_gradient": False})]
ON_TORCH = [
    (CONTENDERS["torch_rnn"], "simple", 2),
    (CONTENDERS["torch_lstm"], "lstm", 2),
    (CONTENDERS["torch_gru"], "gru", 2),
    *((CONTENDERS["torch_loop"], cell, 2) for cell in CELLS.names()),
]


def work(cell: str, **options: object) -> Work:
    return Work(CELLS.get(cell).Options(units=3, **options), SHAPE)


def assert_the_same_work(known: Contender, given: Work) -> None:
    """Its gradients are those of the reference, and sixteen steps reduce the loss as much as the reference's do."""
    assert known.suits(given)
    kind = known.load()
    contender = kind(given, engine=known.engine)
    for _ in range(16 // contender.calls):
        contender.step()
    trained, figures = contender.figures(), kind(given, engine=known.engine).figures()
    assert trained is not None
    assert figures is not None
    assert largest_difference(figures, reference(given))[0] < TOLERANCE / 10
    assert trained.loss - figures.loss == pytest.approx(progress(given, steps=16), rel=1e-3)


def progress(given: Work, *, steps: int) -> float:
    """The change of the loss in so many steps of the reference."""
    network, batch = given.network("float64"), given.batch()
    model = NumpyBackend(reference=True).build(network, parameters=given.parameters(), training=given.training())
    losses = [model.train_step(batch).loss for _ in range(steps + 1)]
    return losses[-1] - losses[0]


@pytest.mark.parametrize(("contender", "cell", "layers"), IN_THIS_PROCESS)
def test_the_same_work(contender: Contender, cell: str, layers: int) -> None:
    start()  # before a contender sets TensorFlow's threads, which can be done once
    assert_the_same_work(contender, work(cell, layers=layers))


@pytest.mark.peers
@pytest.mark.parametrize(("contender", "cell", "layers"), ON_TORCH)
def test_the_same_work_on_torch(contender: Contender, cell: str, layers: int) -> None:
    pytest.importorskip("torch", reason="the outside reference needs the extra `peers`")
    assert_the_same_work(contender, work(cell, layers=layers))


@pytest.mark.parametrize(("cell", "options"), STOPPED)
def test_stopped_gradients(cell: str, options: dict[str, bool]) -> None:
    start()
    assert_the_same_work(CONTENDERS["tensorflow_loop"], work(cell, **options))


@pytest.mark.peers
@pytest.mark.parametrize(("cell", "options"), STOPPED)
def test_stopped_gradients_on_torch(cell: str, options: dict[str, bool]) -> None:
    pytest.importorskip("torch", reason="the outside reference needs the extra `peers`")
    assert_the_same_work(CONTENDERS["torch_loop"], work(cell, layers=2, **options))


@pytest.mark.peers
def test_a_cell_in_a_file_has_peers(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the outside reference needs the extra `peers`")
    (tmp_path / "my_cell.py").write_text(LEAKY)
    cell = str(CodeFile(Path("my_cell.py"), "Leaky").located(tmp_path))
    assert str(work(cell)).endswith(", Leaky")
    assert_the_same_work(CONTENDERS["torch_loop"], Work.from_json(jsonable(work(cell, layers=2))))


@pytest.mark.peers
def test_inputs_read_by_more_than_products(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the outside reference needs the extra `peers`")
    product, more = 'xp.matmul(inputs, p["W"])', 'xp.matmul(xp.stop_gradient(inputs), p["W"])'
    text = LEAKY
    assert product in text
    (tmp_path / "my_cell.py").write_text(text.replace(product, f"{product} + {more}"))
    cell = str(CodeFile(Path("my_cell.py"), "Leaky").located(tmp_path))
    assert_the_same_work(CONTENDERS["torch_loop"], Work.from_json(jsonable(work(cell, layers=2))))


@pytest.mark.parametrize("pair", ["if", "fk", "ko"])
def test_swapped_gates_are_detected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pair: str) -> None:
    in_the_kernel(monkeypatch, pair)
    request = Request("numpy", work("carry"), 1, tmp_path / "g.npz")
    results = measure(Request.from_json(request.to_json()))
    with np.load(request.gradients) as arrays:
        worst, what = largest_difference(Figures(results["loss"], dict(arrays)), reference(request.work))
    assert worst > 100 * TOLERANCE
    assert what.startswith("gradient of layers.0.")


def test_any_difference_counts() -> None:
    expected = reference(work("simple"))
    right = Figures(expected.loss, dict(expected.gradients))
    assert largest_difference(right, expected)[0] == 0.0
    wrong = {
        "loss": Figures(1.001 * expected.loss, right.gradients),
        "gradient of layers.0.W": Figures(
            expected.loss, {k: v for k, v in right.gradients.items() if k != "layers.0.W"}
        ),
        "gradient of layers.0.b": Figures(expected.loss, {**right.gradients, "layers.0.b": np.full(3, np.nan)}),
        "gradient of head.W": Figures(expected.loss, {**right.gradients, "head.W": right.gradients["head.W"].T}),
    }
    for what, figures in wrong.items():
        worst, found = largest_difference(figures, expected)
        assert worst > TOLERANCE
        assert found == what or worst == float("inf")


def test_what_a_measurement_returns(tmp_path: Path) -> None:
    results = measure(Request("numpy", work("carry"), 1, tmp_path / "g.npz"))
    assert 0 < results["min_s"] <= results["median_s"] <= results["p90_s"] < 1
    assert results["steps"] == 200
    assert results["loss"] == pytest.approx(reference(work("carry")).loss, rel=1e-6)
    assert results["gflops"] > 0.1
    assert results["kernels"]
    assert results["versions"] == {"numpy": np.__version__}


def test_the_contenders_of_a_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.bench.contenders.is_installed", lambda name: name != "torch")
    simple, carry = work("simple"), work("carry")
    entered = choose([simple, carry], None)
    own = ["numpy", "compiled", "keras/jax", "keras/tensorflow"]
    assert list(map(str, entered[carry])) == [*own, "fit/jax", "fit/tensorflow", "jax_scan", "tensorflow_loop"]
    assert list(map(str, choose([simple], ["none"])[simple])) == own
    assert list(map(str, choose([simple], ["jax"])[simple])) == [*own, "jax_scan"]
    monkeypatch.setattr("rnnlab.bench.contenders.is_installed", lambda name: name in {"numpy", "torch"})
    for cell, options, layer in [
        ("lstm", {}, ["torch_lstm"]), ("lstm", {"activation": "relu"}, []), ("gru", {}, ["torch_gru"]),
        ("gru", {"reset_after": False}, []), ("simple", {"activation": "relu"}, ["torch_rnn"]), ("carry", {}, []),
    ]:  # fmt: skip
        (found,) = choose([work(cell, **options)], None).values()
        assert sorted(map(str, found)) == sorted(["numpy", "torch_loop", *layer])


@pytest.mark.parametrize(
    ("against", "kind", "message"),
    [
        (["torch"], EnvironmentFault, "--against: torch is not installed — pip install 'rnnlab[torch]'"),
        (["tensorflwo"], UsageError, "--against: unknown library 'tensorflwo' — did you mean 'tensorflow'?"),
        (
            ["none", "jax"],
            UsageError,
            "--against: none cannot be combined with others — known: jax, keras, tensorflow, torch",
        ),
    ],
)
def test_libraries_that_cannot_be_measured(
    monkeypatch: pytest.MonkeyPatch, against: list[str], kind: type[RnnlabError], message: str
) -> None:
    monkeypatch.setattr("rnnlab.bench.contenders.is_installed", lambda name: name != "torch")
    with pytest.raises(kind) as caught:
        choose([work("simple")], against)
    assert str(caught.value) == message
