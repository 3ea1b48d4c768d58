"""A town of purses: the smallest domain in which the engine can go wrong."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import uuid4

from psycopg.sql import Composed

from medsales.company import Company
from medsales.domain.kernel import Aggregate, Also, Command, Event, Id, Key, Refused, Role, Who
from medsales.engine import schema
from medsales.engine.application import Actor, Ask, MedSales, Receipt
from medsales.engine.database import Database
from medsales.engine.facts import Fact
from medsales.engine.follower import Follower
from medsales.engine.log import Log, Selection, facts
from medsales.engine.projection import Changes, Projection, Row, on

T = TypeVar("T")


class PurseId(Id, example="purse:ann"):
    """A purse, by its owner."""


class CeilingId(Id, example="ceiling:town"):
    """The most that may be taken at once."""


@dataclass(frozen=True)
class Ceiling(Aggregate):
    most: int = 0


class SetCeiling(Command[Ceiling]):
    """Say how much may be taken at once."""

    allowed = (Role.MANAGER,)
    name: Key
    most: int

    def begins(self) -> CeilingId:
        return CeilingId.of(self.name)

    def decide(self, ceiling: Ceiling) -> "CeilingSet | None":
        return None if ceiling.most == self.most else CeilingSet(most=self.most)


class CeilingSet(Event[Ceiling]):
    most: int

    def apply(self, ceiling: Ceiling, /) -> Ceiling:
        return replace(ceiling, most=self.most)


@dataclass(frozen=True)
class Purse(Aggregate):
    coins: int = 0
    opened: bool = False

    def must_have(self, coins: int) -> None:
        if self.coins < coins:
            raise Refused(
                "purse.too_few", f"there are {self.coins} coins", f"只有 {self.coins} 枚硬币"
            )


class OpenPurse(Command[Purse]):
    """Begin to keep coins."""

    allowed = (Role.SALES,)
    owner: Key
    coins: int = 0

    def begins(self) -> PurseId:
        return PurseId.of(self.owner)

    def decide(self, purse: Purse) -> "PurseOpened | None":
        return None if purse.opened else PurseOpened(coins=self.coins)


class PurseOpened(Event[Purse]):
    coins: int

    def apply(self, purse: Purse, /) -> Purse:
        return replace(purse, opened=True, coins=self.coins)


class PutCoins(Command[Purse]):
    """Put coins in."""

    allowed = (Role.SALES,)
    coins: int

    def decide(self, _: Purse) -> "CoinsPut | None":
        return CoinsPut(coins=self.coins) if self.coins else None


class CoinsPut(Event[Purse]):
    coins: int

    def apply(self, purse: Purse, /) -> Purse:
        return replace(purse, coins=purse.coins + self.coins)


class TakeCoins(Command[Purse]):
    """Take coins out."""

    allowed = (Role.SALES,)
    coins: int

    def decide(self, purse: Purse) -> "CoinsTaken":
        purse.must_have(self.coins)
        return CoinsTaken(coins=self.coins)


class CoinsTaken(Event[Purse]):
    coins: int
    at: datetime | None = None

    def apply(self, purse: Purse, /) -> Purse:
        return replace(purse, coins=purse.coins - self.coins)


class TakeWithin(Command[Purse]):
    """Take coins out, but no more than the ceiling allows, which is only read."""

    allowed = (Role.SALES,)
    coins: int
    ceiling: CeilingId

    def decide(self, purse: Purse, ceiling: Ceiling, at: datetime) -> CoinsTaken:
        purse.must_have(self.coins)
        if self.coins > ceiling.most:
            raise Refused("ceiling.passed", f"at most {ceiling.most}", f"至多 {ceiling.most}")
        return CoinsTaken(coins=self.coins, at=at)


class TakeAsGuest(Command[Purse]):
    """Take coins out within the town's ceiling, and within those of guests where there are any."""

    allowed = (Role.SALES, Role.MANAGER)
    coins: int
    ceiling: CeilingId

    def stricter(self, ceiling: Ceiling, who: Who) -> tuple[CeilingId, ...]:
        if Role.MANAGER in who.roles:
            return ()
        return CeilingId.of("guests"), CeilingId.of(f"guests-{ceiling.most}")

    def decide(
        self, purse: Purse, who: Who, ceiling: Ceiling, stricter: tuple[Ceiling | None, ...]
    ) -> CoinsTaken:
        purse.must_have(self.coins)
        most = min(some.most for some in (ceiling, *stricter) if some)
        if self.coins > most:
            reason = f"{who.name}: at most {most}"
            raise Refused("ceiling.passed", reason, f"{who.name}: 至多 {most}")
        return CoinsTaken(coins=self.coins)


class ShareCoins(Command[Purse]):
    """Give the same number of coins to each of these purses."""

    allowed = (Role.SALES,)
    to: tuple[PurseId, ...]
    coins: int

    def decide(self, purse: Purse) -> tuple[CoinsTaken | Also, ...]:
        purse.must_have(self.coins * len(self.to))
        taken = CoinsTaken(coins=self.coins * len(self.to))
        return taken, *(Also(other, PutCoins(coins=self.coins)) for other in self.to)


class SwapCoins(Command[Purse]):
    """Put coins in here and take as many from another purse, which may refuse."""

    allowed = (Role.SALES,)
    source: PurseId
    coins: int

    def decide(self, _: Purse) -> tuple[CoinsPut, Also]:
        return CoinsPut(coins=self.coins), Also(self.source, TakeCoins(coins=self.coins))


class Balance(Row, key=("purse",)):
    purse: str
    coins: int = 0
    facts: int = 0


class Balances(Projection):
    """How much is in each purse."""

    rows = (Balance,)

    @on(PurseOpened, CoinsPut)
    def put(self, fact: Fact[Any]) -> Changes:
        yield Balance.add(fact.subject, coins=fact.event.coins, facts=1)

    @on(CoinsTaken)
    def taken(self, fact: Fact[CoinsTaken]) -> Changes:
        yield Balance.add(fact.subject, coins=-fact.event.coins, facts=1)


class Flow(Row, key=("event",), shared=True):
    event: str
    coins: int = 0


class Flows(Projection):
    """How much has ever gone in, and out."""

    rows = (Flow,)

    @on(CoinsPut, CoinsTaken)
    def flowed(self, fact: Fact[Any]) -> Changes:
        yield Flow.add(type(fact.event).__name__, coins=fact.event.coins)


ANN = Actor("ann", "Ann 安", (Role.SALES,), "till-1")
BOB = Actor("bob", "Bob", (Role.SALES,), "till-2")
MANAGER = Actor("mei", "Mei 梅", (Role.SALES, Role.MANAGER), "office")


def new_name() -> str:
    return f"test_{uuid4().hex[:12]}"


def new_company(url: str, name: str | None = None) -> Company:
    """With the read models of purses, and every connection its own."""
    name = name or new_name()
    schema.prepare(url, name)
    company = opened(url, name)
    company.follower.prepare()
    return company


def opened(url: str, name: str, projections: tuple[type[Projection], ...] = ()) -> Company:
    """Another program that opens the same company."""
    database = Database(url, name, connections=8)
    log = Log(database)
    follower = Follower(database, projections or (Balances, Flows))
    return Company(name, database, log, MedSales(log), follower)


def asked(command: Command[Any], to: str | None = None, by: Actor = ANN, **more: Any) -> Ask:
    return Ask(command, by, to, **more)


def do(company: Company, command: Command[Any], to: str | None = None, **more: Any) -> Receipt:
    return company.app.handle(asked(command, to, **more))


def purse(company: Company, owner: str = "ann", coins: int = 10) -> str:
    return do(company, OpenPurse(owner=owner, coins=coins)).id


def coins(company: Company, id: str) -> int:
    state = company.app.load(id).state
    assert isinstance(state, Purse)
    return state.coins


def history(company: Company, **selected: Any) -> list[Fact[Any]]:
    with company.database.reading() as db:
        return facts(db, Selection(**selected), 100_000)


def query(company: Company, sql: str | Composed, *values: Any) -> list[dict[str, Any]]:
    with company.database.cursor() as db:
        return db.execute(sql, values or None).fetchall()


def execute(company: Company, sql: str, *values: Any) -> None:
    with company.database.writing() as db:
        db.execute(sql, values or None)


def commands(company: Company) -> list[dict[str, Any]]:
    """The command log."""
    return query(company, "select * from commands order by recorded_at, key")


def at_once(count: int, work: Callable[[int], T]) -> list[T]:
    """What as many threads find out when they all begin in the same moment."""
    line = threading.Barrier(count)

    def run(n: int) -> T:
        line.wait(60)
        return work(n)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def until(true: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def must_be_contiguous(found: Iterable[Fact[Any]]) -> None:
    """Positions 1, 2, 3 …, and versions likewise in every stream; time never runs backwards."""
    log = list(found)
    assert [fact.position for fact in log] == list(range(1, len(log) + 1))
    assert [fact.recorded_at for fact in log] == sorted(fact.recorded_at for fact in log)
    streams: dict[str, list[int]] = {}
    for fact in log:
        streams.setdefault(fact.subject, []).append(fact.version)
    for versions in streams.values():
        assert versions == list(range(1, len(versions) + 1))
