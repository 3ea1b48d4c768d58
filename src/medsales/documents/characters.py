"""What a reader sees of any text: nothing vanishes, and nothing turns the line around.

Controls and marks that cannot be seen (U+202E would write a name backwards), and in print whatever
the font does not hold, are shown by their code: `[U+20BB7]`. The text itself, and so the hash of
the content, is never touched.
"""

import unicodedata
from functools import cache
from pathlib import Path
from struct import iter_unpack, unpack_from

FONT = Path(__file__).with_name("fonts") / "NotoSansSC-Regular-medsales.otf"
UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Controls, formats, what Unicode has not assigned, private use, and other ends of a line."""


def visible(text: str) -> str:
    """For a reader with every font: what cannot be seen is shown by its code."""
    lines = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\t", " ")
    return "".join(_coded(c) if _unseen(c) else c for c in lines)


def printable(text: str) -> str:
    """For our print: also what our font does not hold is shown by its code."""
    held = in_font()
    return "".join(c if ord(c) in held or c == "\n" else _coded(c) for c in visible(text))


@cache
def in_font() -> frozenset[int]:
    """Every character that the font holds, as its table `cmap` says."""
    font = FONT.read_bytes()
    cmap = _table(font, b"cmap")
    starts = (offset for _, _, offset in iter_unpack(">HHI", _encodings(font, cmap)))
    return frozenset(c for start in starts for c in _segmented(font, cmap + start))


def _unseen(character: str) -> bool:
    return character != "\n" and unicodedata.category(character) in UNSEEN


def _coded(character: str) -> str:
    return f"[U+{ord(character):04X}]"


def _table(font: bytes, name: bytes) -> int:
    (count,) = unpack_from(">H", font, 4)
    entries = iter_unpack(">4sIII", font[12 : 12 + 16 * count])
    return next(int(offset) for tag, _, offset, _ in entries if tag == name)


def _encodings(font: bytes, cmap: int) -> bytes:
    (count,) = unpack_from(">H", font, cmap + 2)
    return font[cmap + 4 : cmap + 4 + 8 * count]


def _segmented(font: bytes, start: int) -> list[int]:
    """Format 12 alone: it holds all that the older formats hold."""
    kind, _, _, _, count = unpack_from(">HHIII", font, start)
    if kind != 12:  # noqa: PLR2004
        return []
    groups = iter_unpack(">III", font[start + 16 : start + 16 + 12 * count])
    return [c for first, last, _ in groups for c in range(first, last + 1)]
