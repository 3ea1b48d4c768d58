"""A sheet as one HTML page that stands alone: no script, no picture, nothing from elsewhere."""

from collections.abc import Iterable
from html import escape

from medsales.documents.characters import visible
from medsales.documents.sheet import Block, Facts, Language, Prose, Sheet, Stamp, Table

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What the page may load, should a mistake of ours ever let something into it: nothing."""

LANG = {Language.ZH: "zh-CN", Language.EN: "en"}

STYLE = """
body { font: 15px/1.6 "Noto Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif;
  max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-weight: normal; margin-bottom: 0; } h2 { font-size: 1.1rem; color: #1f4e79; }
.mark { border: 1px solid; padding: .3rem .6rem; }
dl { display: grid; grid-template-columns: 9rem 1fr; gap: .2rem 1rem; }
dt, th, footer, .number { color: #5a5a5a; } dd { margin: 0; } th { font-weight: normal; }
dd, td, p { overflow-wrap: anywhere; unicode-bidi: isolate; white-space: pre-line; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .4rem; border-bottom: 1px solid #ccc; }
.amount { text-align: right; white-space: nowrap; }
.stamp { border: 1px solid #ccc; padding: .3rem .6rem; font-size: .85rem; }
.stamp p { margin: .2rem 0; } .mark, .void { color: #a61b1b; } s { color: #5a5a5a; }
footer { border-top: 1px solid #ccc; margin-top: 2rem; font-size: .75rem; }
""".strip()


def html(sheet: Sheet) -> bytes:
    """One page in UTF-8."""
    lines = (
        "<!doctype html>",
        f'<html lang="{LANG[sheet.language]}">',
        '<head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(sheet.title)} {_text(sheet.number)}</title>",
        f"<style>{STYLE}</style></head><body>",
        *([f'<p class="mark">{_text(sheet.mark)}</p>'] if sheet.mark else []),
        f'<h1>{_text(sheet.title)}</h1><p class="number">{_text(sheet.number)}</p>',
        *(_shown(block) for block in sheet.blocks),
        "<footer>" + "<br>".join(map(_text, sheet.footer)) + "</footer>",
        "</body></html>",
    )
    return ("\n".join(lines) + "\n").encode()


def _shown(block: Block) -> str:
    match block:
        case Facts():
            return _titled(block.title, _facts(block))
        case Table():
            return _titled(block.title, _table(block))
        case Prose():
            return _titled(block.title, _paragraphs(block.paragraphs))
        case Stamp():
            return _titled(block.title, _stamp(block))


def _titled(title: str | None, content: str) -> str:
    return f"<section>{f'<h2>{_text(title)}</h2>' if title else ''}{content}</section>"


def _facts(facts: Facts) -> str:
    rows = "".join(f"<dt>{_text(label)}</dt><dd>{_text(said)}</dd>" for label, said in facts.rows)
    return f"<dl>{rows}</dl>"


def _paragraphs(paragraphs: Iterable[str]) -> str:
    return "".join(f"<p>{_text(each)}</p>" for each in paragraphs)


def _stamp(stamp: Stamp) -> str:
    if stamp.void is None:
        return f'<div class="stamp">{_paragraphs(stamp.lines)}</div>'
    struck = "".join(f"<p><s>{_text(line)}</s></p>" for line in stamp.lines)
    return f'<div class="stamp">{struck}<p class="void">{_text(stamp.void)}</p></div>'


def _table(table: Table) -> str:
    head = _cells("th", table.header, table.numbers)
    body = "".join(f"<tr>{_cells('td', row, table.numbers)}</tr>" for row in table.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cells(tag: str, cells: Iterable[str], numbers: tuple[int, ...]) -> str:
    return "".join(
        f'<{tag} class="amount">{_text(cell)}</{tag}>'
        if column in numbers
        else f"<{tag}>{_text(cell)}</{tag}>"
        for column, cell in enumerate(cells)
    )


def _text(text: str) -> str:
    return escape(visible(text))
