"""C7: both parties are licensed when they sign; an expired licence of either stops new orders."""

from datetime import date, timedelta

import pytest
from tests.domain.terms.contracts import CONTRACT, UNION, ContractTown, draft
from tests.domain.terms.test_contract_signing import licensed

from medsales.domain.governance.licence_file import LicenceKind
from medsales.domain.governance.licence_numbers import DeviceClass

LONG, SHORT = date(2030, 12, 31), date(2026, 12, 31)


def signed(theirs: date = LONG, ours: date = LONG) -> ContractTown:
    """About pumps of class III; each party's licence is good to that day."""
    town = ContractTown(pumps=DeviceClass.III)
    town.told(draft())
    town.sent()
    licensed(town, UNION, LicenceKind.PRACTICE, theirs)
    licensed(town, "own", LicenceKind.OPERATING, ours)
    return town


@pytest.mark.parametrize(("theirs", "ours"), [(SHORT, LONG), (LONG, SHORT)], ids=["theirs", "ours"])
def test_c7_an_expired_licence_of_either_party_suspends_new_orders(
    theirs: date, ours: date
) -> None:
    town = signed(theirs, ours)
    town.told(town.sealed(), CONTRACT)
    town.told(town.sign(), CONTRACT, by="sun")
    last_day = (SHORT - town.now.date()).days
    town.now += timedelta(days=last_day)
    town.told(town.call_off("SO-1", pumps=1), CONTRACT)
    town.later(1)
    refusal = town.refused("licence.expired", town.call_off("SO-2", pumps=1))
    assert SHORT.isoformat() in refusal.sentence.zh
    town.told(town.call_off("SO-3", stents=1), CONTRACT)


@pytest.mark.parametrize(("theirs", "ours"), [(SHORT, LONG), (LONG, SHORT)], ids=["theirs", "ours"])
def test_c7_neither_signature_is_taken_after_it(theirs: date, ours: date) -> None:
    town = signed(theirs, ours)
    town.later((SHORT - town.now.date()).days + 1)
    town.refused("licence.expired", town.sign(), by="sun")
    town.refused("licence.expired", town.countersign(), by="liu")
    town.refused("licence.expired", town.sealed())
