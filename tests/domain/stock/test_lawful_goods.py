"""LIC-1 and LIC-2: from whom goods come, and under which registration they were made."""

from datetime import date, datetime
from typing import Any

import pytest
from tests.domain.examples import (
    FIRST_CERTIFICATE,
    HANGZHOU,
    ORDER,
    PUMP,
    PUMP_DI,
    REGISTER_PUMP,
    RENEWED_CERTIFICATE,
    SHIPMENT,
    SN1,
    SUTURE,
    SUTURE_DI,
    SUTURE_LOT,
    UNION,
    label,
)
from tests.domain.governance.licences import BUSINESS, LETTER, OPERATING, checked, recorded
from tests.domain.stock.town import Town, founded

from medsales.domain.governance.licence import GateEvaluated
from medsales.domain.governance.licence_file import Licence, LicenceScope, SupplierApproved
from medsales.domain.governance.licence_numbers import DeviceClass
from medsales.domain.ids import LicenceFileId, ProductId
from medsales.domain.kernel import Command
from medsales.domain.stock.device_unit import (
    InspectUnit,
    ReceiveUnit,
    ReserveUnit,
    ShipUnit,
    UnitInspected,
    UnitReceived,
    UnitShipped,
)
from medsales.domain.stock.lot import (
    InspectLot,
    LotInspected,
    LotReceived,
    LotShipped,
    ReceiveLot,
    ReserveLot,
    ShipLot,
)
from medsales.domain.stock.product import (
    ApproveProduct,
    RecordRegistration,
    RevokeRegistration,
    WithdrawProductApproval,
)
from medsales.testing import NOON

MAKER = LicenceFileId("licence-file:supplier:maker")
LETTER_FOR_ALL = LETTER.model_copy(update={"scope": LicenceScope()})
PAPERS = (BUSINESS, OPERATING, LETTER_FOR_ALL)
MADE = "250601"
RECEIVE = ReceiveUnit(
    udi=label(serial="SN1", lot="A213B1", made=MADE), product=PUMP, warehouse=HANGZHOU
)
RECEIVE_LOT = ReceiveLot(
    udi=label(SUTURE_DI, lot="L7", made=MADE),
    product=SUTURE,
    warehouse=HANGZHOU,
    quantity=100,
    delivery="Lily 1",
)
INSPECT = InspectUnit(passed=True)
INSPECT_LOT = InspectLot(warehouse=HANGZHOU, quantity=100, passed=True)
RESERVE = ReserveUnit(order=ORDER, customer=UNION)
RESERVE_LOT = ReserveLot(order=ORDER, warehouse=HANGZHOU, quantity=5)
SHIP = ShipUnit(shipment=SHIPMENT, order=ORDER, customer=UNION)
SHIP_LOT = ShipLot(shipment=SHIPMENT, order=ORDER, customer=UNION, warehouse=HANGZHOU, quantity=5)
REVOKE_BOTH_TERMS = RevokeRegistration(
    number=FIRST_CERTIFICATE.number, on=date(2025, 1, 1), reason="the authority revoked it"
)
APPROVE = ApproveProduct(label="sha256:" + "7" * 64)
each_receipt = pytest.mark.parametrize("receive", [RECEIVE, RECEIVE_LOT], ids=["unit", "lot"])


def supplied(*papers: Licence, approved: bool = True) -> Town:
    """A town in which a supplier has these papers on file."""
    town = founded().told(APPROVE, id=PUMP).told(APPROVE, id=SUTURE)
    town.streams[MAKER] = (*recorded("supplier:maker", *papers), *map(checked, papers))
    if approved:
        town.streams[MAKER] += (SupplierApproved(approver="li", seen=()),)
    return town


def from_maker(receive: ReceiveUnit | ReceiveLot) -> ReceiveUnit | ReceiveLot:
    return receive.model_copy(update={"supplier_file": MAKER})


class TestSupplier:
    """LIC-1 at goods-in."""

    @each_receipt
    def test_lic1_goods_of_an_approved_supplier_are_taken_in_and_the_gate_is_kept(
        self, receive: ReceiveUnit | ReceiveLot
    ) -> None:
        outcome = supplied(*PAPERS).when(from_maker(receive))
        (received,) = [e for e in outcome.events if isinstance(e, UnitReceived | LotReceived)]
        gate, product_gate = received.gates
        assert (gate.gate, gate.passed, gate.on) == ("LIC-1", True, NOON.date())
        assert (product_gate.gate, product_gate.passed) == ("LIC-2", True)
        assert [seen.number for seen in product_gate.inputs] == [RENEWED_CERTIFICATE.number]
        assert {seen.number for seen in gate.inputs} == {paper.number for paper in PAPERS}
        assert received.supplier_file == MAKER

    @each_receipt
    def test_lic1_goods_of_an_unknown_or_unapproved_supplier_are_not(
        self, receive: ReceiveUnit | ReceiveLot
    ) -> None:
        founded().when(from_maker(receive)).refused("supplier.not_approved")
        unapproved = supplied(*PAPERS, approved=False)
        unapproved.when(from_maker(receive)).refused("supplier.not_approved")

    @each_receipt
    def test_lic1_nor_when_a_licence_has_run_out_or_the_letter_is_for_something_else(
        self, receive: ReceiveUnit | ReceiveLot
    ) -> None:
        later = datetime(2027, 1, 1, 12, tzinfo=NOON.tzinfo)
        town = supplied(*PAPERS)
        town.when(from_maker(receive), at=later).refused("authorisation.out_of_scope")
        ended = BUSINESS.model_copy(update={"valid_until": date(2026, 5, 31)})
        town = supplied(ended, LETTER_FOR_ALL)
        town.when(from_maker(receive)).refused("licence.expired", "2026-05-31")
        scope = LicenceScope(products=(ProductId.of("06909999999990"),))
        for_others = supplied(BUSINESS, OPERATING, LETTER.model_copy(update={"scope": scope}))
        for_others.when(from_maker(receive)).refused("authorisation.out_of_scope")

    @each_receipt
    def test_lic2_nor_a_product_that_has_not_been_approved(
        self, receive: ReceiveUnit | ReceiveLot
    ) -> None:
        withdraw = WithdrawProductApproval(reason="the label was changed")
        town = supplied(*PAPERS).told(withdraw, id=PUMP).told(withdraw, id=SUTURE)
        town.when(from_maker(receive)).refused("product.not_approved")

    @each_receipt
    def test_where_no_file_is_named_nothing_is_asked(
        self, receive: ReceiveUnit | ReceiveLot
    ) -> None:
        outcome = founded().when(receive)
        (received,) = [e for e in outcome.events if isinstance(e, UnitReceived | LotReceived)]
        assert (received.supplier_file, received.gates) == (None, ())


class TestRegistration:
    """LIC-2: made within the validity of a certificate (令47 art. 112)."""

    @pytest.mark.parametrize(
        ("life", "command", "kind"),
        [
            ((RECEIVE,), INSPECT, UnitInspected),
            ((RECEIVE, INSPECT, RESERVE), SHIP, UnitShipped),
            ((RECEIVE_LOT,), INSPECT_LOT, LotInspected),
            ((RECEIVE_LOT, INSPECT_LOT, RESERVE_LOT), SHIP_LOT, LotShipped),
        ],
        ids=lambda case: getattr(case, "__name__", None),
    )
    def test_lic2_acceptance_and_sale_keep_the_certificate_they_saw(
        self, life: tuple[Command[Any], ...], command: Command[Any], kind: type
    ) -> None:
        (event,) = founded().told(*life).when(command).events
        assert isinstance(event, kind)
        gates: tuple[GateEvaluated, ...] = event.gates  # type: ignore[attr-defined]
        (seen,) = gates[0].inputs
        assert (gates[0].gate, seen.kind) == ("LIC-2", "registration")
        assert (seen.number, seen.version) == (RENEWED_CERTIFICATE.number, 2)

    @pytest.mark.parametrize(
        ("receive", "inspect", "id"),
        [(RECEIVE, INSPECT, PUMP), (RECEIVE_LOT, INSPECT_LOT, SUTURE)],
        ids=["unit", "lot"],
    )
    def test_lic2_what_was_made_after_its_registration_was_revoked_is_not_accepted(
        self, receive: Command[Any], inspect: Command[Any], id: str
    ) -> None:
        town = founded().told(receive).told(REVOKE_BOTH_TERMS, id=id)
        town.when(inspect).refused("registration.not_valid_at_manufacture", "2025-06-01")
        failed = inspect.model_copy(update={"passed": False})
        assert town.when(failed).refusal is None

    def test_lic2_what_was_accepted_is_not_sold_after_its_registration_was_revoked(self) -> None:
        town = founded().told(RECEIVE, INSPECT, RESERVE).told(REVOKE_BOTH_TERMS, id=PUMP)
        town.when(SHIP, SN1).refused("registration.not_valid")
        lots = founded().told(RECEIVE_LOT, INSPECT_LOT, RESERVE_LOT)
        lots.told(REVOKE_BOTH_TERMS, id=SUTURE).when(SHIP_LOT, SUTURE_LOT).refused(
            "registration.not_valid"
        )

    def test_lic2_a_certificate_of_today_does_not_cover_what_was_made_before_it(self) -> None:
        """The ship date alone would let it go (D6)."""
        made_before = RECEIVE.model_copy(update={"udi": label(serial="SN1", made="240601")})
        town = founded().told(made_before, INSPECT, RESERVE)
        first_term = REVOKE_BOTH_TERMS.model_copy(update={"on": date(2020, 3, 1)})
        later = RENEWED_CERTIFICATE.model_copy(update={"number": "国械注准20253080002"})
        town.told(first_term, RecordRegistration(registration=later), id=PUMP)
        town.when(SHIP, SN1).refused("registration.not_valid_at_manufacture", "2024-06-01")

    def test_lic2_a_classified_product_without_any_registration_is_not_accepted(self) -> None:
        def unregistered(device_class: DeviceClass | None) -> Town:
            town = founded()
            del town.streams[PUMP]
            known = REGISTER_PUMP.model_copy(update={"device_class": device_class})
            for di in ("device-identifier:" + package for package in (PUMP_DI, "x")):
                town.streams.pop(di, None)
            town.told(known).told(RECEIVE)
            return town

        unregistered(DeviceClass.II).when(INSPECT).refused("registration.not_valid_at_manufacture")
        assert unregistered(None).when(INSPECT).refusal is None
