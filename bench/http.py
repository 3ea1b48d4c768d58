"""Commands and whole sales over HTTP, against the least that FastAPI can do with a row."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from bench.client import Played, Script, Step, Task, play
from bench.measure import Case, Figures, Found, Goal, Line, Table, counted, in_ms
from bench.peers import make_bare
from bench.sample import Business, new_customer
from bench.server import serving, token
from bench.setting import Setting, opened, settle
from medsales.api.openapi import plural
from medsales.company import Company
from medsales.demo.life import MATRIX, Arrived
from medsales.domain.ids import OrderId, ShipmentId
from medsales.domain.kernel import Command, aggregate_of, dashed
from medsales.domain.orders.fulfilment import ReserveGoods
from medsales.domain.orders.holds import ConfirmOrder
from medsales.domain.orders.placing import PlaceOrder, WantedLine
from medsales.domain.orders.shipment import DeliverShipment, DispatchShipment, Transport

CLIENTS = (1, 32)
SELLERS = (1, 8)
TAIL = Goal(5, at_most=True)
MOST = 2500
"""Commands per second and run that are prepared; more would end a run early, which is harmless."""


def measure(setting: Setting) -> list[Table]:
    with setting.database("http") as url, opened(url) as company:
        make_bare(url)
        business = Business(company)
        with serving("medsales", url) as ours, serving("bare", url) as bare:
            settle(company)
            cases: dict[str, Case] = {}
            for clients in CLIENTS:
                cases[f"bare {clients}"] = rows(setting, bare, clients)
                cases[f"ours {clients}"] = commands(setting, ours, clients, company)
            for clients in SELLERS:
                cases[f"bare sale {clients}"] = five_rows(setting, bare, clients)
                cases[f"sale {clients}"] = sales(setting, ours, clients, business)
            return [told(setting.interleaved(cases))]


def told(found: Found) -> Table:
    lines: list[Line] = []
    for clients in CLIENTS:
        n, who = str(clients), counted(clients, "client")
        peer = {"bare": f"bare {n}"}
        most = clients == max(CLIENTS)
        goals = (Goal(0.6, "bare"),) if most else ()
        lines += [
            found.line(f"bare, {who}", (f"bare {n}", "rate", "requests/s")),
            found.line(f"medsales, {who}", (f"ours {n}", "rate", "commands/s"), peer, *goals),
            *latencies(found, f"medsales, {who}", f"ours {n}", peer, *([TAIL] if most else ())),
            found.line(f"client's share of a core, {who}", (f"ours {n}", "client", "%")),
        ]
    for clients in SELLERS:
        n, who = str(clients), counted(clients, "client")
        peer = {"five bare rows": f"bare sale {n}"}
        goals = (Goal(160),) if clients == max(SELLERS) else ()
        lines += [
            found.line(f"whole sales, {who}", (f"sale {n}", "rate", "sales/s"), peer, *goals),
            *latencies(found, f"whole sales, {who}", f"sale {n}", peer, TAIL),
        ]
    return Table("Commands over HTTP", lines, NOTES)


def latencies(
    found: Found, what: str, case: str, peer: Mapping[str, str], *tail: Goal
) -> Iterator[Line]:
    for part in ("p50", "p99"):
        yield found.line(f"{what}, {part}", (case, part, "ms"), peer)
    yield found.line(f"{what}, p99 in p50s", (case, "tail", "× p50"), {}, *tail)


NOTES = """\
* medsales: uvicorn in a process of its own as `medsales serve` has it, so the same process also
  keeps all read models up to date, seals the log and writes a line for each request; each request
  an accepted register-customer with a new number, a token and an idempotency key.
* bare: FastAPI and psycopg_pool, same uvicorn settings, pool of 20, a `def` endpoint (quicker at 32
  clients than `async def` with an asynchronous pool): validates a body of the same fields with
  pydantic, inserts one row of the same bytes into a table with the columns and indexes of `facts`,
  answers. No token, order, idempotency, command log, read model, seal or line in a log.
* Clients: one process, asyncio streams with uvloop, connections kept open, requests made
  beforehand. Its share of a core tells whether it was the bottleneck; it shares the cores with
  server and database.
* A whole sale: place, confirm, reserve a serial, dispatch, deliver, one after the other, each its
  own request; p50 and p99 are of the five together. Beside it five bare rows in the same way.
* Not measured here, but said by the study before this work: two established Python ERPs make 0.4
  to 0.7 and 5 to 10 whole sales/s on such a machine.
* Why about 150 sales/s: the interpreter of the one server process is full, at about 5 ms of
  processor time per sale. Of that the web server and framework take a half, the worker, which keeps
  eight read models, 28 %, deciding and appending 19 % (sampled with py-spy); the database takes
  2.5 ms on the other core. A worker of its own (`medsales worker`) gives its share back."""


def rows(setting: Setting, port: int, clients: int) -> Case:
    def case() -> Figures:
        scripts = [[("POST", "/rows", body(new_customer()))] for _ in range(wanted(setting))]
        return played(setting, port, clients, scripts)

    return case


def commands(setting: Setting, port: int, clients: int, company: Company) -> Case:
    def case() -> Figures:
        scripts = [[step(new_customer())] for _ in range(wanted(setting))]
        found = played(setting, port, clients, scripts)
        settle(company)
        return found

    return case


def wanted(setting: Setting) -> int:
    return int(MOST * setting.seconds)


def five_rows(setting: Setting, port: int, clients: int) -> Case:
    def case() -> Figures:
        five = [("POST", "/rows", body(new_customer()))] * 5
        return played(setting, port, clients, [five] * number(setting, clients))

    return case


def sales(setting: Setting, port: int, clients: int, business: Business) -> Case:
    def case() -> Figures:
        units = business.received(number(setting, clients) * 11 // 10 + 1)
        scripts = [sale(business, unit) for unit in units[: number(setting, clients)]]
        settle(business.company)
        found = played(setting, port, clients, scripts)
        settle(business.company)
        return found

    return case


def number(setting: Setting, clients: int) -> int:
    return setting.size(100 + 40 * clients, 3 * clients)


def sale(business: Business, unit: Arrived) -> Script:
    key = uuid4().hex
    order, shipment = OrderId.of(key), ShipmentId.of(key)
    customer = business.customers[hash(key) % len(business.customers)]
    place = PlaceOrder(
        number=key,
        customer=customer.begins(),
        price_matrix=MATRIX,
        lines=(WantedLine(product=unit.product, quantity=1),),
    )
    dispatch = DispatchShipment(
        number=key,
        order=order,
        units=(unit.unit,),
        transport=Transport(carrier="SF Express 顺丰", waybill=key),
        ship_to=customer.address,
    )
    return [
        step(place),
        step(ConfirmOrder(), order),
        step(ReserveGoods(units=(unit.unit,)), order),
        step(dispatch),
        step(DeliverShipment(received_by="设备科 王主任"), shipment),
    ]


def step(command: Command[Any], id: str | None = None) -> Step:
    """The request that gives a command."""
    aggregate = aggregate_of(type(command))
    assert aggregate is not None
    whose = f"/{quote(id, safe=':')}" if id else ""
    path = f"/{plural(aggregate.kind)}{whose}/{dashed(type(command).__name__)}"
    return "POST", path, body(command)


def body(command: Command[Any]) -> str:
    return command.model_dump_json(exclude_none=True)


def played(setting: Setting, port: int, clients: int, scripts: Sequence[Script]) -> Figures:
    return figures(play(Task(port, token(), clients, scripts, setting.seconds)))


def figures(done: Played) -> Figures:
    return {"rate": done.rate, "client": 100 * done.cpu / done.elapsed, **in_ms(done.whole())}
