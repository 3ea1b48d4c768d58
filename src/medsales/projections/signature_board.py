"""The signature board: who signed which version of what, as what, when; and what still counts."""

from datetime import datetime

from medsales.domain.governance import signature
from medsales.engine.facts import Fact
from medsales.engine.projection import BEGINNING, Changes, Projection, Row, on


class SignatureCard(
    Row, key=("signature",), indexes=(("subject", "signature"), ("signer", "signature"))
):
    """A signature in one line."""

    signature: str
    subject: str = ""
    version: int = 0
    """Of the content, as the subject counts."""
    content_hash: str = ""
    meaning: str = ""
    signer: str = ""
    printed_name: str = ""
    title: str = ""
    role: str = ""
    organisation: str = ""
    executed_at: datetime = BEGINNING
    time_zone: str = ""
    key_id: str = ""
    position: int = 0
    """Of the fact that keeps it."""
    invalidated_at: datetime | None = None
    invalidated_because: str | None = None


class SignatureBoard(Projection):
    rows = (SignatureCard,)

    @on(signature.Signed)
    def signed(self, fact: Fact[signature.Signed]) -> Changes:
        said = fact.event.signed.statement
        yield SignatureCard.put(
            signature=fact.subject,
            subject=said.subject,
            version=said.version,
            content_hash=said.content_hash,
            meaning=said.meaning,
            signer=said.signer,
            printed_name=said.printed_name,
            title=said.title,
            role=said.role,
            organisation=said.organisation,
            executed_at=said.executed_at,
            time_zone=said.time_zone,
            key_id=said.key_id,
            position=fact.position,
        )

    @on(signature.SignatureInvalidated)
    def invalidated(self, fact: Fact[signature.SignatureInvalidated]) -> Changes:
        yield SignatureCard.set(
            fact.subject,
            invalidated_at=fact.effective_at,
            invalidated_because=fact.event.reason,
        )


SIGNATURES = """
    select * from signature_card where (%(subject)s::text is null or subject = %(subject)s)
        and (%(signer)s::text is null or signer = %(signer)s)
"""
"""Of one subject or all, of one signer or all."""
