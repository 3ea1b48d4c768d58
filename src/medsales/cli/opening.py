"""Opens what a command works on, and closes it whatever happens."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from rich.console import Console

from medsales.company import Companies, Company, sealing, storage
from medsales.engine import schema
from medsales.engine.database import schema_of
from medsales.settings import Settings

DEFAULT = "default"
OUT = Console(highlight=False, soft_wrap=True)
ERR = Console(highlight=False, soft_wrap=True, stderr=True)


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
