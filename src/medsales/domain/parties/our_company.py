"""Our company: the name, number and address that we put on quotes and contracts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from unicodedata import normalize

from medsales.domain.ids import OurCompanyId
from medsales.domain.kernel import Aggregate, Command, Event, Role, Text
from medsales.domain.values import Uscc

US = OurCompanyId.of("us")
"""There is one in each company's log."""


@dataclass(frozen=True)
class OurCompany(Aggregate):
    name: str = ""
    uscc: str | None = None
    address: str = ""
    contact: str | None = None
    names: frozenset[str] = frozenset()
    """All that we have ever been called."""

    def is_called(self, organisation: str) -> bool:
        return normalize("NFC", organisation) == normalize("NFC", self.name)

    def has_been_called(self, organisation: str) -> bool:
        """Who was registered under our last name is still one of us."""
        return normalize("NFC", organisation) in self.names


class DescribeOurCompany(Command[OurCompany]):
    """Say who we are, as papers name us from now on; earlier ones keep what they said."""

    allowed = (Role.MANAGER, Role.DIRECTOR, Role.LEGAL)
    at_once = True

    name: Text
    uscc: Uscc | None = None
    """Our unified social credit code."""
    address: Text
    contact: Text | None = None
    """A telephone number or mail address of ours, not of a person."""

    def begins(self) -> OurCompanyId:
        return US

    def decide(self, company: OurCompany) -> OurCompanyDescribed | None:
        described = OurCompanyDescribed(**self.model_dump())
        return None if described.apply(company) == company else described


class OurCompanyDescribed(Event[OurCompany]):
    name: str
    uscc: str | None = None
    address: str
    contact: str | None = None

    def apply(self, company: OurCompany, /) -> OurCompany:
        names = company.names | {normalize("NFC", self.name)}
        return replace(company, **self.model_dump(), names=names)
