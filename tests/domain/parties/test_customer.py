from typing import Any

import pytest
from pydantic import ValidationError

from medsales.domain.kernel import Role
from medsales.domain.parties.customer import (
    AddDepartment,
    CustomerKind,
    CustomerRegistered,
    CustomerResumed,
    CustomerRevised,
    CustomerSuspended,
    CustomerTier,
    DepartmentAdded,
    HospitalGrade,
    RegisterCustomer,
    ResumeCustomer,
    ReviseCustomer,
    SuspendCustomer,
)
from medsales.testing import given

PROFILE: dict[str, Any] = {
    "uscc": "91330000470003281C",
    "kind_of": CustomerKind.HOSPITAL,
    "name": "浙江协和医院",
    "region": "华东",
    "tier": CustomerTier.A,
    "grade": HospitalGrade.GRADE_3A,
    "address": "杭州市庆春路 79 号",
    "departments": ("放射科",),
}
REGISTER = RegisterCustomer(**PROFILE)
REGISTERED = CustomerRegistered(**PROFILE)
REVISION: dict[str, Any] = {
    "name": "浙江协和医院",
    "region": "华东",
    "tier": CustomerTier.B,
    "grade": HospitalGrade.GRADE_3A,
    "address": "杭州市解放路 88 号",
}
REVISED = CustomerRevised(**REVISION)
UNPAID = CustomerSuspended(reason="invoices of 2025 are unpaid")


def test_a_hospital_becomes_a_customer_under_its_credit_code() -> None:
    outcome = given().when(REGISTER).then(REGISTERED)
    assert outcome.subject == "customer:91330000470003281C"


def test_a_customer_without_a_credit_code_has_another_official_number() -> None:
    clinic = {**PROFILE, "uscc": None, "number": "cms-010001"}
    outcome = given().when(RegisterCustomer(**clinic)).then(CustomerRegistered(**clinic))
    assert outcome.subject == "customer:cms-010001"


@pytest.mark.parametrize(
    ("uscc", "number"),
    [(None, None), ("91330000470003281C", "cms-010001")],
    ids=["neither number", "both numbers"],
)
def test_a_customer_has_exactly_one_number(uscc: str | None, number: str | None) -> None:
    with pytest.raises(ValidationError, match="give either"):
        RegisterCustomer(**{**PROFILE, "uscc": uscc, "number": number})


def test_a_credit_code_with_a_wrong_check_character_is_no_credit_code() -> None:
    with pytest.raises(ValidationError, match="check character"):
        RegisterCustomer(**{**PROFILE, "uscc": "91330000470003281F"})


@pytest.mark.parametrize("tier", [CustomerTier.A, CustomerTier.B])
def test_p2_sales_does_not_make_a_price_by_the_tier_of_a_new_customer(tier: CustomerTier) -> None:
    better = RegisterCustomer(**{**PROFILE, "tier": tier})
    given().when(better, roles=(Role.SALES,)).refused("customer.tier_by_manager", "in tier C")
    given().when(better, roles=(Role.MANAGER,)).then(
        CustomerRegistered(**{**PROFILE, "tier": tier})
    )


def test_p2_sales_registers_with_region_and_grade_which_are_of_public_record() -> None:
    plain = {name: said for name, said in PROFILE.items() if name != "tier"}
    registered = CustomerRegistered(**plain, tier=CustomerTier.C)
    given().when(RegisterCustomer(**plain), roles=(Role.SALES,)).then(registered)


def test_a_repeat_by_sales_of_what_a_manager_registered_changes_nothing() -> None:
    given(REGISTERED).when(REGISTER, roles=(Role.SALES,)).then()


def test_registering_the_same_customer_again_changes_nothing() -> None:
    given(REGISTERED).when(REGISTER).then()


def test_a_number_names_one_customer_only() -> None:
    other = RegisterCustomer(**{**PROFILE, "name": "浙江第二医院"})
    given(REGISTERED).when(other).refused("customer.exists", "浙江协和医院 is already registered")


def test_what_is_known_of_a_customer_can_change() -> None:
    given(REGISTERED).when(ReviseCustomer(**REVISION)).then(REVISED)


def test_a_revision_that_says_nothing_new_changes_nothing() -> None:
    given(REGISTERED, REVISED).when(ReviseCustomer(**REVISION)).then()


def test_a_customer_that_was_never_registered_cannot_be_revised() -> None:
    given().when(ReviseCustomer(**REVISION)).refused("customer.unknown")


def test_a_department_is_added() -> None:
    given(REGISTERED).when(AddDepartment(department="心内科")).then(
        DepartmentAdded(department="心内科")
    )


@pytest.mark.parametrize("known", [REGISTERED, DepartmentAdded(department="放射科")])
def test_a_department_that_is_known_is_not_added_again(known: Any) -> None:
    given(REGISTERED, known).when(AddDepartment(department="放射科")).then()


def test_a_customer_is_suspended_for_a_reason() -> None:
    given(REGISTERED).when(SuspendCustomer(reason=UNPAID.reason)).then(UNPAID)


def test_a_suspended_customer_is_not_suspended_again() -> None:
    given(REGISTERED, UNPAID).when(SuspendCustomer(reason="a second reason")).then()


def test_a_suspended_customer_is_served_again_when_resumed() -> None:
    given(REGISTERED, UNPAID).when(ResumeCustomer(reason="paid")).then(
        CustomerResumed(reason="paid")
    )


def test_a_customer_in_good_standing_need_not_be_resumed() -> None:
    given(REGISTERED, UNPAID, CustomerResumed(reason="paid")).when(
        ResumeCustomer(reason="paid")
    ).then()
