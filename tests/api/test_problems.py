"""How errors are told: one code, one status, two sentences, and no secrets of the operator."""

from typing import cast

import psycopg
import pytest
from eventsourcing.persistence import OperationalError, ProgrammingError
from starlette.exceptions import HTTPException

from medsales.api.problems import trouble
from medsales.company import UnknownCompany
from medsales.domain.kernel import Refused
from medsales.engine.application import KeyReused, Stale
from medsales.engine.committer import Overloaded
from medsales.engine.database import DatabaseUnavailable
from medsales.engine.follower import NotYet


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


DISK = caused(OperationalError("disk full at /var/x"), psycopg.errors.DiskFull("disk full"))
LOGIN = DatabaseUnavailable("database.login_refused", "the database refused the password (bob@db1)")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Refused("unit.in_transit", "no", "不"), 422, "unit.in_transit"),
        (Refused("unit.unknown", "no", "不"), 404, "unit.unknown"),
        (Refused("role.missing", "no", "不"), 403, "role.missing"),
        (Overloaded("too many"), 503, "commands.waiting"),
        (Stale("order:1", 1, 2), 412, "version.stale"),
        (KeyReused("k"), 422, "idempotency_key.reused"),
        (UnknownCompany("acme"), 403, "company.unknown"),
        (NotYet("stock", 9, 7), 503, "read_model.behind"),
        (HTTPException(418), 418, "http"),
        (DISK, 503, "database.disk_full"),
        (LOGIN, 503, "database.login_refused"),
        (ProgrammingError("a typing error in SQL"), 500, "incident"),
        (RuntimeError("a bug"), 500, "incident"),
    ],
)
def test_every_error_has_a_status_and_a_code(error: Exception, status: int, code: str) -> None:
    problem = trouble(error).problem("zh")
    assert (problem.status, problem.code) == (status, code)
    assert problem.detail == problem.sentences.zh != ""
    assert problem.title


@pytest.mark.parametrize("error", [DISK, LOGIN, RuntimeError("bob@db1")])
def test_the_operators_details_are_not_for_the_caller(error: Exception) -> None:
    told = cast("bytes", trouble(error).response("en").body)
    assert b"bob" not in told
    assert b"/var" not in told
