"""A quote as its customer reads it: what was offered, whether it still is, and who approved it."""

import pytest
from tests.documents.lives import facts, said
from tests.domain.sales.examples import BELOW_FLOOR, Q1, TEN_OFF, Office, accept, in_stage

from medsales.documents.content import DocumentContent
from medsales.documents.quote import quote_document, quote_seen
from medsales.documents.sheet import Language
from medsales.documents.trail import Trail, approvers
from medsales.domain.kernel import Refused
from medsales.domain.sales.quote import IssueQuote, QuoteStatus, ReviseQuote, SubmitQuote


def document(office: Office, version: int | None = None) -> DocumentContent:
    seen = quote_seen(facts(Q1, office.streams[Q1]), version)
    approval = seen.quote.approval
    steps = approvers(facts(approval, office.streams[approval])) if approval else ()
    return quote_document(seen, Trail(approvers=steps))


def test_everything_that_its_hash_covers_is_printed() -> None:
    office = Office().issued(remarks="含安装与培训。", tender="ZB-2026-7")
    content = office.quote.content
    assert content is not None
    lines = said(document(office))
    for each in _parts(content.model_dump(mode="json", exclude={"total", "lines"})):
        assert each in lines or f"{each} · 版本 1" in " ".join(lines) or each == "1"
    for line in content.lines:
        assert f"{line.name} {line.model}" in lines
        assert {line.registrant, *line.registrations, line.product.key} <= set(lines)
        assert f"{line.quantity:,}" in lines
    assert "CNY 27,999.90" in lines
    assert "贰万柒仟玖佰玖拾玖元玖角整" in lines
    assert f"内容哈希 {office.quote.content_hash}" in lines


def _parts(content: dict[str, object]) -> list[str]:
    """The customer by its number, the day as Chinese writes it."""
    written = {
        "customer": str(content["customer"]).partition(":")[2],
        "valid_until": "2026年6月30日",
    }
    return [str(each) for each in {**content, **written}.values()]


def test_what_is_ours_alone_is_not_printed() -> None:
    """Neither the floor, nor the price in force, nor the path of rules."""
    office = Office().submitted(BELOW_FLOOR)
    (line,) = office.quote.lines
    assert line.floor is not None
    text = "\n".join(said(document(office), Language.EN))
    assert "CNY 7,999.99" in text
    assert "8,000" not in text
    assert "10,000" not in text
    assert not [step for step in line.price_path if step in text]


def test_a_draft_has_no_document() -> None:
    with pytest.raises(Refused) as refused:
        document(Office().drafted())
    assert refused.value.code == "quote.not_submitted"
    assert "草稿没有文件" in refused.value.sentence.zh


def test_there_is_no_document_of_a_version_that_never_was() -> None:
    with pytest.raises(Refused) as refused:
        document(Office().issued(), 2)
    assert refused.value.code == "document.no_such_version"


@pytest.mark.parametrize("status", [s for s in QuoteStatus if s not in {"draft", "superseded"}])
def test_only_what_is_issued_looks_like_an_offer(status: QuoteStatus) -> None:
    mark = document(in_stage(status)).mark
    if status in {QuoteStatus.ISSUED, QuoteStatus.ACCEPTED, QuoteStatus.CONVERTED}:
        assert mark is None
    else:
        assert mark is not None
        assert (status.zh in mark.zh, "不构成要约" in mark.zh) == (True, True)


def test_an_old_version_says_by_which_it_was_replaced() -> None:
    """Q3: only one version is current."""
    office = Office().issued()
    before = document(office)
    office.tell(ReviseQuote(reason="more pumps"), Q1)
    assert "已被第 2 版取代, 本件不构成要约。" in said(document(office, 1))
    office.tell(SubmitQuote(), Q1)
    office.tell(IssueQuote(), Q1)
    assert document(office).version == 2
    assert document(office).mark is None
    again = document(office, 1)
    assert again.model_copy(update={"mark": None}) == before


def test_the_approval_is_named_with_everybody_who_gave_it() -> None:
    office = Office().submitted(TEN_OFF)
    waiting = said(document(office))
    assert "approval:quote:Q-1:1" in waiting
    assert not [line for line in waiting if "王敏" in line]
    office.approve()
    lines = said(document(office), Language.EN)
    assert [line for line in lines if line.startswith("Wang Min 王敏, manager, 2026-06-01 10:")]


def test_the_acceptance_is_named_with_its_evidence() -> None:
    office = Office().accepted()
    lines = said(document(office))
    assert {"设备科 刘主任", accept(office.quote).evidence, "已接受"} <= set(lines)
