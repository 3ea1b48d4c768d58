"""A contract as both parties sign it: all that its content hash covers, and who has signed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from medsales.documents.content import (
    DocumentContent,
    Duty,
    Entry,
    GoodsLine,
    Paragraphs,
    Party,
    SignatureBlock,
    entries,
    total_of,
)
from medsales.documents.trail import Trail, approval, in_china, no_such_version
from medsales.documents.words import Word
from medsales.domain.ids import ApprovalId, ContractId, ProductId, SignatureId
from medsales.domain.kernel import Event, Sentence
from medsales.domain.parties.customer import Customer
from medsales.domain.stock.product import Product
from medsales.domain.terms.contract import (
    Contract,
    ContractRecalled,
    ContractStatus,
    ContractSubmitted,
    InForce,
)
from medsales.domain.terms.contract_content import (
    Amends,
    Award,
    ContractContent,
    ContractLine,
    Delivery,
    Side,
    TemplateUsed,
)
from medsales.domain.terms.contract_signing import (
    AmendmentRefused,
    ContractRefused,
    ContractSigned,
    CounterpartySignatureRecorded,
)
from medsales.engine.facts import Fact

NOT_BINDING = Sentence("This does not bind anybody", "本件不具约束力")
PARTIES = {Side.OURS: Word.SELLER, Side.THEIRS: Word.BUYER}


@dataclass(frozen=True)
class SignedElsewhere:
    """A signature of the customer that is kept as evidence, and why it counts no longer."""

    recorded: CounterpartySignatureRecorded
    void: str | None = None


@dataclass(frozen=True)
class ContractVersion:
    """One version as its content stands, and what was done about just this content."""

    content: ContractContent
    content_hash: str
    written: Fact[Any]
    """When its content was written; names are printed as they were then."""
    stage: ContractStatus
    request: int | None = None
    signatures: tuple[SignatureId, ...] = ()
    elsewhere: tuple[SignedElsewhere, ...] = ()

    def after(self, event: Event[Any]) -> "ContractVersion":
        match event:
            case ContractSubmitted():
                return replace(self, request=event.request)
            case ContractSigned():
                return replace(self, signatures=(*self.signatures, event.signature))
            case CounterpartySignatureRecorded():
                return replace(self, elsewhere=(*self.elsewhere, SignedElsewhere(event)))
            case ContractRefused() | AmendmentRefused() | ContractRecalled():
                void = (replace(each, void=each.void or event.reason) for each in self.elsewhere)
                return replace(self, elsewhere=tuple(void))
        return self


@dataclass(frozen=True)
class ContractSeen:
    """One version, and the contract by the moment that is asked about."""

    id: ContractId
    version: ContractVersion
    contract: Contract

    @property
    def approval(self) -> ApprovalId | None:
        request = self.version.request
        return None if request is None else ApprovalId.of(self.id, str(request))

    @property
    def in_force(self) -> InForce | None:
        """This version, if both parties have signed it."""
        number = self.version.content.version
        return next((it for it in self.contract.in_force if it.content.version == number), None)


def contract_seen(
    id: ContractId, facts: Iterable[Fact[Any]], version: int | None = None
) -> ContractSeen:
    """Of the facts of a contract; without a version what counts. Raises Refused."""
    contract = Contract()
    versions: dict[int, ContractVersion] = {}
    for fact in facts:
        before, contract = contract, fact.event.apply(contract)
        draft = contract.under_way or before.under_way
        if draft is None:
            continue
        known = versions.get(draft.version)
        if known is None or known.content_hash != draft.content_hash:
            known = ContractVersion(draft.content, draft.content_hash, fact, draft.stage)
        versions[draft.version] = replace(known.after(fact.event), stage=draft.stage)
    wanted = version or contract.agreed_content().version
    if wanted not in versions:
        raise no_such_version(id.key, wanted)
    return ContractSeen(id, versions[wanted], contract)


@dataclass(frozen=True)
class Names:
    """What the parties and goods were called when the version was written."""

    customer: Customer
    products: Mapping[ProductId, Product] = field(default_factory=dict)


def contract_document(seen: ContractSeen, names: Names, trail: Trail) -> DocumentContent:
    content = seen.version.content
    lines = tuple(_line(line, names.products[line.product]) for line in content.lines)
    elsewhere = tuple(map(_elsewhere, seen.version.elsewhere))
    return DocumentContent(
        title=Word.AMENDMENT if content.amends else Word.CONTRACT,
        subject=content.title,
        number=content.number,
        version=content.version,
        mark=_mark(seen),
        dated=seen.version.written.effective_at,
        facts=_facts(seen, content),
        parties=(_buyer(content, names.customer),),
        lines=lines,
        total=total_of(lines),
        terms=_terms(content),
        clauses=tuple(
            Paragraphs(title=f"{number}. {clause.title}", text=clause.text)
            for number, clause in enumerate(content.clauses, start=1)
        ),
        duties=tuple(
            Duty(what=duty.description, party=_party(duty.party), due=duty.due)
            for duty in content.obligations
        ),
        approval=approval(seen.approval, trail.approvers),
        signatures=(*trail.signatures, *elsewhere),
        content_hash=seen.version.content_hash,
    )


def _mark(seen: ContractSeen) -> Sentence | None:
    """A version is binding from the last signature on, until the next one or the end."""
    version, last = seen.in_force, seen.contract.in_force[-1:]
    if version is None:
        status = seen.version.stage
        return Sentence(
            f"{status.en.capitalize()}. {NOT_BINDING.en}.", f"{status.zh}, {NOT_BINDING.zh}。"
        )
    if version not in last:
        now = last[0].content.version
        return Sentence(f"Superseded by version {now}.", f"已被第 {now} 版取代。")
    status = seen.contract.status
    if status is ContractStatus.ACTIVE:
        return None
    return Sentence(f"{status.en.capitalize()}.", f"{status.zh}。")


def _facts(seen: ContractSeen, content: ContractContent) -> tuple[Entry, ...]:
    return (
        *entries(
            (Word.DATED, in_china(seen.version.written.effective_at)),
            (Word.STATUS, seen.contract.status if seen.in_force else seen.version.stage),
            (Word.EFFECTIVE_FROM, seen.in_force.since if seen.in_force else None),
            (Word.VALID_FROM, content.valid_from),
            (Word.VALID_UNTIL, content.valid_until),
            (Word.FROM_QUOTE, content.quote.key if content.quote else None),
        ),
        *_amended(content.amends),
        *_awarded(content.award),
        *_from_template(content.template),
    )


def _amended(amends: Amends | None) -> tuple[Entry, ...]:
    if amends is None:
        return ()
    return entries(
        (Word.AMENDS, amends.kind),
        (Word.REASON, amends.reason),
        (Word.NOT_BEFORE, amends.effective_from),
    )


def _awarded(award: Award | None) -> tuple[Entry, ...]:
    if award is None:
        return ()
    return entries((Word.TENDER, award.tender), (Word.AWARDED_ON, award.awarded_on))


def _from_template(used: TemplateUsed | None) -> tuple[Entry, ...]:
    if used is None:
        return ()
    return entries(
        (Word.TEMPLATE_OF, f"{used.template.key} {used.version}"),
        (Word.CLAUSES_CHANGED, ", ".join(used.changed) or None),
    )


def _buyer(content: ContractContent, customer: Customer) -> Party:
    return Party(
        role=Word.BUYER,
        facts=entries(
            (Word.NAME, content.customer_name or customer.name),
            (Word.NUMBER_OF_PARTY, content.customer.key),
            (Word.ADDRESS, content.customer_address or customer.address),
        ),
    )


def _line(line: ContractLine, product: Product) -> GoodsLine:
    name = f"{line.name} {line.model}".strip()
    return GoodsLine(
        line=line.line,
        product=name or product.name,
        details=(*((line.registrant,) if line.registrant else ()), line.product.key),
        price=line.price,
        quantity=line.max_quantity,
    )


def _terms(content: ContractContent) -> tuple[Entry, ...]:
    return (
        *entries((Word.AT_MOST, content.max_amount), (Word.QUALITY, content.quality)),
        *_delivered(content.delivery),
        *entries(
            (Word.PAYMENT_DAYS, str(content.payment_days)),
            (Word.RENEWAL_NOTICE, str(content.renewal_notice_days)),
            (Word.PROCUREMENT, Word.YES if content.public_procurement else None),
        ),
    )


def _delivered(delivery: Delivery | None) -> tuple[Entry, ...]:
    if delivery is None:
        return ()
    return entries(
        (Word.DELIVERY_PLACE, delivery.place),
        (Word.DELIVERY_DAYS, str(delivery.within_days)),
        (Word.DELIVERY_COST, _party(delivery.at_cost_of)),
        (Word.DELIVERY_TERMS, delivery.conditions),
    )


def _party(side: Side) -> Sentence:
    word = PARTIES[side]
    return Sentence(word.en, word.zh)


def _elsewhere(signed: SignedElsewhere) -> SignatureBlock:
    """With the hash of the evidence, by which the paper or file is recognised."""
    said = signed.recorded
    method, time = said.method, in_china(said.signed_at)
    lines = (
        Sentence(f"Signed by {said.signer_name}", f"签名人: {said.signer_name}"),
        Sentence(f"{said.title}, {said.organisation}", f"{said.organisation} {said.title}"),
        Sentence(f"Time: {time}", f"签名时间: {time}"),
        Sentence(
            f"Signed elsewhere: {method.en}, evidence {said.evidence}",
            f"签署方式: {method.zh}, 凭据 {said.evidence}",
        ),
        Sentence(
            f"Of version {said.version}, {said.content_hash}",
            f"签名对象: 第 {said.version} 版, {said.content_hash}",
        ),
    )
    return SignatureBlock(lines=lines, invalidated=signed.void)
