"""The pages of what is stored and printed for other programs: exit codes, JSON, the run folder."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel

import rnnlab.cli
from generator.markdown import as_stored, code, definitions, docstring, document, escaped, table
from rnnlab.cli.render.card import kind, option_rows
from rnnlab.core.errors import RnnlabError
from rnnlab.storage import checkpoint, folder, lock, metrics, sealed_yaml, weights
from rnnlab.storage.description import CheckpointDescription, WeightsDescription
from rnnlab.storage.holder import Holder
from rnnlab.storage.provenance import Provenance
from rnnlab.storage.status import Status
from rnnlab.storage.summary import Summary
from rnnlab.sweeps import folder as sweep
from rnnlab.sweeps.plan import Plan
from rnnlab.sweeps.records import CancelRequest, Failure

_EXIT_CODES = """\
# Exit codes

Every command ends with one of these. An error is one message on stderr with its code in brackets: where, what was
given, what was expected, what to do.
"""
_JSON = """\
# JSON formats

With `--json` a command prints one object on stdout and everything else on stderr. Its first key, `format`, names the
format and its version: a number goes up when a key is removed or changes its meaning, not when one is added. The
schemas are JSON Schema 2020-12, in the package under `rnnlab/cli/schemas`; the tests validate the output of every
command by them. A number that is not finite is `null`.

In the tables, `[]` after a name is any item of the list, `*` any key of the mapping; a key in brackets may be
missing.
"""
_FOLDER = """\
# The run folder

All there is about a run is in one folder, `runs/TIME-NAME-TOKEN`, with the time in UTC. Every file but the appended
records is written under a temporary name, flushed to the disk and renamed, so it is there as a whole or not at all.
Every document has a checksum and the id of its run, and is read by one strict schema; unknown keys are errors.
`rnnlab doctor` checks all of them.
"""


def exit_codes() -> str:
    """Return the page of the exit codes."""
    kinds = sorted(RnnlabError.__subclasses__(), key=lambda one: one.exit_code)
    rows = [("0", "", "Done."), ("1", code(RnnlabError.code), "A bug in rnnlab; the message says what to report.")]
    rows += [(str(one.exit_code), code(one.code), escaped(docstring(one).text.splitlines()[0])) for one in kinds]
    rows.append(("130", "", "Stopped by Ctrl-C at once; the state was not saved."))
    return f"{_EXIT_CODES}\n{table(('exit code', 'in the message', 'meaning'), rows)}"


def json_formats() -> str:
    """Return the page of the JSON formats."""
    parts = [_JSON]
    for path in sorted((Path(rnnlab.cli.__file__).parent / "schemas").glob("*.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        mark = schema["properties"]["format"]["const"]
        parts += [
            f"## `{mark}`\n",
            f"Printed by {code(schema['title'].replace(', ', '`, `'))}; schema {code(path.name)}.\n",
        ]
        about = schema.get("description")
        rows = [
            (code(name), escaped(types), escaped(as_stored(text)))
            for name, types, text in _keys(schema, schema.get("$defs", {}))
        ]
        parts += [f"{about}\n"] * bool(about) + [table(("key", "type", "meaning"), rows)]
    return "\n".join(parts)


def _keys(field: Mapping[str, Any], known: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield the keys of a schema, those inside too, with their types and descriptions."""
    for form in _forms(field, known):
        required = form.get("required", [])
        for name, inner in form.get("properties", {}).items():
            full = f"{prefix}{name}" if name in required or not required else f"{prefix}({name})"
            yield full, _types(inner), inner.get("description", "")
            yield from _keys(inner, known, f"{full}.")
        if isinstance(more := form.get("additionalProperties"), dict):
            yield from _keys(more, known, f"{prefix}*.")
        if isinstance(items := form.get("items"), dict):
            yield from _keys(items, known, f"{prefix.removesuffix('.')}[].")


def _forms(field: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield known[field["$ref"].rpartition("/")[2]] if "$ref" in field else field
    for form in field.get("anyOf", []):
        yield from _forms(form, known)


def _types(field: Mapping[str, Any]) -> str:
    types = field.get("type", "")
    if isinstance(types, list):
        return " or ".join(kind({"type": one}) for one in types)
    return kind(field)


def run_folder() -> str:
    """Return the page of the run folder."""
    _, _, files = docstring(folder).text.partition("\n\n")
    parts = [_FOLDER, files, "## `status.json`\n", *_document(Status), "## `summary.json`\n"]
    parts += [*_document(Summary), "## `provenance.json`\n", *_document(Provenance)]
    parts += ["## `resolved.yaml`\n", *_module(sealed_yaml), "## `metrics.jsonl`\n", *_module(metrics)]
    parts += ["## Arrays: `weights` and `checkpoints`\n", *_module(weights), "### `weights/*.safetensors`\n"]
    parts += [*_document(WeightsDescription), "### `checkpoints/*.safetensors`\n", *_module(checkpoint)]
    parts += [*_document(CheckpointDescription), "## `lock-0001.json`\n", *_module(lock), *_document(Holder)]
    parts += [
        "## The folder of a sweep\n",
        *_module(sweep),
        "### `plan.json`\n",
        *_document(Plan),
        "### `failures`\n",
        *_document(Failure),
    ]
    return "\n".join([*parts, "### `cancel.json`\n", *_document(CancelRequest)])


def _module(module: ModuleType) -> list[str]:
    text = docstring(module)
    return [text.text, definitions((title, escaped(" ".join(about.split()))) for title, about in text.sections.items())]


def _document(model: type[BaseModel]) -> list[str]:
    about = re.sub("; immutable.*", ".", as_stored(docstring(model).text))
    return [about, document(option_rows(model))]
