"""Opens what a command works on, and closes it whatever happens."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from medsales.audit.terminal import showable
from medsales.company import Companies, Company, sealing, storage
from medsales.engine import schema
from medsales.engine.database import schema_of
from medsales.settings import Settings

DEFAULT = "default"


class Terminal(Console):
    """Whatever a text holds, a terminal takes no orders from it."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for part in super().render(renderable, options):
            yield part if part.control else Segment(showable(part.text), part.style)


OUT = Terminal(highlight=False, soft_wrap=True)
ERR = Terminal(highlight=False, soft_wrap=True, stderr=True)


@contextmanager
def opened_companies() -> Iterator[Companies]:
    settings = Settings()
    with (
        storage(settings) as url,
        closing(Companies(url, settings.connections, sealing(settings))) as companies,
    ):
        yield companies


@contextmanager
def opened(name: str) -> Iterator[Company]:
    """One company, ready to be read. Raises UnknownCompany, or ValueError for no name at all."""
    schema_of(name)
    with opened_companies() as companies:
        yield companies[name]


def founded(companies: Companies, name: str) -> Company:
    """The company, which is added if there is none of this name."""
    schema.prepare(companies.url, name)
    return companies[name]
