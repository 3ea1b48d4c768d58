"""When the day of a scheduled price version has come, it starts, and supersedes the one before."""

from medsales.domain.ids import PriceMatrixId
from medsales.domain.terms.price_matrix import StartVersion
from medsales.engine.consequences import Then
from medsales.engine.timers import Timer, due


@due
def price_version_starts(timer: Timer) -> Then:
    matrix, _, number = timer.subject.rpartition(":")
    return Then(StartVersion(version=int(number)), PriceMatrixId(matrix))
