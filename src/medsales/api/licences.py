"""Licences, authorisations and what runs out."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query

from medsales.api.commands import SubjectId
from medsales.api.reading import Page, Paging, Reading, found, reader
from medsales.domain.governance.licence_file import LicenceKind, file_of
from medsales.domain.kernel import Text
from medsales.engine.past import Scope
from medsales.projections.licence_board import (
    ANNOUNCEMENTS,
    LICENCES,
    Announcement,
    LicenceBoard,
    LicenceFileSeen,
    LicenceLine,
    SupplierStanding,
    licence_file_seen,
)

router = APIRouter(tags=["licences"])
Board = Annotated[Reading, reader(LicenceBoard)]
LISTED = Scope((LicenceLine,))
FILE = Scope((LicenceLine, SupplierStanding))
ANNOUNCED = Scope(ledgers=(Announcement,))
HolderAsked = Annotated[
    Text | None, Query(description="`own`, `customer:…`, `supplier:…` or `person:…`.")
]


@router.get("/licences")
def licences(
    board: Board,
    paging: Paging,
    holder: HolderAsked = None,
    kind: LicenceKind | None = None,
    expiring_before: date | None = None,
) -> Page[LicenceLine]:
    """Licences and authorisations: of one holder or all, of one kind, or ending before a day."""
    file = holder and file_of(holder)
    return board.page(
        LicenceLine,
        paging,
        LICENCES,
        LISTED,
        file,
        file=file,
        kind_of=kind,
        expiring_before=expiring_before,
    )


@router.get("/licences/announced")
def announced(board: Board, paging: Paging, subject: Text | None = None) -> Page[Announcement]:
    """What runs out or has: licences, registrations, lots and units, in the order it was said."""
    return board.page(Announcement, paging, ANNOUNCEMENTS, ANNOUNCED, subject=subject)


@router.get("/licence-files/{id:path}")
def licence_file(board: Board, id: SubjectId) -> LicenceFileSeen:
    """All papers of one holder, and whether it is approved as a supplier."""
    with board.snapshot(FILE, id) as db:
        return found(licence_file_seen(db, id), id)
