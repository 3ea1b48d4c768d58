"""A running server, toy aggregates, and companies of their own for every test."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Annotated, Any
from uuid import uuid4

import httpx
import pytest
import uvicorn
from fastapi import APIRouter
from psycopg.sql import SQL, Identifier

from medsales.api.auth import issue_token
from medsales.api.main import QUESTIONS, create_app
from medsales.api.reading import Page, Paging, Reading, reader
from medsales.catalogue import AGGREGATES
from medsales.company import Companies, Company
from medsales.domain.kernel import Aggregate, Also, Command, Event, Id, Refused, Role, Text, Value
from medsales.engine import schema
from medsales.engine.application import MedSales
from medsales.engine.database import Database, connect, schema_of
from medsales.engine.facts import Fact
from medsales.engine.follower import Follower
from medsales.engine.log import Log
from medsales.engine.projection import Changes, Projection, Row, on
from medsales.settings import Settings

SECRET = "a secret that only the tests know, long enough"


class ToyBoxId(Id, example="toy-box:1"):
    """A toy box, by its number."""


@dataclass(frozen=True)
class ToyBox(Aggregate):
    """A box with room for three toys."""

    toys: int = 0


class Toy(Value):
    """Something to play with."""

    name: Text
    pieces: int = 1


class ToyBoxBuilt(Event[ToyBox]):
    number: Text


class BuildToyBox(Command[ToyBox]):
    """Builds an empty box."""

    allowed = (Role.WAREHOUSE,)
    number: Text
    """What is written on its lid."""

    def begins(self) -> ToyBoxId:
        return ToyBoxId.of(self.number)

    def decide(self, _: ToyBox) -> ToyBoxBuilt:
        return ToyBoxBuilt(number=self.number)


class ToysPutIn(Event[ToyBox]):
    toys: tuple[Toy, ...]
    remark: str

    def apply(self, box: ToyBox, /) -> ToyBox:
        return replace(box, toys=box.toys + len(self.toys))


class PutToysIn(Command[ToyBox]):
    """Puts toys into the box."""

    allowed = (Role.WAREHOUSE,)
    toys: tuple[Toy, ...] = ()
    remark: str = ""

    def decide(self, box: ToyBox) -> ToysPutIn | None:
        if box.toys + len(self.toys) > 3:
            raise Refused("toy_box.full", "the box is full", "箱子已满")
        return ToysPutIn(toys=self.toys, remark=self.remark) if self.toys else None


class BreakToyBox(Command[ToyBox]):
    """Has a bug."""

    allowed = (Role.WAREHOUSE,)

    def decide(self, _: ToyBox) -> None:
        raise ZeroDivisionError("the secret of the traceback")


class PourToys(Command[ToyBox]):
    """Puts the same toys into two boxes."""

    allowed = (Role.WAREHOUSE,)
    other: ToyBoxId
    toys: tuple[Toy, ...]

    def decide(self, _: ToyBox) -> tuple[ToysPutIn, Also]:
        put = PutToysIn(toys=self.toys)
        return ToysPutIn(toys=self.toys, remark="poured"), Also(self.other, put)


class ToyCount(Row, key=("box",)):
    """How many toys are in a box."""

    box: ToyBoxId
    toys: int = 0


class ToyCounts(Projection):
    rows = (ToyCount,)

    @on(ToyBoxBuilt)
    def built(self, fact: Fact[ToyBoxBuilt]) -> Changes:
        yield ToyCount.put(box=fact.subject)

    @on(ToysPutIn)
    def put_in(self, fact: Fact[ToysPutIn]) -> Changes:
        yield ToyCount.add(fact.subject, toys=len(fact.event.toys))


toy_questions = APIRouter(tags=["toys"])
ToyReading = Annotated[Reading, reader(ToyCounts)]


@toy_questions.get("/toy-counts")
def toy_counts(toys: ToyReading, paging: Paging, least: int = 0) -> Page[ToyCount]:
    return toys.page(
        ToyCount, paging, "select * from toy_count where toys >= %(least)s", least=least
    )


@toy_questions.get("/toy-counts/newest")
def newest(toys: ToyReading, paging: Paging) -> Page[ToyCount]:
    return toys.page(
        ToyCount, paging, "select * from toy_count", by=("toys", "box"), newest_first=True
    )


@toy_questions.get("/toy-counts/{id:path}")
def toy_count(toys: ToyReading, id: str) -> ToyCount:
    return toys.one(ToyCount, "select * from toy_count where box = %(id)s", id=id)


@dataclass
class Server:
    """The server under test, and the companies it serves."""

    url: str
    database_url: str
    companies: Companies

    def open(self, name: str) -> Company:
        """A company whose read model is the one of the toys; nobody works for it yet."""
        schema.prepare(self.database_url, name)
        database = Database(self.database_url, name, connections=4)
        log = Log(database)
        company = Company(name, database, log, MedSales(log), Follower(database, (ToyCounts,)))
        self.companies.opened[name] = company
        return company

    def forget(self, name: str) -> None:
        self.companies.opened.pop(name).database.close()
        with connect(self.database_url) as conn:
            conn.execute(SQL("drop schema {} cascade").format(Identifier(schema_of(name))))


@dataclass
class Api:
    """Somebody of one company who talks to the server."""

    server: Server
    company: Company
    http: httpx.Client
    keys: Iterator[int] = field(default_factory=count)

    def token(self, *roles: Role, user: str = "mei", **more: Any) -> str:
        return issue_token(SECRET, user, "Mei 梅", roles, company=self.company.name, **more)

    def auth(self, *roles: Role, **more: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(*roles, **more)}"}

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """A command, under a new idempotency key unless one is given."""
        sent = {"Idempotency-Key": f"key-{next(self.keys)}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(path, json={} if body is None else body, headers=sent)

    def build(self, number: str = "1") -> httpx.Response:
        return self.post("/toy-boxes/build-toy-box", {"number": number})

    def put(self, *names: str, box: str = "1", **headers: str) -> httpx.Response:
        toys = [{"name": name} for name in names]
        return self.post(f"/toy-boxes/toy-box:{box}/put-toys-in", {"toys": toys}, **headers)

    def get(self, path: str, *roles: Role, **params: Any) -> httpx.Response:
        return self.http.get(path, params=params, headers=self.auth(*roles) if roles else {})

    def positions(self) -> int:
        return self.company.log.head()

    def project(self) -> None:
        self.company.follower.prepare()
        self.company.follower.catch_up()


@contextmanager
def running(app: Any) -> Iterator[str]:
    """The address of a real server in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def new_name() -> str:
    return f"toys_{uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDSALES_SECRET", SECRET)
        yield Settings(home=tmp_path_factory.mktemp("home"), wait=0.3)


@pytest.fixture(scope="session")
def server(database_url: str, settings: Settings) -> Iterator[Server]:
    companies = Companies(database_url)
    app = create_app(
        companies,
        settings,
        aggregates=(*AGGREGATES, ToyBox),
        questions=(*QUESTIONS, toy_questions),
    )
    with running(app) as url:
        yield Server(url, database_url, companies)
    companies.close()


def somebody(server: Server) -> Iterator[Api]:
    company = server.open(new_name())
    with httpx.Client(base_url=server.url, timeout=30) as http:
        api = Api(server, company, http)
        http.headers.update(api.auth(Role.WAREHOUSE))
        yield api
    server.forget(company.name)


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    """A warehouse worker of a company of its own."""
    yield from somebody(server)


@pytest.fixture
def neighbour(server: Server) -> Iterator[Api]:
    """A warehouse worker of another company on the same server."""
    yield from somebody(server)
