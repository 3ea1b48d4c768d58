"""UDI-7: a device identifier names one product and package level, once and for ever."""

from tests.domain.examples import PUMP, PUMP_DI, SUTURE

from medsales.domain.ids import DeviceIdentifierId
from medsales.domain.stock.device_identifier import AssignIdentifier, IdentifierAssigned
from medsales.testing import given

ASSIGN = AssignIdentifier(di=PUMP_DI, product=PUMP)
ASSIGNED = IdentifierAssigned(product=PUMP)


def test_udi7_an_identifier_is_given_to_a_product() -> None:
    outcome = given().when(ASSIGN).then(ASSIGNED)
    assert outcome.subject == DeviceIdentifierId.of(PUMP_DI)


def test_udi7_giving_it_to_the_same_product_again_changes_nothing() -> None:
    given(ASSIGNED).when(ASSIGN).then()


def test_udi7_an_identifier_never_names_another_product() -> None:
    given(ASSIGNED).when(AssignIdentifier(di=PUMP_DI, product=SUTURE)).refused(
        "identifier.taken", PUMP
    )


def test_udi7_upper_and_lower_case_are_two_identifiers() -> None:
    lower, upper = (AssignIdentifier(di=di, product=SUTURE) for di in ("b066abc1", "B066ABC1"))
    others = {str(lower.begins()): [ASSIGNED]}
    given(others=others).when(upper).then(IdentifierAssigned(product=SUTURE))
    given(ASSIGNED).when(lower).refused("identifier.taken")
