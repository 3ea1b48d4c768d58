"""What time does to contracts: expiry, the reminder to renew, and obligations that come due."""

from datetime import UTC, date, datetime, timedelta

import pytest
from tests.domain.terms.contracts import CONTRACT, END, ContractCompany
from tests.engine.purses import query

from medsales.company import Company
from medsales.domain.terms.amendment import DraftAmendment
from medsales.domain.terms.contract_content import Obligation, Side
from medsales.domain.terms.contract_life import MeetObligation, TerminateContract
from medsales.domain.values import CHINA

DAY = timedelta(days=1)
TRAINING = Obligation(
    key="training", description="培训", party=Side.OURS, due=date(2026, 9, 1), notice_days=10
)


@pytest.fixture
def town(company: Company) -> ContractCompany:
    town = ContractCompany(company)
    town.active(obligations=(TRAINING,))
    town.catch_up()
    return town


def at(town: ContractCompany, day: date, *, last_moment: bool = False) -> list[str]:
    """What has happened by the first or the last moment of that day in China."""
    time = datetime.max.time() if last_moment else datetime.min.time()
    town.now = datetime.combine(day, time, CHINA).astimezone(UTC)
    town.catch_up()
    return town.happened()


def test_it_expires_when_its_last_day_is_over_in_china(town: ContractCompany) -> None:
    assert "ContractExpired" not in at(town, END, last_moment=True)
    assert at(town, END + DAY)[-1] == "ContractExpired"
    assert at(town, END + 9 * DAY).count("ContractExpired") == 1
    assert query(town.company, "select * from timer where timer = 'contract_expiry'") == []


def test_somebody_is_reminded_to_renew_it_once(town: ContractCompany) -> None:
    notice = END - 60 * DAY
    assert "RenewalReminded" not in at(town, notice - DAY, last_moment=True)
    assert at(town, notice)[-1] == "RenewalReminded"
    assert at(town, notice + DAY).count("RenewalReminded") == 1


def test_a_renewed_contract_expires_and_is_reminded_of_at_its_new_end(
    town: ContractCompany,
) -> None:
    later = END.replace(year=2028)
    town.told(DraftAmendment(kind="renewal", reason="续签", valid_until=later), CONTRACT)
    town.signed()
    happened = at(town, END + DAY)
    assert not {"ContractExpired", "RenewalReminded"} & set(happened)
    assert at(town, later - 60 * DAY)[-1] == "RenewalReminded"
    assert at(town, later + DAY)[-1] == "ContractExpired"


def test_an_obligation_is_reminded_of_before_it_is_due(town: ContractCompany) -> None:
    notice = TRAINING.due - 10 * DAY
    assert "ObligationReminded" not in at(town, notice - DAY, last_moment=True)
    assert at(town, notice)[-1] == "ObligationReminded"
    assert at(town, TRAINING.due).count("ObligationReminded") == 1


def test_what_has_been_met_is_not_reminded_of(town: ContractCompany) -> None:
    town.told(MeetObligation(key="training"), CONTRACT)
    assert "ObligationReminded" not in at(town, TRAINING.due)


def test_an_obligation_with_a_new_day_is_reminded_of_again(town: ContractCompany) -> None:
    at(town, TRAINING.due)
    moved = TRAINING.model_copy(update={"due": date(2027, 1, 1)})
    town.told(DraftAmendment(kind="change", reason="x", obligations=(moved,)), CONTRACT)
    town.signed()
    assert at(town, moved.due).count("ObligationReminded") == 2


def test_what_has_ended_is_left_alone(town: ContractCompany) -> None:
    town.told(TerminateContract(reason="x"), CONTRACT)
    assert at(town, END + DAY)[-1] == "ContractTerminated"
    assert query(town.company, "select * from parked") == []
