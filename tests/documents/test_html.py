"""The page stands alone, and what people wrote into it stays text."""

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.documents.examples import CONTENT, HASH, HOSTILE, named

from medsales.documents.characters import visible
from medsales.documents.content import sheet
from medsales.documents.html import html
from medsales.documents.sheet import Language

OURS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "section", "dl", "dt"),
    *("dd", "table", "thead", "tbody", "tr", "th", "td", "div", "s", "footer", "br"),
}
EMPTY = {"meta", "br"}


class Page(HTMLParser):
    """What a browser makes of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: set[str] = set()
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(params=Language, ids=str)
def page(request: pytest.FixtureRequest) -> Page:
    return Page(html(sheet(CONTENT, request.param)).decode())


def test_what_people_wrote_stays_text(page: Page) -> None:
    assert set(page.tags) <= OURS
    assert page.open == []
    assert HOSTILE in page.text


def test_nothing_is_loaded_and_nothing_runs(page: Page) -> None:
    assert page.attributes <= {"lang", "charset", "http-equiv", "content", "name", "class"}
    policy = html(sheet(CONTENT, Language.EN)).decode()
    assert "default-src 'none'" in policy
    assert "url(" not in policy
    assert "://" not in policy


@pytest.mark.parametrize("hidden", ["\u202e", "\u2066", "\u200f"])
def test_a_name_cannot_turn_the_line_around(hidden: str) -> None:
    text = html(sheet(named(f"Union{hidden}latipsoH"), Language.EN)).decode()
    assert hidden not in text
    assert f"[U+{ord(hidden):X}]" in text


def test_it_says_what_the_content_says() -> None:
    chinese = Page(html(sheet(CONTENT, Language.ZH)).decode()).text
    english = Page(html(sheet(CONTENT, Language.EN)).decode()).text
    assert {"报价单", "Q-2026-0001 · 版本 2", "2026年4月30日", "柒仟伍佰元整"} <= set(chinese)
    assert {"Quotation", "Q-2026-0001 · Version 2", "2026-04-30", "CNY 7,500.00"} <= set(english)
    assert f"内容哈希 {HASH}" in chinese
    assert f"Content hash {HASH}" in english
    assert "模板 medsales 1" in chinese


def test_a_signature_that_counts_no_longer_is_struck_through_and_says_why() -> None:
    text = html(sheet(CONTENT, Language.ZH)).decode()
    assert text.count("签名人: Wang 王") == 2
    assert text.count("<s>签名人: Wang 王</s>") == 1
    assert "已作废: the content has changed" in text


def test_that_nobody_has_signed_is_said() -> None:
    unsigned = CONTENT.model_copy(update={"signatures": ()})
    assert "无签名。" in html(sheet(unsigned, Language.ZH)).decode()


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_whatever_people_write_is_said_and_nothing_else_is_made_of_it(text: str) -> None:
    page = Page(html(sheet(named(f"<{text}>"), Language.ZH)).decode())
    assert set(page.tags) <= OURS
    assert page.open == []
    assert f"<{visible(text)}>" in "".join(page.text)
