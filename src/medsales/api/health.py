"""Is the server alive, can it serve, and how far behind are its read models?"""

from typing import Literal

from eventsourcing.persistence import PersistenceError
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from medsales.api.workers import Workers
from medsales.company import Companies, Company
from medsales.engine.database import DatabaseUnavailable, explained
from medsales.engine.follower import lags
from medsales.engine.parking import parked_streams

router = APIRouter(prefix="/health", tags=["health"])


class ReadModel(BaseModel):
    """How far one read model has come."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    position: int
    lag: int
    """In facts; negative where it lies beyond the end of the log, which was set back without it."""
    lag_seconds: float
    """The age of the oldest fact that it has not taken in."""
    parked: int
    """Streams that wait because one of their facts cannot be taken in: see `/parked`."""


class CompanyHealth(BaseModel):
    """The state of one company that this server has opened."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    head: int
    worker: Literal["running", "stopped", "elsewhere"]
    read_models: dict[str, ReadModel]
    """And the processes, which follow them."""
    parked: int
    """Streams that are parked for anybody, also for a single process."""


class Readiness(BaseModel):
    """Whether requests should be sent to this server."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    ready: bool
    database: str
    """`reachable`, or the code of what is wrong."""
    companies: dict[str, CompanyHealth] = {}


class Liveness(BaseModel):
    alive: Literal[True] = True


@router.get("/live", operation_id="live", summary="The process answers")
async def live() -> Liveness:
    return Liveness()


@router.get(
    "/ready",
    operation_id="ready",
    summary="The server can serve",
    response_model=None,
    responses={200: {"model": Readiness}, 503: {"model": Readiness, "description": "Not ready"}},
)
def ready(request: Request) -> Response:
    """Not ready: no database, no worker where one should run, a read model beyond the log.

    A lag, and what is parked, is told, but does not make a server unready: all servers share it,
    and taking all of them away would help nobody.

    `elsewhere` means that this server was started without workers.
    """
    state = _readiness(request.app.state.companies, request.app.state.workers)
    status = 200 if state.ready else 503
    return Response(state.model_dump_json(), status, media_type="application/json")


def _readiness(companies: Companies, workers: Workers | None) -> Readiness:
    try:
        opened = {name: _health(companies[name], workers) for name in sorted(companies.opened)}
        if not opened:
            companies.names()
    except DatabaseUnavailable as error:
        return Readiness(ready=False, database=error.code)
    except PersistenceError as error:
        return Readiness(ready=False, database=explained(error).code)
    stopped = any(company.worker == "stopped" for company in opened.values())
    beyond = any(
        each.lag < 0 for company in opened.values() for each in company.read_models.values()
    )
    ready = not stopped and not beyond
    return Readiness(ready=ready, database="reachable", companies=opened)


def _health(company: Company, workers: Workers | None) -> CompanyHealth:
    behind = lags(company.database, company.follower.everybody())
    head = company.log.head()
    with company.database.cursor() as db:
        parked = parked_streams(db)
    return CompanyHealth(
        head=head,
        worker=_worker(company.name, workers),
        read_models={
            name: ReadModel(
                position=lag.position,
                lag=lag.facts,
                lag_seconds=round(lag.seconds, 3),
                parked=parked.get(name, 0),
            )
            for name, lag in behind.items()
        },
        parked=sum(parked.values()),
    )


def _worker(company: str, workers: Workers | None) -> Literal["running", "stopped", "elsewhere"]:
    if workers is None:
        return "elsewhere"
    return "running" if workers.lives(company) else "stopped"
