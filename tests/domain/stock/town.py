"""A town in memory: warehouses, hospitals and goods whose histories are told by commands.

Its facts go through JSON as stored facts do, so that every test reads back what it wrote.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Self

from tests.domain.examples import (
    CERTIFY,
    CERTIFY_AGAIN,
    HANGZHOU,
    OPEN_CHENGDU,
    OPEN_HANGZHOU,
    PUMP,
    REGISTER_PUMP,
    REGISTER_RUIJIN,
    REGISTER_SUTURE,
    REGISTER_UNION,
    SN1,
    SUTURE,
    SUTURE_LOT,
)

from medsales.domain.kernel import (
    KINDS,
    Aggregate,
    Command,
    Event,
    Refused,
    Role,
    Who,
    aggregate_of,
)
from medsales.domain.stock.device_unit import DeviceUnit
from medsales.domain.stock.lot import Lot
from medsales.engine.decision import Decision, subject_of
from medsales.engine.facts import event_from_json, event_to_json
from medsales.testing import NOON, Outcome, loaded

USUAL = {"device-unit": SN1, "lot": SUTURE_LOT, "product": PUMP, "warehouse": HANGZHOU}
"""Of whom a test speaks when it does not say."""


class Town:
    """Every stream by its id; what a command would do, and what it does."""

    def __init__(self, streams: Mapping[str, Iterable[Event[Any]]] | None = None) -> None:
        self.streams = {id: tuple(events) for id, events in (streams or {}).items()}

    def told(self, *commands: Command[Any], id: str | None = None, at: datetime = NOON) -> Self:
        """All these happen, one after the other."""
        for command in commands:
            outcome = self.when(command, id, at=at)
            assert outcome.refusal is None, f"{command!r} is refused: {outcome.refusal}"
            self.keep(outcome)
        return self

    def keep(self, outcome: Outcome) -> None:
        """What was decided happens: it is written as JSON and read back."""
        for draft in outcome.drafts:
            name, stored = type(draft.event).__name__, event_to_json(draft.event).encode()
            read_back = event_from_json(name, stored)
            assert read_back == draft.event
            self.streams[draft.subject] = (*self.streams.get(draft.subject, ()), read_back)

    def when(
        self, command: Command[Any], id: str | None = None, *, by: str = "chen", at: datetime = NOON
    ) -> Outcome:
        """What would come of a command; nothing happens yet."""
        kind = aggregate_of(type(command))
        assert kind is not None
        subject = subject_of(command, id or USUAL.get(kind.kind))
        decision = Decision(
            lambda ids: {id: loaded(id, self.streams.get(id, ())) for id in ids},
            Who(by, by.title(), tuple(Role)),
            at,
        )
        try:
            decision.ask(subject, command)
        except Refused as refusal:
            return Outcome(subject, None, refusal)
        return Outcome(subject, decision, None)

    def state(self, id: str) -> Aggregate:
        return KINDS[id.partition(":")[0]]().after(self.streams.get(id, ()))

    def unit(self, id: str = SN1) -> DeviceUnit:
        state = self.state(id)
        assert isinstance(state, DeviceUnit)
        return state

    def lot(self, id: str = SUTURE_LOT) -> Lot:
        state = self.state(id)
        assert isinstance(state, Lot)
        return state


@cache
def _founded() -> Town:
    return (
        Town()
        .told(OPEN_HANGZHOU, OPEN_CHENGDU, REGISTER_UNION, REGISTER_RUIJIN)
        .told(REGISTER_PUMP, REGISTER_SUTURE)
        .told(CERTIFY, CERTIFY_AGAIN, id=PUMP)
        .told(CERTIFY, CERTIFY_AGAIN, id=SUTURE)
    )


def founded() -> Town:
    """Two warehouses, two hospitals, and two products whose certificates are valid to 2030."""
    return Town(_founded().streams)
