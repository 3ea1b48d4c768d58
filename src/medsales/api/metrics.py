"""What Prometheus asks: how far behind everybody is, and how commands were answered."""

from collections.abc import Iterator
from typing import NamedTuple

import psycopg
from eventsourcing.persistence import PersistenceError
from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from medsales.api.workers import Workers
from medsales.company import Companies, Company
from medsales.engine.database import DatabaseUnavailable, connect
from medsales.engine.follower import lags
from medsales.engine.parking import parked_streams
from medsales.engine.timers import Timer, standing

router = APIRouter(tags=["health"])

GAUGES = {
    "medsales_database_up": "1 if the database of a company answers, else 0",
    "medsales_worker_at_work": "1 if a worker of this process lives for a company, else 0",
    "medsales_log_head": "The position of the last fact",
    "medsales_position": "How far a read model, or the processes, have come",
    "medsales_lag_facts": "Facts that a read model, or the processes, have still to take in",
    "medsales_lag_seconds": "The age of the oldest fact not yet taken in",
    "medsales_parked_streams": "Streams that wait because one of their facts cannot be taken in",
    "medsales_timers_set": "Timers that are set",
    "medsales_timers_due": "Timers whose time has come, and that have not been asked yet",
    "medsales_commands_waiting": "Commands in the queue of this process",
    "medsales_seal_broken": "1 if this process has stopped signing: the log is not what was sealed",
}
COUNTERS = {
    "medsales_commands": "Commands that this process has answered, by outcome",
    "medsales_append_batches": "Batches of commands that this process has decided and appended",
    "medsales_append_jobs": "Requests in these batches",
    "medsales_append_seconds": "Time spent on these batches",
}
OUTCOMES = ("accepted", "nothing", "refused", "stale", "key_reused", "failed")


class Measured(NamedTuple):
    """One number, and what it is the number of."""

    metric: str
    value: float
    labels: dict[str, str]


DOWN = Measured("medsales_database_up", 0, {})


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Measurements for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request) -> Response:
    """Needs no token and tells nothing of the business."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(OfCompanies(request.app.state.companies, request.app.state.workers))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class OfCompanies(Collector):
    """Measures the companies that this server has opened, when it is asked."""

    def __init__(self, companies: Companies, workers: Workers | None) -> None:
        self.companies = companies
        self.workers = workers

    def collect(self) -> Iterator[Metric]:
        up = self._database_answers()
        found = [one for name in sorted(self.companies.opened) for one in self._of(name, up)]
        for metric, meaning in (*GAUGES.items(), *COUNTERS.items()):
            yield _family(metric, meaning, [one for one in found if one.metric == metric])

    def _database_answers(self) -> bool:
        """Found out at once: the pools of connections would wait for it to come back."""
        try:
            with connect(self.companies.url):
                return True
        except DatabaseUnavailable:
            return False

    def _of(self, name: str, up: bool) -> Iterator[Measured]:
        company = self.companies[name]
        lives = self.workers is not None and self.workers.lives(name)
        for one in (Measured("medsales_worker_at_work", lives, {}), *_here(company)):
            yield _named(one, name)
        try:
            stored = list(_stored(company)) if up else [DOWN]
        except (PersistenceError, psycopg.Error):
            stored = [DOWN]
        for one in stored:
            yield _named(one, name)


def _here(company: Company) -> Iterator[Measured]:
    """What this process knows by itself."""
    app = company.app
    for outcome in OUTCOMES:
        yield Measured("medsales_commands", app.answered[outcome], {"outcome": outcome})
    yield Measured("medsales_append_batches", app.committer.batches, {})
    yield Measured("medsales_append_jobs", app.committer.jobs, {})
    yield Measured("medsales_append_seconds", app.committer.seconds, {})
    yield Measured("medsales_commands_waiting", app.committer.load, {})
    if company.sealer:
        yield Measured("medsales_seal_broken", company.sealer.broken is not None, {})


def _stored(company: Company) -> Iterator[Measured]:
    """What the database knows. Raises PersistenceError."""
    behind = lags(company.database, company.follower.everybody())
    head = company.log.head()
    with company.database.cursor() as db:
        parked = parked_streams(db)
    yield Measured("medsales_database_up", 1, {})
    yield Measured("medsales_log_head", head, {})
    for name, lag in behind.items():
        yield Measured("medsales_position", lag.position, {"name": name})
        yield Measured("medsales_lag_facts", lag.facts, {"name": name})
        yield Measured("medsales_lag_seconds", lag.seconds, {"name": name})
    for name in sorted({*behind, *parked}):
        yield Measured("medsales_parked_streams", parked.get(name, 0), {"name": name})
    if company.follower.keeps(Timer):
        timers = standing(company.database, company.app.clock())
        yield Measured("medsales_timers_set", timers.set, {})
        yield Measured("medsales_timers_due", timers.due, {})


def _named(one: Measured, company: str) -> Measured:
    return one._replace(labels={"company": company, **one.labels})


def _family(metric: str, meaning: str, found: list[Measured]) -> Metric:
    labels = list(found[0].labels) if found else []
    kind = GaugeMetricFamily if metric in GAUGES else CounterMetricFamily
    family = kind(metric, meaning, labels=labels)
    for one in found:
        family.add_metric(list(one.labels.values()), one.value)
    return family
