"""A page as one file that loads nothing: its own style and script, and text that stays text."""

import base64
import hashlib
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import rnnlab
from rnnlab.core.packages import missing_package
from rnnlab.core.text import visible_lines


def rendered(
    template: str, *, generator: str, script: str = "", clean: Callable[[str], str] = str, **values: Any
) -> str:
    """Return the page that a Jinja template makes of values; `clean` is applied to all text that is shown.

    The template has the style, and the script if there is one, each as a whole element, and the policy that allows
    these two alone. In it, `table(one)` shows a table, and `ours` marks text of rnnlab that is HTML already.

    Raises:
        EnvironmentFault: Jinja is not installed.
    """
    try:
        import jinja2
        import markupsafe
    except ImportError as error:
        raise missing_package("reports need the package jinja2", extra="plots") from error

    def escaped(value: Any) -> Any:
        """Escape what no HTML shows; jinja2 then escapes what is HTML, apart from markup that is our own."""
        return value if isinstance(value, markupsafe.Markup) else visible_lines(clean(str(value)))

    style, macros = text_of("page.css"), text_of("table.html.jinja")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=escaped
    )
    environment.filters["ours"] = markupsafe.Markup
    page: str = environment.from_string(macros + template).render(
        generator=f"{generator} {rnnlab.__version__}",
        script=markupsafe.Markup(script),  # noqa: S704  # our own, like the style
        style=markupsafe.Markup(style),  # noqa: S704
        policy=f"default-src 'none'; {f'script-src {_hash(script)}; ' if script else ''}style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'",
        **values,
    )
    return page


def text_of(name: str) -> str:
    """Return a file of this package."""
    return files("rnnlab.figures").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return what allows one script or style in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
