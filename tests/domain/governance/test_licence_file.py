"""Licences on file: recorded, verified, renewed, revoked, announced; suppliers approved (LIC-1)."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from tests.domain.governance.licences import (
    BUSINESS,
    DAY,
    ENDS,
    LETTER,
    OPERATING,
    PRACTICE,
    checked,
    recorded,
)

from medsales.domain.governance.expiry import REMINDERS, next_reminder, reminder
from medsales.domain.governance.licence_file import (
    OWN,
    ApproveSupplier,
    CloseRenewalWindow,
    GatePolicy,
    Licence,
    LicenceExpired,
    LicenceExpiryNear,
    LicenceFile,
    LicenceKind,
    LicenceRecorded,
    LicenceRenewalWindowClosed,
    LicenceRenewalWindowOpened,
    LicenceRenewalWindowPlanned,
    LicenceRenewed,
    LicenceRevoked,
    LicenceScope,
    LicenceSeen,
    LicenceVerified,
    OpenRenewalWindow,
    PlanRenewalWindow,
    RecordLicence,
    RemindOfLicence,
    RenewalWindow,
    RenewLicence,
    RevokeLicence,
    SalespersonPolicySet,
    SetSalespersonPolicy,
    SupplierApprovalWithdrawn,
    SupplierApproved,
    VerifyLicence,
    WithdrawSupplierApproval,
)
from medsales.domain.kernel import Event, Role
from medsales.testing import given

MAKER = "supplier:maker"
FILE = "licence-file:supplier:maker"
NUMBER = OPERATING.number
(KNOWN,) = recorded(MAKER, OPERATING)
RENEW = RenewLicence(number=NUMBER, valid_from=date(2030, 1, 1), valid_until=date(2034, 12, 31))
NEXT_TERM = OPERATING.model_copy(
    update={"valid_from": RENEW.valid_from, "valid_until": RENEW.valid_until}
)
RENEWED = LicenceRenewed(licence=NEXT_TERM, recorded_by="chen")
REVOKE = RevokeLicence(number=NUMBER, on=DAY, reason="closed by the authority")
REVOKED = LicenceRevoked(number=NUMBER, kind=OPERATING.kind, on=DAY, reason=REVOKE.reason)
VERIFY = VerifyLicence(number=NUMBER, method="nmpa.gov.cn", valid_until=ENDS)
WINDOW = RenewalWindow(
    opens_on=date(2029, 8, 20),
    closes_on=date(2029, 11, 19),
    valid_until=ENDS,
    calendar="tests",
)
PLANNED = LicenceRenewalWindowPlanned(number=NUMBER, window=WINDOW)


def at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 4, tzinfo=UTC)


class TestRecording:
    def test_a_licence_is_recorded_in_the_file_of_its_holder(self) -> None:
        record = RecordLicence(holder=MAKER, licence=OPERATING)
        assert record.begins() == FILE
        recorded = LicenceRecorded(holder=MAKER, licence=OPERATING, recorded_by="chen")
        given().when(record).then(recorded)

    def test_the_same_licence_again_changes_nothing(self) -> None:
        given(KNOWN).when(RecordLicence(holder=MAKER, licence=OPERATING)).then()

    def test_another_term_under_the_same_number_is_a_renewal(self) -> None:
        given(KNOWN).when(RecordLicence(holder=MAKER, licence=NEXT_TERM)).refused("licence.exists")

    @pytest.mark.parametrize(
        ("kind", "number", "code"),
        [
            (LicenceKind.OPERATING, "浙杭药监械经营备20200123", "licence.number_of_another_kind"),
            (LicenceKind.OPERATING, "国械注准20203160001", "licence.number_of_another_kind"),
            (LicenceKind.OPERATING, "浙杭药监械经营许2020", "certificate.number_malformed"),
            (LicenceKind.PRODUCTION, "苏食药监械生产备20150023", "licence.number_of_another_kind"),
        ],
    )
    def test_a_chinese_number_must_be_that_of_its_kind(
        self, kind: LicenceKind, number: str, code: str
    ) -> None:
        licence = OPERATING.model_copy(update={"kind": kind, "number": number})
        given().when(RecordLicence(holder=MAKER, licence=licence)).refused(code)

    def test_a_foreign_number_is_taken_as_it_is(self) -> None:
        licence = OPERATING.model_copy(update={"number": "DL-77"})
        given().when(RecordLicence(holder=MAKER, licence=licence)).then(
            LicenceRecorded(holder=MAKER, licence=licence, recorded_by="chen")
        )

    def test_a_licence_cannot_end_before_it_begins(self) -> None:
        with pytest.raises(ValueError, match="ends before it begins"):
            Licence(**{**OPERATING.model_dump(), "valid_until": date(2020, 1, 1)})

    @pytest.mark.parametrize("holder", ["", "owner", "supplier:", "warehouse:HZ", "customer:\n"])
    def test_a_file_has_a_holder_of_a_known_kind(self, holder: str) -> None:
        with pytest.raises(ValueError, match="holder"):
            RecordLicence(holder=holder, licence=OPERATING)


class TestRenewal:
    def test_a_new_term_leaves_the_earlier_one_known(self) -> None:
        given(KNOWN).when(RENEW, FILE).then(RENEWED)
        held = LicenceFile().after([KNOWN, RENEWED]).licences[NUMBER]
        assert held.term_on(DAY) == OPERATING
        assert held.term_on(date(2031, 1, 1)) == NEXT_TERM

    def test_a_term_already_recorded_changes_nothing(self) -> None:
        given(KNOWN, RENEWED).when(RENEW, FILE).then()

    def test_a_new_term_is_verified_anew_and_the_old_one_stays_verified(self) -> None:
        held = LicenceFile().after([KNOWN, checked(OPERATING), RENEWED]).licences[NUMBER]
        assert held.verified_on(DAY)
        assert not held.verified_on(date(2031, 1, 1))

    def test_a_renewal_ends_later(self) -> None:
        earlier = RenewLicence(number=NUMBER, valid_from=DAY, valid_until=date(2027, 1, 1))
        given(KNOWN).when(earlier, FILE).refused("licence.renewal_ends_no_later")

    def test_a_renewal_begins_later(self) -> None:
        """Not even the first day of a verified term makes a longer one of it."""
        longer = RenewLicence(
            number=NUMBER, valid_from=OPERATING.valid_from, valid_until=date(2099, 12, 31)
        )
        given(KNOWN, checked(OPERATING)).when(longer, FILE).refused(
            "licence.renewal_begins_no_later"
        )

    def test_lic3_a_verification_is_of_one_exact_term(self) -> None:
        """Also where another was entered under the same first day before this was refused."""
        wider = OPERATING.model_copy(
            update={"valid_until": date(2099, 12, 31), "scope": LicenceScope()}
        )
        renewed = LicenceRenewed(licence=wider, recorded_by="chen")
        held = LicenceFile().after([KNOWN, checked(OPERATING), renewed]).licences[NUMBER]
        assert not held.verified_on(date(2031, 1, 1))
        assert not held.seen(MAKER, date(2031, 1, 1)).verified
        assert held.term_on(DAY) == OPERATING, "the verified one is what counts"

    def test_lic3_until_somebody_has_looked_a_renewal_replaces_nothing(self) -> None:
        early = NEXT_TERM.model_copy(update={"valid_from": DAY, "scope": LicenceScope()})
        history = [KNOWN, checked(OPERATING), LicenceRenewed(licence=early, recorded_by="chen")]
        held = LicenceFile().after(history).licences[NUMBER]
        assert (held.term_on(DAY), held.verified_on(DAY)) == (OPERATING, True)
        assert not held.verified_on(date(2031, 1, 1))
        verified = LicenceFile().after([*history, checked(early)]).licences[NUMBER]
        assert (verified.term_on(DAY), verified.verified_on(DAY)) == (early, True)

    def test_a_revoked_licence_is_not_renewed(self) -> None:
        given(KNOWN, REVOKED).when(RENEW, FILE).refused("licence.revoked")

    def test_what_is_not_on_file_cannot_be_renewed(self) -> None:
        given(*recorded(MAKER, BUSINESS)).when(RENEW, FILE).refused("licence.unknown")


class TestVerification:
    def test_who_checked_a_licence_and_how_is_kept(self) -> None:
        verified = LicenceVerified(
            number=NUMBER,
            verifier="li",
            method="nmpa.gov.cn",
            valid_from=OPERATING.valid_from,
            valid_until=ENDS,
        )
        given(KNOWN).when(VERIFY, FILE, by="li").then(verified)

    def test_a_verified_term_is_not_verified_again(self) -> None:
        given(KNOWN, checked(OPERATING)).when(VERIFY, FILE).then()

    def test_lic1_four_eyes_who_recorded_a_licence_does_not_verify_it(self) -> None:
        """GSP art. 53 (首营审核): somebody else looks at the papers."""
        entered = KNOWN.model_copy(update={"recorded_by": "gu"})
        given(entered).when(VERIFY, FILE, by="gu").refused("licence.verified_by_recorder")
        assert given(entered).when(VERIFY, FILE, by="li").events

    def test_lic1_four_eyes_who_entered_a_new_term_does_not_verify_that_term(self) -> None:
        entered = KNOWN.model_copy(update={"recorded_by": "gu"})
        renewed = RENEWED.model_copy(update={"recorded_by": "li"})
        history = (entered, checked(OPERATING), renewed)
        verify = VERIFY.model_copy(update={"valid_until": NEXT_TERM.valid_until})
        given(*history).when(verify, FILE, by="li").refused("licence.verified_by_recorder")
        assert given(*history).when(verify, FILE, by="gu").events

    def test_lic3_what_was_renewed_since_somebody_looked_is_not_verified(self) -> None:
        """Quality has seen the paper until 2029; sales has entered another in the meantime."""
        given(KNOWN, RENEWED).when(VERIFY, FILE, by="li").refused(
            "licence.verified_another", f"until {NEXT_TERM.valid_until}, and you looked at one"
        )
        endless = VERIFY.model_copy(update={"valid_until": None})
        given(KNOWN).when(endless, FILE, by="li").refused("licence.verified_another")

    def test_only_what_is_on_file_is_verified(self) -> None:
        given(*recorded(MAKER, BUSINESS)).when(VERIFY, FILE).refused("licence.unknown")


class TestRevocation:
    def test_a_licence_is_revoked_from_a_day_on(self) -> None:
        given(KNOWN).when(REVOKE, FILE).then(REVOKED)
        held = LicenceFile().after([KNOWN, REVOKED]).licences[NUMBER]
        assert held.term_on(DAY - timedelta(days=1)) == OPERATING
        assert held.term_on(DAY) is None

    def test_revoking_it_again_changes_nothing_unless_it_was_earlier(self) -> None:
        given(KNOWN, REVOKED).when(REVOKE, FILE).then()
        before = REVOKE.model_copy(update={"on": date(2026, 1, 1)})
        given(KNOWN, REVOKED).when(before, FILE).then(
            REVOKED.model_copy(update={"on": date(2026, 1, 1)})
        )


class TestSuppliers:
    """LIC-1: a supplier is approved on a complete and verified file (GSP art. 53)."""

    PAPERS = (BUSINESS, OPERATING, LETTER)
    COMPLETE = (*recorded(MAKER, *PAPERS), *map(checked, PAPERS))

    def test_lic1_an_approval_keeps_what_it_was_founded_on(self) -> None:
        outcome = given(*self.COMPLETE).when(ApproveSupplier(), FILE, by="li")
        (approved,) = outcome.events
        assert isinstance(approved, SupplierApproved)
        assert approved.approver == "li"
        assert [seen.number for seen in approved.seen] == [paper.number for paper in self.PAPERS]
        assert all(isinstance(seen, LicenceSeen) and seen.verified for seen in approved.seen)

    @pytest.mark.parametrize("missing", PAPERS, ids=lambda paper: str(paper.kind))
    def test_lic1_a_file_without_one_of_the_papers_is_not_approved(self, missing: Licence) -> None:
        rest = [paper for paper in self.PAPERS if paper != missing]
        history = (*recorded(MAKER, *rest), *map(checked, rest))
        given(*history).when(ApproveSupplier(), FILE).refused("supplier.file_incomplete")

    def test_lic1_unverified_or_expired_papers_do_not_count(self) -> None:
        unverified = recorded(MAKER, *self.PAPERS)
        given(*unverified).when(ApproveSupplier(), FILE).refused("supplier.file_incomplete")
        given(*self.COMPLETE).when(ApproveSupplier(), FILE, at=at(date(2027, 1, 1))).refused(
            "supplier.file_incomplete", "2027-01-01"
        )

    def test_lic1_an_approval_can_be_withdrawn(self) -> None:
        approved = SupplierApproved(approver="li", seen=())
        withdraw = WithdrawSupplierApproval(reason="complaints")
        withdrawn = SupplierApprovalWithdrawn(reason="complaints")
        given(*self.COMPLETE, approved).when(ApproveSupplier(), FILE).then()
        given(*self.COMPLETE, approved).when(withdraw, FILE).then(withdrawn)
        given(*self.COMPLETE, approved, withdrawn).when(withdraw, FILE).then()


def test_lic5_the_policy_for_salespeople_is_ours_and_is_set_once() -> None:
    block = SetSalespersonPolicy(policy=GatePolicy.BLOCK)
    assert block.begins() == OWN
    given().when(block).then(SalespersonPolicySet(policy=GatePolicy.BLOCK))
    given(SalespersonPolicySet(policy=GatePolicy.BLOCK)).when(block).then()
    given().when(SetSalespersonPolicy(policy=GatePolicy.WARN)).then()


class TestReminders:
    """GSP art. 51, item 5: 90, 60, 30 and 7 days before the end."""

    REMIND = RemindOfLicence(number=NUMBER)

    @pytest.mark.parametrize("days", REMINDERS)
    def test_a_reminder_is_due_on_its_day_and_not_the_day_before(self, days: int) -> None:
        due = ENDS - timedelta(days=days)
        near = LicenceExpiryNear(number=NUMBER, kind=OPERATING.kind, valid_until=ENDS, days=days)
        earlier = [
            LicenceExpiryNear(number=NUMBER, kind=OPERATING.kind, valid_until=ENDS, days=n)
            for n in REMINDERS
            if n > days
        ]
        given(KNOWN, *earlier).when(self.REMIND, FILE, at=at(due)).then(near)
        given(KNOWN, *earlier).when(self.REMIND, FILE, at=at(due - timedelta(days=1))).then()
        given(KNOWN, *earlier, near).when(self.REMIND, FILE, at=at(due)).then()

    def test_what_was_slept_through_is_said_once(self) -> None:
        near = LicenceExpiryNear(number=NUMBER, kind=OPERATING.kind, valid_until=ENDS, days=30)
        given(KNOWN).when(self.REMIND, FILE, at=at(ENDS - timedelta(days=9))).then(near)

    def test_it_has_expired_the_day_after_its_last_in_china(self) -> None:
        over = LicenceExpired(number=NUMBER, kind=OPERATING.kind, valid_until=ENDS)
        last = LicenceExpiryNear(number=NUMBER, kind=OPERATING.kind, valid_until=ENDS, days=7)
        midnight = datetime(2029, 12, 31, 16, tzinfo=UTC)
        before = midnight - timedelta(seconds=1)
        given(KNOWN, last).when(self.REMIND, FILE, at=before).then()
        given(KNOWN, last).when(self.REMIND, FILE, at=midnight).then(over)
        given(KNOWN, last, over).when(self.REMIND, FILE, at=midnight).then()

    def test_nobody_is_reminded_of_what_was_revoked_renewed_or_does_not_end(self) -> None:
        late = at(ENDS)
        given(KNOWN, REVOKED).when(self.REMIND, FILE, at=late).then()
        given(KNOWN, RENEWED).when(self.REMIND, FILE, at=late).then()
        endless = RemindOfLicence(number=BUSINESS.number)
        given(*recorded(MAKER, BUSINESS)).when(endless, FILE, at=late).then()

    @for_all(st.dates(), st.dates(), st.sampled_from([None, *REMINDERS, 0]))
    def test_a_reminder_is_due_exactly_from_the_day_that_was_waited_for(
        self, until: date, day: date, given: int | None
    ) -> None:
        waited_for = next_reminder(until, given)
        due = reminder(until, day, given)
        assert (due is not None) == (waited_for is not None and day >= waited_for)

    @for_all(st.dates(date(2000, 1, 1), date(9000, 1, 1)))
    def test_who_looks_on_every_day_that_is_waited_for_hears_all_of_them(self, until: date) -> None:
        said: list[int] = []
        while (day := next_reminder(until, said[-1] if said else None)) is not None:
            due = reminder(until, day, said[-1] if said else None)
            assert due is not None
            said.append(due)
        assert said == [*REMINDERS, 0]


class TestALifeOfReminders:
    """However the clock is looked at, whatever is renewed: nothing is said twice, nothing late."""

    @for_all(
        st.lists(
            st.tuples(st.integers(0, 120), st.sampled_from(["look", "renew", "revoke"])),
            max_size=30,
        )
    )
    def test_each_end_is_announced_in_order_and_told_once(
        self, steps: list[tuple[int, str]]
    ) -> None:
        history: list[Event[LicenceFile]] = [KNOWN]
        day, until, said = date(2029, 6, 1), ENDS, list[int]()
        for days, what in steps:
            day += timedelta(days=days)
            if what == "renew":
                until, said = until + timedelta(days=200), []
            command = {
                "look": RemindOfLicence(number=NUMBER),
                "renew": RenewLicence(number=NUMBER, valid_from=DAY, valid_until=until),
                "revoke": RevokeLicence(number=NUMBER, on=day, reason="closed"),
            }[what]
            outcome = given(*history).when(command, FILE, at=at(day))
            history += outcome.events
            if what == "revoke" or outcome.refusal:
                return
            said += [getattr(event, "days", 0) for event in outcome.events if what == "look"]
            assert said == sorted(set(said), reverse=True)
            if what == "look":
                left = (until - day).days
                assert (0 in said) == (left < 0)
                assert [n for n in said if n] or left > REMINDERS[0] or 0 in said


class TestRenewalWindow:
    """LIC-4: 令54 art. 16, from 90 to 30 working days before the end."""

    PLAN = PlanRenewalWindow(number=NUMBER, window=WINDOW)
    OPEN = OpenRenewalWindow(number=NUMBER, window=WINDOW)
    CLOSE = CloseRenewalWindow(number=NUMBER)
    OPENED = LicenceRenewalWindowOpened(number=NUMBER, window=WINDOW)
    CLOSED = LicenceRenewalWindowClosed(number=NUMBER, window=WINDOW)

    def test_lic4_the_window_is_planned_opens_and_closes(self) -> None:
        given(KNOWN).when(self.PLAN, OWN).then(PLANNED)
        given(KNOWN, PLANNED).when(self.OPEN, OWN, at=at(WINDOW.opens_on)).then(self.OPENED)
        after = at(WINDOW.closes_on + timedelta(days=1))
        given(KNOWN, PLANNED, self.OPENED).when(self.CLOSE, OWN, at=after).then(self.CLOSED)

    def test_lic4_nothing_opens_or_closes_before_its_day(self) -> None:
        given(KNOWN, PLANNED).when(self.OPEN, OWN, at=at(DAY)).then()
        given(KNOWN, PLANNED).when(self.CLOSE, OWN, at=at(WINDOW.closes_on)).then()

    def test_lic4_who_wakes_up_after_the_last_day_is_told_that_it_is_over(self) -> None:
        late = at(WINDOW.closes_on + timedelta(days=1))
        given(KNOWN, PLANNED).when(self.OPEN, OWN, at=late).then(self.CLOSED)

    def test_lic4_nothing_is_planned_for_what_has_ended(self) -> None:
        given(KNOWN).when(self.PLAN, OWN, at=at(ENDS + timedelta(days=1))).then()

    def test_lic4_it_is_planned_once_and_for_the_current_term(self) -> None:
        given(KNOWN, PLANNED).when(self.PLAN, OWN).then()
        given(KNOWN, RENEWED).when(self.PLAN, OWN).then()
        given(KNOWN, PLANNED, RENEWED).when(self.OPEN, OWN, at=at(WINDOW.opens_on)).then()
        given(KNOWN, PLANNED, RENEWED).when(self.CLOSE, OWN, at=at(ENDS)).then()

    def test_lic4_what_was_revoked_is_not_renewed(self) -> None:
        for command in (self.PLAN, self.OPEN, self.CLOSE):
            given(KNOWN, PLANNED, REVOKED).when(command, OWN, at=at(ENDS)).then()

    def test_lic4_when_it_opens_it_is_counted_once_more(self) -> None:
        moved = WINDOW.model_copy(update={"closes_on": date(2029, 11, 16)})
        opened = LicenceRenewalWindowOpened(number=NUMBER, window=moved)
        open_moved = OpenRenewalWindow(number=NUMBER, window=moved)
        given(KNOWN, PLANNED).when(open_moved, OWN, at=at(WINDOW.opens_on)).then(opened)
        closed = LicenceRenewalWindowClosed(number=NUMBER, window=moved)
        given(KNOWN, PLANNED, opened).when(self.CLOSE, OWN, at=at(date(2029, 11, 17))).then(closed)


def test_a_practice_licence_has_a_number_of_its_own_form() -> None:
    given().when(RecordLicence(holder="customer:union", licence=PRACTICE)).then(
        LicenceRecorded(holder="customer:union", licence=PRACTICE, recorded_by="chen")
    )


@pytest.mark.parametrize(
    ("holder", "by", "roles"),
    [
        ("own", "wang", (Role.SALES,)),
        ("person:wang", "chen", (Role.SALES,)),
        ("person:wang", "wang", tuple(Role)),
    ],
)
def test_lic_5_nobody_authorises_himself(holder: str, by: str, roles: tuple[Role, ...]) -> None:
    """Nor does sales enter our own licences: nobody checks them once more (LIC-4)."""
    record = RecordLicence(holder=holder, licence=OPERATING)
    given().when(record, by=by, roles=roles).refused("licence.not_for_oneself")
    recorded = LicenceRecorded(holder=holder, licence=OPERATING, recorded_by="gu")
    given().when(record, by="gu", roles=(Role.QUALITY,)).then(recorded)
    renew = RenewLicence(number=OPERATING.number, valid_from="2090-01-01")
    given(recorded).when(renew, by=by, roles=roles).refused("licence.not_for_oneself")
