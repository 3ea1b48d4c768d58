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
    lines_for_people,
)
from medsales.domain.kernel import Refused, Sentence, Value
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


def signature_block(facts: Iterable[Fact[Any]]) -> SignatureBlock:
    """Of the facts of a signature; one that was invalidated is shown as such, never left out."""
    events = [fact.event for fact in facts]
    signed = next(event.signed for event in events if isinstance(event, Signed))
    void = [event.reason for event in events if isinstance(event, SignatureInvalidated)]
    return SignatureBlock(lines=lines_for_people(signed), invalidated=void[0] if void else None)


def no_such_version(number: str, version: int) -> Refused:
    return Refused(
        "document.no_such_version",
        f"{number} has no version {version}",
        f"{number} 没有第 {version} 版",
    )


def in_china(moment: datetime) -> str:
    """With its zone, so that nobody has to guess."""
    return f"{moment.astimezone(CHINA):%Y-%m-%d %H:%M:%S} UTC+08:00"
