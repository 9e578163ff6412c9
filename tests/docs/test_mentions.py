"""What the pages mention exists: commands and their options, keys of a config, files of the repository."""

import re
from pathlib import Path

import pytest
import typer

from rnnlab.cli.main import app, load_command
from rnnlab.cli.options import complete_setting
from tests.docs.test_pages import ROOT, TEXTS

README = TEXTS["README.md"]
ROOTS = [path for name in ("CONTRIBUTING.md", "CHANGELOG.md") if (path := ROOT / name).exists()]
ALL = {**TEXTS, **{path.name: path.read_text(encoding="utf-8") for path in ROOTS}}
EVERYWHERE = {"--help", "-h", "--version", "--install-completion", "--show-completion"}
COMMANDS = {name: load_command(name) for name in typer.main.get_command(app).commands}  # type: ignore[attr-defined]
KEYS = [setting.removesuffix("=") for setting in complete_setting("")]
_BLOCKS = "task|cell|shape|training|evaluation|logging"


def options(command: object) -> set[str]:
    """The options of a command and of those in it."""
    own = {name for one in getattr(command, "params", ()) for name in (*one.opts, *one.secondary_opts)}
    return own.union(*map(options, getattr(command, "commands", {}).values())) | EVERYWHERE


def spans(text: str) -> list[str]:
    """The code in a page's sentences, and its commands."""
    sentences = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```(?:console|sh)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    commands = [line for block in blocks for line in re.findall(r"^(?:\$ )?(?:\S*/)?(rnnlab .+)$", block, re.MULTILINE)]
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", sentences)] + commands


@pytest.mark.parametrize("name", sorted(ALL))
def test_commands_and_options_exist(name: str) -> None:
    unknown = []
    for span in spans(ALL[name]):
        for part in re.split(r" (?:[|&;]+|>) ", span):
            if match := re.match(r"rnnlab ([a-z][a-z_]*)\b(?!\.)(.*)", part):
                command, rest = match.groups()
                known = options(COMMANDS[command]) if command in COMMANDS else set()
                unknown += [part] if command not in COMMANDS else []
                unknown += [part for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest) if option not in known]
    assert unknown == []


@pytest.mark.parametrize("name", sorted(ALL))
def test_options_by_themselves_are_of_some_command(name: str) -> None:
    known = set[str]().union(*map(options, COMMANDS.values()))
    found = [match[0] for span in spans(ALL[name]) if (match := re.match(r"--[a-z][a-z-]*", span))]
    assert [option for option in found if option not in known] == []


@pytest.mark.parametrize("name", sorted(ALL))
def test_keys_exist(name: str) -> None:
    found = [
        match[1]
        for span in spans(ALL[name])
        if (match := re.match(rf"((?:{_BLOCKS})\.(?!py\b)[a-z_][\w.]*)(?:=|: |$)", span))
    ]
    assert [key for key in found if not any(f"{known}.".startswith(f"{key}.") for known in KEYS)] == []


@pytest.mark.parametrize("name", sorted(ALL))
def test_files_exist(name: str) -> None:
    found = [span for span in spans(ALL[name]) if re.fullmatch(r"(?:configs|rnnlab|tests|docs)/[\w./]*", span)]
    assert [path for path in found if not (ROOT / path).exists()] == []


def test_links_of_the_readme_lead_to_files() -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", README)]
    assert [link for link in links if ":" not in link and not (ROOT / link).exists()] == []


def test_the_help_of_the_program_has_every_exit_code() -> None:
    from rnnlab.core.errors import RnnlabError

    program = typer.main.get_command(app)
    text = " ".join(f"{program.help} {program.epilog}".split())
    codes = {0, 130, *(kind.exit_code for kind in (RnnlabError, *RnnlabError.__subclasses__()))}
    assert [code for code in sorted(codes) if not re.search(rf"\b{code} ", text)] == []


def test_every_page_is_on_the_index() -> None:
    """Sphinx warns of it too; here it is found without Sphinx."""
    listed = set(re.findall(r"^[a-z_]+(?:/[a-z_]+)?$", TEXTS["docs/index.md"], re.MULTILINE))
    pages = {Path(name).relative_to("docs").with_suffix("").as_posix() for name in TEXTS if "/" in name} - {"index"}
    assert pages - listed == set()
