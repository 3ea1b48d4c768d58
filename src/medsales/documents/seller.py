"""Who sells: our company as papers of that day name it."""

from medsales.documents.content import DocumentContent, Party, entries
from medsales.documents.words import Word
from medsales.domain.parties.our_company import OurCompany


def sold_by(seller: OurCompany | None, content: DocumentContent) -> DocumentContent:
    """The document with the seller before the buyer; as it is while nobody has described us."""
    if seller is None:
        return content
    party = Party(
        role=Word.SELLER,
        facts=entries(
            (Word.NAME, seller.name),
            (Word.NUMBER_OF_PARTY, seller.uscc),
            (Word.ADDRESS, seller.address),
            (Word.CONTACT, seller.contact),
        ),
    )
    return content.model_copy(update={"parties": (party, *content.parties)})
