"""The HTTP application, wired on one screen."""

import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from medsales.api import (
    contracts,
    credit,
    documents,
    facts,
    governance,
    health,
    licences,
    metrics,
    orders,
    parking,
    parties,
    price_import,
    problems,
    sales,
    seals,
    signing,
    stock,
    subjects,
    terms,
)
from medsales.api.batch import batch_routes
from medsales.api.commands import Direct, command_routes
from medsales.api.limits import Gate, Incidents
from medsales.api.openapi import PROBLEMS, describe, plural
from medsales.api.projected import Projected
from medsales.api.request_log import RequestLog
from medsales.api.workers import Workers
from medsales.catalogue import AGGREGATES
from medsales.company import Companies
from medsales.domain.kernel import Aggregate
from medsales.engine.application import APP
from medsales.settings import Settings

QUESTIONS: tuple[APIRouter, ...] = (
    documents.router,
    stock.router,
    # Before the customers: what is asked below one of them has a longer address.
    sales.router,
    parties.router,
    orders.router,
    credit.router,
    licences.router,
    terms.router,
    price_import.router,
    contracts.router,
    governance.router,
    facts.router,
    subjects.router,
    seals.router,
    parking.router,
    signing.router,
)
"""Every router that answers questions."""


def create_app(
    companies: Companies,
    settings: Settings,
    *,
    aggregates: Sequence[type[Aggregate]] = AGGREGATES,
    questions: Sequence[APIRouter] = QUESTIONS,
    work: bool = False,
) -> FastAPI:
    """The API of all companies; with `work` it also keeps their read models up to date."""
    app = FastAPI(
        title="medsales",
        version=APP,
        lifespan=_lifespan,
        redoc_url=None,
        redirect_slashes=False,
        # FastAPI's own span would be a second one, and hold what people typed into the address.
        telemetry={"tracing": False},
    )
    app.state.companies = companies
    app.state.secret = settings.secret()
    app.state.patience = settings.wait
    app.state.workers = Workers(companies) if work else None
    app.add_api_route("/", _front_door, include_in_schema=False)
    commands = [command_routes(f"/{plural(each.kind)}", each) for each in aggregates]
    for router in (*commands, batch_routes(aggregates), *questions):
        app.include_router(router, responses=PROBLEMS)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.add_middleware(Direct, routes=[route for each in commands for route in each.routes])
    app.add_middleware(Gate)
    app.add_middleware(Incidents)
    app.add_middleware(RequestLog)
    app.state.projected = Projected()
    problems.install(app)
    describe(app, aggregates)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    # What has been made until now stays: the search for cycles need not look at it ever again.
    gc.collect()
    gc.freeze()
    workers: Workers | None = app.state.workers
    if workers:
        workers.start()
    yield
    if workers:
        await run_in_threadpool(workers.stop)


async def _front_door() -> RedirectResponse:
    return RedirectResponse("/docs")
