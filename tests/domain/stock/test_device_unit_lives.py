"""Random lives of units and lots, in memory and against the real engine on PostgreSQL."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.domain.stock.lives import DeviceUnitLives, Ledger, never_tried
from tests.domain.stock.town import Town

from medsales.company import Company
from medsales.domain.kernel import Aggregate, Command
from medsales.domain.stock.device_unit import FitPart, LeadTo, TakeOutPart, WatchUnitExpiry
from medsales.domain.stock.lot import OpenLot, WatchLotExpiry
from medsales.engine.application import SYSTEM, Ask

PATIENT = settings(
    stateful_step_count=30, suppress_health_check=list(HealthCheck), deadline=None, database=None
)


class InMemory:
    """A town: decisions over streams in a dictionary, read back from JSON."""

    def __init__(self) -> None:
        self.town = Town()

    def handle(self, command: Command[Any], id: str | None) -> int:
        outcome = self.town.when(command, id)
        if outcome.refusal is not None:
            raise outcome.refusal
        self.town.keep(outcome)
        return len(outcome.drafts)

    def state(self, id: str) -> Aggregate:
        return self.town.state(id)

    def length(self) -> int:
        return sum(len(stream) for stream in self.town.streams.values())

    def close(self) -> None:
        """Nothing to do."""


class InTheEngine:
    """A company: the commands go through `MedSales`, the facts come from its log."""

    def __init__(self, company: Company) -> None:
        self.company = company

    def handle(self, command: Command[Any], id: str | None) -> int:
        return len(self.company.app.handle(Ask(command, SYSTEM, id)).events)

    def state(self, id: str) -> Aggregate:
        return self.company.app.load(id).state

    def length(self) -> int:
        return self.company.log.head()

    def close(self) -> None:
        """The read models say what the facts say."""
        follower = self.company.follower
        follower.prepare()
        follower.catch_up()
        assert follower.verify(list(follower.projections)) == []


def lives(ledger: Callable[[], Ledger], how: settings) -> None:
    # Anything that makes a machine will do, whatever the annotation says.
    machine: Any = lambda: DeviceUnitLives(ledger)  # noqa: E731
    run_state_machine_as_test(machine, settings=how)


def test_whatever_people_try_the_rules_hold() -> None:
    """U1, U2, U3, U8 to U12, in memory."""
    lives(
        InMemory,
        settings(PATIENT, max_examples=100),
    )


def test_whatever_people_try_the_rules_hold_in_the_log_and_its_read_models(
    company: Company,
) -> None:
    """U1, U2, U3, U8 to U12, through the engine and PostgreSQL."""
    lives(
        lambda: InTheEngine(company),
        settings(PATIENT, max_examples=8),
    )


def test_a_life_tries_every_command() -> None:
    """All but those that only other aggregates ask for, and those of midnight (test_expiry.py)."""
    midnight = {WatchUnitExpiry, WatchLotExpiry}
    assert never_tried() == {OpenLot, FitPart, TakeOutPart, LeadTo} | midnight
