"""A contract in force: its obligations and reminders, suspension, and every way it ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

from medsales.domain.governance.expiry import days_before
from medsales.domain.ids import ContractId, CustomerId
from medsales.domain.kernel import Also, Command, Event, Refused, Role, Text
from medsales.domain.terms.contract import Contract, ContractStatus
from medsales.domain.terms.contract_content import Obligation, Side, Word
from medsales.domain.values import Evidence, day_in_china

RUNNING = (ContractStatus.ACTIVE, ContractStatus.SUSPENDED)


class SuspendContract(Command[Contract]):
    """Take no more orders under a contract for now."""

    allowed = (Role.LEGAL, Role.MANAGER, Role.DIRECTOR)

    reason: Text

    def decide(self, contract: Contract) -> ContractSuspended | None:
        if contract.status is ContractStatus.SUSPENDED:
            return None
        contract.must_be(ContractStatus.ACTIVE)
        return ContractSuspended(reason=self.reason)


class ContractSuspended(Event[Contract]):
    reason: str

    def apply(self, contract: Contract, /) -> Contract:
        return replace(contract, standing=ContractStatus.SUSPENDED)


class ResumeContract(Command[Contract]):
    """Take orders under a suspended contract again."""

    allowed = (Role.LEGAL, Role.MANAGER, Role.DIRECTOR)

    reason: Text

    def decide(self, contract: Contract) -> ContractResumed | None:
        if contract.status is ContractStatus.ACTIVE:
            return None
        contract.must_be(ContractStatus.SUSPENDED)
        return ContractResumed(reason=self.reason)


class ContractResumed(Event[Contract]):
    reason: str

    def apply(self, contract: Contract, /) -> Contract:
        return replace(contract, standing=ContractStatus.ACTIVE)


class TerminateContract(Command[Contract]):
    """End a contract before its time; what has been ordered under it stays ordered."""

    allowed = (Role.LEGAL, Role.MANAGER, Role.DIRECTOR)

    reason: Text

    def decide(
        self, contract: Contract, id: ContractId
    ) -> tuple[ContractTerminated | Also, ...] | None:
        if contract.status is ContractStatus.TERMINATED:
            return None
        contract.must_be(*RUNNING)
        return ContractTerminated(reason=self.reason), *contract.given_up(id, self.reason)


class ContractTerminated(Event[Contract]):
    reason: str

    def apply(self, contract: Contract, /) -> Contract:
        return replace(contract, standing=ContractStatus.TERMINATED, under_way=None)


class ExpireContract(Command[Contract]):
    """Note that the last day of a contract has passed; orders after it were refused anyway."""

    allowed = ()

    valid_until: date
    """The day that has passed; if the contract has been renewed or has ended, nothing happens."""

    def decide(
        self, contract: Contract, id: ContractId
    ) -> tuple[ContractExpired | Also, ...] | None:
        if contract.status not in RUNNING:
            return None
        if contract.agreed_content().valid_until != self.valid_until:
            return None
        reason = f"the contract ended on {self.valid_until}"
        return ContractExpired(valid_until=self.valid_until), *contract.given_up(id, reason)


class ContractExpired(Event[Contract]):
    valid_until: date

    def apply(self, contract: Contract, /) -> Contract:
        return replace(contract, standing=ContractStatus.EXPIRED, under_way=None)


class RemindOfRenewal(Command[Contract]):
    """Note that a contract will soon end and nobody has renewed it."""

    allowed = ()

    def decide(self, contract: Contract, at: datetime) -> RenewalReminded | None:
        if contract.status not in RUNNING:
            return None
        content = contract.agreed_content()
        told = contract.renewal_reminded_for == content.valid_until
        if told or day_in_china(at) < days_before(content.valid_until, content.renewal_notice_days):
            return None
        return RenewalReminded(customer=content.customer, valid_until=content.valid_until)


class RenewalReminded(Event[Contract]):
    customer: CustomerId
    valid_until: date

    def apply(self, contract: Contract, /) -> Contract:
        return replace(contract, renewal_reminded_for=self.valid_until)


class RemindOfObligation(Command[Contract]):
    """Note that an obligation is due soon and has not been met."""

    allowed = ()

    key: Word

    def decide(self, contract: Contract, at: datetime) -> ObligationReminded | None:
        found = next((each for each in open_ones(contract) if each.key == self.key), None)
        if found is None or contract.status not in RUNNING:
            return None
        told = (found.key, found.due) in contract.reminded
        if told or day_in_china(at) < days_before(found.due, found.notice_days):
            return None
        return ObligationReminded(
            key=self.key,
            due=found.due,
            party=found.party,
            description=found.description,
            customer=contract.agreed_content().customer,
        )


def open_ones(contract: Contract) -> tuple[Obligation, ...]:
    return tuple(o for o in contract.agreed_content().obligations if o.key not in contract.met)


class ObligationReminded(Event[Contract]):
    key: str
    due: date
    party: Side
    description: str
    customer: CustomerId

    def apply(self, contract: Contract, /) -> Contract:
        return replace(contract, reminded=contract.reminded | {(self.key, self.due)})


class MeetObligation(Command[Contract]):
    """Record that one party has done what it had to do; the last one may fulfil the contract.

    While an amendment is on its way nothing is fulfilled by itself: it may add more.
    """

    allowed = (Role.SALES, Role.LEGAL, Role.MANAGER, Role.TECHNICIAN)

    key: Word
    """What the obligation is called in the contract."""
    evidence: Evidence | None = None
    remark: Text | None = None

    def decide(
        self, contract: Contract, at: datetime
    ) -> tuple[ObligationMet | ContractFulfilled, ...] | None:
        if self.key in contract.met:
            return None
        self.must_be_agreed(contract)
        met = ObligationMet(
            key=self.key, met_on=day_in_china(at), evidence=self.evidence, remark=self.remark
        )
        afterwards = met.apply(contract)
        goes_on = contract.status not in RUNNING or contract.under_way is not None
        if goes_on or open_ones(afterwards) or not contract.is_called_off():
            return (met,)
        return met, ContractFulfilled()

    def must_be_agreed(self, contract: Contract) -> None:
        known = {
            each.key for version in contract.in_force[-1:] for each in version.content.obligations
        }
        if self.key not in known:
            raise Refused(
                "contract.obligation_unknown",
                f"no version in force has an obligation {self.key}",
                f"生效合同中没有义务 {self.key}",
            )


class ObligationMet(Event[Contract]):
    key: str
    met_on: date
    evidence: str | None = None
    remark: str | None = None

    def apply(self, contract: Contract, /) -> Contract:
        return replace(contract, met=contract.met | {self.key})


class FulfilContract(Command[Contract]):
    """Close a contract whose obligations have all been met."""

    allowed = (Role.SALES, Role.LEGAL, Role.MANAGER)

    reason: Text | None = None
    """Why what has not been called off is not wanted any more."""

    def decide(
        self, contract: Contract, id: ContractId
    ) -> tuple[ContractFulfilled | Also, ...] | None:
        if contract.status is ContractStatus.FULFILLED:
            return None
        contract.must_be(*RUNNING)
        self.must_have_nothing_open(contract)
        fulfilled = ContractFulfilled(reason=self.reason)
        return fulfilled, *contract.given_up(id, self.reason or "the contract is fulfilled")

    def must_have_nothing_open(self, contract: Contract) -> None:
        if left := open_ones(contract):
            raise Refused(
                "contract.obligations_open",
                f"the obligation {left[0].key}, due {left[0].due}, has not been met",
                f"义务 {left[0].key} ({left[0].due} 到期) 尚未履行",
            )
        if self.reason is None and not contract.is_called_off():
            raise Refused(
                "contract.not_called_off_yet",
                "not everything has been called off; say why the rest is not wanted",
                "合同尚有未订购数量, 请说明不再需要的原因",
            )


class ContractFulfilled(Event[Contract]):
    reason: str | None = None

    def apply(self, contract: Contract, /) -> Contract:
        return replace(contract, standing=ContractStatus.FULFILLED, under_way=None)
