import pytest

from rnnlab.core.errors import UsageError
from rnnlab.core.naming import check_name
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
        ("/abs", "it holds '/'"),
        ("a/b", "it holds '/'"),
        ("a\\b", "it holds '\\'"),
        ("a b", "it holds ' '"),
        ("a:b", "it holds ':'"),
        ("x\n", r"it holds '\n'"),
        ("x\0", r"it holds '\x00'"),
        ("\u202ex", r"it holds '\u202e'"),
        ("é", "it holds 'é' (U+00E9)"),
        ("\u0661", "it holds '\u0661' (U+0661)"),
        ("x" * 61, "it has 61 characters"),
        ("a.", "it ends in '.'"),
        ("CON", "Windows keeps this name for a device"),
        ("nul.txt", "Windows keeps this name for a device"),
        ("Com1", "Windows keeps this name for a device"),
        ("latest", "`latest` already means the latest run"),
    ],
)
def test_bad_names(name: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_name(name)
    assert caught.value.problem.endswith(f": {reason}")
    assert "\n" not in str(caught.value)
