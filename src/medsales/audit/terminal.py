"""Texts on a terminal: what a log says may not move the cursor or turn a line around."""

import re


def showable(text: str, encoding: str = "utf-8") -> str:
    """What cannot be seen is shown by its code, and any console can show it."""
    seen = "".join(c if c.isprintable() or c in "\n\u3000" else _code(c) for c in text)
    return seen.encode(encoding, "backslashreplace").decode(encoding)


def _code(character: str) -> str:
    """As JSON may write it, so that what is JSON remains the same JSON."""
    return re.sub("....", r"\\u\g<0>", character.encode("utf-16-be", "surrogatepass").hex())
