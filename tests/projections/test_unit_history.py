"""The audit trail: one sentence per fact, in both languages, by either number of a unit."""

from datetime import UTC, datetime

from tests.dealer import CHEN, SHANGHAI, UNION, Dealer

from medsales.domain.ids import DeviceUnitId
from medsales.domain.stock.device_unit import (
    AcceptInstallation,
    CorrectSerial,
    HoldUnit,
    InstallUnit,
    PlaceUnit,
)
from medsales.engine.application import Ask
from medsales.projections.unit_history import HistoryEntry, history_of, printable, untold

EVIDENCE = "sha256:" + "a" * 64


def history(dealer: Dealer, unit: DeviceUnitId) -> list[HistoryEntry]:
    dealer.catch_up()
    with dealer.company.database.reading() as db:
        return history_of(db, unit)


def test_every_event_of_a_unit_has_its_sentence() -> None:
    assert untold() == set()


def test_the_trail_of_a_sold_unit_tells_everything_in_order(dealer: Dealer) -> None:
    unit = dealer.receive("SN1")
    dealer.sell("1", unit)
    dealer.tell(InstallUnit(department="Eye 眼科", checklist=EVIDENCE), unit)
    dealer.tell(AcceptInstallation(accepted_by="Dr Wang", warranty_months=24), unit)
    trail = history(dealer, unit)
    assert [entry.event for entry in trail] == [
        "UnitReceived",
        "UnitInspected",
        "UnitReserved",
        "UnitShipped",
        "UnitDelivered",
        "UnitInstalled",
        "InstallationAccepted",
    ]
    assert [entry.version for entry in trail] == [1, 2, 3, 4, 5, 6, 7]
    assert trail[3].en == (
        "shipped from warehouse:HZ (qualified) with shipment:DN-1 to customer:union for order:1"
    )
    assert trail[3].zh == "自 warehouse:HZ 合格品区随 shipment:DN-1 发往 customer:union, order:1"
    assert trail[5].evidence == EVIDENCE
    assert {(entry.by, entry.by_name) for entry in trail} == {("chen", "Chen Jing 陈静")}


def test_every_sentence_of_a_trail_speaks_chinese(dealer: Dealer) -> None:
    unit = dealer.receive("SN1", SHANGHAI)
    dealer.tell(HoldUnit(hold="Q1", reason="leak"), unit)
    for entry in history(dealer, unit):
        assert any("\u4e00" <= letter <= "\u9fff" for letter in entry.zh), entry


def test_effective_time_and_its_reason_stand_beside_the_time_of_recording(dealer: Dealer) -> None:
    unit = dealer.receive("SN1")
    yesterday = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    hold = HoldUnit(hold="Q1", reason="leak")
    dealer.company.app.handle(
        Ask(hold, CHEN, unit, effective_at=yesterday, reason="phoned in 电话通知")
    )
    last = history(dealer, unit)[-1]
    assert (last.effective_at, last.reason) == (yesterday, "phoned in 电话通知")
    assert last.recorded_at > yesterday


def test_u1_both_numbers_of_a_corrected_unit_lead_to_its_trail(dealer: Dealer) -> None:
    wrong = dealer.receive("SN1O")
    right = DeviceUnitId("device-unit:06901234567892:SN10")
    dealer.tell(CorrectSerial(correct=right, reason="O read for 0"), wrong)
    assert history(dealer, wrong) == history(dealer, right)
    assert len(history(dealer, right)) == 4


def test_lower_case_serials_have_a_trail_of_their_own(dealer: Dealer) -> None:
    upper, lower = dealer.receive("SN1"), dealer.receive("sn1")
    dealer.tell(
        PlaceUnit(placement="demo", customer=UNION, agreement="A1", due_back="2030-01-01"), lower
    )
    assert len(history(dealer, upper)) == 2
    assert len(history(dealer, lower)) == 3


def test_a_scan_is_shown_with_its_separators() -> None:
    assert printable("]d2\x1d10L1\x1d21S1") == "]d2^10L1^21S1"
