"""Parking: streams that a read model or a process could not take in, and what follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from medsales.domain.ids import ParkingId
from medsales.domain.kernel import LONGEST_ID, Aggregate, Command, Event, Key, Note, Role, Text

ReaderName = Annotated[Key, Field(examples=["stock_picture"])]
"""Of a read model, a process or a timer."""
Stream = Annotated[Text, Field(max_length=LONGEST_ID, examples=["lot:06901234567892:A213B1"])]


@dataclass(frozen=True)
class Parking(Aggregate):
    """What is parked is a read model's own affair; kept here is what somebody decided."""

    discarded: frozenset[int] = frozenset()


class RetryParked(Command[Parking]):
    """Have a parked stream tried again, after what was wrong has been mended."""

    allowed = (Role.QUALITY, Role.MANAGER)

    name: ReaderName
    stream: Stream
    """The aggregate whose facts wait."""

    def begins(self) -> ParkingId:
        return ParkingId.of(self.name)

    def decide(self, _: Parking) -> ParkedRetried:
        return ParkedRetried(stream=self.stream)


class ParkedRetried(Event[Parking]):
    stream: str


class DiscardParked(Command[Parking]):
    """Have one fact passed over for good by this reader; the rest of its stream goes on.

    The fact stays in the log, and all others read it as before.
    """

    allowed = (Role.QUALITY, Role.MANAGER)

    name: ReaderName
    stream: Stream
    """The aggregate whose facts wait."""
    position: Annotated[int, Field(ge=1, lt=2**63)]
    """The parked fact; if another one is parked by now, nothing is discarded."""
    reason: Note

    def begins(self) -> ParkingId:
        return ParkingId.of(self.name)

    def decide(self, parking: Parking) -> ParkedDiscarded | None:
        if self.position in parking.discarded:
            return None
        return ParkedDiscarded(stream=self.stream, position=self.position, reason=self.reason)


class ParkedDiscarded(Event[Parking]):
    stream: str
    position: int
    reason: str

    def apply(self, parking: Parking, /) -> Parking:
        return replace(parking, discarded=parking.discarded | {self.position})
