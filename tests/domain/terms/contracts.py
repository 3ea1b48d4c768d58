"""A hospital, two products and some people: what contracts are tried out with."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.domain.orders.towns import InMemory

from medsales.company import Company
from medsales.domain.canonical import content_hash
from medsales.domain.governance.approval import Approve
from medsales.domain.governance.licence_numbers import DeviceClass
from medsales.domain.governance.signature import Meaning, SignedStatement
from medsales.domain.ids import ApprovalId, ContractId, CustomerId, OrderId, ProductId
from medsales.domain.kernel import Aggregate, Command, Event, Refused, Role
from medsales.domain.parties.customer import CustomerKind, CustomerTier, RegisterCustomer
from medsales.domain.parties.our_company import DescribeOurCompany
from medsales.domain.stock.product import RegisterProduct, TrackedBy
from medsales.domain.terms.contract import (
    CalledLine,
    CallOff,
    Contract,
    ContractApproved,
    ContractDrafted,
    ContractSent,
    ContractStatus,
    ContractSubmitted,
    DraftContract,
    ReturnCallOff,
    SendContract,
    SubmitContract,
    UnderWay,
)
from medsales.domain.terms.contract_content import (
    AgreedLine,
    ContractContent,
    ContractLine,
    Obligation,
)
from medsales.domain.terms.contract_signing import (
    ContractActivated,
    CountersignContract,
    RecordCounterpartySignature,
    SignContract,
    SigningMethod,
    TermsInForce,
)
from medsales.domain.udi import Issuer
from medsales.domain.values import Money
from medsales.engine.application import Actor, Ask
from medsales.engine.log import Selection, facts
from medsales.testing import Pen

PUMP = ProductId.of("PUMP-1")
STENT = ProductId.of("STENT-1")
UNION = CustomerId.of("union")
HOSPITAL = "协和医院"
CONTRACT = ContractId.of("HT-1")
BEGIN, END = date(2026, 6, 1), date(2027, 5, 31)
START = datetime(2026, 6, 1, 2, tzinfo=UTC)
SEAL = "sha256:" + "5" * 64
PENS = {
    "sun": Pen("sun", "孙法务", role=Role.LEGAL),
    "wang": Pen("wang", "王经理"),
    "chen": Pen("chen", "陈销售", role=Role.SALES),
    "liu": Pen("liu", "刘院长", role=Role.COUNTERPARTY, organisation=HOSPITAL, title="院长"),
}
OURS = PENS["sun"].printed["organisation"]


def cny(amount: str | int) -> Money:
    return Money(amount=str(amount), currency="CNY")


def lines(pumps: int | None = 100, stents: int | None = 20) -> tuple[AgreedLine, ...]:
    """Pumps at 50, stents at 700: 19,000 in all."""
    return (
        AgreedLine(product=PUMP, price=cny(50), max_quantity=pumps),
        AgreedLine(product=STENT, price=cny(700), max_quantity=stents),
    )


def draft(**more: Any) -> DraftContract:
    said: dict[str, Any] = {
        "number": "HT-1",
        "customer": UNION,
        "title": "输液泵与支架年度采购",
        "lines": lines(),
        "currency": "CNY",
        "valid_from": BEGIN,
        "valid_until": END,
    }
    return DraftContract(**{**said, **more})


class ContractTown(InMemory):
    """Where a contract is written, approved, signed and used; by default by the right people."""

    def __init__(self, pumps: DeviceClass | None = None) -> None:
        super().__init__()
        self.now = START
        self.told(
            RegisterCustomer(
                number="union",
                kind_of=CustomerKind.HOSPITAL,
                name=HOSPITAL,
                region="华东",
                tier=CustomerTier.A,
                address="庆春路",
            )
        )
        for product, device_class in ((PUMP, pumps), (STENT, None)):
            self.told(
                RegisterProduct(
                    di=product.key,
                    issuer=Issuer.OTHER,
                    name=product.key,
                    model="M",
                    registrant="R",
                    tracked_by=TrackedBy.SERIAL,
                    device_class=device_class,
                )
            )
        self.told(DescribeOurCompany(name=OURS, address="杭州"))
        for pen in PENS.values():
            self.told(pen.registration(), by="registrar")
            for command in pen.commands():
                self.told(command, pen.id, by=pen.by)

    def told(self, command: Command[Any], id: str | None = None, by: str = "chen") -> None:
        refused = self.ask(command, id, by)
        assert refused is None, refused

    def refused(
        self, code: str, command: Command[Any], id: str | None = CONTRACT, by: str = "chen"
    ) -> Refused:
        before = {subject: len(events) for subject, events in self.streams.items()}
        refusal = self.ask(command, None if command.is_beginning() else id, by)
        assert refusal is not None, "it was not refused"
        assert refusal.code == code, f"{refusal.code}: {refusal}"
        assert refusal.sentence.zh
        assert before == {subject: len(events) for subject, events in self.streams.items()}
        return refusal

    # Where things are

    @property
    def contract(self) -> Contract:
        state = self.state(CONTRACT)
        assert isinstance(state, Contract)
        return state

    def status(self) -> ContractStatus:
        return self.contract.status

    @property
    def under_way(self) -> UnderWay:
        assert self.contract.under_way is not None
        return self.contract.under_way

    def happened(self, id: str = CONTRACT) -> list[str]:
        return [type(event).__name__ for event in self.streams.get(id, ())]

    def last(self, id: str = CONTRACT) -> Event[Any]:
        return self.streams[id][-1]

    def later(self, days: int) -> None:
        self.now += timedelta(days=days)

    # What people do

    def statement(self, by: str, **more: Any) -> SignedStatement:
        """Read, and signed with the signer's own key."""
        draft = self.under_way
        said: dict[str, Any] = {
            "subject": CONTRACT,
            "version": draft.version,
            "content_hash": draft.content_hash,
            "meaning": Meaning.RESPONSIBILITY,
            "at": self.now,
        }
        return PENS[by].signs(**{**said, **more})

    def sign(self, by: str = "sun", **more: Any) -> SignContract:
        return SignContract(signature=self.statement(by, **more))

    def countersign(self, by: str = "liu", **more: Any) -> CountersignContract:
        return CountersignContract(signature=self.statement(by, **more))

    def sealed(self, **more: Any) -> RecordCounterpartySignature:
        """The hospital has put its seal on paper."""
        said: dict[str, Any] = {
            "signer_name": "刘院长",
            "title": "院长",
            "organisation": HOSPITAL,
            "method": SigningMethod.SEALED_PAPER,
            "evidence": SEAL,
            "signed_at": self.now,
            "content_hash": self.under_way.content_hash,
        }
        return RecordCounterpartySignature(**{**said, **more})

    def approve(self, *by: str) -> Refused | None:
        """By as many as it takes where prices were compared with none."""
        approve = Approve(content_hash=self.under_way.content_hash)
        for who in by or ("wang", "qian"):
            if refused := self.ask(approve, self.contract.approval(CONTRACT), who):
                return refused
            if self.under_way.stage is not ContractStatus.IN_APPROVAL:
                break
        return None

    def approved(self) -> None:
        """What is a draft is submitted and approved."""
        self.told(SubmitContract(), CONTRACT)
        assert self.approve() is None

    def sent(self) -> None:
        self.approved()
        self.told(SendContract(), CONTRACT)

    def signed(self) -> None:
        """By both, from the draft on."""
        self.sent()
        self.told(self.sealed(), CONTRACT)
        self.told(self.sign(), CONTRACT, by="sun")

    def active(self, **more: Any) -> None:
        self.told(draft(**more))
        self.signed()

    def call_off(self, order: str, pumps: int = 0, stents: int = 0) -> CallOff:
        return CallOff(order=OrderId.of(order), lines=called(pumps, stents))

    def give_back(self, order: str, pumps: int = 0, stents: int = 0) -> ReturnCallOff:
        return ReturnCallOff(order=OrderId.of(order), lines=called(pumps, stents))


def called(pumps: int, stents: int) -> tuple[CalledLine, ...]:
    wanted = ((PUMP, pumps, 50), (STENT, stents, 700))
    return tuple(
        CalledLine(product=product, quantity=n, amount=cny(n * price))
        for product, n, price in wanted
        if n
    )


class ContractCompany(ContractTown):
    """The same in a company with its database: the engine decides, the log remembers."""

    def __init__(self, company: Company) -> None:
        self.company = company
        company.app.clock = lambda: self.now
        super().__init__()

    def ask(self, command: Command[Any], id: str | None = None, by: str = "chen") -> Refused | None:
        actor = Actor(by, PENS[by].printed["name"] if by in PENS else by, tuple(Role))
        try:
            self.company.app.handle(Ask(command, actor, id))
        except Refused as refusal:
            return refusal
        return None

    def state(self, id: str) -> Aggregate:
        return self.company.app.load(id).state

    def happened(self, id: str = CONTRACT) -> list[str]:
        with self.company.database.reading() as db:
            return [f.name for f in facts(db, Selection(), 10_000) if f.subject == id]

    def catch_up(self) -> None:
        """Read models, processes and timers have done what they can by now."""
        worker = self.company.worker()
        worker.processes.prepare()
        worker.catch_up()


def in_force(customer: CustomerId, *products: ProductId) -> tuple[Event[Any], ...]:
    """The history of HT-1 with somebody else, as far as it needs to be told to count."""
    content = ContractContent(
        number="HT-1",
        version=1,
        customer=customer,
        title="年度采购",
        lines=tuple(
            ContractLine(line=n, product=product, price=cny(700), max_quantity=3)
            for n, product in enumerate(products, start=1)
        ),
        currency="CNY",
        valid_from=date(2026, 1, 1),
        valid_until=date(2026, 12, 31),
        obligations=(Obligation(key="base", description="培训", party="ours", due=BEGIN),),
    )
    hashed = content_hash(content)
    said = {"version": 1, "content_hash": hashed}
    approval = ApprovalId.of(CONTRACT, "1")
    since = date(2026, 1, 1)
    return (
        ContractDrafted(content=content, content_hash=hashed, author="chen"),
        ContractSubmitted(**said, request=1),
        ContractApproved(**said, approval=approval, approvers=("wang",)),
        ContractSent(**said, sent_on=since),
        ContractActivated(**said, since=since, terms=TermsInForce.of(content)),
    )
