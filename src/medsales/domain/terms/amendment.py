"""An amendment: the next version of a contract, which counts from its own last signature on.

It goes the way of the contract itself: submitted, approved, sent and signed by the same commands,
as long as it is the version on its way. Until both have signed, the version before is in force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, TypeVar

from pydantic import Field

from medsales.domain.canonical import content_hash
from medsales.domain.ids import ContractId, ProductId
from medsales.domain.kernel import Also, Command, Event, Refused, Role, Text
from medsales.domain.parties.customer import Customer
from medsales.domain.stock.product import Product
from medsales.domain.terms.contract import Asked, Contract, ContractStatus, PricedCommand, UnderWay
from medsales.domain.terms.contract_content import (
    AgreedLine,
    AmendmentKind,
    Amends,
    Clauses,
    ContractContent,
    Delivery,
    Obligations,
    PriceReason,
    added,
    numbered,
)
from medsales.domain.terms.price_matrix import PriceMatrix
from medsales.domain.terms.price_sheet import PriceSheet
from medsales.domain.values import Days, Money

T = TypeVar("T")
MOST_MORE = Decimal("0.10")
"""C4: 政府采购法 art. 49, of the original amount, all amendments together."""


class AmendmentCommand(PricedCommand):
    """A command that says what an amendment changes; whatever it does not name stays."""

    kind: AmendmentKind
    reason: Text
    effective_from: date | None = None
    """Not before this day; without it from the last signature on."""
    lines: Annotated[tuple[AgreedLine, ...], Field(max_length=500)] = ()
    """Each is new, or replaces the line of its product."""
    clauses: Clauses = ()
    """Each is new, or replaces the clause of the same key."""
    obligations: Obligations = ()
    """Each is new, or replaces the one of the same key."""
    max_amount: Money | None = None
    """The new cap of all that may be called off."""
    valid_until: date | None = None
    """The new last day; only a renewal moves it."""
    delivery: Delivery | None = None
    payment_days: Days | None = None
    """How many days after the invoice the customer pays."""

    @property
    def products(self) -> tuple[ProductId, ...]:
        return tuple(dict.fromkeys(line.product for line in self.lines))

    def content_after(self, contract: Contract, asked: Asked) -> ContractContent:
        """The next version. Raises Refused where the law or what was agreed forbids it."""
        before = contract.in_force[-1].content
        lines = merged(before.lines, self.lines, lambda line: line.product)
        anew = {
            "version": before.version + 1,
            "amends": Amends(
                kind=self.kind, reason=self.reason, effective_from=self.effective_from
            ),
            "customer_name": asked.customer.name,
            "customer_address": asked.customer.address,
            "lines": numbered(lines, asked.goods),
            "clauses": merged(before.clauses, self.clauses, lambda clause: clause.key),
            "obligations": merged(before.obligations, self.obligations, lambda each: each.key),
            **self.changed(),
        }
        content = before.model_copy(update=anew)
        content.must_be_sound()
        must_change_something(before, content)
        must_move_the_end_only_to_renew(before, content, self.kind)
        must_follow_without_a_gap(before, content)
        contract.must_cover_what_is_drawn(content)
        must_add_little(contract, content)
        return content

    def reasons_after(
        self, contract: Contract, content: ContractContent, asked: Asked
    ) -> tuple[PriceReason, ...]:
        return asked.reasons(content.lines, contract.in_force[-1].reasons)

    def compared(  # noqa: PLR0913, PLR0917 - what a price depends on
        self,
        contract: Contract,
        customer: Customer,
        products: tuple[Product, ...],
        matrix: PriceMatrix | None,
        sheets: tuple[PriceSheet | None, ...],
        at: datetime,
    ) -> Asked:
        buyer = contract.agreed_content().customer
        return self.asked(matrix, sheets, products, buyer, customer, at)

    def changed(self) -> dict[str, object]:
        names = ("max_amount", "valid_until", "delivery", "payment_days")
        return {n: value for n in names if (value := getattr(self, n)) is not None}


def merged(before: Iterable[T], changes: Iterable[T], key: Callable[[T], str]) -> tuple[T, ...]:
    """What was there, each replaced by the change of its key; then what is new."""
    changes = list(changes)
    by_key = {key(each): each for each in changes}
    kept = {key(each): by_key.get(key(each), each) for each in before}
    return (*kept.values(), *(each for each in changes if key(each) not in kept))


def must_change_something(before: ContractContent, after: ContractContent) -> None:
    names = ("version", "amends", "customer_name", "customer_address")
    same = {name: getattr(before, name) for name in names}
    if after.model_copy(update=same) == before:
        raise Refused(
            "amendment.changes_nothing",
            "the amendment says nothing that is not agreed already",
            "补充协议未改变任何约定",
        )


def must_move_the_end_only_to_renew(
    before: ContractContent, after: ContractContent, kind: AmendmentKind
) -> None:
    later = after.valid_until > before.valid_until
    if later != (kind is AmendmentKind.RENEWAL) or after.valid_until < before.valid_until:
        raise Refused(
            "amendment.not_a_renewal",
            f"a renewal moves the end beyond {before.valid_until}, and nothing else does",
            f"续签协议须将止期延至 {before.valid_until} 之后, 其他协议不得变更止期",
        )


def must_follow_without_a_gap(before: ContractContent, after: ContractContent) -> None:
    """Every day of the contract has a version."""
    since = after.amends.effective_from if after.amends else None
    if since is not None and since - before.valid_until > timedelta(days=1):
        raise Refused(
            "amendment.leaves_a_gap",
            f"it would count from {since}, and the contract ends on {before.valid_until}",
            f"补充协议自 {since} 起生效, 而合同于 {before.valid_until} 到期",
        )


def must_add_little(contract: Contract, after: ContractContent) -> None:
    """C4: with public money more of the same goods, on the same terms, up to a tenth in all."""
    before, original = contract.in_force[-1].content, contract.in_force[0].content
    if not original.public_procurement:
        return
    prices = {line.product: line.price for line in original.lines}
    if any(prices.get(line.product) != line.price for line in after.lines):
        raise Refused(
            "amendment.other_goods",
            "with public money an amendment adds the same goods at the same price (C4)",
            "政府采购补充合同须为与合同标的相同的货物, 且不改变价格 (C4)",
        )
    total = contract.supplemented + added(before, after)
    limit = (original.amount or Decimal(0)) * MOST_MORE
    if total > limit:
        raise Refused(
            "amendment.adds_too_much",
            f"with public money all amendments together add at most {limit} {original.currency},"
            f" a tenth of the original amount; this would make it {total} (C4)",
            f"政府采购所有补充合同的金额不得超过原合同金额的百分之十, 即 {limit}"
            f" {original.currency}; 本次将达 {total} (C4)",
        )


class DraftAmendment(AmendmentCommand):
    """Write an amendment to a contract in force; one at a time."""

    allowed = (Role.SALES, Role.MANAGER, Role.LEGAL)

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        contract: Contract,
        by: str,
        at: datetime,
        customer: Customer,
        products: tuple[Product, ...],
        price_matrix: PriceMatrix | None,
        sheets: tuple[PriceSheet | None, ...],
    ) -> AmendmentDrafted | None:
        contract.must_be(ContractStatus.ACTIVE)
        asked = self.compared(contract, customer, products, price_matrix, sheets, at)
        content = self.content_after(contract, asked)
        draft = contract.under_way
        if draft and draft.content == content:
            return None
        if draft:
            raise Refused(
                "amendment.one_at_a_time",
                f"version {draft.version} is on its way; one amendment at a time",
                f"第 {draft.version} 版正在办理, 一次只能有一份补充协议",
            )
        return AmendmentDrafted(
            content=content,
            content_hash=content_hash(content),
            author=by,
            reasons=self.reasons_after(contract, content, asked),
        )


class AmendmentDrafted(Event[Contract]):
    content: ContractContent
    content_hash: str
    author: str
    reasons: tuple[PriceReason, ...] = ()

    def apply(self, contract: Contract, /) -> Contract:
        draft = UnderWay(
            self.content,
            self.content_hash,
            frozenset({self.author}),
            seller=self.author,
            reasons=self.reasons,
        )
        return replace(contract, under_way=draft)


class EditAmendment(AmendmentCommand):
    """Say anew all that the draft of an amendment changes."""

    allowed = (Role.SALES, Role.MANAGER, Role.LEGAL)

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        contract: Contract,
        by: str,
        at: datetime,
        customer: Customer,
        products: tuple[Product, ...],
        price_matrix: PriceMatrix | None,
        sheets: tuple[PriceSheet | None, ...],
    ) -> AmendmentEdited | None:
        contract.must_be(ContractStatus.ACTIVE)
        draft = contract.draft_at(ContractStatus.DRAFT)
        asked = self.compared(contract, customer, products, price_matrix, sheets, at)
        content = self.content_after(contract, asked)
        reasons = self.reasons_after(contract, content, asked)
        if (content, reasons) == (draft.content, draft.reasons):
            return None
        return AmendmentEdited(
            content=content, content_hash=content_hash(content), author=by, reasons=reasons
        )


class AmendmentEdited(Event[Contract]):
    content: ContractContent
    content_hash: str
    author: str
    reasons: tuple[PriceReason, ...] = ()

    def apply(self, contract: Contract, /) -> Contract:
        assert contract.under_way is not None, "a draft was edited"
        return contract.with_draft(
            content=self.content,
            content_hash=self.content_hash,
            authors=contract.under_way.authors | {self.author},
            reasons=self.reasons,
        )


class WithdrawAmendment(Command[Contract]):
    """Give up an amendment that nobody has signed; the version in force stays as it is."""

    allowed = (Role.SALES, Role.MANAGER, Role.LEGAL)

    reason: Text

    def decide(
        self, contract: Contract, id: ContractId
    ) -> tuple[AmendmentWithdrawn | Also, ...] | None:
        if contract.in_force and contract.under_way is None:
            return None
        draft = contract.draft_at(
            ContractStatus.DRAFT,
            ContractStatus.IN_APPROVAL,
            ContractStatus.APPROVED,
            ContractStatus.OUT_FOR_SIGNATURE,
        )
        if draft.content.amends is None:
            raise Refused(
                "amendment.none",
                "the contract has not been amended yet; cancel or recall it instead",
                "合同尚无补充协议; 请取消或撤回合同",
            )
        withdrawn = AmendmentWithdrawn(version=draft.version, reason=self.reason)
        return withdrawn, *contract.given_up(id, self.reason)


class AmendmentWithdrawn(Event[Contract]):
    version: int
    reason: str

    def apply(self, contract: Contract, /) -> Contract:
        return replace(contract, under_way=None)
