"""Who is asking: only a token of ours says so, and only for its own company."""

import time
from typing import Any

import jwt
import pytest
from tests.api.conftest import SECRET, Api

from medsales.api.auth import issue_token
from medsales.domain.kernel import Role


def status(api: Api, token: str | None) -> tuple[int, str]:
    headers = {"Authorization": token or "", "Idempotency-Key": "k"}
    answer = api.http.post("/toy-boxes/build-toy-box", json={"number": "1"}, headers=headers)
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    return answer.status_code, answer.json().get("code", "")


def signed(api: Api, secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    now = int(time.time())
    ours = {"sub": "mei", "roles": ["warehouse"], "company": api.company.name}
    said = {**ours, "iat": now, "exp": now + 60, **claims}
    known = {name: value for name, value in said.items() if value is not None}
    return "Bearer " + jwt.encode(known, secret, algorithm)


def test_our_token_is_good(api: Api) -> None:
    assert status(api, signed(api)) == (200, "")


@pytest.mark.parametrize("header", [None, "Basic bWVpOm1laQ==", "Bearer", "mei"])
def test_nobody_gets_in_without_a_token(api: Api, header: str | None) -> None:
    assert status(api, header) == (401, "token.missing")


def test_a_forged_token_is_refused(api: Api) -> None:
    assert status(api, signed(api, "some other secret, which is long enough")) == (
        401,
        "token.invalid",
    )
    assert status(api, "Bearer x.y.z") == (401, "token.invalid")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
@pytest.mark.filterwarnings("ignore:The HMAC key")
def test_only_one_algorithm_is_accepted(api: Api, algorithm: str) -> None:
    assert status(api, signed(api, algorithm=algorithm)) == (401, "token.invalid")


def test_an_unsigned_token_is_refused(api: Api) -> None:
    claims = jwt.decode(signed(api).split()[1], SECRET, ["HS256"])
    unsigned = jwt.encode(claims, None, "none")  # type: ignore[arg-type]  # that is the point
    assert status(api, f"Bearer {unsigned}") == (401, "token.invalid")


def test_an_expired_token_is_refused(api: Api) -> None:
    assert status(api, signed(api, exp=int(time.time()) - 60)) == (401, "token.expired")


def test_a_token_that_was_good_expires(api: Api) -> None:
    token = signed(api, exp=int(time.time()) + 2)
    assert status(api, token) == (200, "")
    time.sleep(2.1)
    assert status(api, token) == (401, "token.expired")


@pytest.mark.parametrize(
    "claims",
    [{"exp": None}, {"sub": None}, {"iat": None}, {"roles": ["king"]}, {"sub": ""}, {"sub": "a\0"}],
)
def test_a_token_that_says_too_little_or_nonsense_is_refused(
    api: Api, claims: dict[str, Any]
) -> None:
    assert status(api, signed(api, **claims)) == (401, "token.invalid")


@pytest.mark.parametrize("id", ["system", " system ", "process:order_to_cash"])
@pytest.mark.parametrize("claim", ["sub", "client"])
def test_nobody_speaks_as_the_system(api: Api, claim: str, id: str) -> None:
    assert status(api, signed(api, **{claim: id})) == (401, "token.invalid")
    with pytest.raises(ValueError, match="is a name of the system itself"):
        issue_token(SECRET, **{"user": "li", "name": "李", "roles": (), **issued(claim, id)})


def issued(claim: str, id: str) -> dict[str, Any]:
    return {"user" if claim == "sub" else claim: id}


def test_a_company_that_does_not_exist_is_a_403(api: Api) -> None:
    assert status(api, signed(api, company="atlantis")) == (403, "company.unknown")
    assert status(api, signed(api, company="pg_catalog; --")) == (403, "company.unknown")


def test_who_asked_is_in_the_fact(api: Api) -> None:
    api.http.headers.update(api.auth(Role.WAREHOUSE, user="li", client="scanner-7"))
    api.build()
    envelope = api.get("/facts/1", Role.AUDITOR).json()["envelope"]
    assert (envelope["by"], envelope["name"], envelope["client"]) == ("li", "Mei 梅", "scanner-7")


def test_the_device_is_named_after_the_user_if_nothing_else_is_said(api: Api) -> None:
    api.build()
    assert api.get("/facts/1", Role.AUDITOR).json()["envelope"]["client"] == "mei"


def test_two_devices_may_use_the_same_key(api: Api) -> None:
    api.post("/toy-boxes/build-toy-box", {"number": "1"}, Idempotency_Key="1")
    api.http.headers.update(api.auth(Role.WAREHOUSE, client="tablet"))
    answer = api.post("/toy-boxes/build-toy-box", {"number": "2"}, Idempotency_Key="1")
    assert answer.status_code == 200


def test_two_companies_see_nothing_of_each_other(api: Api, neighbour: Api) -> None:
    api.build()
    api.project()
    neighbour.project()
    assert neighbour.put("kite").json()["code"] == "toy-box.unknown"
    assert neighbour.get("/facts", Role.AUDITOR).text == ""
    assert neighbour.get("/toy-counts").json()["items"] == []
    assert len(api.get("/toy-counts").json()["items"]) == 1
    assert api.get("/refusals", Role.AUDITOR).json()["items"] == []


def test_an_issued_token_says_what_it_was_given() -> None:
    token = issue_token(SECRET, "li", "李", [Role.SALES], company="acme", days=1, client="phone")
    claims = jwt.decode(token, SECRET, ["HS256"])
    assert claims["exp"] - claims["iat"] == 86400
    assert (claims["sub"], claims["name"], claims["roles"]) == ("li", "李", ["sales"])
    assert (claims["company"], claims["client"]) == ("acme", "phone")
