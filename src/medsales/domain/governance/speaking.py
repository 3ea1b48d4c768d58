"""Who may speak for us: nobody who has left, and nobody who is registered with another company."""

from __future__ import annotations

from medsales.domain.governance.person import Person
from medsales.domain.ids import OurCompanyId, PersonId
from medsales.domain.kernel import Refused, Value
from medsales.domain.parties.our_company import US, OurCompany


class SpeaksForUs(Value):
    """A command by which somebody consents for us: how he is registered is looked at."""

    def speaker(self, by: str) -> PersonId:
        return PersonId.of(by)

    @property
    def our_company(self) -> OurCompanyId:
        return US


def must_speak_for_us(speaker: Person | None, our_company: OurCompany | None) -> None:
    """Who has left may still hold a token; a token needs no registered person (Q2, B7)."""
    if speaker:
        speaker.must_be_here()
        must_be_ours(speaker, our_company)


def must_be_ours(person: Person, our_company: OurCompany | None) -> None:
    """As far as we have said who we are; under an earlier name of ours too."""
    if our_company and not our_company.has_been_called(person.organisation):
        raise Refused(
            "person.not_ours",
            f"{person.name} is registered with {person.organisation}, not with"
            f" {our_company.name}, and decides nothing for it",
            f"{person.name} 登记的单位是 {person.organisation}, 而非 {our_company.name},"
            " 不得代表其作出决定",
        )
