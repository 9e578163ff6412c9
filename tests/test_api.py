"""What `import rnnlab` offers a script."""

import shutil
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import rnnlab
from rnnlab.config.load import load_experiment
from rnnlab.config.overrides import Overrides, override_texts
from rnnlab.config.yaml import dump_yaml
from rnnlab.core.errors import ConfigError, RunNotFoundError, UsageError
from rnnlab.training.events import Event, Stepped
from tests.small import SMALL, Fit


def test_importing_rnnlab_loads_nothing_heavy() -> None:
    heavy = {"numpy", "pydantic", "yaml", "tensorflow", "keras", "matplotlib"}
    program = f"import sys, rnnlab; print({heavy} & set(sys.modules), rnnlab.__version__)"
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert child.stdout.split() == ["set()", rnnlab.__version__]


def test_training_on_numpy_loads_no_tensorflow_and_no_matplotlib(tmp_path: Path) -> None:
    program = (
        f"import sys, rnnlab; rnnlab.train({SMALL!r}, runs={str(tmp_path)!r}); "
        "print([name for name in ('tensorflow', 'keras', 'matplotlib', 'torch') if name in sys.modules])"
    )
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "[]"
    assert child.stderr == ""


def test_the_package_of_runs_is_there_after_importing_rnnlab() -> None:
    program = "import rnnlab; print(rnnlab.runs.table is rnnlab.table)"
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert child.stdout == "True\n"


def test_only_what_is_promised_is_there() -> None:
    assert rnnlab.__all__ == [
        "Comparison", "Run", "Sweep", "__version__", "compare", "diagnose", "evaluate", "export", "open_run", "predict",
        "resume", "sweep", "table", "train",
    ]  # fmt: skip
    assert dir(rnnlab) == sorted(rnnlab.__all__)  # what a shell offers to complete
    with pytest.raises(AttributeError, match="module 'rnnlab' has no attribute 'trian'"):
        rnnlab.trian  # noqa: B018


def test_a_file_names_its_run(tmp_path: Path) -> None:
    path = tmp_path / "wee-one.yaml"
    path.write_text("task: parity\ntraining: {steps: 1}\nevaluation: {sequences: 5}\n")
    for given in (path, str(path)):
        run = rnnlab.train(given, ["cell.units=3"], runs=str(tmp_path / "runs"))
        assert (run.summary.name, run.folder.label, run.experiment().cell.units) == ("wee-one", "wee-one", 3)
        assert run.folder.read_config() == path.read_bytes()


def test_the_runs_folder(fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fit().path.parent == tmp_path / "runs"
    monkeypatch.setenv("RNNLAB_RUNS", str(tmp_path / "elsewhere"))
    run = rnnlab.train(SMALL)
    assert run.path.parent == tmp_path / "elsewhere"
    assert rnnlab.open_run("latest").path == run.path


def test_a_run_is_opened_by_path_part_or_latest(fit: Fit, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    first, second = fit("name=first"), fit("name=second")
    assert rnnlab.open_run("first", runs=runs).path == first.path
    assert rnnlab.open_run(second.path).path == second.path
    assert rnnlab.open_run(str(first.path)).path == first.path
    with pytest.raises(RunNotFoundError, match="no run has a name with 'third'"):
        rnnlab.open_run("third", runs=runs)


def test_what_a_script_has_is_what_yaml_says(fit: Fit, tmp_path: Path) -> None:
    """Tuples, NumPy's numbers and other mappings stand for lists, numbers and mappings."""
    given = MappingProxyType(
        {
            **SMALL,
            "seed": np.int64(3),
            "shape": OrderedDict(timesteps=(2, np.int32(5))),
            "cell": {"units": np.uint8(4), "type": np.str_("simple")},
            "training": {**SMALL["training"], "clip_norm": np.float64(0.5), "stop_when_solved": np.False_},
        }
    )
    one = rnnlab.train(given, runs=tmp_path / "runs")
    other = fit("seed=3", "shape.timesteps=[2, 5]", "training.clip_norm=0.5")
    assert one.experiment() == other.experiment()
    assert all(np.array_equal(array, other.weights()[name]) for name, array in one.weights().items())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({3: 4}, "a key must be text, got 3"),
        ({"seed": 1j}, "got complex, expected a mapping"),
        ({"cell": {"units": {3}}}, "got set, expected a mapping"),
        ({"seed": float("nan")}, "got nan, expected a mapping"),
    ],
)
def test_what_yaml_cannot_say(tmp_path: Path, change: dict, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rnnlab.train({**SMALL, **change}, runs=tmp_path / "runs")
    (fault,) = caught.value.faults
    assert fault.where.startswith("config")
    assert fault.problem.startswith(problem)
    assert not (tmp_path / "runs").exists()


def test_a_fault_in_a_mapping_names_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        rnnlab.train({**SMALL, "cell": {"unit": 3}, "seed": -1}, runs=tmp_path)
    assert sorted(map(str, caught.value.faults)) == [
        "config cell.unit: unknown key 'unit' — did you mean 'units'?",
        "config seed: got -1, expected at least 0",
    ]


def test_overrides_are_texts_or_a_mapping(tmp_path: Path) -> None:
    """A mapping in a mapping keeps the keys that it does not name, as a file does that extends another."""
    (path := tmp_path / "small.yaml").write_text(dump_yaml(SMALL))
    texts = ["cell.units=3", "training.clip_norm=0.5", "shape.timesteps=[2, 5]", "task=parity", "name='1e3'"]
    nested = {
        "cell": {"units": np.int64(3)}, "training": {"clip_norm": 0.5}, "shape.timesteps": (2, 5), "task": "parity",
        "name": "1e3",
    }  # fmt: skip
    one, other = (load_experiment(path, override_texts(given)).experiment for given in (texts, nested))
    assert one == other
    assert (one.cell.units, one.name, one.training.batch_size) == (3, "1e3", 6)
    run = rnnlab.train(SMALL, {"training": {"steps": 2}, "cell.units": 3}, runs=tmp_path / "runs")
    assert (run.summary.steps, run.config["cell.units"], run.config["training.batch_size"]) == (2, 3, 6)
    assert rnnlab.resume(run, {"training.steps": 4}).summary.steps == 4
    scored = rnnlab.evaluate(run, {"shape.timesteps": 7, "evaluation": {"sequences": 8}})
    assert scored.sequences_in_words == "8 test sequences of parity, T=7"
    assert run.experiment({"shape": {"timesteps": 9}}).timesteps == (9, 9)


def test_an_axis_in_a_mapping_is_one_value() -> None:
    axes = {"sweep": {"axes": {"training.optimizer.learning_rate": {"from": 1e-4, "to": 1e-2}, "seed": [1, 2]}}}
    assert override_texts(axes) == [
        'sweep.axes.training.optimizer.learning_rate={"from": 0.0001, "to": 0.01}',
        "sweep.axes.seed=[1, 2]",
    ]


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        ({"cell": {"unit": 3}}, "--set cell.unit=3: unknown key 'unit' — did you mean 'units'?"),
        ({"seed": float("nan")}, "overrides seed: got nan, expected a mapping"),
        ({"extends": "x.yaml"}, '--set extends="x.yaml": `extends` cannot be set'),
        ("cell.units", "--set cell.units: expected key=value"),
        ({"training.steps": 10, "training": {"steps": 20}}, "overrides training.steps: is given twice"),
    ],
)
def test_what_is_wrong_in_overrides_is_named(tmp_path: Path, overrides: Overrides, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rnnlab.train(SMALL, overrides, runs=tmp_path / "runs")
    (fault,) = caught.value.faults
    assert str(fault).startswith(problem)
    assert not (tmp_path / "runs").exists()


def test_the_mapping_given_is_not_changed(fit: Fit) -> None:
    kept = repr(SMALL)
    fit("cell.units=3", "seed=2")
    assert repr(SMALL) == kept


@pytest.mark.usefixtures("single_updates")
def test_a_watcher_may_stop_the_training(fit: Fit, tmp_path: Path) -> None:
    def watch(event: Event) -> None:
        if isinstance(event, Stepped) and event.step == 3:
            raise LookupError("seen enough")

    with pytest.raises(LookupError, match="seen enough"):
        fit(watch=watch)
    run = rnnlab.open_run("latest", runs=tmp_path / "runs")
    assert (run.state, run.summary.steps) == ("interrupted", 3)
    assert run.folder.load_weights("last")[1]["step"] == 3


@pytest.mark.parametrize("cell", ["simple", "carry"])
def test_a_model_predicts_as_its_equation_says(fit: Fit, cell: str) -> None:
    run = fit("precision=float64", "cell.layers=2", f"cell.type={cell}")
    inputs = np.random.default_rng(0).normal(size=(3, 7, 1))
    prediction, weights = run.model("last").predict(inputs, states=True), run.weights("last")
    experiment = run.experiment()
    layer = experiment.network().cell
    states = [layer.initial_state(np, 3, "f8") for _ in range(2)]
    for t in range(7):
        x = inputs[:, t]
        for n in range(2):
            own = {key.split(".")[2]: array for key, array in weights.items() if key.startswith(f"layers.{n}.")}
            step = layer.step(np, own, x, states[n])
            x, states[n] = step.output, step.state
            for name, array in step.state.items():
                np.testing.assert_allclose(prediction.states[f"layers.{n}.{name}"][:, t], array, rtol=0, atol=1e-13)
    np.testing.assert_allclose(prediction.outputs, x @ weights["head.W"] + weights["head.b"], rtol=0, atol=1e-13)


CALLS: dict[str, tuple[Callable[[Any], object], str]] = {
    "no config": (lambda _: rnnlab.train(None), "config: got None, expected the path of a YAML file"),
    "a list for a config": (lambda _: rnnlab.train([]), "config: got a list, expected the path"),
    "a number for a config": (lambda _: rnnlab.sweep(5), "config: got 5, expected the path"),
    "pairs": (lambda _: rnnlab.train(SMALL, [("seed", 5)]), "overrides: got a tuple in a list, expected a mapping"),
    "no overrides": (lambda run: rnnlab.resume(run, None), "overrides: got None, expected a mapping"),
    "no run": (lambda _: rnnlab.evaluate(None), "got None, expected a run, its path"),
    "nothing to compare": (lambda _: rnnlab.compare(None), "got None, expected runs and sweeps"),
    "no number": (
        lambda _: rnnlab.sweep(SMALL, workers="x"),
        "workers: got 'x', expected a whole number of at least 1",
    ),
    "no workers": (lambda _: rnnlab.sweep(SMALL, workers=0), "workers: got 0, expected a whole number"),
    "a file for a format": (lambda run: rnnlab.export(run, "x.onnx"), "format: got 'x.onnx', expected one of keras,"),
    "a stream": (lambda run: rnnlab.evaluate(run, on="nope"), "on: got 'nope', expected one of test, validation"),
    "weights": (lambda run: rnnlab.evaluate(run, weights="zzz"), "weights: got 'zzz', expected one of best, last"),
    "a diagnosis": (lambda run: rnnlab.diagnose(run, "gradeint"), "'gradeint' is not a diagnosis"),
    "a number to predict": (lambda run: run.model().predict(5), "inputs: got an array of int64 with the shape ()"),
    "features": (lambda run: run.model().predict(np.ones((2, 3, 4))), "inputs: got an array of float64 with the shape"),
    "no sequence": (lambda run: run.model().predict(np.ones((0, 3, 1))), "inputs: got an array of float64 with the"),
    "text": (lambda run: run.model().predict([[["x"]]]), "inputs: got an array of <U1 with the shape (1, 1, 1)"),
}


@pytest.mark.parametrize(("call", "problem"), CALLS.values(), ids=CALLS)
def test_an_argument_that_cannot_be_is_named(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[[Any], object], problem: str
) -> None:
    """And nothing is written: neither a run nor an evaluation."""
    monkeypatch.chdir(tmp_path)
    run = fit()
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(UsageError) as caught:
        call(run)
    assert str(caught.value).startswith(problem)
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_runs_are_compared_one_by_one_or_as_a_list(fit: Fit) -> None:
    one, other, third = fit(), fit("seed=1"), fit("cell.units=3")
    asked = ((one, other, third), ([one, other, third],), ([one, other], str(third.path)))
    found = [rnnlab.compare(*names, metric="train/loss") for names in asked]
    names = {one.name, other.name, third.name}
    assert [({run.name for run in each.results}, each.metric) for each in found] == [(names, "train/loss")] * 3


def test_one_diagnosis_is_given_as_text(fit: Fit) -> None:
    assert list(rnnlab.diagnose(fit(), "spectrum").results) == ["spectrum"]


@pytest.mark.parametrize("act", [rnnlab.resume, rnnlab.evaluate, rnnlab.diagnose, rnnlab.predict, rnnlab.compare])
def test_a_run_whose_folder_was_deleted(fit: Fit, act: Callable[[rnnlab.Run], object]) -> None:
    run = fit()
    shutil.rmtree(run.path)
    with pytest.raises(RunNotFoundError):
        act(run)
