"""Every JSON document that the program prints fits its schema in `rnnlab/cli/schemas`."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic.json_schema import models_json_schema

from rnnlab.cli.render.output import as_json
from rnnlab.storage.provenance import Provenance
from rnnlab.storage.repository import Git
from rnnlab.storage.status import Status
from rnnlab.storage.summary import Summary
from rnnlab.sweeps.slurm.script import JobArray, Request
from tests.cli.program import rnnlab

CONFIG = """\
task: adding
name: demo
shape: {timesteps: 6}
cell: {units: 3}
training: {steps: 4, batch_size: 4, evaluate_every: 2}
evaluation: {sequences: 8}
"""
SWEEP = CONFIG.replace("demo", "pair") + "sweep: {axes: {cell.type: [simple, carry]}}\n"
SCHEMAS = {file.name.removesuffix(".json"): file for file in files("rnnlab.cli").joinpath("schemas").iterdir()}


def require_schema(name: str, text: str) -> Any:
    """Return the document in `text`, which fits the schema and carries the mark that the schema asks for."""
    document, schema = json.loads(text), json.loads(SCHEMAS[name].read_text())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(document)
    assert document["format"] == schema["properties"]["format"]["const"]
    return document


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config, a run that was evaluated, a diverged and a damaged run, and a sweep."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "demo.yaml").write_text(CONFIG)
    (folder / "pair.yaml").write_text(SWEEP)
    runs = ("--runs", folder / "runs")
    assert rnnlab("train", folder / "demo.yaml", "-q", *runs).code == 0
    rate = "training.optimizer.learning_rate=100"
    diverging = ["name=diverging", "cell.activation=linear", "training.optimizer.type=sgd", rate, "training.steps=4000"]
    options = [part for value in diverging for part in ("--set", value)]
    assert rnnlab("train", folder / "demo.yaml", "-q", *runs, *options).code == 7
    assert rnnlab("evaluate", "demo", "-q", *runs).code in {0, 2}
    damaged = folder / "runs" / "20261122T102531Z-damaged-aaaaaa"
    damaged.mkdir()
    (damaged / "status.json").write_text('{"format": "rnnlab-run/1"}')
    assert rnnlab("sweep", folder / "pair.yaml", "-q", *runs).code == 0
    return folder


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("train", ["train", "demo.yaml"]),
        ("list", ["list"]),
        ("list", ["list", "pair"]),
        ("show", ["show", "demo"]),
        ("show", ["show", "diverging"]),
        ("evaluate", ["evaluate", "demo"]),
        ("doctor", ["doctor", "demo"]),
        ("doctor", ["doctor", "diverging"]),
        ("diagnose", ["diagnose", "demo"]),
        ("export", ["export", "demo", "--format", "npz"]),
        ("verify", ["verify", "demo.yaml"]),
        ("tasks", ["tasks"]),
        *(("task", ["tasks", name]) for name in ("adding", "copy_memory", "embedded_reber", "flip_flop", "forecast")),
        ("configs", ["configs"]),
        ("cells", ["cells"]),
        *(("cell", ["cells", name]) for name in ("simple", "carry")),
        ("sweep-plan", ["sweep", "pair.yaml", "--dry-run"]),
        ("sweep", ["sweep", "status", "pair"]),
        ("reproduce", ["reproduce"]),
        ("reproduce", ["reproduce", "hs1997/table7_100", "--dry-run", "--variants"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_a_document_fits_its_schema(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: list[str]) -> None:
    monkeypatch.chdir(folder)
    runs = folder / ("other" if words[0] == "train" else "runs")
    monkeypatch.setenv("RNNLAB_RUNS", str(runs))
    done = rnnlab(*words, "--json")
    assert done.code == 0, done.stderr
    document = require_schema(name, done.stdout)
    if "run" in document:
        assert Path(document["path"]).name == document["run"]


def test_show_has_the_models_of_the_stored_documents() -> None:
    _, models = models_json_schema([(model, "serialization") for model in (Status, Summary, Provenance)])
    shown = json.loads(SCHEMAS["show"].read_text())["$defs"]
    assert {name: set(model["properties"]) for name, model in shown.items()} == {
        name: set(model["properties"]) for name, model in models["$defs"].items()
    }


def test_a_run_of_a_repository_fits() -> None:
    git = Git(commit="0" * 40, dirty=True, diff="+1", diff_complete=True)
    schema = json.loads(SCHEMAS["show"].read_text())
    provenance = Draft202012Validator({"$ref": "#/$defs/Git", "$defs": schema["$defs"]})
    provenance.validate(git.model_dump(mode="json"))


def test_a_submission_fits() -> None:
    array = JobArray(number=1, name="tiny-1", request=Request(time="20"), tasks=(("0001-seed0",),), job=12)
    arrays = [array.model_dump(mode="json", exclude={"format"})]
    require_schema(
        "sweep-submission", as_json("sweep-submission", {"sweep": "tiny", "path": "runs/tiny", "arrays": arrays})
    )


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_key_is_described(name: str) -> None:
    schema = json.loads(SCHEMAS[name].read_text())
    assert [key for key, field in schema["properties"].items() if not {"description", "$ref"} & field.keys()] == []
