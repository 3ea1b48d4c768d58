"""The gates LIC-1, LIC-3, LIC-4 and LIC-5: who may supply, buy and sell which goods on a day."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.governance.licences import (
    BUSINESS,
    DAY,
    FILING,
    LETTER,
    NEED,
    OPERATING,
    PLASTER,
    PRACTICE,
    PUMP,
    SALES,
    STENT,
    TERRITORY,
    UNKNOWN,
    file,
)

from medsales.domain.governance.licence import (
    OWN,
    GatedProduct,
    GateEvaluated,
    GatePolicy,
    LicenceFile,
    buyer_gate,
    file_of,
    must_pass,
    salesperson_gate,
    seller_gate,
    supplier_gate,
)
from medsales.domain.governance.licence_file import (
    Licence,
    LicenceRevoked,
    LicenceScope,
    SalespersonPolicySet,
    SupplierApproved,
)
from medsales.domain.governance.licence_numbers import DeviceClass
from medsales.domain.ids import CustomerId, PersonId, ProductId
from medsales.domain.kernel import Refused
from medsales.domain.parties.customer import Customer, CustomerKind

PARTNER = "customer:partner"
HOSPITAL = "customer:hospital"
MAKER = "supplier:maker"
AFTER = date(2030, 1, 1)


def approved(*licences: Licence) -> LicenceFile:
    return SupplierApproved(approver="li", seen=()).apply(file(MAKER, *licences))


def buyer(kind: CustomerKind, region: str = "ZJ") -> Customer:
    return Customer(name="Buyer", kind_of=kind, region=region)


def closed(gate: GateEvaluated, code: str) -> None:
    assert not gate.passed
    assert gate.code == code
    assert gate.reason_en
    assert gate.reason_zh
    with pytest.raises(Refused) as refused:
        must_pass(gate)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("holder", "id"),
    [
        (CustomerId("customer:union"), "licence-file:customer:union"),
        (PersonId("person:wang"), "licence-file:person:wang"),
        ("wang", "licence-file:person:wang"),
        ("supplier:maker", "licence-file:supplier:maker"),
        ("own", OWN),
    ],
)
def test_a_holder_has_one_file(holder: str, id: str) -> None:
    assert file_of(holder) == id


class TestSupplier:
    """LIC-1: 首营企业, GSP art. 53."""

    def test_lic1_an_approved_supplier_with_licence_and_letter_may_supply(self) -> None:
        gate = supplier_gate(approved(BUSINESS, OPERATING, LETTER), (STENT,), DAY)
        assert gate.passed
        assert must_pass(gate) == (gate,)

    def test_lic1_without_a_file_or_an_approval_nothing_is_taken_in(self) -> None:
        closed(supplier_gate(None, (STENT,), DAY), "supplier.not_approved")
        known = file(MAKER, BUSINESS, OPERATING, LETTER)
        closed(supplier_gate(known, (STENT,), DAY), "supplier.not_approved")

    def test_lic1_a_licence_that_has_run_out(self) -> None:
        long_letter = LETTER.model_copy(update={"valid_until": None})
        gate = supplier_gate(approved(BUSINESS, OPERATING, long_letter), (STENT,), AFTER)
        closed(gate, "licence.expired")

    def test_lic1_a_letter_for_other_products_or_another_time(self) -> None:
        supplier = approved(BUSINESS, OPERATING, LETTER)
        closed(supplier_gate(supplier, (PUMP,), DAY), "authorisation.out_of_scope")
        late = supplier_gate(supplier, (STENT,), date(2027, 1, 1))
        closed(late, "authorisation.out_of_scope")

    def test_lic1_a_business_licence_is_enough_for_class_i_but_the_letter_is_asked_for(
        self,
    ) -> None:
        letter = LETTER.model_copy(update={"scope": LicenceScope()})
        assert supplier_gate(approved(BUSINESS, letter), (PLASTER,), DAY).passed
        closed(supplier_gate(approved(BUSINESS, letter), (PUMP,), DAY), "licence.missing")
        closed(supplier_gate(approved(BUSINESS), (PLASTER,), DAY), "authorisation.missing")


class TestBuyer:
    """LIC-3: GSP art. 81, 82."""

    @pytest.mark.parametrize("kind", [CustomerKind.HOSPITAL, CustomerKind.CLINIC])
    def test_lic3_who_treats_needs_a_practice_licence_for_class_ii_and_iii(
        self, kind: CustomerKind
    ) -> None:
        assert buyer_gate(file(HOSPITAL, PRACTICE), buyer(kind), (STENT, PUMP), DAY).passed
        closed(buyer_gate(None, buyer(kind), (PUMP,), DAY), "buyer.licence_missing")
        closed(
            buyer_gate(file(HOSPITAL, OPERATING), buyer(kind), (PUMP,), DAY),
            "buyer.licence_missing",
        )

    def test_lic3_a_partner_needs_a_licence_for_iii_and_at_least_a_filing_for_ii(self) -> None:
        licensed, filed = file(PARTNER, OPERATING), file(PARTNER, FILING)
        assert buyer_gate(licensed, buyer(CustomerKind.PARTNER), (STENT, PUMP), DAY).passed
        assert buyer_gate(filed, buyer(CustomerKind.PARTNER), (PUMP,), DAY).passed
        gate = buyer_gate(filed, buyer(CustomerKind.PARTNER), (PUMP, STENT), DAY)
        closed(gate, "buyer.licence_missing")
        assert gate.reason_en is not None
        assert STENT.product in gate.reason_en

    def test_lic3_the_scope_names_catalogue_codes(self) -> None:
        valve = STENT.model_copy(update={"classification": "13-08-02"})
        nothing = STENT.model_copy(update={"classification": None})
        partner = file(PARTNER, OPERATING)
        for goods in (valve, nothing):
            gate = buyer_gate(partner, buyer(CustomerKind.PARTNER), (goods,), DAY)
            closed(gate, "buyer.scope")

    def test_lic3_others_state_what_they_need_it_for(self) -> None:
        school = "customer:university"
        assert buyer_gate(file(school, NEED), buyer(CustomerKind.OTHER), (PUMP,), DAY).passed
        gate = buyer_gate(file(school), buyer(CustomerKind.OTHER), (PUMP,), DAY)
        closed(gate, "buyer.need_statement_missing")

    @pytest.mark.parametrize("kind", CustomerKind)
    def test_lic3_class_i_and_what_is_not_classified_need_nothing(self, kind: CustomerKind) -> None:
        assert buyer_gate(None, buyer(kind), (PLASTER, UNKNOWN), DAY).passed

    def test_lic3_a_paper_that_nobody_has_verified_does_not_count(self) -> None:
        unchecked = file(HOSPITAL, PRACTICE, verified=False)
        gate = buyer_gate(unchecked, buyer(CustomerKind.HOSPITAL), (PUMP,), DAY)
        closed(gate, "licence.not_verified")

    def test_lic3_a_licence_counts_to_its_last_day(self) -> None:
        hospital = file(HOSPITAL, PRACTICE)
        last = PRACTICE.valid_until
        assert last is not None
        assert buyer_gate(hospital, buyer(CustomerKind.HOSPITAL), (PUMP,), last).passed
        gate = buyer_gate(hospital, buyer(CustomerKind.HOSPITAL), (PUMP,), date(2035, 1, 1))
        closed(gate, "licence.expired")

    def test_lic3_a_revoked_licence_counts_until_the_day_before(self) -> None:
        kind = PRACTICE.kind
        revoked = LicenceRevoked(number=PRACTICE.number, kind=kind, on=DAY, reason="closed")
        hospital = revoked.apply(file(HOSPITAL, PRACTICE))
        assert buyer_gate(hospital, buyer(CustomerKind.HOSPITAL), (PUMP,), date(2026, 5, 31)).passed
        gate = buyer_gate(hospital, buyer(CustomerKind.HOSPITAL), (PUMP,), DAY)
        closed(gate, "licence.revoked")

    def test_lic3_a_partner_with_an_authorisation_buys_what_it_covers(self) -> None:
        partner = file(PARTNER, OPERATING, TERRITORY)
        assert buyer_gate(partner, buyer(CustomerKind.PARTNER), (STENT,), DAY).passed
        gate = buyer_gate(partner, buyer(CustomerKind.PARTNER), (PUMP,), DAY)
        closed(gate, "authorisation.out_of_scope")


class TestSeller:
    """LIC-4: 令54 art. 4; selling after expiry is fined (art. 66)."""

    def test_lic4_we_need_a_licence_for_iii_and_a_filing_for_ii(self) -> None:
        ours = file("own", OPERATING, verified=False)
        assert seller_gate(ours, (STENT, PUMP, PLASTER, UNKNOWN), DAY).passed
        assert seller_gate(file("own", FILING), (PUMP,), DAY).passed
        closed(seller_gate(file("own", FILING), (STENT,), DAY), "seller.licence_missing")
        closed(seller_gate(None, (PUMP,), DAY), "seller.licence_missing")

    def test_lic4_nothing_is_sold_after_our_licence_has_run_out(self) -> None:
        closed(seller_gate(file("own", OPERATING), (STENT,), AFTER), "licence.expired")

    def test_lic4_what_is_outside_our_scope_is_not_sold(self) -> None:
        laser = STENT.model_copy(update={"classification": "01-03-01"})
        closed(seller_gate(file("own", OPERATING), (laser,), DAY), "seller.scope")


class TestAuthorisation:
    """LIC-5: territory, products, term, salesperson."""

    def test_lic5_a_salesperson_is_authorised_for_products_region_and_time(self) -> None:
        wang = file("person:wang", SALES, verified=False)
        assert salesperson_gate(wang, "ZJ", (STENT,), DAY).passed
        for region, goods, day in (
            ("SH", STENT, DAY),
            ("ZJ", PUMP, DAY),
            ("ZJ", STENT, date(2027, 1, 1)),
        ):
            assert not salesperson_gate(wang, region, (goods,), day).passed

    def test_lic5_without_a_policy_a_warning_is_kept_and_nobody_is_stopped(self) -> None:
        gate = salesperson_gate(None, "ZJ", (STENT,), DAY)
        assert (gate.passed, gate.policy) == (False, GatePolicy.WARN)
        assert gate.code == "authorisation.missing"
        assert must_pass(gate) == (gate,)

    def test_lic5_our_policy_may_be_to_block(self) -> None:
        own = SalespersonPolicySet(policy=GatePolicy.BLOCK).apply(LicenceFile())
        closed(salesperson_gate(None, "ZJ", (STENT,), DAY, own), "authorisation.missing")

    def test_lic5_a_family_authorises_its_products(self) -> None:
        letter = SALES.model_copy(update={"scope": LicenceScope(families=("stents",))})
        wang = file("person:wang", letter)
        assert salesperson_gate(wang, "ZJ", (STENT,), DAY).passed
        assert not salesperson_gate(wang, "ZJ", (PUMP,), DAY).passed

    def test_lic5_a_partner_buys_for_its_territory_only(self) -> None:
        partner = file(PARTNER, OPERATING, TERRITORY)
        assert buyer_gate(partner, buyer(CustomerKind.PARTNER, "ZJ"), (STENT,), DAY).passed
        elsewhere = buyer_gate(partner, buyer(CustomerKind.PARTNER, "SH"), (STENT,), DAY)
        closed(elsewhere, "authorisation.out_of_scope")


def test_lic7_a_gate_keeps_what_it_saw_also_when_it_stays_closed() -> None:
    partner = file(PARTNER, FILING, OPERATING, BUSINESS)
    for day in (DAY, AFTER):
        gate = buyer_gate(partner, buyer(CustomerKind.PARTNER), (STENT, PUMP), day)
        assert gate.passed == (day == DAY)
        seen = {each.number: each for each in gate.inputs}
        assert seen.keys() == {FILING.number, OPERATING.number}
        licence = seen[OPERATING.number]
        assert (licence.version, licence.verified) == (2, True)
        assert (licence.valid_from, licence.valid_until) == (
            OPERATING.valid_from,
            OPERATING.valid_until,
        )
        assert (gate.on, gate.rules) == (day, 1)
        assert GateEvaluated.model_validate_json(gate.model_dump_json()) == gate


@pytest.mark.parametrize("verified", [True, False])
def test_lic7_a_refusal_names_the_licences_that_were_not_enough(*, verified: bool) -> None:
    """Of what is refused only the sentences are kept."""
    narrow = OPERATING.model_copy(update={"scope": LicenceScope(codes=("14",))} if verified else {})
    partner = file(PARTNER, narrow, FILING, verified=verified)
    gate = buyer_gate(partner, buyer(CustomerKind.PARTNER), (STENT,), DAY)
    closed(gate, "buyer.scope" if verified else "licence.not_verified")
    for said in (gate.reason_en, gate.reason_zh):
        assert f"{OPERATING.number} (2025-01-01 / 2029-12-31)" in str(said)
        assert FILING.number not in str(said), "a filing is not for class III"


def test_lic7_of_very_many_papers_a_refusal_names_some() -> None:
    papers = [
        OPERATING.model_copy(
            update={"number": f"浙杭药监械经营许2020{n:04}", "scope": LicenceScope(codes=("14",))}
        )
        for n in range(60)
    ]
    gate = buyer_gate(file(PARTNER, *papers), buyer(CustomerKind.PARTNER), (STENT,), DAY)
    assert str(gate.reason_en).count("浙杭") == 5
    assert str(gate.reason_en).endswith(", …")
    assert len(gate.inputs) == 60, "the gate itself keeps all"


CODES = st.sampled_from(["13", "13-07", "13-07-01", "130", "14-02", "6815"])
GOODS = st.builds(
    GatedProduct,
    product=st.sampled_from([ProductId.of("1"), ProductId.of("2")]),
    device_class=st.sampled_from([None, *DeviceClass]),
    classification=st.sampled_from([None, "13-07-01", "1307", "14-02-01", "6815"]),
    family=st.sampled_from([None, "a", "b"]),
)
SCOPES = st.builds(
    LicenceScope,
    classes=st.lists(st.sampled_from(list(DeviceClass)), max_size=2).map(tuple),
    codes=st.lists(CODES.filter(lambda code: code != "130"), max_size=2).map(tuple),
    products=st.lists(st.just(ProductId.of("1")), max_size=1).map(tuple),
    families=st.lists(st.sampled_from(["a", "b"]), max_size=1).map(tuple),
)


@given(SCOPES, st.lists(GOODS, min_size=1, max_size=3).map(tuple))
def test_a_gate_passes_goods_together_if_and_only_if_each_alone(
    scope: LicenceScope, goods: tuple[GatedProduct, ...]
) -> None:
    own = file("own", OPERATING.model_copy(update={"scope": scope}))
    together = seller_gate(own, goods, DAY)
    assert together.passed == all(seller_gate(own, (each,), DAY).passed for each in goods)


@given(SCOPES, GOODS)
def test_no_gate_opens_for_class_ii_or_iii_outside_the_scope(
    scope: LicenceScope, goods: GatedProduct
) -> None:
    """Said once more in other words than the code's."""
    ours = file("own", OPERATING.model_copy(update={"scope": scope}))
    needs = goods.device_class in {DeviceClass.II, DeviceClass.III}
    parts = (goods.classification or "").split("-")
    codes = [code.split("-") for code in scope.codes]
    by_class = not scope.classes or goods.device_class in scope.classes
    by_code = not codes or any(parts[: len(code)] == code for code in codes)
    named = goods.product in scope.products or goods.family in scope.families
    by_name = not (scope.products or scope.families) or named
    assert seller_gate(ours, (goods,), DAY).passed == (
        not needs or (by_class and by_code and by_name)
    )
