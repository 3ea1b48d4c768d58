"""The governed part of the story: below floor, approved, signed, called off, held for credit."""

from dataclasses import dataclass
from datetime import UTC, date, timedelta
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.table import Table

from medsales.company import Company
from medsales.demo.life import LIN, MATRIX, QIAN, ZHAO
from medsales.domain.governance.approval import Approval, Approve
from medsales.domain.governance.approval_flow import AdoptFlow, FlowRule, ProposeFlow, Step
from medsales.domain.governance.licence_file import Licence, LicenceKind, RecordLicence
from medsales.domain.governance.person import (
    Authentication,
    Component,
    Person,
    RecordReauthentication,
    RegisterPerson,
    RegisterSigningKey,
)
from medsales.domain.governance.signature import (
    Meaning,
    SignedStatement,
    Statement,
    public_key_of,
    signed_with,
)
from medsales.domain.ids import (
    ApprovalFlowId,
    ApprovalId,
    ContractId,
    ContractTemplateId,
    CreditAccountId,
    CustomerId,
    OrderId,
    PersonId,
    ProductId,
    QuoteId,
)
from medsales.domain.kernel import Command, Role
from medsales.domain.orders.holds import ConfirmOrder
from medsales.domain.orders.order import Order
from medsales.domain.orders.placing import PlaceOrder, WantedLine
from medsales.domain.parties.customer import Customer
from medsales.domain.parties.our_company import DescribeOurCompany
from medsales.domain.sales.offer import WantedQuoteLine
from medsales.domain.sales.quote import (
    AcceptQuote,
    ConvertQuoteToContract,
    DraftQuote,
    EditQuote,
    IssueQuote,
    Quote,
    ReviseQuote,
    SubmitQuote,
)
from medsales.domain.terms.contract import Contract, SendContract, SubmitContract
from medsales.domain.terms.contract_content import Clause
from medsales.domain.terms.contract_signing import (
    RecordCounterpartySignature,
    SignContract,
    SigningMethod,
)
from medsales.domain.terms.contract_template import (
    DraftContractTemplate,
    SubmitContractTemplate,
)
from medsales.domain.terms.credit import AgreeCredit
from medsales.domain.values import CHINA, Money, day_in_china
from medsales.engine.application import Actor, Ask, MedSales
from medsales.engine.database import Db
from medsales.engine.past import Moment
from medsales.projections.approval_board import approval_seen
from medsales.projections.credit_exposure import credit_seen
from medsales.projections.task_board import Task
from medsales.projections.terms_in_force import Question, terms_in_force

HE = Actor("he", "He Ping 何平", (Role.DIRECTOR,), "demo")
TANG = Actor("tang", "Tang Yu 唐宇", (Role.FINANCE,), "demo")
XU = Actor("xu", "Xu Fa 徐法", (Role.LEGAL,), "demo")
PIECES, CALLED_OFF = 10, 6
DISCOUNTS = (Decimal(25), Decimal(30))
"""The first offer, and the one the hospital made of it; the floor is at 80 percent of the list."""
OURS = "Demo 示例医疗器械有限公司"
LETTER = "sha256:" + "5e" * 32
BELOW_FLOOR = (
    FlowRule(
        name="below floor 低于底价",
        flags=("below_floor",),
        steps=(
            Step(role=Role.MANAGER, hours=24, escalate_to=Role.DIRECTOR),
            Step(role=Role.DIRECTOR),
        ),
    ),
    FlowRule(name="own limit 权限内", discount_up_to=Decimal(5)),
    FlowRule(name="discount 折扣", steps=(Step(role=Role.MANAGER),)),
)

TEMPLATE = ContractTemplateId.of("FRAMEWORK")
CLAUSES = (
    Clause(key="quality", title="Quality 质量", text="As registered. 符合注册证及技术要求。"),
    Clause(key="training", title="Training 培训", text="Once, at the site. 现场培训一次。"),
)


@dataclass(frozen=True)
class Deal:
    """One hospital, one product, and the numbers of its papers."""

    app: MedSales
    run: str
    customer: CustomerId
    product: ProductId
    price: Money
    """In force, of one piece."""

    @property
    def quote(self) -> QuoteId:
        return QuoteId.of(f"Q-{self.run}")

    @property
    def contract(self) -> ContractId:
        return ContractId.of(f"HT-{self.run}")

    @property
    def orders(self) -> tuple[OrderId, OrderId]:
        return OrderId.of(f"SO-{self.run}-C1"), OrderId.of(f"SO-{self.run}-C2")

    @property
    def today(self) -> date:
        return day_in_china(self.app.clock())

    def tell(self, who: Actor, command: Command[Any], id: str | None = None) -> None:
        self.app.handle(Ask(command, who, id))

    def approve(self, subject: str, number: int, *people: Actor) -> None:
        """As each of them would after reading it."""
        id = ApprovalId.of(subject, str(number))
        for who in people:
            seen = self.app.existing(id, Approval).content_hash
            self.tell(who, Approve(content_hash=seen), id)


def told(company: Company, run: str, customer: CustomerId, product: ProductId) -> Deal:
    """The whole deal, from the first offer to the order that must wait for credit."""
    price = price_in_force(company, customer, product)
    deal = Deal(company.app, run, customer, product, price)
    set_rules(deal)
    quoted_twice(deal)
    contracted(deal)
    ordered(deal)
    return deal


def price_in_force(company: Company, customer: CustomerId, product: ProductId) -> Money:
    today = day_in_china(company.app.clock())
    with company.database.reading() as db:
        asked = Question(customer, product, PIECES, today, MATRIX)
        found = terms_in_force(db, asked, Moment(company.log.head(), None))
    assert found is not None, "the customer has been registered"
    return found.applied.price


def set_rules(deal: Deal) -> None:
    """Who approves what is proposed by one and adopted by another; finance agrees a limit."""
    if deal.app.load(TEMPLATE).version > 0:
        return
    us = DescribeOurCompany(name=OURS, address="杭州 Hangzhou")
    deal.tell(ZHAO, us)
    licence = Licence(
        kind=LicenceKind.BUSINESS,
        number="91330000MA27X12A3C",
        valid_from=date(2020, 1, 1),
        issuer="市场监督管理局",
    )
    deal.tell(QIAN, RecordLicence(holder="own", licence=licence))
    framework = DraftContractTemplate(code=TEMPLATE.key, name="Framework 框架合同", clauses=CLAUSES)
    deal.tell(XU, framework)
    deal.tell(XU, SubmitContractTemplate(), TEMPLATE)
    deal.approve(TEMPLATE, 1, ZHAO)
    proposed = ProposeFlow(governs="quote", rules=BELOW_FLOOR, reason="who may sell below floor")
    deal.tell(ZHAO, proposed)
    deal.tell(HE, AdoptFlow(version=1), ApprovalFlowId.of("quote"))
    limit = Money(amount=deal.price.amount * PIECES, currency=deal.price.currency)
    agreed = AgreeCredit(customer=deal.customer, limit=limit, reason="ten pieces 十台")
    deal.tell(TANG, agreed)


def quoted_twice(deal: Deal) -> None:
    """The hospital wants it cheaper still: the approval of the first version is void."""
    until = deal.today + timedelta(days=60)
    first, second = (
        (WantedQuoteLine(product=deal.product, quantity=PIECES, discount=percent),)
        for percent in DISCOUNTS
    )
    draft = DraftQuote(
        number=deal.quote.key,
        customer=deal.customer,
        price_matrix=MATRIX,
        lines=first,
        valid_until=until,
    )
    deal.tell(LIN, draft)
    deal.tell(LIN, SubmitQuote(), deal.quote)
    deal.approve(deal.quote, 1, ZHAO)
    deal.tell(LIN, ReviseQuote(reason="a counter-offer 还价"), deal.quote)
    deal.tell(LIN, EditQuote(lines=second, valid_until=until), deal.quote)
    deal.tell(LIN, SubmitQuote(), deal.quote)
    deal.approve(deal.quote, 2, ZHAO, HE)
    deal.tell(LIN, IssueQuote(), deal.quote)
    offered = deal.app.existing(deal.quote, Quote)
    accepted = AcceptQuote(
        version=offered.version,
        content_hash=offered.content_hash,
        accepted_by="设备科 王主任",
        evidence=LETTER,
    )
    deal.tell(LIN, accepted, deal.quote)


def contracted(deal: Deal) -> None:
    """Approved by manager and director, signed by him and, on sealed paper, by the hospital."""
    convert = ConvertQuoteToContract(
        number=deal.contract.key,
        title="Yearly supply 年度采购",
        template=TEMPLATE,
        valid_from=deal.today,
        valid_until=deal.today + timedelta(days=365),
    )
    deal.tell(LIN, convert, deal.quote)
    deal.tell(LIN, SubmitContract(), deal.contract)
    deal.approve(deal.contract, 1, ZHAO, HE)
    deal.tell(LIN, SendContract(), deal.contract)
    sent = deal.app.existing(deal.contract, Contract).under_way
    assert sent is not None, "it has just been sent"
    signed = signed_by(deal, HE, deal.contract, sent.version, sent.content_hash)
    deal.tell(HE, SignContract(signature=signed), deal.contract)
    sealed = RecordCounterpartySignature(
        signer_name="王主任",
        title="设备科",
        organisation=deal.app.existing(deal.customer, Customer).name,
        method=SigningMethod.SEALED_PAPER,
        evidence=LETTER,
        signed_at=deal.app.clock(),
        content_hash=sent.content_hash,
    )
    deal.tell(LIN, sealed, deal.contract)


def signed_by(
    deal: Deal, who: Actor, subject: str, version: int, content_hash: str
) -> SignedStatement:
    """With a key that is thrown away: nobody here has a password yet (`medsales password set`)."""
    id, key, at = PersonId.of(who.id), Ed25519PrivateKey.generate(), deal.app.clock()
    public, name = public_key_of(key)
    how = Authentication(
        components=tuple(Component), method="demo", session=name[:16], continuous=False, at=at
    )
    himself = Actor(who.id, who.name, (Role.SYSTEM,), who.client)
    person = RegisterPerson(person=who.id, name=who.name, organisation=OURS, title="总监")
    deal.tell(ZHAO, person)
    proved = RecordReauthentication(**how.model_dump(exclude={"at"}), passed=True)
    register = RegisterSigningKey(
        public_key=public, key_id=name, replaces=deal.app.existing(id, Person).key
    )
    for command in (register, proved):
        deal.tell(himself, command, id)
    at = deal.app.clock().astimezone(UTC)
    statement = Statement(
        subject=subject,
        subject_type=subject.partition(":")[0],
        version=version,
        content_hash=content_hash,
        meaning=Meaning.RESPONSIBILITY,
        text="I have read all of it 我已阅读全部内容",
        signer=id,
        printed_name=who.name,
        title="总监",
        role=who.roles[0],
        organisation=OURS,
        executed_at=at,
        time_zone="Asia/Shanghai",
        local_time=at.astimezone(CHINA),
        authentication=how,
        key_id=name,
    )
    return signed_with(key, statement)


def ordered(deal: Deal) -> None:
    """Six of the ten pieces are called off; what is ordered on top of them has to wait."""
    first, second = deal.orders
    under = PlaceOrder(
        number=first.key,
        customer=deal.customer,
        contract=deal.contract,
        lines=(WantedLine(product=deal.product, quantity=CALLED_OFF),),
    )
    direct = PlaceOrder(
        number=second.key,
        customer=deal.customer,
        price_matrix=MATRIX,
        lines=(WantedLine(product=deal.product, quantity=PIECES),),
    )
    for order, place in ((first, under), (second, direct)):
        deal.tell(LIN, place)
        deal.tell(LIN, ConfirmOrder(), order)


# What can be asked about it -----------------------------------------------------------------------


def shown(company: Company, deal: Deal, console: Console) -> None:
    """Once the read models have taken it in."""
    with company.database.reading() as db:
        _approvals(db, deal, console)
        _terms(db, company, deal, console)
        _credit(db, deal, console)
        _tasks(db, console)


def _approvals(db: Db, deal: Deal, console: Console) -> None:
    console.print(f"\n[bold]Who approved {deal.quote}[/], below its floor")
    table = Table("approval", "version", "step", "waited for", "said", "by", "minutes")
    for number in (1, 2):
        seen = approval_seen(db, ApprovalId.of(deal.quote, str(number)))
        for wait in seen.waits if seen else ():
            minutes = ((wait.until or deal.app.clock()) - wait.since).total_seconds() / 60
            version = str(seen.approval.version if seen else "")
            row = (str(number), version, str(wait.step), wait.role, wait.outcome, wait.person)
            table.add_row(*row, f"{minutes:.1f}")
    console.print(table)


def _terms(db: Db, company: Company, deal: Deal, console: Console) -> None:
    asked = Question(deal.customer, deal.product, 1, deal.today, MATRIX)
    found = terms_in_force(db, asked, Moment(company.log.head(), None))
    if found is None:
        return
    applied = found.applied
    console.print(f"\n[bold]Which price counts today, and why[/]: {applied.price}")
    console.print(f"  {' → '.join(applied.path)}")
    for signature in applied.signatures:
        console.print(f"  signed by {signature.printed_name}, {signature.organisation}")
    for other in found.not_applied:
        console.print(f"  not {other.id}: {other.en} / {other.zh}")


def _credit(db: Db, deal: Deal, console: Console) -> None:
    seen = credit_seen(db, CreditAccountId.of(deal.customer.key), deal.today)
    for line in seen.exposures if seen else ():
        console.print(
            f"\n[bold]Credit[/]: {line.exposure} of {line.credit_limit} {line.currency} taken;"
            f" confirmed {line.confirmed}, shipped {line.shipped}, invoiced {line.invoiced}"
        )
    held = deal.app.existing(deal.orders[1], Order)
    for kind in held.holds:
        console.print(f"  {deal.orders[1]} is on hold for {kind.en} / {kind.zh}")


def _tasks(db: Db, console: Console) -> None:
    rows = db.execute("select * from task order by due_at nulls last, task limit 8").fetchall()
    console.print("\n[bold]Who has something to do[/] 待办")
    table = Table("role", "task", "待办", "due")
    for task in (Task(**row) for row in rows):
        due = f"{task.due_at:%Y-%m-%d}" if task.due_at else ""
        table.add_row(task.role or task.person or "", task.title_en, task.title_zh, due)
    console.print(table)
