"""Groups of companies: the account of the head knows what each member owes, to the cent (K7).

A member tells its head in the same decision whenever what it owes changes, so that the limit of
the group holds under races as the member's own does. One level: a head has no head.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from medsales.domain.ids import CreditAccountId
from medsales.domain.kernel import Also, Command, Event, Refused, Role, Text
from medsales.domain.terms.credit import (
    NOTHING,
    OUTCOMES,
    CreditAccount,
    CreditRequest,
    Grant,
    Matter,
    Outcome,
)
from medsales.domain.values import Money


class JoinGroup(Command[CreditAccount]):
    """Have a parent company's group limit checked as well; what is owed already counts there."""

    allowed = (Role.FINANCE,)

    head: CreditAccountId
    """The account of the parent company."""
    reason: Text

    def decide(
        self, account: CreditAccount, id: CreditAccountId, head: CreditAccount
    ) -> tuple[GroupJoined | Also, ...] | None:
        if account.head == self.head:
            return None
        account.must_not_be_closed()
        must_fit_together(id, account, self.head, head)
        joined = GroupJoined(head=self.head, reason=self.reason)
        return joined, Also(self.head, TakeMember(member=id, owed=owed_by(account)))


def must_fit_together(
    id: CreditAccountId, account: CreditAccount, head_id: CreditAccountId, head: CreditAccount
) -> None:
    """One level of group: a head has no head, and a member no members."""
    head.must_not_be_closed()
    if account.head is not None:
        raise Refused(
            "credit.in_a_group",
            f"the account belongs to the group of {account.head.key} already",
            f"该账户已属于 {account.head.key} 的集团",
        )
    if id == head_id or account.members or head.head is not None:
        raise Refused(
            "credit.group_of_groups",
            "a group has one head, which belongs to no other group",
            "集团只有一级: 上级账户不能再属于其他集团",
        )


def owed_by(account: CreditAccount) -> tuple[Money, ...]:
    return tuple(Money(amount=owed, currency=c) for c, owed in account.owed.items())


class GroupJoined(Event[CreditAccount]):
    head: CreditAccountId
    reason: str

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        return replace(account, head=self.head)


class LeaveGroup(Command[CreditAccount]):
    """Ask to have the group limit checked no longer; somebody else must agree (K7).

    More can be sold when it is gone: to its member, and to the others.
    """

    allowed = (Role.FINANCE,)

    reason: Text

    def decide(
        self, account: CreditAccount, id: CreditAccountId, by: str
    ) -> tuple[Event[CreditAccount] | Also, ...] | None:
        head = account.head
        if head is None:
            return None
        title = f"Leave the group of {head.key} 退出集团"
        wish = CreditRequest(
            account=id,
            number=account.requests + 1,
            matter=Matter.LEAVE_GROUP,
            head=head,
            reason=self.reason,
            requested_by=by,
        )
        return account.asked(title, wish)


class GroupLeft(Event[CreditAccount]):
    head: CreditAccountId
    reason: str
    grant: Grant | None = None
    """Who agreed; none before consent was needed."""

    def apply(self, account: CreditAccount, /) -> CreditAccount:
        return replace(account, head=None, pending=account.without_request(self.grant))


def _leave_group(
    _: CreditAccount, id: CreditAccountId, request: CreditRequest, grant: Grant
) -> Outcome:
    assert request.head is not None, "only a member asks to leave, and stays one until it may"
    left = GroupLeft(head=request.head, reason=request.reason, grant=grant)
    return left, Also(request.head, DropMember(member=id))


OUTCOMES[Matter.LEAVE_GROUP] = _leave_group


class TakeMember(Command[CreditAccount]):
    """Count what a new member owes."""

    allowed = ()

    member: CreditAccountId
    owed: tuple[Money, ...]

    def decide(self, _: CreditAccount) -> MemberJoined:
        return MemberJoined(member=self.member, owed=self.owed)


class MemberJoined(Event[CreditAccount]):
    member: CreditAccountId
    owed: tuple[Money, ...]

    def apply(self, head: CreditAccount, /) -> CreditAccount:
        owed = {each.currency: each.amount for each in self.owed}
        return replace(head, members=head.members.insert(self.member, owed))


class NoteMember(Command[CreditAccount]):
    """Note what a member of the group owes now."""

    allowed = ()

    member: CreditAccountId
    owed: Money

    def decide(self, _: CreditAccount) -> MemberNoted:
        return MemberNoted(member=self.member, owed=self.owed)


class MemberNoted(Event[CreditAccount]):
    """What a member owes in one currency from now on, altogether."""

    member: CreditAccountId
    owed: Money

    def apply(self, head: CreditAccount, /) -> CreditAccount:
        owed = {**head.members.get(self.member, {}), self.owed.currency: self.owed.amount}
        return replace(head, members=head.members.insert(self.member, owed))


class DropMember(Command[CreditAccount]):
    """Count a former member no longer."""

    allowed = ()

    member: CreditAccountId

    def decide(self, _: CreditAccount) -> MemberLeft:
        return MemberLeft(member=self.member)


class MemberLeft(Event[CreditAccount]):
    member: CreditAccountId

    def apply(self, head: CreditAccount, /) -> CreditAccount:
        return replace(head, members=head.members.discard(self.member))


def told_to_head(
    id: CreditAccountId, account: CreditAccount, currency: str, *events: Event[CreditAccount]
) -> Iterator[Also]:
    """What the head of the group is told when these events have changed what is owed."""
    before = account.owed.get(currency, NOTHING)
    now = account.after(events).owed.get(currency, NOTHING)
    if account.head is not None and now != before:
        owed = Money(amount=now, currency=currency)
        yield Also(account.head, NoteMember(member=id, owed=owed))
