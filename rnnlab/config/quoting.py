"""Text from outside made fit for a message: one short line, nothing that a terminal obeys."""

LIMIT = 60


def quoted(text: str) -> str:
    r"""Return `text` in quotes, hidden characters escaped, cut to `LIMIT` characters.

    Example:
        >>> quoted("plain"), quoted("\x1b[31m")
        ("'plain'", "'\\x1b[31m'")
        >>> len(quoted("x" * 1000))
        62
    """
    shown = repr(text[: LIMIT + 1])
    return shown if len(shown) <= LIMIT + 2 else f"{shown[:LIMIT]}…{shown[0]}"


def bare(text: str) -> str:
    """Return `text` as `quoted` shows it, without the quotes.

    Example:
        >>> bare("configs/x.yaml")
        'configs/x.yaml'
    """
    return quoted(text)[1:-1]


def kind(value: object) -> str:
    """Return what a value from YAML is, in a user's words.

    Example:
        >>> [kind(value) for value in (None, True, 3, 0.5, "a", [], {})]
        ['null', 'true or false', 'an integer', 'a number', 'text', 'a list', 'a mapping']
    """
    kinds = {
        bool: "true or false",
        int: "an integer",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "a mapping",
    }
    return kinds.get(type(value), "null")
