"""LIC-4, LIC-6: licences, registrations and goods run out in time, whatever clock and worker do."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from tests.dealer import GAUZE, GAUZE_LOT, HANGZHOU, LENS, LOT, Dealer
from tests.domain.governance.licences import ENDS, LETTER, OPERATING
from tests.engine.purses import history, query

from medsales.company import Company
from medsales.domain.governance.licence_file import (
    OWN,
    LicenceKind,
    RecordLicence,
    RenewLicence,
    RevokeLicence,
)
from medsales.domain.ids import DeviceUnitId
from medsales.domain.kernel import Refused
from medsales.domain.stock.device_unit import ReceiveUnit, ScrapUnit
from medsales.domain.stock.lot import EXPIRED
from medsales.domain.stock.product import RecordRegistration, Registration
from medsales.processes.licence_expiry import window
from medsales.projections.unit_history import history_of

MIDNIGHT = timedelta(hours=-8)
"""00:00 in China, from 00:00 UTC of that day."""
SECOND = timedelta(seconds=1)
LETTERS = "person:wang"


@pytest.fixture
def dealer(company: Company) -> Dealer:
    return Dealer(company)


def at(dealer: Dealer, moment: datetime | date) -> None:
    """The clock says so, and the worker has done what it can; a date begins in China."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC) + MIDNIGHT
    dealer.company.app.clock = lambda: moment
    dealer.catch_up()


def said(dealer: Dealer, *kinds: str) -> list[Any]:
    return [fact.event for fact in history(dealer.company, kinds=kinds)]


def timers(dealer: Dealer) -> dict[str, str]:
    rows = query(dealer.company, "select * from timer order by timer, subject")
    return {row["timer"]: row["subject"] for row in rows}


# Licences


def test_a_licence_is_announced_90_60_30_and_7_days_before_and_the_day_after(
    dealer: Dealer,
) -> None:
    """GSP art. 51, item 5."""
    dealer.tell(RecordLicence(holder="customer:union", licence=OPERATING))
    for days in (90, 60, 30, 7):
        at(dealer, ENDS - timedelta(days=days + 1))
        before = len(said(dealer, "LicenceExpiryNear"))
        at(dealer, ENDS - timedelta(days=days))
        assert [each.days for each in said(dealer, "LicenceExpiryNear")][before:] == [days]
    at(dealer, ENDS)
    assert said(dealer, "LicenceExpired") == []
    at(dealer, ENDS + timedelta(days=1))
    (over,) = said(dealer, "LicenceExpired")
    assert (over.number, over.valid_until) == (OPERATING.number, ENDS)
    assert timers(dealer) == {}


def test_who_was_away_for_years_hears_the_last_of_it_once(dealer: Dealer) -> None:
    dealer.tell(RecordLicence(holder="customer:union", licence=OPERATING))
    for years in range(3):
        at(dealer, ENDS + timedelta(days=10 + 365 * years))
    assert said(dealer, "LicenceExpiryNear") == []
    assert len(said(dealer, "LicenceExpired")) == 1


def test_a_renewed_licence_is_announced_at_its_new_end(dealer: Dealer) -> None:
    file = dealer.tell(RecordLicence(holder="customer:union", licence=OPERATING)).id
    at(dealer, ENDS - timedelta(days=60))
    renew = RenewLicence(
        number=OPERATING.number, valid_from=date(2030, 1, 1), valid_until=date(2034, 12, 31)
    )
    dealer.tell(renew, file)
    at(dealer, ENDS + timedelta(days=1))
    assert [each.days for each in said(dealer, "LicenceExpiryNear")] == [60]
    at(dealer, date(2034, 12, 31) - timedelta(days=7))
    assert [each.days for each in said(dealer, "LicenceExpiryNear")] == [60, 7]
    assert said(dealer, "LicenceExpired") == []


def test_a_revoked_licence_is_not_announced(dealer: Dealer) -> None:
    file = dealer.tell(RecordLicence(holder="own", licence=OPERATING)).id
    dealer.tell(
        RevokeLicence(number=OPERATING.number, on=date(2026, 1, 1), reason="given up"), file
    )
    at(dealer, ENDS + timedelta(days=9))
    assert timers(dealer) == {}
    assert said(dealer, "LicenceExpiryNear", "LicenceExpired", "LicenceRenewalWindowOpened") == []


def test_several_papers_of_one_holder_are_announced_each_on_its_day(dealer: Dealer) -> None:
    letter = LETTER.model_copy(
        update={"kind": LicenceKind.SALESPERSON_AUTHORISATION, "valid_until": date(2028, 6, 30)}
    )
    other = letter.model_copy(update={"number": "SQ-2026-8", "valid_until": date(2028, 7, 31)})
    for paper in (letter, other):
        dealer.tell(RecordLicence(holder=LETTERS, licence=paper))
    at(dealer, date(2028, 7, 1))
    assert [each.number for each in said(dealer, "LicenceExpired")] == [letter.number]
    at(dealer, date(2028, 8, 1))
    assert [each.number for each in said(dealer, "LicenceExpired")] == [letter.number, other.number]


# The renewal of our own licence


@pytest.mark.parametrize(
    ("until", "opens_on", "closes_on"),
    [
        # Counted by hand. Six weeks without a holiday; then 端午, and Saturday 9 May is worked.
        (date(2026, 9, 14), date(2026, 5, 9), date(2026, 8, 3)),
        # 15 to 23 February off for 春节, Saturdays 14 and 28 worked; 1 to 3 January off, 4 worked.
        (date(2026, 3, 16), date(2025, 11, 3), date(2026, 1, 27)),
    ],
)
def test_lic4_working_days_are_those_of_china(until: date, opens_on: date, closes_on: date) -> None:
    counted = window(until)
    assert counted.closes_on == closes_on
    assert counted.opens_on == opens_on


def test_lic4_the_window_for_renewing_our_licence_opens_and_closes(dealer: Dealer) -> None:
    """令54 art. 16: from 90 to 30 working days before the end."""
    dealer.tell(RecordLicence(holder="own", licence=OPERATING))
    counted = window(ENDS)
    at(dealer, counted.opens_on - timedelta(days=1))
    assert said(dealer, "LicenceRenewalWindowOpened") == []
    at(dealer, counted.opens_on)
    (opened,) = said(dealer, "LicenceRenewalWindowOpened")
    assert (opened.number, opened.window) == (OPERATING.number, counted)
    assert opened.window.calendar.startswith("holidays ")
    at(dealer, counted.closes_on)
    assert said(dealer, "LicenceRenewalWindowClosed") == []
    at(dealer, counted.closes_on + timedelta(days=1))
    (closed,) = said(dealer, "LicenceRenewalWindowClosed")
    assert closed.window == counted


def test_lic4_what_is_renewed_in_time_is_not_said_to_be_late(dealer: Dealer) -> None:
    dealer.tell(RecordLicence(holder="own", licence=OPERATING))
    counted = window(ENDS)
    at(dealer, counted.opens_on)
    renew = RenewLicence(
        number=OPERATING.number, valid_from=date(2030, 1, 1), valid_until=date(2034, 12, 31)
    )
    dealer.tell(renew, OWN)
    at(dealer, ENDS + timedelta(days=1))
    assert said(dealer, "LicenceRenewalWindowClosed", "LicenceExpired") == []
    at(dealer, window(date(2034, 12, 31)).opens_on)
    assert len(said(dealer, "LicenceRenewalWindowOpened")) == 2


def test_lic4_the_licences_of_others_have_no_window_of_ours(dealer: Dealer) -> None:
    dealer.tell(RecordLicence(holder="customer:union", licence=OPERATING))
    at(dealer, ENDS)
    assert said(dealer, "LicenceRenewalWindowPlanned") == []


# Registrations


def test_a_registration_is_announced_and_its_end_is_told(dealer: Dealer) -> None:
    number = "国械注准20203160002"
    until = date(2029, 5, 31)
    certificate = Registration(number=number, valid_from=date(2024, 6, 1), valid_until=until)
    dealer.tell(RecordRegistration(registration=certificate), LENS)
    for day in (until - timedelta(days=90), until, until + timedelta(days=1)):
        at(dealer, day)
    assert [each.days for each in said(dealer, "RegistrationExpiryNear")] == [90, 7]
    assert [each.valid_until for each in said(dealer, "RegistrationExpired")] == [until]


def test_a_registration_recorded_after_its_renewal_does_not_silence_it(dealer: Dealer) -> None:
    """Somebody enters the older term later: the newer one is announced all the same."""
    number, until = "国械注准20203160002", date(2029, 5, 31)
    newer = Registration(number=number, valid_from=date(2024, 6, 1), valid_until=until)
    older = Registration(number=number, valid_from=date(2019, 6, 1), valid_until=date(2024, 5, 31))
    for certificate in (newer, older):
        dealer.tell(RecordRegistration(registration=certificate), LENS)
    at(dealer, until - timedelta(days=90))
    assert [each.valid_until for each in said(dealer, "RegistrationExpiryNear")] == [until]


# Goods


def test_lic6_a_lot_is_watched_by_one_timer_however_many_units_it_has(dealer: Dealer) -> None:
    for n in range(30):
        dealer.receive(f"S{n}")
    dealer.catch_up()
    assert timers(dealer) == {"lot_expiry": LOT}


def test_lic6_at_midnight_in_china_after_its_last_day_a_lot_and_its_units_are_locked(
    dealer: Dealer,
) -> None:
    units = [dealer.receive("S1"), dealer.receive("S2")]
    last = date(2030, 1, 31)
    at(dealer, last - timedelta(days=180))
    assert [fact.subject for fact in history(dealer.company, kinds=("LotNearExpiry",))] == [LOT]
    midnight = datetime(2030, 1, 31, 16, tzinfo=UTC)
    at(dealer, midnight - SECOND)
    assert said(dealer, "LotExpired", "LotHeld") == []
    at(dealer, midnight)
    assert len(said(dealer, "LotExpired")) == 1
    assert [each.hold for each in said(dealer, "LotHeld")] == [EXPIRED]
    held = history(dealer.company, kinds=("UnitHeld",))
    assert sorted(fact.subject for fact in held) == units
    assert timers(dealer) == {}


def test_lic6_nothing_of_it_is_reserved_any_more(dealer: Dealer) -> None:
    unit = dealer.receive("S1")
    order = dealer.order("O1", (LENS, 1))
    at(dealer, date(2030, 2, 1))
    with pytest.raises(Refused, match="on hold: expired"):
        dealer.reserve(order, unit)


def test_lic6_goods_without_serials_are_locked_as_a_lot(dealer: Dealer) -> None:
    dealer.receive_gauze(9)
    at(dealer, date(2030, 2, 1))
    (held,) = history(dealer.company, kinds=("LotHeld",))
    assert (held.subject, held.event.hold) == (GAUZE_LOT, EXPIRED)
    assert GAUZE_LOT.startswith(f"lot:{GAUZE.partition(':')[2]}")


def received_alone(dealer: Dealer, serial: str) -> DeviceUnitId:
    scan = f"(01)06901234567892(17)300131(21){serial}"
    return DeviceUnitId(dealer.tell(ReceiveUnit(udi=scan, product=LENS, warehouse=HANGZHOU)).id)


def test_lic6_a_unit_without_a_lot_is_watched_alone_and_its_trail_says_so(dealer: Dealer) -> None:
    unit = received_alone(dealer, "S1")
    dealer.catch_up()
    assert timers(dealer) == {"unit_expiry": unit}
    at(dealer, date(2029, 9, 1))
    at(dealer, date(2030, 2, 1))
    with dealer.company.database.reading() as db:
        trail = history_of(db, unit)
    assert [line.en for line in trail[-3:]] == [
        "near its expiry on 2030-01-31",
        "expired on 2030-01-31",
        f"put on hold {EXPIRED}: expired on 2030-01-31 有效期至 2030-01-31",
    ]
    assert timers(dealer) == {}


def test_lic6_a_unit_that_has_ended_is_watched_no_more(dealer: Dealer) -> None:
    unit = received_alone(dealer, "S1")
    dealer.tell(ScrapUnit(reason="fell"), unit)
    at(dealer, date(2030, 2, 1))
    assert timers(dealer) == {}
    assert said(dealer, "UnitExpired", "UnitNearExpiry") == []


def test_what_runs_out_is_made_anew_from_the_facts(dealer: Dealer) -> None:
    dealer.receive("S1")
    received_alone(dealer, "S2")
    dealer.tell(RecordLicence(holder="own", licence=OPERATING))
    for day in (date(2029, 9, 1), date(2029, 12, 1), date(2030, 2, 1)):
        at(dealer, day)
        assert dealer.company.follower.verify(["timer_board", "licence_board"]) == []


def test_no_day_is_too_far(dealer: Dealer) -> None:
    for n, until in enumerate((date.max, date.min + timedelta(days=1), date(9999, 12, 30))):
        paper = OPERATING.model_copy(
            update={"number": f"DL-{n}", "valid_from": date.min, "valid_until": until}
        )
        dealer.tell(RecordLicence(holder="own", licence=paper))
    at(dealer, date(2027, 1, 1))
    assert [each.number for each in said(dealer, "LicenceExpired")] == ["DL-1"]
    assert query(dealer.company, "select * from parked") == []
