"""The syntax of SGF: bytes to text, text to the nodes of the main line, and properties to text."""

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence

from lab.config.suggestions import shortened
from lab.errors import UserError

Node = dict[str, list[str]]
"""Properties of a node: a name in capitals and its values as written, without white space at their ends."""

_TOKEN = re.compile(r"\s*(?:([();])|([A-Za-z]+)\s*((?:\[(?:\\.|[^\]\\])*\]\s*)+))", re.DOTALL)
_VALUE = re.compile(r"\[((?:\\.|[^\]\\])*)\]", re.DOTALL)
_UNCLOSED = re.compile(r"\s*[A-Za-z]+\s*\[")  # a property that is no token
_BEGINNING = re.compile(r"\(\s*;")
_CHARSET = re.compile(rb"CA\s*\[\s*([\w.:+-]{1,40})\s*\]")
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_UNDECLARED = ("utf-8", "gb18030", "cp932", "latin-1")
"""Encodings of files without CA. FF[4] says ISO-8859-1, and programs write UTF-8 or the code page of their country."""


def decoded(data: bytes) -> str:
    """The text of a file in the encoding that its byte order mark or its CA[] names, else in the first that fits.

    In Chinese and Japanese encodings the second byte of a character may look like `]`, so that a wrong guess breaks the
    syntax: an encoding fits if the main line can be read. Latin-1 gives a text for any bytes.
    """
    mark = next((name for mark, name in MARKS if data.startswith(mark)), None)
    found = _CHARSET.search(data)
    named = found[1].decode("ascii") if found else None
    texts = [text for name in (mark, named, *_UNDECLARED) if name and (text := _decoded(data, name)) is not None]
    for text in texts:
        try:
            main_line(text)
        except UserError:
            continue
        return text
    return texts[0]


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        text = data.decode(encoding)
    except (LookupError, UnicodeError, ValueError):
        return None
    return text if isinstance(text, str) else None


def looks_like_sgf(text: str) -> bool:
    """Whether a text begins like SGF."""
    return text.lstrip("\ufeff \r\n\t").startswith("(")


def contains_sgf(text: str) -> bool:
    """Whether there is a game in a text, perhaps after lines of a mail or a server."""
    return _BEGINNING.search(text) is not None


def main_line(text: str) -> list[Node]:
    """The nodes of the first game's first variation, the root first. Raises UserError where that is no SGF.

    Text before the first game is skipped.
    """
    beginning = _BEGINNING.search(text)
    return list(_nodes(text.rstrip(), beginning.start() if beginning else len(text) - len(text.lstrip("\ufeff"))))


def _nodes(text: str, position: int) -> Iterator[Node]:
    node: Node | None = None
    depth = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None or (depth == 0 and token[1] != "("):
            where = f"{shortened(text[position:].strip(), 40)} at character {position + 1}"
            unclosed = depth > 0 and _UNCLOSED.match(text, position) is not None
            raise UserError(f"SGF: cannot read {where}{' (a ] is missing)' if unclosed else ''}")
        position = token.end()
        if token[1] == "(":
            depth += 1
        elif token[1] == ")":
            # The first variation ends here, with all that it is part of.
            break
        elif token[1] == ";":
            if node is not None:
                yield node
            node = {}
        elif node is None:
            raise UserError(
                f"SGF: {shortened(token[2], 20)} at character {position + 1} is outside a node (no ; before)"
            )
        else:
            # Old files have lower-case letters between those that count: Black[aa].
            name = "".join(c for c in token[2] if c.isupper())
            node[name] = [*node.get(name, []), *(value.strip() for value in _VALUE.findall(token[3]))]
    else:
        raise UserError("SGF: the text ends before the game does (no closing parenthesis)")
    if node is None:
        raise UserError("SGF: the game has no nodes")
    yield node


def text_of(value: str) -> str:
    """What a value of type text means: without escapes and soft line breaks."""
    return re.sub(r"\\(\r\n|\n\r|\n|\r|.)", lambda match: match[1].strip("\r\n"), value, flags=re.DOTALL)


def escaped(text: str) -> str:
    """A text as a value: control characters become spaces, and what would end the value is escaped."""
    plain = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    return re.sub(r"([\]\\])", r"\\\1", plain)


def node_text(properties: Mapping[str, Sequence[str]]) -> str:
    """A node; properties without values are left out. Values are written as they are, see `escaped`."""
    return ";" + "".join(f"{name}[{']['.join(values)}]" for name, values in properties.items() if values)
