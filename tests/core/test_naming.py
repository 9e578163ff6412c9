import pytest

from rnnlab.core.errors import UsageError
from rnnlab.core.options import check_name
from rnnlab.storage.naming import FOLDER_NAME, folder_name


@pytest.mark.parametrize("name", ["a", "A9._-", "_x", "0", "x" * 60, "console", "com", "lptx", "latest2", "a..b"])
def test_good_names(name: str) -> None:
    check_name(name)
    match = FOLDER_NAME.fullmatch(folder_name(name))
    assert match
    assert match["name"] == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "it is empty"),
        ("..", "it starts with '.'"),
        (".hidden", "it starts with '.'"),
        ("-x", "it starts with '-'"),
        ("../../etc/x", "it starts with '.'"),
        ("/abs", "it contains '/'"),
        ("a/b", "it contains '/'"),
        ("a\\b", "it contains '\\'"),
        ("a b", "it contains ' '"),
        ("a:b", "it contains ':'"),
        ("x\n", r"it contains '\n'"),
        ("x\0", r"it contains '\x00'"),
        ("\u202ex", r"it contains '\u202e'"),
        ("é", "it contains 'é' (U+00E9)"),
        ("\u0661", "it contains '\u0661' (U+0661)"),
        ("x" * 61, "it has 61 characters"),
        ("a.", "it ends with '.'"),
        ("CON", "Windows reserves it for a device"),
        ("nul.txt", "Windows reserves it for a device"),
        ("Com1", "Windows reserves it for a device"),
        ("latest", "`latest` means the latest run"),
    ],
)
def test_bad_names(name: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_name(name)
    assert caught.value.problem.endswith(f": {reason}")
    assert "\n" not in str(caught.value)
