"""Shipped configs are found by name, from anywhere; a file here comes first."""

from pathlib import Path

import pytest

from rnnlab.config import shipped
from rnnlab.config.reading import read_document
from rnnlab.config.shipped import located, shipped_configs
from rnnlab.core.errors import ConfigError, UsageError

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def fault(name: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_document(Path(name))
    (one,) = caught.value.faults
    return str(one)


def test_all_are_known_by_their_stem() -> None:
    assert [*shipped_configs().values()] == sorted(CONFIGS.glob("*.yaml"))
    assert all(name == path.stem for name, path in shipped_configs().items())


@pytest.mark.parametrize("is_wheel", [False, True])
def test_a_wheel_has_them_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_wheel: bool) -> None:
    package = tmp_path / "site" / "rnnlab"
    folder = package / "configs" if is_wheel else tmp_path / "site" / "configs"
    folder.mkdir(parents=True)
    (folder / "a.yaml").touch()
    monkeypatch.setattr(shipped, "_PACKAGE", package)
    assert shipped_configs.__wrapped__() == {"a": folder / "a.yaml"}


def test_a_name_means_the_shipped_file() -> None:
    document = read_document(Path("quickstart"), ["seed=5"])
    assert document.raw == (CONFIGS / "quickstart.yaml").read_bytes()
    assert (document.data["name"], document.data["seed"]) == ("quickstart", 5)
    assert document.position(("cell",)).source == "quickstart"


def test_one_that_extends_another_works_by_name() -> None:
    data = read_document(Path("quickstart_keras")).data
    assert data == read_document(Path("quickstart")).data | {"name": "quickstart-keras", "backend": "keras"}


def test_a_config_may_extend_one_by_name() -> None:
    Path("sub").mkdir()
    Path("sub/x.yaml").write_text("extends: quickstart\ncell: {units: 7}")
    data = read_document(Path("sub/x.yaml")).data
    assert (data["name"], data["cell"]["type"], data["cell"]["units"]) == ("quickstart", "carry", 7)


def test_a_file_here_comes_first() -> None:
    Path("quickstart").write_text("name: mine")
    assert read_document(Path("quickstart")).data == {"name": "mine"}


def test_a_folder_of_the_name_is_no_file() -> None:
    Path("quickstart").mkdir()
    assert read_document(Path("quickstart")).data["name"] == "quickstart"


@pytest.mark.parametrize("name", ["./sub/quickstart", "sub/quickstart", "quickstart.yaml", "quickstart.yml"])
def test_only_the_bare_name_is_one(name: str) -> None:
    assert located(Path(name)) == Path(name)
    assert "no such file — did you mean quickstart, which comes with rnnlab?" in fault(name)


@pytest.mark.parametrize(("name", "line"), [("quickstart", "quickstart"), ("x.yaml", "x.yaml:1:10 extends")])
def test_a_name_that_may_mean_two_files_is_an_error(name: str, line: str) -> None:
    Path("quickstart.yaml").write_text("name: mine")
    Path("x.yaml").write_text("extends: quickstart")
    message = fault(name)
    assert message.startswith(f"{line}: ")
    assert "is a shipped config, and quickstart.yaml is a file here — write quickstart.yaml" in message


def test_an_exact_copy_does_not_make_it_two() -> None:
    Path("quickstart.yaml").write_bytes((CONFIGS / "quickstart.yaml").read_bytes())
    assert located(Path("quickstart")) == CONFIGS / "quickstart.yaml"


def test_a_mistyped_name_gets_the_nearest() -> None:
    assert fault("quikstart") == "quikstart: no such file — did you mean quickstart, which comes with rnnlab?"
    assert fault("zebra") == (
        "zebra: no such file — give the path of a YAML file, or a name that `rnnlab configs` lists"
    )


def test_a_folder_that_cannot_be_entered_is_no_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object, **__: object) -> bool:
        raise PermissionError

    monkeypatch.setattr(Path, "exists", deny)
    assert located(Path("quickstart")) == Path("quickstart")


def test_errors_use_the_paths_as_given() -> None:
    Path("sub").mkdir()
    Path("sub/parity.yaml").touch()
    with pytest.raises(UsageError, match=r"write sub/parity\.yaml"):
        located(Path("parity"), Path("sub"))
