"""People: ids never given again, substitutes, and how somebody proves that it is he (B7, AUD-9)."""

from datetime import date, timedelta
from typing import Any

import pytest

from medsales.domain.governance.person import (
    FAILURES,
    PAUSE,
    AppointSubstitute,
    Component,
    DismissPerson,
    EndSession,
    EndSubstitution,
    KeyCause,
    PasswordReset,
    Person,
    PersonDismissed,
    PersonLocked,
    PersonRegistered,
    PersonReinstated,
    PersonRevised,
    ReauthenticationFailed,
    ReauthenticationPassed,
    RecordReauthentication,
    RegisterPerson,
    RegisterSigningKey,
    ReinstatePerson,
    ResetPassword,
    RevisePerson,
    SessionEnded,
    SigningKeyRegistered,
    SubstituteAppointed,
    SubstitutionEnded,
)
from medsales.domain.ids import PersonId
from medsales.domain.kernel import Role
from medsales.testing import NOON, Pen, given

WANG = Pen("wang", "王敏")
CHEN = Pen("chen", "陈立")
OTHERS: dict[str, Any] = {WANG.id: WANG.history(), CHEN.id: CHEN.history()}
BOTH = tuple(Component)
PASSWORD = (Component.PASSWORD,)
JULY = {"first_day": date(2026, 7, 1), "last_day": date(2026, 7, 14)}


def registered(name: str = "王敏", title: str = "经理") -> PersonRegistered:
    return PersonRegistered(name=name, organisation="翠鸟", title=title)


def register(name: str = "王敏", title: str = "经理") -> RegisterPerson:
    return RegisterPerson(person="wang", name=name, organisation="翠鸟", title=title)


class TestNames:
    def test_a_person_is_registered_once(self) -> None:
        given().when(register()).then(registered())
        given(registered()).when(register()).then()

    def test_an_id_is_never_given_to_somebody_else(self) -> None:
        """AUD-9."""
        given(registered()).when(register("王宏")).refused("person.exists")
        gone = PersonDismissed(reason="left")
        given(registered(), gone).when(register()).refused("person.exists")
        given(registered(), gone).when(register("王宏")).refused("person.exists")

    def test_a_name_may_change(self) -> None:
        revise = RevisePerson(name="王敏", organisation="翠鸟", title="总监", reason="升任")
        revised = PersonRevised(**revise.model_dump())
        given(registered()).when(revise).then(revised)
        given(registered(), revised).when(revise).then()
        assert Person().after([registered(), revised]).title == "总监"

    def test_a_name_is_the_same_however_it_was_typed(self) -> None:
        """B7: texts are NFC."""
        assert register("Zoe\u0301") == register("Zo\u00e9")

    def test_who_has_left_does_nothing_any_more(self) -> None:
        gone = (*WANG.history(), PersonDismissed(reason="left"))
        given(*gone).when(DismissPerson(reason="again"), WANG.id).then()
        given(*gone).when(proof(), WANG.id, by="wang").refused("person.gone")
        given(*gone).when(key(), WANG.id, by="wang").refused("person.gone")
        given(*gone).when(ResetPassword(reason="x"), WANG.id).refused("person.gone")

    def test_p2_a_manager_does_not_silence_the_director_who_is_to_approve(self) -> None:
        """Roles stand in tokens, so nobody but a director dismisses anybody, and not for ever."""
        assert DismissPerson.allowed == ReinstatePerson.allowed == (Role.DIRECTOR,)
        gone = PersonDismissed(reason="left")
        back = PersonReinstated(reason="a mistake")
        history = (*WANG.history(), gone)
        given(*history).when(ReinstatePerson(reason="a mistake"), WANG.id).then(back)
        given(*history, back).when(ReinstatePerson(reason="again"), WANG.id).then()
        given(*history, back).when(proof(), WANG.id, by="wang").then(
            ReauthenticationPassed(proved_at=NOON, **proof().model_dump(exclude={"passed"}))
        )

    def test_p2_nobody_dismisses_or_reinstates_himself(self) -> None:
        gone = PersonDismissed(reason="left")
        leave = given(*WANG.history()).when(DismissPerson(reason="x"), WANG.id, by="wang")
        leave.refused("person.own_leave")
        back = given(*WANG.history(), gone).when(ReinstatePerson(reason="x"), WANG.id, by="wang")
        back.refused("person.own_leave")


class TestSubstitutes:
    APPOINT = AppointSubstitute(substitute=CHEN.id, roles=(Role.MANAGER,), reason="leave", **JULY)
    APPOINTED = SubstituteAppointed(
        number=1, substitute=CHEN.id, roles=(Role.MANAGER,), reason="leave", **JULY
    )

    def test_one_appoints_somebody_for_some_days(self) -> None:
        world = given(*WANG.history(), others=OTHERS)
        world.when(self.APPOINT, WANG.id, by="wang").then(self.APPOINTED)

    def test_the_substitute_stands_in_on_those_days_and_in_those_roles(self) -> None:
        person = Person().after([*WANG.history(), self.APPOINTED])
        days = [date(2026, 6, 30), date(2026, 7, 1), date(2026, 7, 14), date(2026, 7, 15)]
        stands = [person.stands_in(CHEN.id, Role.MANAGER, day) for day in days]
        assert stands == [False, True, True, False]
        assert not person.stands_in(CHEN.id, Role.DIRECTOR, days[1])
        assert not person.stands_in(PersonId.of("zhao"), Role.MANAGER, days[1])

    def test_appointing_twice_changes_nothing(self) -> None:
        world = given(*WANG.history(), self.APPOINTED, others=OTHERS)
        world.when(self.APPOINT, WANG.id, by="wang").then()

    def test_nobody_appoints_for_somebody_else(self) -> None:
        world = given(*WANG.history(), others=OTHERS)
        world.when(self.APPOINT, WANG.id, by="zhao").refused("person.other")

    def test_nobody_is_his_own_substitute(self) -> None:
        own = self.APPOINT.model_copy(update={"substitute": WANG.id})
        world = given(*WANG.history(), others=OTHERS)
        world.when(own, WANG.id, by="wang").refused("substitute.oneself")

    @pytest.mark.parametrize("role", [Role.DIRECTOR, Role.SYSTEM])
    def test_only_an_own_role_is_passed_on(self, role: Role) -> None:
        more = self.APPOINT.model_copy(update={"roles": (Role.MANAGER, role)})
        world = given(*WANG.history(), others=OTHERS)
        roles = (Role.MANAGER, Role.SYSTEM)
        world.when(more, WANG.id, by="wang", roles=roles).refused("substitute.role_not_own")

    def test_a_substitute_is_somebody_who_is_there(self) -> None:
        world = given(*WANG.history(), others={})
        world.when(self.APPOINT, WANG.id, by="wang").refused("person.unknown")
        left: dict[str, Any] = {CHEN.id: (*CHEN.history(), PersonDismissed(reason="left"))}
        world = given(*WANG.history(), others=left)
        world.when(self.APPOINT, WANG.id, by="wang").refused("person.gone")

    def test_it_is_taken_back_by_who_gave_it(self) -> None:
        world = given(*WANG.history(), self.APPOINTED)
        ended = SubstitutionEnded(number=1, substitute=CHEN.id)
        world.when(EndSubstitution(number=1), WANG.id, by="wang").then(ended)
        world.when(EndSubstitution(number=1), WANG.id, by="chen").refused("person.other")
        world.when(EndSubstitution(number=2), WANG.id, by="wang").refused("substitute.unknown")
        over = given(*WANG.history(), self.APPOINTED, ended)
        over.when(EndSubstitution(number=1), WANG.id, by="wang").then()
        person = Person().after([*WANG.history(), self.APPOINTED, ended])
        assert not person.stands_in(CHEN.id, Role.MANAGER, date(2026, 7, 2))

    def test_nobody_stands_in_for_who_has_left(self) -> None:
        gone = PersonDismissed(reason="left")
        person = Person().after([*WANG.history(), self.APPOINTED, gone])
        assert not person.stands_in(CHEN.id, Role.MANAGER, date(2026, 7, 2))
        again = person.after([PersonReinstated(reason="a mistake")])
        assert not again.stands_in(CHEN.id, Role.MANAGER, date(2026, 7, 2))

    def test_it_does_not_end_before_it_begins(self) -> None:
        with pytest.raises(ValueError, match="before the first"):
            AppointSubstitute(
                substitute=CHEN.id,
                roles=(Role.MANAGER,),
                first_day=date(2026, 7, 2),
                last_day=date(2026, 7, 1),
                reason="leave",
            )


def proof(
    components: tuple[Component, ...] = BOTH,
    *,
    continuous: bool = False,
    passed: bool = True,
    session: str = "s1",
) -> RecordReauthentication:
    return RecordReauthentication(
        session=session,
        components=components,
        method="password",
        continuous=continuous,
        passed=passed,
    )


def key(pen: Pen = WANG, replaces: str | None = None) -> RegisterSigningKey:
    return RegisterSigningKey(public_key=pen.public_key, key_id=pen.key_id, replaces=replaces)


PROVED = ReauthenticationPassed(
    session="s1", components=BOTH, method="password", continuous=False, proved_at=NOON
)
FAILED = tuple(
    ReauthenticationFailed(components=PASSWORD, method="password", failures=n)
    for n in range(1, FAILURES + 1)
)


class TestProof:
    """21 CFR 11.200(a)(1): first all components, later at least one; 11.300(d): attempts."""

    def test_the_first_in_a_session_takes_all_components(self) -> None:
        given(registered()).when(proof(), WANG.id, by="wang").then(PROVED)
        for one in Component:
            asked = proof((one,))
            world = given(registered()).when(asked, WANG.id, by="wang")
            world.refused("reauthentication.incomplete")

    def test_later_ones_take_one_as_long_as_the_session_goes_on(self) -> None:
        asked = proof(PASSWORD, continuous=True)
        world = given(registered(), PROVED)
        later = ReauthenticationPassed(
            session="s1",
            components=PASSWORD,
            method="password",
            continuous=True,
            proved_at=NOON + PAUSE,
        )
        world.when(asked, WANG.id, by="wang", at=NOON + PAUSE).then(later)

    def test_a_pause_breaks_a_session(self) -> None:
        late = NOON + PAUSE + timedelta(seconds=1)
        for asked in (proof(PASSWORD, continuous=True), proof(BOTH, continuous=True)):
            world = given(registered(), PROVED).when(asked, WANG.id, by="wang", at=late)
            world.refused("reauthentication.incomplete")

    def test_a_session_of_another_is_none(self) -> None:
        asked = proof(PASSWORD, continuous=True)
        world = given(registered("陈立")).when(asked, CHEN.id, by="chen")
        world.refused("reauthentication.incomplete")

    def test_leaving_the_screen_ends_a_session(self) -> None:
        ended = SessionEnded(session="s1")
        given(registered(), PROVED).when(EndSession(session="s1"), WANG.id, by="wang").then(ended)
        over = given(registered(), PROVED, ended)
        over.when(EndSession(session="s1"), WANG.id, by="wang").then()
        over.when(EndSession(session="s1"), WANG.id, by="chen").refused("person.other")
        asked = proof(PASSWORD, continuous=True)
        over.when(asked, WANG.id, by="wang").refused("reauthentication.incomplete")

    def test_a_failed_attempt_is_a_fact_and_a_good_one_forgets_it(self) -> None:
        wrong = proof(PASSWORD, passed=False)
        given(registered()).when(wrong, WANG.id, by="wang").then(FAILED[0])
        given(registered(), *FAILED[:2]).when(wrong, WANG.id, by="wang").then(FAILED[2])
        world = given(registered(), *FAILED[:4], PROVED)
        world.when(wrong, WANG.id, by="wang").then(FAILED[0])

    def test_after_some_failures_the_person_is_locked_until_reset(self) -> None:
        wrong = proof(PASSWORD, passed=False)
        locked = PersonLocked(failures=FAILURES)
        world = given(registered(), PROVED, *FAILED[:4])
        world.when(wrong, WANG.id, by="wang").then(FAILED[4], locked)
        over = given(registered(), PROVED, *FAILED, locked)
        for asked in (wrong, proof(), proof(PASSWORD, continuous=True), key()):
            over.when(asked, WANG.id, by="wang").refused("person.locked")
        reset = PasswordReset(reason="forgot", reset_at=NOON, ends=None)
        over.when(ResetPassword(reason="forgot"), WANG.id, by="operator").then(reset)
        again = given(registered(), PROVED, *FAILED, locked, reset)
        again.when(proof(), WANG.id, by="wang").then(PROVED)

    def test_nobody_proves_to_be_somebody_else(self) -> None:
        given(registered()).when(proof(), WANG.id, by="chen").refused("person.other")
        given(registered()).when(key(), WANG.id, by="chen").refused("person.other")


class TestKeys:
    def test_each_password_has_a_key_of_its_own(self) -> None:
        first = SigningKeyRegistered(
            public_key=WANG.public_key,
            key_id=WANG.key_id,
            cause=KeyCause.FIRST,
            since=NOON,
            replaces=None,
        )
        given(registered()).when(key(), WANG.id, by="wang").then(first)
        second = SigningKeyRegistered(
            public_key=CHEN.public_key,
            key_id=CHEN.key_id,
            cause=KeyCause.CHANGED,
            since=NOON + PAUSE,
            replaces=WANG.key_id,
        )
        world = given(registered(), first)
        changed = key(CHEN, WANG.key_id)
        world.when(changed, WANG.id, by="wang", at=NOON + PAUSE).then(second)
        world.when(key(CHEN), WANG.id, by="wang").refused("signing_key.moved")
        person = Person().after([registered(), first, PROVED, second])
        assert (person.key, person.sessions) == (CHEN.key_id, {})
        assert person.keys[WANG.key_id] == (WANG.public_key, NOON, NOON + PAUSE)
        again = given(registered(), first, second)
        again.when(key(WANG, CHEN.key_id), WANG.id, by="wang").refused("signing_key.used_before")

    def test_a_reset_ends_the_key_and_every_session(self) -> None:
        """B7: a reset invalidates sessions and is audited."""
        reset = PasswordReset(reason="forgot", reset_at=NOON + PAUSE, ends=WANG.key_id)
        world = given(*WANG.history())
        world.when(ResetPassword(reason="forgot"), WANG.id, at=NOON + PAUSE).then(reset)
        person = Person().after([*WANG.history(), reset])
        assert (person.key, person.sessions) == (None, {})
        assert person.keys[WANG.key_id].until == NOON + PAUSE
        assert person.cause_of_next_key() is KeyCause.RESET
