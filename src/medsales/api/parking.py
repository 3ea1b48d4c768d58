"""What read models and processes could not take in, for those who decide what becomes of it.

Their decisions are commands like all others: `retry-parked` and `discard-parked` of `/parkings`.
"""

from fastapi import APIRouter

from medsales.api.auth import Auditor
from medsales.api.reading import LogReading, Page, Paging
from medsales.engine.parking import PARKED, Parked

router = APIRouter(tags=["audit"])


@router.get("/parked", summary="Streams that wait because a fact could not be taken in")
def parked(_: Auditor, log: LogReading, paging: Paging) -> Page[Parked]:
    """By read model or process, with the fact that is to blame and the error."""
    return log.page(Parked, paging, PARKED, by=("name", "subject"))
