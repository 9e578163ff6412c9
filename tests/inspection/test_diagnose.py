"""A diagnosis of runs that were really trained."""

from pathlib import Path

import numpy as np
import pytest

import rnnlab
from rnnlab.cells import CELLS
from rnnlab.core.errors import UsageError
from rnnlab.inspection.diagnoses import diagnose, diagnoses

TINY = {
    "task": "adding",
    "shape": {"timesteps": [6, 9]},
    "training": {"steps": 4, "batch_size": 4},
    "cell": {"type": "carry", "units": 5},
}


def test_both_backends_find_the_same(tmp_path: Path) -> None:
    ours = rnnlab.diagnose(rnnlab.train(TINY, ["precision=float64"], runs=tmp_path / "a"))
    keras = rnnlab.diagnose(rnnlab.train({**TINY, "backend": "keras"}, ["precision=float64"], runs=tmp_path / "b"))
    assert list(ours.results) == [name for name, one in diagnoses().items() if one.is_default]
    for name, values in ours["gradient"].median.items():
        np.testing.assert_allclose(keras["gradient"].median[name], values, rtol=1e-6)
    np.testing.assert_allclose(keras["lengths"].loss, ours["lengths"].loss, rtol=1e-6)
    for name, spectrum in ours["spectrum"].items():
        np.testing.assert_allclose(keras["spectrum"][name].singular_values, spectrum.singular_values, rtol=1e-6)


def test_what_is_asked_for_is_found(tmp_path: Path) -> None:
    run = rnnlab.train(TINY, ["training.record=gradient"], runs=tmp_path)
    found = diagnose(run, list(diagnoses()), timesteps=12, sequences=10)
    assert (found.step, found.weights, found.timesteps, found.sequences) == (4, "best", (12, 12), 10)
    assert list(found.results) == list(diagnoses())
    assert found["gradient"].lags.tolist() == list(range(12))
    assert set(found["states"]) == {"layers.0.h", "layers.0.c"} == set(found["gradient"].median)
    assert found["lengths"].timesteps.tolist() == [4, 6, 9, 18, 45, 90]
    assert found["lengths"].shortest.tolist() == [4, 6, 6, 6, 6, 6]
    assert found["lengths"].trained == (6, 9)
    assert diagnose(run, []).results == {}


def test_every_diagnosis_has_words_and_the_figure_it_declares(tmp_path: Path) -> None:
    run = rnnlab.train(TINY, ["training.record=gradient", "cell.layers=2"], runs=tmp_path)
    found = diagnose(run, list(diagnoses()))
    for name, one in diagnoses().items():
        assert bool(one.panels({"a": found[name]})) == bool(one.title) == bool(one.caption)
        assert one.sentences(found[name]) or one.table(found[name])


def test_a_simple_linear_network_forgets_by_its_weight(tmp_path: Path) -> None:
    """By construction: with U half of an orthogonal matrix each step back halves the gradient exactly."""
    settings = [
        "cell={type: simple, units: 6, activation: linear, "
        "initializers: {recurrent_kernel: {type: orthogonal, scale: 0.5}}}",
        "shape.timesteps=10", "precision=float64",
    ]  # fmt: skip
    run = rnnlab.train({**TINY, "cell": {"type": "simple", "units": 6}}, [*settings, "training.steps=1"], runs=tmp_path)
    norms = diagnose(run, ["gradient"], at_step=0)["gradient"].median["layers.0.h"]
    np.testing.assert_allclose(norms / norms[0], 0.5 ** np.arange(10), rtol=1e-6)


def test_a_checkpoint_that_is_gone(tmp_path: Path) -> None:
    run = rnnlab.train(TINY, runs=tmp_path)
    with pytest.raises(UsageError, match="has no checkpoint of step 3 — checkpoints: 4, 0; the newest two are kept"):
        diagnose(run, at_step=3)


FORMS = {"lstm_1997": {"units": 4, "cells_per_block": 2}}


@pytest.mark.parametrize("name", [name for name in CELLS.names() if name not in {"simple", "carry"}])
def test_every_cell_is_diagnosed(tmp_path: Path, name: str) -> None:
    """Of a vector of weights the eigenvalues are its values, and a forget gate has a time for which it keeps."""
    config = {**TINY, "training": {"steps": 2}, "cell": {"type": name, "units": 4, **FORMS.get(name, {})}}
    run = rnnlab.train(config, runs=tmp_path)
    found = diagnose(run, ["gates", "gradient", "jacobian", "spectrum", "states"])
    kind, weights = CELLS.get(name), run.weights("best")
    assert {key.removeprefix("layers.0.") for key, one in found["gates"].items() if one.kept is not None} == {
        kind.forget
    } - {""}
    for key in ("layers.0.u", "layers.0.pi"):
        if key in weights:
            np.testing.assert_allclose(
                np.sort(found["spectrum"][key].eigenvalues.real), np.sort(weights[key]), rtol=1e-12
            )
    assert set(found["states"]) == {f"layers.0.{state}" for state in kind.states}
