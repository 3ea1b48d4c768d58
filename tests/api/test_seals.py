"""What an auditor gets over HTTP: signed heads, and proofs that he checks for himself."""

import json
from pathlib import Path

import pytest
from tests.api.conftest import Api

from medsales.audit.chain import Chain
from medsales.audit.heads import Head, head_from_json, key_from_json
from medsales.audit.merkle import extends, includes, leaf_hash
from medsales.domain.kernel import Role
from medsales.engine.seal import Sealer, Sealing


def seal(api: Api, home: Path) -> Head:
    head = Sealer(api.company.database, Sealing(home / "seal.key")).seal()
    assert head is not None
    return head


@pytest.fixture
def sealed(api: Api, tmp_path: Path) -> Api:
    """Five facts, of which two, three and all have been sealed."""
    api.build("1")
    for number in ("2", "3"):
        api.build(number)
        seal(api, tmp_path)
    api.put("kite", box="1")
    api.put("球", box="2")
    seal(api, tmp_path)
    return api


def hashes(given: list[str]) -> list[bytes]:
    return [bytes.fromhex(one) for one in given]


def test_every_fact_can_be_proved_with_what_is_streamed(sealed: Api) -> None:
    streamed = sealed.get("/facts", Role.AUDITOR).content.splitlines()
    assert len(streamed) == 5
    for position, line in enumerate(streamed, start=1):
        told = sealed.get(f"/facts/{position}/proof", Role.AUDITOR).json()
        head = head_from_json(told["head"])
        assert told["line"].encode() == line
        assert told["leaf_hash"] == leaf_hash(line).hex()
        assert includes(head.root, head.size, position - 1, leaf_hash(line), hashes(told["proof"]))
        assert sealed.get(f"/facts/{position}", Role.AUDITOR).content == line


def test_an_older_head_is_shown_to_be_the_beginning_of_the_last(sealed: Api) -> None:
    items = sealed.get("/seals", Role.AUDITOR).json()["items"]
    last, *older = map(head_from_json, items)
    assert [head.size for head in (last, *older)] == [5, 3, 2]
    for old in older:
        told = sealed.get(f"/facts/{old.size}/consistency", Role.AUDITOR).json()
        assert head_from_json(told["head"]) == last
        assert extends(old.size, old.root, last.size, last.root, hashes(told["proof"]))


def test_heads_come_in_pages_and_bear_the_signature_of_the_keys(sealed: Api) -> None:
    first = sealed.get("/seals", Role.AUDITOR, limit=2).json()
    second = sealed.get("/seals", Role.AUDITOR, limit=2, after=first["next"]).json()
    assert second["next"] is None
    heads = [head_from_json(one) for one in (*first["items"], *second["items"])][::-1]
    keys = [key_from_json(one) for one in sealed.get("/seals/keys", Role.AUDITOR).json()]
    chain = Chain(heads[0].log, keys)
    assert [*chain.check_keys(keys[0].id)] == []
    assert [finding for head in heads for finding in chain.check(head)] == []


def test_what_is_not_sealed_yet_is_a_503_in_both_languages(sealed: Api) -> None:
    sealed.build("4")
    for question in ("proof", "consistency"):
        answer = sealed.get(f"/facts/6/{question}", Role.AUDITOR)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert answer.json()["code"] == "fact.not_sealed"
        assert answer.json()["sentences"] == {
            "en": "position 6 is not sealed yet; the seal covers 5 facts",
            "zh": "位置 6 尚未封存，目前已封存 5 条事实",
        }


@pytest.mark.parametrize("question", ["proof", "consistency"])
def test_a_position_that_is_not_there_has_no_proof(sealed: Api, question: str) -> None:
    assert sealed.get(f"/facts/6/{question}", Role.AUDITOR).json()["code"] == "fact.unknown"
    assert sealed.get(f"/facts/0/{question}", Role.AUDITOR).status_code == 422
    assert sealed.get(f"/facts/{2**63}/{question}", Role.AUDITOR).status_code == 422


def test_a_log_that_was_never_sealed_has_no_heads(api: Api) -> None:
    api.build("1")
    assert api.get("/seals", Role.AUDITOR).json()["items"] == []
    assert api.get("/seals/keys", Role.AUDITOR).json() == []
    assert api.get("/facts/1/proof", Role.AUDITOR).json()["code"] == "fact.not_sealed"


@pytest.mark.parametrize(
    "path", ["/facts/1/proof", "/facts/1/consistency", "/seals", "/seals/keys"]
)
def test_proofs_are_for_those_who_may_read_every_fact(sealed: Api, path: str) -> None:
    assert sealed.get(path).json()["code"] == "role.missing"
    for role in (Role.AUDITOR, Role.MANAGER, Role.QUALITY):
        assert sealed.get(path, role).status_code == 200


def test_a_broken_tree_is_told_and_not_proved_with(sealed: Api) -> None:
    """A tile that is too short; the owner of the table has taken the trigger off."""
    with sealed.company.database.writing() as db:
        db.execute("alter table seal_tiles disable trigger user")
        db.execute("update seal_tiles set hashes = substr(hashes, 1, 32)")
    answer = sealed.get("/facts/1/proof", Role.AUDITOR)
    assert (answer.status_code, answer.json()["code"]) == (500, "seal.broken")
    assert json.loads(answer.text)["sentences"]["zh"].startswith("此日志的封存已被破坏")
