"""What a terminal gets that cannot encode a character: ASCII that reads the same, else the character's escape."""

import codecs
import re

ASCII = "rnnlab.ascii"  # the error handler, as in `text.encode("ascii", ASCII)`

_LIKE = {
    "—": "-", "–": "-", "─": "-", "…": "...", "·": "*", "×": "x", "÷": "/", "±": "+-", "√": "sqrt ", "½": "1/2",
    "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "∞": "inf", "∈": "in", "Σ": "sum ", "∂": "d", "‖": "||", "⌊": "floor(",
    "⌋": ")", "→": "->", "←": "<-", "ᵀ": "^T", "\u0302": "^", "α": "alpha", "β": "beta", "γ": "gamma", "ε": "eps",
    "η": "eta", "θ": "theta", "λ": "lambda", "μ": "mu", "µ": "mu", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau",
    "▶": ">", "│": "|", "┤": "+", "└": "+", "━": "=", "┄": "-", "’": "'", "“": '"', "”": '"',
    "é": "e", "ö": "o", "ü": "u", "ä": "a",
    "▁": "_", "▂": ".", "▃": ":", "▄": "-", "▅": "=", "▆": "+", "▇": "*", "█": "#",
}  # fmt: skip
_RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹ˣʸᵏᵗʲ", "-0123456789xyktj")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉ₜⱼ", "0123456789tj")
_PARTS = re.compile(rf"[{''.join(map(chr, _RAISED))}]+|[{''.join(map(chr, _LOWERED))}]+|.", re.DOTALL)


def in_ascii(text: str) -> str:
    r"""Return text in ASCII.

    Example:
        >>> in_ascii("2 · 10⁻³³ — h₁ … Ω")
        '2 * 10^-33 - h_1 ... \\u03a9'
    """
    return "".join(_part(match.group()) for match in _PARTS.finditer(text))


def _part(part: str) -> str:
    if part.isascii() or part in _LIKE:
        return _LIKE.get(part, part)
    raised, lowered = part.translate(_RAISED), part.translate(_LOWERED)
    if raised != part:
        return f"^{raised}"
    return f"_{lowered}" if lowered != part else part.encode("ascii", "backslashreplace").decode()


def _handle(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return in_ascii(error.object[error.start : error.end]), error.end


codecs.register_error(ASCII, _handle)
