"""Q7, LIC-3, LIC-5: the licence covers each class of goods, and who sells is authorised."""

from datetime import date
from typing import Any

import pytest
from tests.domain.orders.examples import PUMP, STENT, UNION
from tests.domain.sales.examples import AT_LIST, Q1, Office
from tests.domain.sales.test_quote import submission

from medsales.domain.governance.licence import OWN
from medsales.domain.governance.licence_file import (
    GatePolicy,
    Licence,
    LicenceKind,
    LicenceScope,
    RecordLicence,
    SetSalespersonPolicy,
    VerifyLicence,
)
from medsales.domain.governance.licence_numbers import DeviceClass
from medsales.domain.ids import LicenceFileId, PersonId
from medsales.domain.sales.quote import QuoteStatus, SubmitQuote

II, III = DeviceClass.II, DeviceClass.III
NUMBER = "12330000470003281C"


@pytest.fixture
def office() -> Office:
    """Where pumps are of class III, and stents, let us say, of class II."""
    office = Office()
    for product, device_class in ((PUMP, III), (STENT, II)):
        first: Any = office.streams[product][0]
        office.streams[product][0] = first.model_copy(update={"device_class": device_class})
    office.known.clear()
    return office


def practising(office: Office, *classes: DeviceClass) -> None:
    licence = Licence(
        kind=LicenceKind.PRACTICE,
        number=NUMBER,
        scope=LicenceScope(classes=classes),
        valid_from=date(2020, 1, 1),
        valid_until=date(2030, 1, 1),
        issuer="浙江省卫生健康委员会",
    )
    office.tell(RecordLicence(holder=UNION, licence=licence), by="wang")
    verify = VerifyLicence(number=NUMBER, method="卫健委查询", valid_until=date(2030, 1, 1))
    office.tell(verify, LicenceFileId.of(UNION), by="gu")


@pytest.mark.parametrize("covered", [(II,), (III,)], ids=["II", "III"])
def test_q7_a_licence_for_one_class_does_not_cover_the_other(office: Office, covered: Any) -> None:
    practising(office, *covered)
    refused = office.drafted(AT_LIST).refusal(SubmitQuote(), Q1)
    assert refused.code == "buyer.scope"
    missing = (PUMP, "class III") if covered == (II,) else (STENT, "class II")
    assert all(said in refused.sentence.en for said in missing)
    assert NUMBER in refused.sentence.zh, "LIC-7: the refusal names what it saw"
    assert office.quote.status is QuoteStatus.DRAFT


def test_q7_a_licence_for_both_classes_covers_both(office: Office) -> None:
    practising(office, II, III)
    case = submission(office.submitted(AT_LIST)).case
    assert case.product_classes == ("II", "III")


def test_lic5_where_our_policy_is_to_block_nobody_quotes_without_authorisation(
    office: Office,
) -> None:
    practising(office)
    office.tell(SetSalespersonPolicy(policy=GatePolicy.BLOCK), OWN)
    refused = office.drafted(AT_LIST).refusal(SubmitQuote(), Q1)
    assert refused.code == "authorisation.missing"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({}, None),
        ({"regions": ("华南",)}, "authorisation.out_of_scope"),
        ({"products": (PUMP,)}, "authorisation.out_of_scope"),
    ],
    ids=["everything", "another region", "one of two products"],
)
def test_lic5_an_authorisation_names_products_and_region(
    office: Office, said: dict[str, Any], code: str | None
) -> None:
    practising(office)
    office.tell(SetSalespersonPolicy(policy=GatePolicy.BLOCK), OWN)
    letter = Licence(
        kind=LicenceKind.SALESPERSON_AUTHORISATION,
        number="XS-1",
        scope=LicenceScope(**said),
        valid_from=date(2026, 1, 1),
        valid_until=date(2026, 12, 31),
        issuer="杭州翠鸟医疗器械有限公司",
    )
    office.tell(RecordLicence(holder=PersonId.of("chen"), licence=letter), by="gu")
    office.drafted(AT_LIST)
    if code:
        assert office.refusal(SubmitQuote(), Q1).code == code
        return
    office.tell(SubmitQuote(), Q1)
    assert [(gate.gate, gate.passed) for gate in submission(office).gates] == [
        ("LIC-3", True),
        ("LIC-5", True),
    ]
