"""Every answer that is not a success: RFC 9457, with a sentence in English and in Chinese."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import singledispatch
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from eventsourcing.persistence import InterfaceError, InternalError, OperationalError
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException

from medsales.company import UnknownCompany
from medsales.domain.kernel import Refused, Sentence
from medsales.engine.application import KeyReused, Stale
from medsales.engine.committer import Overloaded
from medsales.engine.database import DatabaseUnavailable, explained
from medsales.engine.follower import NotYet
from medsales.logs import note

LOG = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
SHOWN = 100
"""Wrong fields that one answer names at most."""

TITLES: dict[int, Sentence] = {
    400: Sentence("The request is malformed", "请求格式有误"),
    401: Sentence("Please say who you are", "请先登录"),
    403: Sentence("This is not yours to do", "没有权限"),
    404: Sentence("There is no such thing", "没有找到"),
    405: Sentence("This cannot be done here", "不支持此方法"),
    412: Sentence("It has changed since you looked", "数据已被更新"),
    413: Sentence("The request is too large", "请求过大"),
    422: Sentence("Refused", "被拒绝"),
    500: Sentence("Something went wrong here", "系统内部错误"),
    503: Sentence("Not available at the moment", "暂时不可用"),
}


class Sentences(BaseModel):
    """The same sentence in the two languages of the business."""

    en: str
    zh: str


class FieldError(BaseModel):
    """What is wrong with one field."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    field: str
    """Where: `lines.0.quantity`."""
    message: str


class Problem(BaseModel):
    """Why a request was not done (RFC 9457)."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    """Names the kind of problem: `/problems/` and the code."""
    title: str
    status: int
    detail: str
    """One sentence for the person who asked, in the language of Accept-Language."""
    code: str
    """The stable word for programs: `unit.in_transit`."""
    sentences: Sentences
    """The detail in both languages."""
    errors: list[FieldError] | None = None
    """The fields that are wrong, where the input was."""
    version: int | None = None
    """The version that was found, where another was expected."""
    lag: int | None = None
    """How many facts the read model is behind what was asked for."""
    incident: str | None = None
    """Under this name the log of the server tells more."""


class Trouble(Exception):
    """A request that cannot be done, as its sender will be told."""

    def __init__(
        self,
        status: int,
        code: str,
        en: str,
        zh: str,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(en)
        self.status = status
        self.code = code
        self.sentence = Sentence(en, zh)
        self.headers = headers
        self.more = more

    def problem(self, language: str) -> Problem:
        return Problem(
            type=f"/problems/{self.code}",
            title=getattr(titled(self.status), language),
            status=self.status,
            detail=getattr(self.sentence, language),
            code=self.code,
            sentences=Sentences(en=self.sentence.en, zh=self.sentence.zh),
            **self.more,
        )

    def response(self, language: str) -> Response:
        note(code=self.code)
        body = self.problem(language).model_dump_json(exclude_none=True)
        return Response(body, self.status, self.headers, MEDIA_TYPE)


def problem(description: str) -> dict[str, Any]:
    """How a route declares that it may answer so."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


def titled(status: int) -> Sentence:
    phrase = HTTPStatus(status).phrase
    return TITLES.get(status, Sentence(phrase, phrase))


def language(accepted: str | None) -> str:
    """Chinese where Accept-Language prefers it to English; English otherwise."""
    best = {"en": 0.0, "zh": 0.0}
    for tag, weight in re.findall(r"(\*|[a-zA-Z]+)[^,;]*(?:;\s*q=([0-9.]{1,5}))?", accepted or ""):
        if tag.lower() in best:
            value = float(weight) if re.fullmatch(r"[01](\.[0-9]*)?", weight) else 1.0
            best[tag.lower()] = max(value, best[tag.lower()])
    return "zh" if best["zh"] > best["en"] else "en"


@singledispatch
def trouble(error: Exception) -> Trouble:
    """How an error is told. What nobody has foreseen is an incident: the log has the rest."""
    incident = uuid4().hex[:12]
    note(incident=incident)
    LOG.error("incident %s", incident, exc_info=error)
    return Trouble(
        500,
        "incident",
        f"something went wrong here; please report incident {incident}",
        f"系统内部错误，请报告事件编号 {incident}",
        incident=incident,
    )


@trouble.register
def _(error: Trouble) -> Trouble:
    return error


@trouble.register
def _(error: Refused) -> Trouble:
    note(outcome="refused")
    status = 404 if error.code.endswith(".unknown") else 422
    status = 403 if error.code == "role.missing" else status
    return Trouble(status, error.code, *error.sentence)


@trouble.register
def _(error: Overloaded) -> Trouble:
    return Trouble(
        503,
        "commands.waiting",
        str(error),
        "暂时无法接受更多命令，请稍后重试",
        {"Retry-After": "1"},
    )


@trouble.register
def _(error: Stale) -> Trouble:
    return Trouble(
        412,
        "version.stale",
        str(error),
        f"当前版本为 {error.found}，与所给版本不符",
        version=error.found,
    )


@trouble.register
def _(_: KeyReused) -> Trouble:
    return Trouble(
        422,
        "idempotency_key.reused",
        "this idempotency key was used for another command",
        "此幂等键已用于其他命令",
    )


@trouble.register
def _(error: UnknownCompany) -> Trouble:
    return Trouble(403, "company.unknown", f"there is no company {error}", f"没有公司 {error}")


@trouble.register
def _(error: NotYet) -> Trouble:
    return Trouble(
        503,
        "read_model.behind",
        str(error),
        f"查询数据尚未更新，落后 {error.lag} 条",
        {"Retry-After": "1"},
        lag=error.lag,
    )


@trouble.register(OperationalError)
@trouble.register(InterfaceError)
@trouble.register(InternalError)
@trouble.register(DatabaseUnavailable)
def _(error: Exception) -> Trouble:
    """Told without the driver's details: they name hosts and users."""
    cause = error if isinstance(error, DatabaseUnavailable) else explained(error)
    LOG.warning("%s: %s", cause.code, cause)
    sentence = re.split(r"[:(]", str(cause))[0].strip()
    return Trouble(503, cause.code, sentence, "数据库暂时不可用", {"Retry-After": "5"})


@trouble.register
def _(error: HTTPException) -> Trouble:
    code = {404: "route.unknown", 405: "method.not_allowed"}.get(error.status_code, "http")
    return Trouble(
        error.status_code, code, error.detail, titled(error.status_code).zh, error.headers
    )


@trouble.register
def _(error: RequestValidationError) -> Trouble:
    return invalid(
        (wrong["loc"][1:] or wrong["loc"], wrong["msg"]) for wrong in error.errors()[:SHOWN]
    )


@trouble.register
def _(error: ValidationError) -> Trouble:
    """Only input is validated so; rows and events that do not fit are caught as incidents."""
    wrong = error.errors(include_url=False, include_context=False, include_input=False)
    return invalid((one["loc"], one["msg"]) for one in wrong[:SHOWN])


def invalid(wrong: Iterable[tuple[Sequence[int | str], str]]) -> Trouble:
    """Input that cannot be read as what it should be: which fields, and why."""
    errors = [
        FieldError(field=".".join(map(str, where)) or "body", message=message)
        for where, message in wrong
    ]
    fields = ", ".join(dict.fromkeys(error.field for error in errors))
    told = "; ".join(f"{error.field}: {error.message}" for error in errors[:3])
    return Trouble(422, "input.invalid", told, f"输入有误: {fields}", errors=errors)


FORESEEN = (
    Trouble,
    Refused,
    Overloaded,
    Stale,
    KeyReused,
    UnknownCompany,
    NotYet,
    OperationalError,
    InterfaceError,
    InternalError,
    DatabaseUnavailable,
    HTTPException,
    RequestValidationError,
)


def install(app: FastAPI) -> None:
    """Has every foreseen error told as a problem; `limits.Incidents` does so for the others."""
    for error in FORESEEN:
        app.add_exception_handler(error, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    return trouble(error).response(language(request.headers.get("Accept-Language")))
