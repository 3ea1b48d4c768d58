"""A document with everything that can be printed, and what hostile people would write into it."""

from datetime import UTC, date, datetime

from medsales.documents.content import (
    DocumentContent,
    Duty,
    Entry,
    GoodsLine,
    Paragraphs,
    Party,
    SignatureBlock,
    total_of,
)
from medsales.documents.words import Word
from medsales.domain.kernel import Sentence
from medsales.domain.values import Money

HASH = "sha256:" + "0123456789abcdef" * 4
HOSTILE = """<script>alert('x')</script>"&' #eval("1+1") $x^2$ *b* @a \\u{41} <label> // /* `raw`"""
LINES = tuple(
    GoodsLine(
        line=number,
        product=f"Lens 人工晶状体 M{number}",
        details=("Maker 制造商", "国械注准20203160001", "06901234567892"),
        price=Money(amount="1250.00", currency="CNY"),
        quantity=number,
    )
    for number in range(1, 4)
)
SIGNED = (
    Sentence("Signed by Wang 王", "签名人: Wang 王"),
    Sentence("Time: 2026-03-02 09:00:00 UTC+0800", "签名时间: 2026-03-02 09:00:00 UTC+0800"),
)
CONTENT = DocumentContent(
    title=Word.QUOTE,
    number="Q-2026-0001",
    version=2,
    mark=Sentence("Superseded by version 3.", "已被第 3 版取代。"),
    dated=datetime(2026, 3, 1, 1, 30, 0, 123456, tzinfo=UTC),
    facts=(
        Entry(label=Word.DATED, said="2026-03-01 09:30:00 UTC+08:00"),
        Entry(label=Word.VALID_UNTIL, said=date(2026, 4, 30)),
    ),
    parties=(
        Party(
            role=Word.BUYER,
            facts=(
                Entry(label=Word.NAME, said="Union Hospital 协和医院"),
                Entry(label=Word.ADDRESS, said=HOSTILE),
            ),
        ),
    ),
    lines=LINES,
    total=total_of(LINES),
    clauses=(Paragraphs(title="Payment 付款", text="Within 30 days.\n\n开票后 30 天内。"),),
    duties=(Duty(what="Training 培训", party=Sentence("ours", "我方"), due=date(2026, 5, 1)),),
    approval=(Entry(label=Word.REFERENCE, said="approval:quote:Q-2026-0001:2"),),
    signatures=(
        SignatureBlock(lines=SIGNED),
        SignatureBlock(lines=SIGNED, invalidated="the content has changed"),
    ),
    content_hash=HASH,
)


def named(name: str) -> DocumentContent:
    """The same for a customer of another name."""
    party = Party(role=Word.BUYER, facts=(Entry(label=Word.NAME, said=name),))
    return CONTENT.model_copy(update={"parties": (party,)})
