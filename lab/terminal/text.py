"""Text from names, files and data, made safe to print."""

import re
import unicodedata

LONGEST_LINE = 1500
"""Characters of an error message; longer ones, which quote a long name, lose their middle."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They change the order in which a terminal shows other characters."""
_SUBSTITUTES = {
    "…": "...",
    "–": "-",
    "—": "-",
    "−": "-",
    "×": "x",
    "·": "*",
    "→": "->",
    "←": "<-",
    "≤": "<=",
    "≥": ">=",
    "±": "+/-",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "⠀": " ",
}


def printable(text: str) -> str:
    r"""`text` with control characters as escapes (`\x1b`): a terminal would obey them. Line ends and tabs stay.

    So do characters that reverse the direction of text, and bytes of a file name that are no UTF-8 (`\xff`).
    """
    if text.isprintable():
        return text
    return "".join(character if _is_safe(character) else _escape(character) for character in text)


def without_colours(text: str) -> str:
    """`text` without the escape sequences of colours: the output of another process, which wrote it for a terminal."""
    return _COLOUR.sub("", text)


def one_line(text: str, longest: int = LONGEST_LINE) -> str:
    r"""`printable` text in one line (line ends as `\n`); beyond `longest` characters the middle is left out."""
    line = printable(text).replace("\n", r"\n").replace("\t", " ")
    if len(line) <= longest:
        return line
    start = 2 * longest // 3
    return f"{line[:start]} ... {line[start + 5 - longest :]}"


def substitute(character: str) -> str:
    """ASCII that stands for a character that a stream cannot encode; a question mark if nothing resembles it."""
    if character in _SUBSTITUTES:
        return _SUBSTITUTES[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return _escape(character)
    if 0x2500 <= code <= 0x259F:  # box drawing, then blocks
        return "#" if code >= 0x2580 else "|" if code in (0x2502, 0x2503) else "-"
    if 0x2800 < code <= 0x28FF:  # a curve's braille
        return "."
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or "?"


def _is_safe(character: str) -> bool:
    if character in "\n\t":
        return True
    return unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") and character not in _BIDI


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python holds a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
