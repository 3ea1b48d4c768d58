"""What is approved and signed is hashed again: a changed content is found without any seal."""

import json
from typing import Any

import pytest
from tests.audit.test_signatures import WANG, Book
from tests.domain.samples.write import SAMPLES
from tests.domain.terms.contracts import CONTRACT, ContractTown, draft
from tests.domain.terms.pricing import JANUARY, MATRIX, STENT, cell

from medsales.audit.contents import hashed
from medsales.domain.canonical import content_hash
from medsales.domain.governance.approval import Approve, RequestApproval
from medsales.domain.governance.approval_flow import Case
from medsales.domain.kernel import Event, Role
from medsales.domain.terms.contract import SendContract, SubmitContract
from medsales.domain.terms.price_matrix import (
    AddCells,
    DraftVersion,
    EditDraft,
    PriceMatrixOpened,
    SubmitVersion,
)
from medsales.domain.terms.promotion import Promotion, PromotionEdited
from medsales.engine.facts import event_from_json
from medsales.testing import given

HELD = ["ContractDrafted", "ContractTemplateEdited", "CreditChangeRequested", "QuoteSubmitted"]


def sample(name: str) -> Event[Any]:
    return event_from_json(name, (SAMPLES / f"{name}.json").read_bytes())


def held(name: str) -> Event[Any]:
    """The sample of an event that holds a content, with the hash that it should have."""
    event = sample(name)
    content = getattr(event, "content", None) or event.request  # type: ignore[attr-defined]
    return event.model_copy(update={"content_hash": content_hash(content)})


def changed(book: Book) -> list[str]:
    return [finding.code for finding in book.checked().findings]


@pytest.mark.parametrize("name", HELD)
def test_a_byte_of_a_content(name: str) -> None:
    """C1, Q2, B7: beside a hash that nobody touched; no seal, no signature is needed for it."""
    event = held(name)
    book = Book().tell("subject:1", event)
    assert changed(book) == []
    line = book.lines[0].decode()
    start = line.index('"content":{') if '"content":{' in line else line.index('"request":{')
    at = next(i for i in range(start, len(line)) if line[i] == "1")
    book.lines[0] = (line[:at] + "7" + line[at + 1 :]).encode()
    assert changed(book) == ["content.changed"]


def test_a_number_with_a_fraction_is_no_content() -> None:
    book = Book().tell("subject:1", held("ContractDrafted"))
    assert changed(book.edited('"payment_days":30', '"payment_days":30.0')) == ["content.changed"]


def test_composed_and_decomposed_texts_are_one_content() -> None:
    assert hashed({"name": "e\u0301"}) == hashed({"name": "\u00e9"})


# A contract that both have signed


def signed_contract() -> Book:
    """All that was told in the town, subject by subject in the order in which they began."""
    town = ContractTown()
    town.told(draft())
    town.told(SubmitContract(), CONTRACT)
    for who in ("wang", "qian"):
        town.told(Approve(content_hash=town.under_way.content_hash), f"approval:{CONTRACT}:1", who)
    town.told(SendContract(), CONTRACT)
    town.told(town.countersign(), CONTRACT, by="liu")
    town.told(town.sign(), CONTRACT, by="sun")
    book, ids = Book(), sorted(town.streams, key=lambda id: not id.startswith(("person", CONTRACT)))
    for id in ids:
        if id.startswith("signature:"):
            (signed,) = town.streams[id]
            book.signed(signed.signed, by=signed.signed.statement.signer.key)  # type: ignore[attr-defined]
        else:
            book.tell(id, *town.streams[id])
    return book


def test_a_price_of_a_signed_contract() -> None:
    """C1, L6: found for the content, and for each signature of it."""
    book = signed_contract()
    assert book.found() == []
    assert book.edited('"amount":"50"', '"amount":"5"').found() == [
        "content.changed",
        "content_changed",
        "content_changed",
    ]


def test_a_content_with_its_hash() -> None:
    """Whoever makes the hash fit is found by those who named the old one afterwards."""
    book = signed_contract()
    (line,) = [line for line in book.lines if b'"event":"ContractDrafted"' in line]
    payload = json.loads(line)["payload"]
    payload["content"]["title"] = "另一份合同"
    other = line.decode().replace(draft().title, "另一份合同")
    other = other.replace(payload["content_hash"], hashed(payload["content"]))
    book.lines[book.lines.index(line)] = other.encode()
    assert "content.changed" in book.found()
    assert book.found().count("content_changed") == 2


def test_a_content_without_its_hash() -> None:
    book = signed_contract()
    (line,) = [line for line in book.lines if b'"event":"ContractDrafted"' in line]
    other = line.replace(b'"amount":"50"', b'"amount":"5"').replace(b'"content_hash":', b'"x":')
    book.lines[book.lines.index(line)] = other
    assert "content.changed" in book.found()


def test_a_hash_in_a_remark_is_no_content() -> None:
    """B7: what was signed is what a fact says its content is, not what stands somewhere in it."""
    never = "sha256:" + "d" * 64
    signed = WANG.signs("letter:1", 1, never)
    people = Book().tell(WANG.id, *WANG.history())
    remark = Book(people.lines).tell("letter:1", sample("ContractCancelled"))
    remark.lines[-1] = remark.lines[-1].replace(b'"reason":"', f'"reason":"{never} '.encode())
    assert remark.signed(signed).found() == ["content_unknown"]


def test_an_approval_of_another_content() -> None:
    book = signed_contract()
    approvals = [line for line in book.lines if b'"event":"StepApproved"' in line]
    other = approvals[0].replace(b"sha256:", b"sha256:0")
    book.lines[book.lines.index(approvals[0])] = other
    assert book.found().count("content.changed") == 1


def test_what_comes_later_in_a_log_is_checked_as_far_as_it_goes() -> None:
    """What is named there may have been written before; what is held there is hashed."""
    book = signed_contract()
    drafted = next(n for n, line in enumerate(book.lines) if b'"ContractDrafted"' in line)
    assert book.checked(drafted + 2).findings == []
    part = book.edited('"amount":"50"', '"amount":"5"').checked(drafted + 1)
    assert "content.changed" in [finding.code for finding in part.findings]


# Prices and promotions


def priced() -> Book:
    """Two products in two commands, submitted; then written anew."""
    history: list[Event[Any]] = [PriceMatrixOpened(code="CN-2026", name="全国", currency="CNY")]
    cells = (cell("10"), cell("20", product=STENT), cell("9", min_quantity=5))
    commands = (
        DraftVersion(effective_from=JANUARY, cells=cells),
        AddCells(version=1, cells=(cell("8", min_quantity=9),)),
        EditDraft(version=1, effective_from=JANUARY, cells=cells[:2]),
        AddCells(version=1, cells=(cell("7", product=STENT, min_quantity=9), cells[2])),
        SubmitVersion(version=1),
    )
    book, sheets = Book(), dict[str, list[Event[Any]]]()
    for command in commands:
        outcome = given(*history, others=sheets).when(command, MATRIX)
        assert outcome.refusal is None, outcome.refusal
        for fact in outcome.drafts:
            book.tell(fact.subject, fact.event)
            known = history if fact.subject == MATRIX else sheets.setdefault(fact.subject, [])
            known.append(fact.event)
    return book


@pytest.mark.parametrize(("old", "new"), [("20", "2"), ("9", "8"), ("7", "70")])
def test_a_price_of_a_version(old: str, new: str) -> None:
    """P1: the hash that is approved is chained over all that the sheets hold."""
    assert changed(priced()) == []
    edited = priced().edited(f'"amount":"{old}"', f'"amount":"{new}"')
    assert set(changed(edited)) == {"content.changed"}


def test_the_first_day_of_a_version() -> None:
    edited = priced().edited('"effective_from":"2026-01-01"', '"effective_from":"2025-01-01"')
    assert set(changed(edited)) == {"content.changed"}


def test_a_sheet_that_was_taken_out() -> None:
    book = priced()
    sheets = [line for line in book.lines if b'"event":"SheetWritten"' in line]
    book.lines.remove(sheets[-1])
    assert set(changed(book)) == {"content.changed"}


def test_the_terms_of_a_promotion() -> None:
    drafted = sample("PromotionDrafted")
    promotion = Promotion().after([drafted])
    code = f"promotion:{promotion.code}"
    edited = PromotionEdited(version=2, author="chen", terms=promotion.said)
    asked = RequestApproval(
        subject=code,
        number=1,
        version=2,
        content_hash=edited.apply(promotion).content_hash,
        authors=("chen",),
        case=Case(),
        title="x",
    )
    requested = given().when(asked, roles=(Role.SYSTEM,)).events
    book = Book().tell(code, drafted, edited).tell(f"approval:{code}:1", *requested)
    assert changed(book) == []
    name = json.dumps(promotion.said.name, ensure_ascii=False)
    assert changed(book.edited(f'"name":{name}', '"name":"x"')) == ["content.changed"]
