"""A customer: a hospital, clinic or partner that buys from us, and what its terms depend on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from pydantic import model_validator

from medsales.domain.ids import CustomerId
from medsales.domain.kernel import Aggregate, Command, Event, Key, Refused, Role, Term, Text, Who
from medsales.domain.values import Uscc


class CustomerKind(Term):
    HOSPITAL = "hospital", "医院"
    CLINIC = "clinic", "诊所"
    PARTNER = "partner", "代理商"
    OTHER = "other", "其他使用单位"


class HospitalGrade(Term):
    """医院等级: tier and class of a Chinese hospital; others have none."""

    GRADE_3A = "3A", "三级甲等"
    GRADE_3B = "3B", "三级乙等"
    GRADE_3C = "3C", "三级丙等"
    GRADE_2A = "2A", "二级甲等"
    GRADE_2B = "2B", "二级乙等"
    GRADE_2C = "2C", "二级丙等"
    GRADE_1A = "1A", "一级甲等"
    GRADE_1B = "1B", "一级乙等"
    GRADE_1C = "1C", "一级丙等"


class CustomerTier(Term):
    """How much a customer buys; one of the dimensions of a price."""

    A = "A", "甲类客户"
    B = "B", "乙类客户"
    C = "C", "丙类客户"


@dataclass(frozen=True)
class Customer(Aggregate):
    kind_of: CustomerKind = CustomerKind.HOSPITAL
    name: str = ""
    region: str = ""
    tier: CustomerTier = CustomerTier.C
    grade: HospitalGrade | None = None
    address: str = ""
    departments: frozenset[str] = frozenset()
    suspended_for: str | None = None

    def must_be_served(self) -> None:
        if self.suspended_for:
            raise Refused(
                "customer.suspended",
                f"{self.name} is suspended: {self.suspended_for}",
                f"{self.name} 已暂停供货: {self.suspended_for}",
            )


class RegisterCustomer(Command[Customer]):
    """Take up a hospital, clinic or partner as a customer.

    Region and grade decide the price too, but they are of public record: the one is in the address,
    the other in the register of the health authority. The tier is what we think of a customer: a
    new one is in tier C unless a manager says otherwise (P2).
    """

    allowed = (Role.SALES, Role.MANAGER)

    uscc: Uscc | None = None
    """Unified social credit code; its check character is verified."""
    number: Key | None = None
    """Another official number, for a customer without a USCC: `cms-010001`."""
    kind_of: CustomerKind
    name: Text
    region: Text
    """Sales region; a dimension of the price."""
    tier: CustomerTier = CustomerTier.C
    grade: HospitalGrade | None = None
    address: Text
    departments: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _has_one_number(self) -> Self:
        if (self.uscc is None) == (self.number is None):
            raise ValueError("give either the unified social credit code or another number")
        return self

    def begins(self) -> CustomerId:
        return CustomerId.of(self.uscc or self.number or "")

    def decide(self, customer: Customer, who: Who) -> CustomerRegistered | None:
        profile = CustomerRegistered(**self.model_dump())
        if not customer.name:
            self._must_begin_in_tier_c(who)
            return profile
        if profile.apply(Customer()) == customer:
            return None
        raise Refused(
            "customer.exists",
            f"{customer.name} is already registered under this number",
            f"该编号已登记为 {customer.name}",
        )

    def _must_begin_in_tier_c(self, who: Who) -> None:
        if self.tier is not CustomerTier.C and not is_manager(who):
            raise Refused(
                "customer.tier_by_manager",
                f"a new customer begins in tier {CustomerTier.C}; a manager gives it a better one",
                f"新客户自{CustomerTier.C.zh}开始, 更优的客户等级须由经理确定",
            )


class CustomerRegistered(Event[Customer]):
    uscc: str | None = None
    number: str | None = None
    kind_of: CustomerKind
    name: str
    region: str
    tier: CustomerTier
    grade: HospitalGrade | None = None
    address: str
    departments: tuple[str, ...] = ()

    def apply(self, customer: Customer, /) -> Customer:
        return replace(
            customer,
            kind_of=self.kind_of,
            name=self.name,
            region=self.region,
            tier=self.tier,
            grade=self.grade,
            address=self.address,
            departments=frozenset(self.departments),
        )


class ReviseCustomer(Command[Customer]):
    """Change what is known of a customer; prices already given do not change.

    Region, tier and grade decide the price, so they are a manager's to change.
    """

    allowed = (Role.SALES, Role.MANAGER)

    name: Text
    region: Text
    tier: CustomerTier
    grade: HospitalGrade | None = None
    address: Text

    def decide(self, customer: Customer, who: Who) -> CustomerRevised | None:
        revised = CustomerRevised(**self.model_dump())
        if revised.apply(customer) == customer:
            return None
        priced_as = (customer.region, customer.tier, customer.grade)
        if (self.region, self.tier, self.grade) != priced_as:
            must_be_a_manager(who)
        return revised


def is_manager(who: Who) -> bool:
    return not {Role.MANAGER, Role.SYSTEM}.isdisjoint(who.roles)


def must_be_a_manager(who: Who) -> None:
    """Otherwise a seller would make a price by changing whom it is for (P2)."""
    if not is_manager(who):
        raise Refused(
            "customer.terms_by_manager",
            "region, tier and grade decide the price; a manager changes them",
            "地区、客户等级与医院等级决定价格, 须由经理变更",
        )


class CustomerRevised(Event[Customer]):
    name: str
    region: str
    tier: CustomerTier
    grade: HospitalGrade | None = None
    address: str

    def apply(self, customer: Customer, /) -> Customer:
        return replace(
            customer,
            name=self.name,
            region=self.region,
            tier=self.tier,
            grade=self.grade,
            address=self.address,
        )


class AddDepartment(Command[Customer]):
    """Name a department of a hospital, where devices are installed and used."""

    allowed = (Role.SALES, Role.TECHNICIAN, Role.MANAGER)

    department: Text

    def decide(self, customer: Customer) -> DepartmentAdded | None:
        if self.department in customer.departments:
            return None
        return DepartmentAdded(department=self.department)


class DepartmentAdded(Event[Customer]):
    department: str

    def apply(self, customer: Customer, /) -> Customer:
        return replace(customer, departments=customer.departments | {self.department})


class SuspendCustomer(Command[Customer]):
    """Stop taking orders from a customer."""

    allowed = (Role.MANAGER, Role.QUALITY)

    reason: Text

    def decide(self, customer: Customer) -> CustomerSuspended | None:
        return None if customer.suspended_for else CustomerSuspended(reason=self.reason)


class CustomerSuspended(Event[Customer]):
    reason: str

    def apply(self, customer: Customer, /) -> Customer:
        return replace(customer, suspended_for=self.reason)


class ResumeCustomer(Command[Customer]):
    """Take orders from a suspended customer again."""

    allowed = (Role.MANAGER,)

    reason: Text

    def decide(self, customer: Customer) -> CustomerResumed | None:
        return CustomerResumed(reason=self.reason) if customer.suspended_for else None


class CustomerResumed(Event[Customer]):
    reason: str

    def apply(self, customer: Customer, /) -> Customer:
        return replace(customer, suspended_for=None)
