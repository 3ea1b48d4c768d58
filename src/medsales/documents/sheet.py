"""A sheet: a document in one language, as it is printed; HTML and PDF show the same."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from medsales.domain.kernel import Term, Value


class Language(Term):
    ZH = "zh", "中文"
    EN = "en", "英文"


class Facts(Value):
    """Labels and what they say."""

    block: Literal["facts"] = "facts"
    title: str | None = None
    rows: tuple[tuple[str, str], ...]


class Table(Value):
    """Rows under a header that is repeated on every page."""

    block: Literal["table"] = "table"
    title: str | None = None
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...] = ()
    """The columns that are set to the right."""
    wide: int = 0
    """The column that takes the room that is left."""


class Prose(Value):
    """Paragraphs as somebody wrote them."""

    block: Literal["prose"] = "prose"
    title: str | None = None
    paragraphs: tuple[str, ...]


class Stamp(Value):
    """A signature or the like; struck through where it counts no longer, with the reason."""

    block: Literal["stamp"] = "stamp"
    title: str | None = None
    lines: tuple[str, ...]
    void: str | None = None


Block = Annotated[Facts | Table | Prose | Stamp, Field(discriminator="block")]


class Sheet(Value):
    """What is printed, from the title to the foot of every page."""

    language: Language
    title: str
    number: str
    mark: str | None = None
    """Says across the head that this is no binding document."""
    dated: datetime
    """The only date a file of it carries: that of the content, not of the printing."""
    blocks: tuple[Block, ...]
    footer: tuple[str, str]
