"""Asking twice is harmless: the first answer is the answer, refusals included."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import OperationalError
from psycopg_pool import ConnectionPool
from tests.engine.conftest import Server
from tests.engine.purses import (
    ANN,
    BOB,
    OpenPurse,
    PutCoins,
    SetCeiling,
    ShareCoins,
    TakeCoins,
    asked,
    at_once,
    coins,
    commands,
    do,
    history,
    opened,
    purse,
)

from medsales.company import Company
from medsales.domain.kernel import Refused, Role
from medsales.engine.application import Actor, Ask, KeyReused, MedSales, Receipt, Stale
from medsales.engine.log import SENDINGS, Log

YESTERDAY = datetime.now(UTC) - timedelta(days=1)


def told(app: MedSales, ask: Ask) -> bytes:
    """The answer to the last byte."""
    try:
        return app.handle(ask).model_dump_json().encode()
    except Refused as refused:
        return repr((refused.code, *refused.sentence)).encode()


ASKS: dict[str, Callable[[], Ask]] = {
    "accepted": lambda: asked(PutCoins(coins=3), "purse:ann"),
    "of several": lambda: asked(ShareCoins(to=("purse:bob",), coins=2), "purse:ann"),
    "a beginning": lambda: asked(OpenPurse(owner="new", coins=3)),
    "nothing": lambda: asked(PutCoins(coins=0), "purse:ann"),
    "refused": lambda: asked(TakeCoins(coins=99), "purse:ann"),
    "unknown": lambda: asked(PutCoins(coins=1), "purse:nobody"),
    "without the role": lambda: asked(SetCeiling(name="town", most=3)),
    "in the future": lambda: asked(
        PutCoins(coins=1), "purse:ann", effective_at=datetime(2999, 1, 1, tzinfo=UTC), reason="?"
    ),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_the_same_key_gets_the_first_answer_byte_for_byte(
    company: Company, server: Server, ask: Callable[[], Ask]
) -> None:
    purse(company, "ann")
    purse(company, "bob")
    first = ask()
    answer = told(company.app, first)
    # What the answer would be now is another matter.
    do(company, PutCoins(coins=500), "purse:ann")
    before = company.log.head()
    elsewhere = opened(server.url, company.name)
    assert told(company.app, first) == answer
    assert told(elsewhere.app, first) == answer
    assert company.log.head() == before
    elsewhere.database.close()


def test_the_first_answer_stands_although_the_expected_version_has_passed(
    company: Company,
) -> None:
    id = purse(company)
    ask = asked(PutCoins(coins=1), id, expected_version=1)
    assert told(company.app, ask) == told(company.app, ask)
    with pytest.raises(Stale):
        company.app.handle(replace(ask, key="another"))


@pytest.mark.parametrize(
    "other",
    [
        {"command": PutCoins(coins=2)},
        {"command": TakeCoins(coins=1)},
        {"id": "purse:bob"},
        {"id": "purse:nobody"},
        {"id": "no id at all"},
        {"actor": replace(ANN, id="anna")},
        {"effective_at": YESTERDAY - timedelta(days=1)},
        {"effective_at": None},
        {"reason": "found later"},
        {"expected_version": 77, "command": PutCoins(coins=2)},
    ],
)
def test_the_same_key_for_another_wish_is_refused(company: Company, other: dict[str, Any]) -> None:
    purse(company, "ann")
    purse(company, "bob")
    first = asked(
        PutCoins(coins=1), "purse:ann", key="k", effective_at=YESTERDAY, reason="late slip"
    )
    company.app.handle(first)
    before = company.log.head()
    with pytest.raises(KeyReused):
        company.app.handle(replace(first, **other))
    assert (company.log.head(), coins(company, "purse:ann")) == (before, 11)


def test_the_same_key_from_another_client_is_another_command(company: Company) -> None:
    id = purse(company)
    for client in ("till-1", "till-2"):
        do(company, PutCoins(coins=1), id, by=replace(ANN, client=client), key="k")
    assert coins(company, id) == 12


def test_twenty_at_once_with_one_key_are_one(company: Company) -> None:
    id = purse(company)
    ask = asked(PutCoins(coins=1), id)
    answers = set(at_once(20, lambda _: told(company.app, ask)))
    assert (len(answers), coins(company, id)) == (1, 11)


def lose_answers(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The append is committed, then the connection breaks."""
    connection, left = ConnectionPool.connection, [times]

    @contextmanager
    def broken(pool: Any, *args: Any, **more: Any) -> Any:
        with connection(pool, *args, **more) as conn:
            before = conn.execute("select count(*) as n from commands").fetchone()
            yield conn
            after = conn.execute("select count(*) as n from commands").fetchone()
        if before != after and left[0]:
            left[0] -= 1
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(ConnectionPool, "connection", broken)


def test_an_answer_lost_after_the_commit_comes_back_as_success(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = purse(company)
    lose_answers(monkeypatch, 1)
    receipt = do(company, PutCoins(coins=1), id)
    assert receipt == Receipt(id=id, version=2, events=("CoinsPut",), position=2)
    assert [fact.position for fact in history(company)] == [1, 2]


def test_a_refusal_lost_after_the_commit_comes_back_as_that_refusal(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = purse(company)
    lose_answers(monkeypatch, 1)
    with pytest.raises(Refused, match="there are 10 coins"):
        do(company, TakeCoins(coins=11), id)
    assert [line["outcome"] for line in commands(company)] == ["accepted", "refused"]


def test_while_the_database_stays_away_nothing_is_known_and_asking_again_tells(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = purse(company)
    ask, sent = asked(PutCoins(coins=1), id), []

    def away(*_: Any, **__: Any) -> Any:
        sent.append(1)
        raise OperationalError("away")

    with monkeypatch.context() as patch:
        reading = company.log.streams([id])
        patch.setattr(Log, "streams", lambda *_: reading)
        patch.setattr(company.database, "get_connection", away)
        with pytest.raises(OperationalError):
            company.app.handle(ask)
    assert len(sent) == SENDINGS
    company.app.handle(ask)
    company.app.handle(ask)
    assert coins(company, id) == 11


def test_a_refusal_is_kept_with_who_when_what_and_what_they_were_told(company: Company) -> None:
    id = purse(company)
    with pytest.raises(Refused):
        do(company, TakeCoins(coins=99), id, by=BOB, key="k-1")
    (line,) = (line for line in commands(company) if line["outcome"] == "refused")
    when = line.pop("recorded_at")
    assert abs(datetime.now(UTC) - when) < timedelta(hours=1)
    assert len(line.pop("fingerprint")) == 64
    assert line == {
        "client": "till-2",
        "key": "k-1",
        "actor": "bob",
        "command": "TakeCoins",
        "subject": id,
        "outcome": "refused",
        "version": 1,
        "events": [],
        "position": 1,
        "code": "purse.too_few",
        "en": "there are 10 coins",
        "zh": "只有 10 枚硬币",
        "body": '{"coins":99}',
    }


def test_a_refusal_appends_no_fact(company: Company) -> None:
    id = purse(company)
    with pytest.raises(Refused):
        do(company, TakeCoins(coins=99), id)
    assert company.log.head() == 1


def test_one_who_lacks_the_role_is_remembered_too(company: Company) -> None:
    nobody = Actor("eve", "Eve", (Role.AUDITOR,), "till-9")
    with pytest.raises(Refused) as refused:
        do(company, OpenPurse(owner="eve"), by=nobody)
    assert refused.value.code == "role.missing"
    (line,) = commands(company)
    assert (line["actor"], line["code"], line["subject"]) == ("eve", "role.missing", "purse:eve")


def test_nothing_to_do_is_kept_as_an_answer(company: Company) -> None:
    id = purse(company)
    receipt = do(company, PutCoins(coins=0), id)
    assert receipt == Receipt(id=id, version=1, events=(), position=1)
    line = commands(company)[-1]
    assert (line["outcome"], line["body"]) == ("nothing", '{"coins":0}')


def test_the_body_of_what_was_accepted_is_told_by_its_facts(company: Company) -> None:
    purse(company)
    (line,) = commands(company)
    assert (line["body"], line["events"]) == (None, ["PurseOpened"])
