"""A decision is serialisable: what it read is unchanged when its facts are appended."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.engine.purses import (
    ANN,
    MANAGER,
    OpenPurse,
    PutCoins,
    SetCeiling,
    ShareCoins,
    SwapCoins,
    TakeAsGuest,
    TakeCoins,
    TakeWithin,
    asked,
    coins,
    commands,
    do,
    history,
    must_be_contiguous,
    opened,
    purse,
)

from medsales.company import Company
from medsales.domain.kernel import Refused, Role
from medsales.engine.application import (
    APP,
    ATTEMPTS,
    Actor,
    KeyReused,
    Receipt,
    Stale,
)
from medsales.engine.log import Appended, Log, Request

Rival = Callable[[], object]


@pytest.fixture
def town(company: Company) -> Company:
    """Ann has ten coins, and at most five may be taken at once."""
    purse(company, "ann", 10)
    purse(company, "bob", 0)
    do(company, SetCeiling(name="town", most=5), by=MANAGER)
    return company


@pytest.fixture
def rival(town: Company) -> Iterator[Company]:
    """Another program that works for the same company."""
    program = opened(town.database.url, town.name)
    yield program
    program.app.close()
    program.database.close()


TAKE_FIVE = TakeWithin(coins=5, ceiling="ceiling:town")


@pytest.fixture
def before_append(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Lets somebody else in between the decision and the append, as often as is said."""
    append = Log.append

    def let(rival: Rival, times: int = 1) -> list[int]:
        appends: list[int] = []
        inside = [False]

        def interrupted(log: Log, requests: Sequence[Request]) -> list[Appended]:
            if not inside[0]:
                appends.append(1)
                if len(appends) <= times:
                    inside[0] = True
                    rival()
                    inside[0] = False
            return append(log, requests)

        monkeypatch.setattr(Log, "append", interrupted)
        return appends

    return let


def test_what_was_only_read_guards_the_decision_too(
    town: Company, rival: Company, before_append: Callable[..., list[int]]
) -> None:
    before_append(lambda: do(rival, SetCeiling(name="town", most=4), by=MANAGER))
    with pytest.raises(Refused, match="at most 4"):
        do(town, TAKE_FIVE, "purse:ann")
    assert coins(town, "purse:ann") == 10


def test_a_refusal_is_decided_again_as_well_when_its_reason_has_gone(
    town: Company, rival: Company, before_append: Callable[..., list[int]]
) -> None:
    before_append(lambda: do(rival, SetCeiling(name="town", most=9), by=MANAGER))
    do(town, TakeWithin(coins=8, ceiling="ceiling:town"), "purse:ann")
    assert coins(town, "purse:ann") == 2
    assert {line["outcome"] for line in commands(town)} == {"accepted"}


def test_what_did_not_exist_when_it_was_looked_for_guards_too(
    town: Company, rival: Company, before_append: Callable[..., list[int]]
) -> None:
    before_append(lambda: purse(rival, "cem", 3))
    receipt = do(town, OpenPurse(owner="cem", coins=100))
    assert receipt.events == ()
    assert coins(town, "purse:cem") == 3


AS_GUEST = TakeAsGuest(coins=3, ceiling="ceiling:town")


def test_what_a_method_points_to_is_read_and_guards_too(
    town: Company, rival: Company, before_append: Callable[..., list[int]]
) -> None:
    """`guests-5` follows from the ceiling that was read first, and did not exist at first."""
    before_append(lambda: do(rival, SetCeiling(name="guests-5", most=2), by=MANAGER))
    with pytest.raises(Refused, match="Ann 安: at most 2"):
        do(town, AS_GUEST, "purse:ann")
    do(town, AS_GUEST, "purse:ann", by=MANAGER)
    assert coins(town, "purse:ann") == 7


def test_what_a_method_points_to_may_be_missing(town: Company) -> None:
    do(town, SetCeiling(name="guests", most=4), by=MANAGER)
    do(town, AS_GUEST, "purse:ann")
    assert coins(town, "purse:ann") == 7


def test_an_aggregate_that_was_not_read_disturbs_nobody(
    town: Company, rival: Company, before_append: Callable[..., list[int]]
) -> None:
    appends = before_append(lambda: do(rival, PutCoins(coins=1), "purse:bob"))
    do(town, TAKE_FIVE, "purse:ann")
    assert len(appends) == 1


def test_every_aggregate_that_must_agree_is_guarded(
    town: Company, rival: Company, before_append: Callable[..., list[int]]
) -> None:
    do(town, PutCoins(coins=5), "purse:bob")
    before_append(lambda: do(rival, TakeCoins(coins=1), "purse:bob"))
    with pytest.raises(Refused, match="there are 4 coins"):
        do(town, SwapCoins(source="purse:bob", coins=5), "purse:ann")


def test_who_is_disturbed_again_and_again_has_the_others_wait(
    town: Company, rival: Company, before_append: Callable[..., list[int]]
) -> None:
    """Nobody starves: after some attempts in hope the log is held while it is decided."""
    appends = before_append(lambda: do(rival, PutCoins(coins=1), "purse:ann"), times=1_000)
    do(town, TAKE_FIVE, "purse:ann", key="k")
    assert len(appends) == ATTEMPTS
    assert coins(town, "purse:ann") == 5 + ATTEMPTS


def test_what_happens_to_several_is_one_transaction(town: Company) -> None:
    purse(town, "cem", 0)
    receipt = do(town, ShareCoins(to=("purse:bob", "purse:cem"), coins=3), "purse:ann")
    assert receipt.events == ("CoinsTaken", "CoinsPut", "CoinsPut")
    facts = history(town)[-3:]
    assert [fact.subject for fact in facts] == ["purse:ann", "purse:bob", "purse:cem"]
    assert len({(fact.recorded_at, fact.envelope) for fact in facts}) == 1
    assert receipt.position == facts[-1].position


def test_when_one_refuses_nothing_happens_to_the_others(town: Company) -> None:
    before = town.log.head()
    with pytest.raises(Refused, match="there are 0 coins"):
        do(town, SwapCoins(source="purse:bob", coins=1), "purse:ann")
    assert town.log.head() == before


def test_when_one_does_not_exist_nothing_happens_to_the_others(town: Company) -> None:
    before = town.log.head()
    with pytest.raises(Refused) as refused:
        do(town, ShareCoins(to=("purse:bob", "purse:nobody"), coins=1), "purse:ann")
    assert (refused.value.code, town.log.head()) == ("purse.unknown", before)


def test_the_same_other_may_be_asked_twice_in_one_decision(town: Company) -> None:
    do(town, ShareCoins(to=("purse:bob", "purse:bob"), coins=2), "purse:ann")
    assert coins(town, "purse:bob") == 4
    must_be_contiguous(history(town))


def test_a_purse_may_share_with_itself(town: Company) -> None:
    do(town, ShareCoins(to=("purse:ann",), coins=2), "purse:ann")
    assert coins(town, "purse:ann") == 10
    must_be_contiguous(history(town))


def test_a_preview_tells_what_would_happen_and_lets_nothing_happen(town: Company) -> None:
    before = (town.log.head(), len(commands(town)))
    drafts = town.app.preview(asked(ShareCoins(to=("purse:bob",), coins=1), "purse:ann"))
    assert [(d.subject, d.version) for d in drafts] == [("purse:ann", 2), ("purse:bob", 2)]
    with pytest.raises(Refused, match="there are 10 coins"):
        town.app.preview(asked(TakeCoins(coins=11), "purse:ann"))
    with pytest.raises(Stale):
        town.app.preview(asked(TakeCoins(coins=1), "purse:ann", expected_version=7))
    assert (town.log.head(), len(commands(town))) == before


@pytest.mark.parametrize("expected", [0, 2, 99])
def test_an_expected_version_that_is_not_the_current_one_is_stale(
    town: Company, expected: int
) -> None:
    with pytest.raises(Stale, match=f"is at version 1, not {expected}") as stale:
        do(town, PutCoins(coins=1), "purse:ann", expected_version=expected)
    assert (stale.value.found, coins(town, "purse:ann")) == (1, 10)


def test_who_comes_with_an_old_version_is_found_among_the_refusals(town: Company) -> None:
    """And may ask again under the same key, once he has looked."""
    with pytest.raises(Stale) as stale:
        do(town, PutCoins(coins=1), "purse:ann", expected_version=7, key="k")
    (kept,) = [each for each in commands(town) if each["outcome"] == "refused"]
    assert (kept["subject"], kept["code"]) == ("purse:ann", "version.stale")
    assert (kept["en"], kept["zh"]) == stale.value.sentence
    assert (kept["command"], kept["events"]) == ("PutCoins", [])
    do(town, PutCoins(coins=1), "purse:ann", expected_version=1, key="k")
    assert coins(town, "purse:ann") == 11


def test_an_expected_version_is_checked_again_when_others_were_faster(
    town: Company, rival: Company, before_append: Callable[..., list[int]]
) -> None:
    before_append(lambda: do(rival, PutCoins(coins=1), "purse:ann"))
    with pytest.raises(Stale):
        do(town, PutCoins(coins=1), "purse:ann", expected_version=1)
    assert coins(town, "purse:ann") == 11


@pytest.mark.parametrize(
    "id", ["purse:nobody", "ceiling:town", "purse:", "purse", "", None, "purse:a\nb", "x" * 300]
)
def test_who_does_not_exist_is_told_so(town: Company, id: str | None) -> None:
    with pytest.raises(Refused) as refused:
        do(town, PutCoins(coins=1), id)
    assert refused.value.code == "purse.unknown"
    assert refused.value.sentence.zh


def test_what_a_command_points_to_must_exist(town: Company) -> None:
    with pytest.raises(Refused) as refused:
        do(town, TakeWithin(coins=1, ceiling="ceiling:none"), "purse:ann")
    assert refused.value.code == "ceiling.unknown"


def test_a_command_is_for_those_whose_role_it_names(town: Company) -> None:
    with pytest.raises(Refused, match="SetCeiling is for manager") as refused:
        do(town, SetCeiling(name="town", most=1_000), by=ANN)
    assert refused.value.code == "role.missing"
    do(town, SetCeiling(name="town", most=7), by=Actor("x", roles=(Role.SYSTEM,)))


YESTERDAY = datetime.now(UTC).replace(microsecond=123456) - timedelta(days=1)


def test_a_fact_keeps_when_it_happened_and_when_it_was_recorded(town: Company) -> None:
    do(town, TAKE_FIVE, "purse:ann", effective_at=YESTERDAY, reason="the slip came late")
    fact = history(town)[-1]
    assert fact.effective_at == fact.event.at == YESTERDAY
    assert fact.recorded_at > YESTERDAY + timedelta(hours=23)
    assert fact.envelope.reason == "the slip came late"


def test_without_a_time_of_its_own_a_fact_took_effect_when_it_was_recorded(town: Company) -> None:
    assert all(fact.effective_at == fact.recorded_at for fact in history(town))


@pytest.mark.parametrize(
    ("when", "reason", "code"),
    [
        (timedelta(minutes=6), "clock", "effective.in_future"),
        (timedelta(days=-1), None, "effective.reason_missing"),
        (timedelta(days=-1), "", "effective.reason_missing"),
    ],
)
def test_an_effective_time_lies_in_the_past_and_has_a_reason(
    town: Company, when: timedelta, reason: str | None, code: str
) -> None:
    with pytest.raises(Refused) as refused:
        do(
            town,
            PutCoins(coins=1),
            "purse:ann",
            effective_at=datetime.now(UTC) + when,
            reason=reason,
        )
    assert refused.value.code == code


def test_a_clock_that_is_a_little_fast_is_forgiven(town: Company) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=2)
    do(town, PutCoins(coins=1), "purse:ann", effective_at=soon, reason="a fast clock")


def test_a_fact_knows_who_asked_for_what_and_why(town: Company) -> None:
    do(town, PutCoins(coins=1), "purse:ann", key="k-7", correlation="visit-1", cause=3)
    envelope = history(town)[-1].envelope
    assert (envelope.by, envelope.name, envelope.client) == ("ann", "Ann 安", "till-1")
    assert (envelope.key, envelope.command) == ("k-7", "PutCoins")
    assert (envelope.correlation, envelope.cause, envelope.app) == (
        "visit-1",
        3,
        APP,
    )


def test_a_request_of_its_own_begins_a_correlation(town: Company) -> None:
    do(town, PutCoins(coins=1), "purse:ann", key="k-7")
    assert history(town)[-1].envelope.correlation == "k-7"


def names(answers: Sequence[object]) -> list[str]:
    return [type(answer).__name__ for answer in answers]


def test_in_a_batch_later_asks_see_what_earlier_ones_did(town: Company) -> None:
    answers = town.app.handle_many(
        [
            asked(OpenPurse(owner="cem", coins=1)),
            asked(ShareCoins(to=("purse:cem",), coins=4), "purse:ann"),
            asked(TakeCoins(coins=5), "purse:cem"),
            asked(TakeCoins(coins=1), "purse:cem"),
        ]
    )
    assert names(answers) == ["Receipt", "Receipt", "Receipt", "Refused"]
    assert (coins(town, "purse:cem"), coins(town, "purse:ann")) == (0, 6)
    must_be_contiguous(history(town))


def test_a_batch_is_one_append(town: Company, before_append: Callable[..., list[int]]) -> None:
    appends = before_append(lambda: None)
    town.app.handle_many([asked(PutCoins(coins=1), "purse:ann") for _ in range(50)])
    assert (len(appends), coins(town, "purse:ann")) == (1, 60)


def test_one_refused_in_a_batch_leaves_its_neighbours_alone(town: Company) -> None:
    answers = town.app.handle_many(
        [
            asked(PutCoins(coins=1), "purse:ann"),
            asked(TakeCoins(coins=99), "purse:ann"),
            asked(PutCoins(coins=1), "not an id"),
            asked(PutCoins(coins=1), "purse:ann", expected_version=77),
            asked(SwapCoins(source="purse:bob", coins=1), "purse:ann"),
            asked(PutCoins(coins=1), "purse:ann"),
        ]
    )
    assert names(answers) == ["Receipt", "Refused", "Refused", "Stale", "Refused", "Receipt"]
    assert coins(town, "purse:ann") == 12


def test_the_same_key_twice_in_a_batch_is_one(town: Company) -> None:
    ask = asked(PutCoins(coins=1), "purse:ann")
    answers = town.app.handle_many([ask, ask, asked(PutCoins(coins=1), "purse:ann"), ask])
    assert names(answers) == ["Receipt"] * 4
    assert answers[0] == answers[1] == answers[3]
    assert coins(town, "purse:ann") == 12


def test_the_same_key_for_two_wishes_in_a_batch_serves_the_first(town: Company) -> None:
    answers = town.app.handle_many(
        [
            asked(PutCoins(coins=1), "purse:ann", key="k"),
            asked(PutCoins(coins=2), "purse:ann", key="k"),
            asked(PutCoins(coins=4), "purse:ann"),
        ]
    )
    assert names(answers) == ["Receipt", "KeyReused", "Receipt"]
    assert coins(town, "purse:ann") == 15


def test_a_conflict_in_the_middle_of_a_batch_is_decided_again(
    town: Company, rival: Company, before_append: Callable[..., list[int]]
) -> None:
    appends = before_append(lambda: do(rival, TakeCoins(coins=10), "purse:ann"))
    answers = town.app.handle_many(
        [
            asked(PutCoins(coins=1), "purse:bob"),
            asked(TakeCoins(coins=3), "purse:ann"),
            asked(PutCoins(coins=1), "purse:bob"),
        ]
    )
    assert names(answers) == ["Receipt", "Refused", "Receipt"]
    assert (len(appends), coins(town, "purse:bob"), coins(town, "purse:ann")) == (2, 2, 0)


def test_what_was_decided_on_a_neighbour_that_met_a_conflict_is_decided_again(
    town: Company, rival: Company, before_append: Callable[..., list[int]]
) -> None:
    """The rival brings the purse to the very version that the first ask would have made."""
    before_append(lambda: do(rival, TakeCoins(coins=10), "purse:ann"))
    answers = town.app.handle_many(
        [asked(PutCoins(coins=1), "purse:ann"), asked(TakeCoins(coins=11), "purse:ann")]
    )
    assert names(answers) == ["Receipt", "Refused"]
    assert coins(town, "purse:ann") == 1


def test_what_was_decided_on_a_neighbour_that_was_a_repeat_is_decided_again(
    town: Company, rival: Company, before_append: Callable[..., list[int]]
) -> None:
    again = asked(PutCoins(coins=5), "purse:ann")
    town.app.handle(again)
    before_append(lambda: do(rival, TakeCoins(coins=10), "purse:ann"))
    answers = town.app.handle_many([again, asked(TakeCoins(coins=20), "purse:ann")])
    assert names(answers) == ["Receipt", "Refused"]
    assert coins(town, "purse:ann") == 5


def test_loading_what_does_not_exist_shows_the_state_before_any_fact(town: Company) -> None:
    assert town.app.load("purse:nobody").version == 0
    assert town.app.load("no-such-kind:1").version == 0


def test_a_receipt_leads_to_the_facts_it_tells_of(town: Company) -> None:
    receipt: Any = do(town, ShareCoins(to=("purse:bob",), coins=1), "purse:ann")
    assert receipt == Receipt(
        id="purse:ann", version=2, events=("CoinsTaken", "CoinsPut"), position=town.log.head()
    )
    assert isinstance(KeyReused("k"), Exception)
