"""What a document is made of, before it has a language: the parties, lines, clauses, signatures."""

from datetime import datetime

from medsales.documents.sheet import Block, Facts, Language, Prose, Sheet, Stamp, Table
from medsales.documents.words import Said, Word, in_capitals, say
from medsales.domain.kernel import Sentence, Value
from medsales.domain.values import Money

TEMPLATE_VERSION = 1
"""To be raised whenever the same content is printed in other words or another layout."""


class Entry(Value):
    """A label, and what it says."""

    label: Word
    said: Said


def entries(*known: tuple[Word, Said | None]) -> tuple[Entry, ...]:
    """Of what there is."""
    return tuple(Entry(label=label, said=said) for label, said in known if said is not None)


class Party(Value):
    role: Word
    facts: tuple[Entry, ...]


class GoodsLine(Value):
    """A line as the customer sees it: neither floor nor rule path, which are ours alone."""

    line: int
    product: str
    """Name and model."""
    details: tuple[str, ...] = ()
    """Registrant, certificates, device identifier."""
    price: Money
    quantity: int | None = None
    """None where it is called off without a limit."""

    @property
    def amount(self) -> Money | None:
        return None if self.quantity is None else self.price * self.quantity


class Paragraphs(Value):
    title: Said
    text: str


class Duty(Value):
    what: str
    party: Sentence
    due: Said


class SignatureBlock(Value):
    lines: tuple[Sentence, ...]
    invalidated: str | None = None
    """Why it counts no longer."""


class DocumentContent(Value):
    """All that is printed of one version."""

    title: Word
    subject: str | None = None
    number: str
    version: int
    mark: Sentence | None = None
    """Said across the head of what does not bind anybody."""
    dated: datetime
    facts: tuple[Entry, ...] = ()
    parties: tuple[Party, ...] = ()
    lines: tuple[GoodsLine, ...] = ()
    total: Money | None = None
    terms: tuple[Entry, ...] = ()
    clauses: tuple[Paragraphs, ...] = ()
    duties: tuple[Duty, ...] = ()
    approval: tuple[Entry, ...] = ()
    signatures: tuple[SignatureBlock, ...] = ()
    content_hash: str

    @property
    def buyer(self) -> Said | None:
        """What the buyer is called in it."""
        facts = (fact for each in self.parties if each.role is Word.BUYER for fact in each.facts)
        return next((fact.said for fact in facts if fact.label is Word.NAME), None)


def sheet(content: DocumentContent, language: Language) -> Sheet:
    """The document in one language."""
    return Printing(content, language).sheet()


class Printing:
    """One content on its way into one language."""

    def __init__(self, content: DocumentContent, language: Language) -> None:
        self.content = content
        self.language = language

    def say(self, said: Said) -> str:
        return say(said, self.language)

    def sheet(self) -> Sheet:
        it = self.content
        title = self.say(it.title)
        blocks = (
            self.facts(None, it.facts),
            *(self.facts(party.role, party.facts) for party in it.parties),
            self.goods(),
            self.facts(None, self.totals()),
            self.facts(None, it.terms),
            *self.clauses(),
            self.duties(),
            self.facts(Word.APPROVAL, it.approval),
            *self.signatures(),
        )
        return Sheet(
            language=self.language,
            title=f"{title} · {it.subject}" if it.subject else title,
            number=f"{it.number} · {self.say(Word.VERSION)} {it.version}",
            mark=self.say(it.mark) if it.mark else None,
            dated=it.dated,
            blocks=tuple(block for block in blocks if block),
            footer=self.footer(),
        )

    def facts(self, title: Word | None, facts: tuple[Entry, ...]) -> Block | None:
        rows = tuple((self.say(fact.label), self.say(fact.said)) for fact in facts)
        return Facts(title=self.say(title) if title else None, rows=rows) if rows else None

    def goods(self) -> Block | None:
        if not self.content.lines:
            return None
        columns = (Word.LINE, Word.PRODUCT, Word.QUANTITY, Word.UNIT_PRICE, Word.AMOUNT)
        return Table(
            title=self.say(Word.GOODS),
            header=tuple(map(self.say, columns)),
            rows=tuple(map(self.goods_row, self.content.lines)),
            numbers=(2, 3, 4),
            wide=1,
        )

    def goods_row(self, line: GoodsLine) -> tuple[str, ...]:
        return (
            str(line.line),
            "\n".join((line.product, *line.details)),
            self.say(Word.AS_CALLED_OFF) if line.quantity is None else f"{line.quantity:,}",
            self.say(line.price),
            "–" if line.amount is None else self.say(line.amount),
        )

    def totals(self) -> tuple[Entry, ...]:
        total = self.content.total
        if total is None:
            return ()
        capitals = in_capitals(total) if self.language is Language.ZH else None
        sum_ = Entry(label=Word.TOTAL, said=total)
        return (sum_, *([Entry(label=Word.IN_CAPITALS, said=capitals)] if capitals else []))

    def clauses(self) -> tuple[Block, ...]:
        return tuple(
            Prose(title=self.say(clause.title), paragraphs=tuple(clause.text.split("\n\n")))
            for clause in self.content.clauses
        )

    def duties(self) -> Block | None:
        if not self.content.duties:
            return None
        rows = (
            (duty.what, self.say(duty.party), self.say(duty.due)) for duty in self.content.duties
        )
        return Table(
            title=self.say(Word.OBLIGATIONS),
            header=tuple(map(self.say, (Word.WHAT, Word.PARTY, Word.DUE))),
            rows=tuple(rows),
        )

    def signatures(self) -> tuple[Block, ...]:
        title = self.say(Word.SIGNATURES)
        if not self.content.signatures:
            return (Prose(title=title, paragraphs=(self.say(Word.NO_SIGNATURE),)),)
        return tuple(
            Stamp(
                title=None if number else title,
                lines=tuple(map(self.say, block.lines)),
                void=f"{self.say(Word.VOID)}: {block.invalidated}" if block.invalidated else None,
            )
            for number, block in enumerate(self.content.signatures)
        )

    def footer(self) -> tuple[str, str]:
        return (
            f"{self.say(Word.CONTENT_HASH)} {self.content.content_hash}",
            f"{self.say(Word.PRINTED_BY)} medsales {TEMPLATE_VERSION}",
        )


def total_of(lines: tuple[GoodsLine, ...]) -> Money | None:
    """The sum of the lines; None where one of them has no amount."""
    amounts = [line.amount for line in lines]
    known = [amount for amount in amounts if amount is not None]
    if len(known) < len(amounts) or not known:
        return None
    return sum(known[1:], known[0])
