"""The description of the API, for people and for generators of clients."""

import inspect
from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from medsales.api.batch import Batch
from medsales.api.commands import public_commands
from medsales.api.facts import FactLine
from medsales.api.problems import Problem, problem
from medsales.domain.kernel import Aggregate

DESCRIPTION = """
An event-sourced system for selling medical devices.

**Writing.** Every command is a POST whose body is the command. It needs an `Idempotency-Key`: the
same key with the same command gets the first answer again, byte for byte. The answer's `ETag` is
the version of what has changed; send it as `If-Match` to be sure that nothing happened in between.

**Reading.** Give the `position` of a receipt as `min_position` to see at least that. Every answer
says in `Medsales-Position` what it has seen. Lists page by `next` and `after`.

**Problems** are `application/problem+json` (RFC 9457): a stable `code`, and a sentence in English
and Chinese. Input that is wrong names its fields in `errors`. What a command names and does not
exist is a 404 with the code `<kind>.unknown`, a missing role a 403, any other refusal a 422.
"""
TAGS = {
    "commands": "Many commands in one request.",
    "stock": "Where everything is, and what happened to it.",
    "customers": "Who buys, and everything about them.",
    "sales": "What customers were offered, and which terms applied to them.",
    "orders": "Orders and how far they have come.",
    "licences": "Licences and authorisations, and what runs out.",
    "credit": "What customers owe or will, and what is agreed with them.",
    "terms": "Prices, and why they are what they are.",
    "governance": "Who must approve what, who is waited for, and what there is to do.",
    "documents": "Quotes and contracts as people read and sign them, HTML or PDF.",
    "audit": "Every fact and every refusal, for those who must be able to check.",
    "health": "For those who operate the server.",
}
REF = "#/components/schemas/{model}"


PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: problem("The request cannot be understood"),
    401: problem("The token is missing, expired or not ours"),
    403: problem("The caller's roles or company do not allow this"),
    404: problem("There is no such thing"),
    422: problem("The input is wrong, or a rule of the business refused"),
    503: {
        **problem("The database or the read model is not there yet"),
        "headers": {
            "Retry-After": {
                "description": "Seconds to wait before asking again",
                "schema": {"type": "integer"},
            }
        },
    },
}


def plural(kind: str) -> str:
    """`price-matrix` in the address of many: `price-matrices`."""
    if kind.endswith("ix"):
        return f"{kind[:-2]}ices"
    if kind.endswith("y"):
        return f"{kind[:-1]}ies"
    return f"{kind}es" if kind.endswith(("s", "x", "ch", "sh")) else f"{kind}s"


def describe(app: FastAPI, aggregates: Iterable[type[Aggregate]]) -> None:
    """Adds what FastAPI cannot see: bodies that the command routes read by themselves."""
    tags = _tags(aggregates)
    models = [command for each in aggregates for command in public_commands(each).values()]

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _schema(app, tags, [Problem, Batch, FactLine, *models])
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _schema(
    app: FastAPI, tags: list[dict[str, str]], models: list[type[BaseModel]]
) -> dict[str, Any]:
    schema = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        tags=tags,
    )
    _, defined = models_json_schema([(m, "validation") for m in models], ref_template=REF)
    schema["components"]["schemas"] = {
        **defined["$defs"],
        **schema["components"].get("schemas", {}),
    }
    return schema


def _tags(aggregates: Iterable[type[Aggregate]]) -> list[dict[str, str]]:
    kinds = {plural(each.kind): inspect.getdoc(each) or each.__name__ for each in aggregates}
    return [{"name": name, "description": text} for name, text in {**kinds, **TAGS}.items()]
