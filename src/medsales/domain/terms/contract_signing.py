"""How a contract is signed: by both parties, in time, with valid licences; the last one counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import ClassVar

from pydantic import AwareDatetime

from medsales.domain.governance.licence import (
    GateEvaluated,
    LicenceFile,
    buyer_gate,
    must_pass,
    salesperson_gate,
    seller_gate,
)
from medsales.domain.governance.person import Name, Organisation, Person, Title
from medsales.domain.governance.signature import (
    FRESH,
    Meaning,
    SignedStatement,
    Statement,
    signing,
)
from medsales.domain.governance.speaking import SpeaksForUs, must_speak_for_us
from medsales.domain.ids import ContractId, CustomerId, OurCompanyId, PersonId, SignatureId
from medsales.domain.kernel import Also, Command, Event, Refused, Role, Term, Text, Value
from medsales.domain.parties.customer import Customer
from medsales.domain.parties.our_company import US, OurCompany
from medsales.domain.stock.product import Product
from medsales.domain.terms.contract import (
    OUT,
    Contract,
    ContractStatus,
    InForce,
    Signatory,
    UnderWay,
)
from medsales.domain.terms.contract_content import (
    AmendmentKind,
    ContractContent,
    ContractLine,
    Obligation,
    Side,
    added,
)
from medsales.domain.values import Evidence, Money, day_in_china, start_of_day_in_china

BINDING = Meaning.RESPONSIBILITY
"""What the signature of a party means: it answers for keeping the contract."""
OUR_SIGNATORIES = (Role.LEGAL, Role.MANAGER, Role.DIRECTOR)
TIME_TO_SIGN = timedelta(days=30)
"""C6: 招标投标法 art. 46, 政府采购法 art. 46."""


class SigningMethod(Term):
    """How the other party signed, where it did not sign here."""

    EXTERNAL_PLATFORM = "external_platform", "第三方电子签约平台"
    SEALED_PAPER = "sealed_paper", "纸质盖章"
    ON_SCREEN = "on_screen", "现场手写签名"


class TermsInForce(Value):
    """What counts from now on, without the wording."""

    customer: CustomerId
    valid_from: date
    valid_until: date
    currency: str
    max_amount: Money | None = None
    lines: tuple[ContractLine, ...]
    obligations: tuple[Obligation, ...] = ()
    renewal_notice_days: int

    @classmethod
    def of(cls, content: ContractContent) -> TermsInForce:
        return cls(**{name: getattr(content, name) for name in cls.model_fields})


@dataclass(frozen=True)
class Moment:
    """Where and when somebody signs, and what the law asks about then."""

    contract: Contract
    customer: Customer
    goods: tuple[Product, ...]
    theirs: LicenceFile | None
    ours: LicenceFile | None
    seller: LicenceFile | None
    day: date

    @property
    def draft(self) -> UnderWay:
        return self.contract.draft_at(*OUT)

    def gates(self) -> tuple[GateEvaluated, ...]:
        """C7, LIC-5: kept in the event of the signature (LIC-7)."""
        goods = tuple(product.gated for product in self.goods)
        return must_pass(
            buyer_gate(self.theirs, self.customer, goods, self.day),
            seller_gate(self.ours, goods, self.day),
            salesperson_gate(self.seller, self.customer.region, goods, self.day, self.ours),
        )

    def must_be_open_to(self, side: Side) -> None:
        """Each side signs once, in time, and only what can still begin."""
        draft = self.draft
        if side in draft.sides:
            raise Refused(
                "contract.signed_already",
                f"{side.en} has been signed already: one signature of each party",
                f"{side.zh}已签署, 每方签署一次",
            )
        if self.day > draft.content.valid_until:
            raise Refused(
                "contract.over",
                f"it would end on {draft.content.valid_until}, before it is signed",
                f"合同止期 {draft.content.valid_until} 早于签署日",
            )
        self._must_be_in_time(draft.content)
        self._must_still_be_amendable(draft.content)

    def _must_be_in_time(self, content: ContractContent) -> None:
        """C6."""
        award = content.award
        if award is None or content.amends is not None or self.contract.late_excused:
            return
        if self.day - award.awarded_on > TIME_TO_SIGN:
            raise Refused(
                "contract.award_too_old",
                f"the award notice is of {award.awarded_on}; a contract is signed within 30 days"
                " (C6), later only after somebody of legal or a director has recorded why",
                f"中标通知书日期为 {award.awarded_on}, 应在 30 日内签订合同 (C6);"
                " 逾期须先由法务或总监登记原因",
            )

    def _must_still_be_amendable(self, content: ContractContent) -> None:
        if content.amends is None:
            return
        self.contract.must_be(ContractStatus.ACTIVE)
        before = self.contract.in_force[-1].content
        if self.day > before.valid_until:
            raise Refused(
                "contract.over",
                f"{before.number} ended on {before.valid_until}; what has ended is not amended",
                f"合同 {before.number} 已于 {before.valid_until} 到期, 不能再变更",
            )
        self.contract.must_cover_what_is_drawn(content)

    def taking_effect(self, side: Side) -> tuple[ContractActivated | AmendmentTookEffect, ...]:
        """What the last signature brings about; nothing while one is missing."""
        draft = self.draft
        if draft.sides | {side} != {*Side}:
            return ()
        said = {
            "version": draft.version,
            "content_hash": draft.content_hash,
            "terms": TermsInForce.of(draft.content),
        }
        amends = draft.content.amends
        last = max([self.day, *(signatory.on for signatory in draft.signed)])
        if amends is None:
            return (ContractActivated(**said, since=last),)
        before = self.contract.in_force[-1]
        more = added(before.content, draft.content)
        return (
            AmendmentTookEffect(
                **said,
                since=max(last, before.since, amends.effective_from or last),
                amendment=amends.kind,
                supplement=Money(amount=more, currency=draft.content.currency),
            ),
        )


class SigningHere(Value):
    """A party signs here, with its signatory's own key."""

    side: ClassVar[Side]

    signature: SignedStatement
    """As prepared by `POST /signatures/prepare`, over version and hash of what is signed."""

    @property
    def our_company(self) -> OurCompanyId:
        return US

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        contract: Contract,
        id: ContractId,
        by: str,
        at: datetime,
        customer: Customer,
        products: tuple[Product, ...],
        their_licences: LicenceFile | None,
        our_licences: LicenceFile | None,
        seller_licences: LicenceFile | None,
        our_company: OurCompany | None,
    ) -> tuple[Event[Contract] | Also, ...] | None:
        if contract.is_signed_with(self.signature.statement.id()):
            return None
        statement, draft = self.signature.statement, contract.draft_at(*OUT)
        if self.side is Side.OURS:
            must_sign_for_us(statement, draft, our_company)
        else:
            must_be_of_the_customer(statement.organisation, customer, draft)
            must_not_be_both(by, draft, Side.OURS)
        licences = (their_licences, our_licences, seller_licences)
        moment = Moment(contract, customer, products, *licences, self._day(at))
        return self._signed(moment, id, by)

    def _signed(
        self, moment: Moment, id: ContractId, by: str
    ) -> tuple[Event[Contract] | Also, ...]:
        statement, draft = self.signature.statement, moment.draft
        moment.must_be_open_to(self.side)
        sign = signing(
            self.signature,
            subject=id,
            version=draft.version,
            content_hash=draft.content_hash,
            by=by,
            meaning=BINDING,
        )
        signed = ContractSigned(
            version=draft.version,
            content_hash=draft.content_hash,
            side=self.side,
            signature=statement.id(),
            signer=statement.signer,
            printed_name=statement.printed_name,
            title=statement.title,
            organisation=statement.organisation,
            signed_on=moment.day,
            gates=moment.gates(),
        )
        return sign, signed, *moment.taking_effect(self.side)

    def _day(self, at: datetime) -> date:
        """Told late or not, nobody signs earlier than the statement says."""
        executed = self.signature.statement.executed_at
        # What claims to be of a far future is refused as not fresh, with the signature itself.
        return day_in_china(max(at, min(executed, at + FRESH)))


class SignContract(SigningHere, Command[Contract]):
    """Sign for us what is out for signature: the contract, or the amendment on its way."""

    allowed = OUR_SIGNATORIES
    side = Side.OURS


def must_sign_for_us(statement: Statement, draft: UnderWay, our_company: OurCompany | None) -> None:
    us = who_we_are(our_company)
    if statement.role not in OUR_SIGNATORIES or not us.is_called(statement.organisation):
        raise Refused(
            "contract.not_our_signatory",
            f"legal, a manager or a director of {us.name} signs for us, registered with"
            f" this name, not one of {statement.organisation}",
            f"我方须由登记单位为 {us.name} 的法务、经理或总监签署,"
            f" 而非 {statement.organisation} 的人员",
        )
    must_not_be_both(statement.signer.key, draft, Side.THEIRS)


def who_we_are(us: OurCompany | None) -> OurCompany:
    """Nobody signs for a company that has not said what it is called."""
    if us is None:
        raise Refused(
            "our_company.not_described",
            "say first who we are (describe-our-company): our people sign in this name",
            "请先登记我方公司信息 (describe-our-company), 我方人员须以该名称签署",
        )
    return us


def name_of(customer: Customer, draft: UnderWay) -> str:
    """As it stands in what is signed: whoever renames a customer does not change who signs."""
    return draft.content.customer_name or customer.name


def must_be_of_the_customer(organisation: str, customer: Customer, draft: UnderWay) -> None:
    name = name_of(customer, draft)
    if organisation != name:
        raise Refused(
            "contract.not_their_signatory",
            f"a person of {name} signs for the customer, not of {organisation}",
            f"须由 {name} 的人员代表客户签署, 而非 {organisation}",
        )


def must_not_be_both(by: str, draft: UnderWay, other: Side) -> None:
    """Whoever enters the other party's signature does not sign for us, before or after."""
    if by in {signatory.by for signatory in draft.signed if signatory.side is other}:
        raise Refused(
            "contract.both_sides",
            "nobody signs for one party and enters the signature of the other",
            "同一人不得既代表一方签署又登记另一方的签署",
        )


class CountersignContract(SigningHere, Command[Contract]):
    """Sign for the customer, as a registered person of its organisation.

    The role is for that alone: whoever is to sign for a customer gets a token with no role of ours.
    """

    allowed = (Role.COUNTERPARTY,)
    side = Side.THEIRS


class ContractSigned(Event[Contract]):
    version: int
    content_hash: str
    side: Side
    signature: SignatureId
    signer: PersonId
    printed_name: str
    title: str
    organisation: str
    signed_on: date
    gates: tuple[GateEvaluated, ...] = ()

    def apply(self, contract: Contract, /) -> Contract:
        return with_signatory(
            contract, Signatory(self.side, self.signer.key, self.signed_on, self.signature)
        )


def with_signatory(contract: Contract, signatory: Signatory) -> Contract:
    assert contract.under_way is not None, "what is out for signature was signed"
    return contract.with_draft(
        stage=ContractStatus.PARTIALLY_SIGNED, signed=(*contract.under_way.signed, signatory)
    )


class RecordCounterpartySignature(Command[Contract]):
    """Enter that the customer has signed elsewhere, with the evidence; not by our signatory."""

    allowed = (Role.SALES, Role.LEGAL, Role.MANAGER)

    signer_name: Name
    """Who signed for the customer, as printed."""
    title: Title
    """What the signer is there."""
    organisation: Organisation
    """As the seal or the certificate of the platform says."""
    method: SigningMethod
    evidence: Evidence
    signed_at: AwareDatetime
    """When the customer signed, in any time zone; not before it was sent."""
    content_hash: Evidence
    """Of the content that bears the signature."""

    def decide(  # noqa: PLR0913, PLR0917 - a decision names all it needs
        self,
        contract: Contract,
        by: str,
        at: datetime,
        customer: Customer,
        products: tuple[Product, ...],
        their_licences: LicenceFile | None,
        our_licences: LicenceFile | None,
        seller_licences: LicenceFile | None,
    ) -> tuple[Event[Contract], ...] | None:
        if contract.is_signed_with((self.content_hash, self.evidence)):
            return None
        draft = contract.draft_at(*OUT)
        draft.must_have_been_seen(self.content_hash)
        self.must_be_after_it_was_sent(draft, at)
        must_be_of_the_customer(self.organisation, customer, draft)
        must_not_be_both(by, draft, Side.OURS)
        day = day_in_china(self.signed_at)
        moment = Moment(
            contract, customer, products, their_licences, our_licences, seller_licences, day
        )
        moment.must_be_open_to(Side.THEIRS)
        recorded = CounterpartySignatureRecorded(
            **self.model_dump(exclude={"signed_at"}),
            version=draft.version,
            signed_on=day,
            signed_at=self.signed_at,
            recorded_by=by,
            gates=moment.gates(),
        )
        return recorded, *moment.taking_effect(Side.THEIRS)

    def must_be_after_it_was_sent(self, draft: UnderWay, at: datetime) -> None:
        sent = start_of_day_in_china(draft.sent_on or day_in_china(at))
        if not sent <= self.signed_at <= at:
            raise Refused(
                "contract.signed_at_wrong",
                f"what was sent on {draft.sent_on} is signed after that and not in the future",
                f"合同于 {draft.sent_on} 送签, 签署时间须在其后且不晚于现在",
            )


class CounterpartySignatureRecorded(Event[Contract]):
    version: int
    content_hash: str
    signer_name: str
    title: str
    organisation: str
    method: SigningMethod
    evidence: str
    signed_at: datetime
    signed_on: date
    recorded_by: str
    gates: tuple[GateEvaluated, ...] = ()

    def apply(self, contract: Contract, /) -> Contract:
        paper = (self.content_hash, self.evidence)
        return with_signatory(
            contract, Signatory(Side.THEIRS, self.recorded_by, self.signed_on, paper=paper)
        )


class ContractActivated(Event[Contract]):
    """Both have signed; orders may follow from the first day of the validity on."""

    version: int
    content_hash: str
    since: date
    terms: TermsInForce

    def apply(self, contract: Contract, /) -> Contract:
        return in_force(contract, self.since)


class AmendmentTookEffect(Event[Contract]):
    """Both have signed an amendment; the version before counts for days before it."""

    version: int
    content_hash: str
    since: date
    amendment: AmendmentKind
    supplement: Money
    """What it adds to the amount (C4)."""
    terms: TermsInForce

    def apply(self, contract: Contract, /) -> Contract:
        more = contract.supplemented + self.supplement.amount
        return replace(in_force(contract, self.since), supplemented=more)


def in_force(contract: Contract, since: date) -> Contract:
    assert contract.under_way is not None, "what takes effect was on its way"
    draft = contract.under_way
    version = InForce(since, draft.content, draft.signed, draft.reasons)
    return replace(
        contract,
        standing=ContractStatus.ACTIVE,
        under_way=None,
        in_force=(*contract.in_force, version),
    )


class ExcuseLateSigning(SpeaksForUs, Command[Contract]):
    """Record why a contract from a tender is signed later than 30 days after the award (C6)."""

    allowed = (Role.LEGAL, Role.DIRECTOR)

    reason: Text

    def decide(
        self,
        contract: Contract,
        by: str,
        speaker: Person | None,
        our_company: OurCompany | None,
    ) -> LateSigningExcused | None:
        must_speak_for_us(speaker, our_company)
        if contract.late_excused:
            return None
        contract.must_be(
            ContractStatus.DRAFT, ContractStatus.IN_APPROVAL, ContractStatus.APPROVED, *sorted(OUT)
        )
        draft = contract.under_way
        if draft is None or draft.content.award is None:
            raise Refused(
                "contract.not_from_tender",
                "only a contract from a tender has a day to be signed by",
                "仅招标合同有签订期限",
            )
        if by in draft.authors:
            raise Refused(
                "contract.excused_by_author",
                "the reason is recorded by somebody who did not write the contract",
                "逾期原因须由编制人以外的人登记",
            )
        return LateSigningExcused(reason=self.reason, awarded_on=draft.content.award.awarded_on)


class LateSigningExcused(Event[Contract]):
    reason: str
    awarded_on: date

    def apply(self, contract: Contract, /) -> Contract:
        return replace(contract, late_excused=True)


class RefuseContract(Command[Contract]):
    """Record that one party will not sign: signatures given are void.

    The contract becomes a draft again; an amendment has failed, and the version before stays.
    """

    allowed = (Role.SALES, Role.LEGAL, Role.MANAGER, Role.DIRECTOR)

    side: Side
    """Who will not sign."""
    reason: Text

    def decide(
        self, contract: Contract, id: ContractId
    ) -> tuple[ContractRefused | AmendmentRefused | Also, ...]:
        draft = contract.under_way
        said = {"side": self.side, "reason": self.reason}
        if draft and draft.content.amends is not None:
            draft = contract.draft_at(*OUT)
            refused: ContractRefused | AmendmentRefused = AmendmentRefused(
                version=draft.version, **said
            )
        else:
            draft = contract.draft_at(ContractStatus.PARTIALLY_SIGNED)
            refused = ContractRefused(version=draft.version, **said)
        return refused, *contract.given_up(id, self.reason)


class ContractRefused(Event[Contract]):
    version: int
    side: Side
    reason: str

    def apply(self, contract: Contract, /) -> Contract:
        return contract.with_draft(stage=ContractStatus.DRAFT, signed=(), sent_on=None)


class AmendmentRefused(Event[Contract]):
    version: int
    side: Side
    reason: str

    def apply(self, contract: Contract, /) -> Contract:
        return replace(contract, under_way=None)
