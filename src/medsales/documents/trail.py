"""Who approved and who signed, as every document shows it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from medsales.documents.content import Entry, SignatureBlock
from medsales.documents.words import Word
from medsales.domain.governance.approval import StepApproved
from medsales.domain.governance.signature import (
    SignatureInvalidated,
    Signed,
    SignedStatement,
    lines_for_people,
)
from medsales.domain.kernel import Event, Refused, Sentence, Value
from medsales.domain.values import CHINA
from medsales.engine.facts import Fact


class Approver(Value):
    """A step as it was approved, with the name as it was printed then."""

    name: str
    step: StepApproved
    at: datetime

    def entry(self) -> Entry:
        step = self.step
        other = step.on_behalf_of.key if step.on_behalf_of else None
        return Entry(
            label=Word.APPROVED_BY,
            said=Sentence(
                f"{self.name}{f' for {other}' if other else ''}, {step.role.en},"
                f" {in_china(self.at)}",
                f"{self.name}{f' (代 {other})' if other else ''}, {step.role.zh},"
                f" {in_china(self.at)}",
            ),
        )


class Trail(Value):
    """The steps of the approval that were approved, and every signature, also void ones."""

    approvers: tuple[Approver, ...] = ()
    signatures: tuple[SignatureBlock, ...] = ()
    signed: tuple[str, ...] = ()
    """The hash of each content that a signature names."""


def approval(reference: str | None, approvers: Sequence[Approver]) -> tuple[Entry, ...]:
    """Nobody is named where it was within the seller's own limit."""
    if reference is None:
        return ()
    return Entry(label=Word.REFERENCE, said=reference), *(each.entry() for each in approvers)


def approvers(facts: Iterable[Fact[Any]]) -> tuple[Approver, ...]:
    """Of the facts of an approval."""
    return tuple(
        Approver(name=fact.envelope.name, step=fact.event, at=fact.effective_at)
        for fact in facts
        if isinstance(fact.event, StepApproved)
    )


def trail_of(steps: Sequence[Approver], signatures: Iterable[Sequence[Fact[Any]]]) -> Trail:
    """Of the steps of an approval, and of the facts of each signature."""
    told = [[fact.event for fact in facts] for facts in signatures if facts]
    signed = [next(one.signed for one in events if isinstance(one, Signed)) for events in told]
    return Trail(
        approvers=tuple(steps),
        signatures=tuple(map(_block, signed, told)),
        signed=tuple(one.statement.content_hash for one in signed),
    )


def _block(signed: SignedStatement, events: Iterable[Event[Any]]) -> SignatureBlock:
    """One that was invalidated is shown as such, never left out."""
    void = [event.reason for event in events if isinstance(event, SignatureInvalidated)]
    return SignatureBlock(lines=lines_for_people(signed), invalidated=void[0] if void else None)


def content_changed(number: str, version: int) -> Refused:
    """C1, B7: nobody is shown signatures beside what was not signed."""
    return Refused(
        "document.content_changed",
        f"version {version} of {number} is not printed: its content is not the one that was"
        " approved and signed, it was changed in the log (`medsales signature verify`)",
        f"{number} 第 {version} 版不予打印: 其内容与所批准和签署的不一致, 日志中的记录被改动过"
        " (`medsales signature verify`)",
    )


def no_such_version(number: str, version: int) -> Refused:
    return Refused(
        "document.no_such_version",
        f"{number} has no version {version}",
        f"{number} 没有第 {version} 版",
    )


def in_china(moment: datetime) -> str:
    """With its zone, so that nobody has to guess."""
    return f"{moment.astimezone(CHINA):%Y-%m-%d %H:%M:%S} UTC+08:00"
