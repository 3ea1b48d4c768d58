"""What time does to a contract: it expires, is to be renewed, and its obligations come due."""

from datetime import timedelta

from medsales.domain.ids import ContractId
from medsales.domain.terms.contract_life import (
    ExpireContract,
    RemindOfObligation,
    RemindOfRenewal,
)
from medsales.domain.values import day_in_china
from medsales.engine.consequences import Then
from medsales.engine.timers import Timer, due
from medsales.projections.timers import PART


@due
def contract_expiry(timer: Timer) -> Then:
    """Due when the day after the last one begins."""
    last = day_in_china(timer.due_at) - timedelta(days=1)
    return Then(ExpireContract(valid_until=last), ContractId(timer.subject))


@due
def contract_renewal(timer: Timer) -> Then:
    return Then(RemindOfRenewal(), ContractId(timer.subject))


@due
def obligation_due(timer: Timer) -> Then:
    contract, _, key = timer.subject.partition(PART)
    return Then(RemindOfObligation(key=key), ContractId(contract))
