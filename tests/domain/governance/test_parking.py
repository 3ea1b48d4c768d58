"""What somebody decides about a parked stream."""

from medsales.domain.governance.parking import (
    DiscardParked,
    ParkedDiscarded,
    ParkedRetried,
    RetryParked,
)
from medsales.domain.kernel import Role
from medsales.testing import given

LOT = "lot:06901234567892:A1"
RETRY = RetryParked(name="stock_picture", stream=LOT)
DISCARD = DiscardParked(name="stock_picture", stream=LOT, position=7, reason="a test delivery")


def test_a_retry_names_the_stream() -> None:
    given().when(RETRY).then(ParkedRetried(stream=LOT))


def test_a_stream_may_be_tried_as_often_as_somebody_hopes() -> None:
    given(ParkedRetried(stream=LOT)).when(RETRY).then(ParkedRetried(stream=LOT))


def test_a_discard_names_the_fact_and_the_reason() -> None:
    discarded = ParkedDiscarded(stream=LOT, position=7, reason="a test delivery")
    given().when(DISCARD).then(discarded)
    given(discarded).when(DISCARD).then()


def test_both_are_kept_with_the_read_model_they_are_about() -> None:
    assert given().when(RETRY).subject == given().when(DISCARD).subject == "parking:stock_picture"


def test_those_decide_who_answer_for_quality_or_for_the_house() -> None:
    assert RetryParked.allowed == DiscardParked.allowed == (Role.QUALITY, Role.MANAGER)
