"""A quote: Q1 to Q7, and every transition of its states (rules.md 3)."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError
from tests.domain.orders.examples import (
    PUMP,
    PUMP_DI,
    STENT,
    UNION,
    UNPAID,
    cny,
    registered,
)
from tests.domain.sales.examples import (
    AT_LIST,
    BELOW_FLOOR,
    CELLS,
    LAST_DAY,
    LETTER,
    LIST,
    Q1,
    SO9,
    TEN_OFF,
    Office,
    accept,
    draft,
    in_stage,
)

from medsales.domain.canonical import content_hash
from medsales.domain.governance.approval import Verdict
from medsales.domain.governance.licence_file import (
    Licence,
    LicenceKind,
    LicenceScope,
    RecordLicence,
    VerifyLicence,
)
from medsales.domain.governance.licence_numbers import DeviceClass
from medsales.domain.ids import ApprovalId, ContractId, LicenceFileId, OrderId, ProductId
from medsales.domain.kernel import Command, Role
from medsales.domain.sales.offer import QuotedLine, WantedQuoteLine
from medsales.domain.sales.quote import (
    AcceptQuote,
    ConvertQuote,
    ConvertQuoteToContract,
    DeclineQuote,
    EditQuote,
    ExpireQuote,
    IssueQuote,
    Quote,
    QuoteSubmitted,
    ReviseQuote,
    SubmitQuote,
    TakeVerdict,
    VoidQuote,
    WithdrawQuote,
)
from medsales.domain.sales.quote import QuoteStatus as S
from medsales.domain.stock.product import TrackedBy
from medsales.domain.terms.contract import Contract
from medsales.domain.terms.price_matrix import (
    PriceCell,
    ResumeVersion,
    RevokeVersion,
    SuspendVersion,
)
from medsales.testing import NOON

REVISE = ReviseQuote(reason="the customer asks for less")
MIDNIGHT = datetime(2026, 6, 30, 16, tzinfo=UTC)
"""In China."""
EVENING = MIDNIGHT - timedelta(seconds=1)


@pytest.fixture
def office() -> Office:
    return Office()


def names(happened: list[Any]) -> list[str]:
    return [type(event).__name__ for event in happened]


# Q1: each line keeps how its price came about


def test_q1_a_line_keeps_price_version_path_floor_and_discount(office: Office) -> None:
    (line,) = office.drafted(TEN_OFF).quote.lines
    assert line == QuotedLine(
        line=1,
        product=PUMP,
        quantity=2,
        price=cny("9000.00"),
        in_force=cny("10000.00"),
        price_version=1,
        price_path=("LIST version 1", "since 2026-01-01", "list price, from 1"),
        rule="list",
        floor=cny("8000.00"),
        discount=Decimal("10.00"),
        price_valid_until=date(2026, 12, 31),
    )


def test_q1_without_price_or_discount_the_price_in_force_is_offered(office: Office) -> None:
    lines = office.drafted().quote.lines
    assert [(line.price, line.discount) for line in lines] == [
        (cny("10000.00"), Decimal(0)),
        (cny("799.99"), Decimal(0)),
    ]


@pytest.mark.parametrize(
    ("asked", "price", "discount"),
    [
        ({"discount": "10"}, "720.00", "10.00"),
        ({"discount": "33.3333"}, "533.33", "33.34"),
        ({"discount": "0"}, "799.99", "0.00"),
        ({"discount": "100"}, "0.00", "100.00"),
        ({"price": cny("799.98")}, "799.98", "0.01"),
        ({"price": cny("880.00")}, "880.00", "-10.00"),
    ],
)
def test_q1_a_price_is_rounded_up_and_no_rounding_hides_a_discount(
    office: Office, asked: dict[str, Any], price: str, discount: str
) -> None:
    (line,) = office.drafted((WantedQuoteLine(product=STENT, quantity=1, **asked),)).quote.lines
    assert (str(line.price.amount), str(line.discount)) == (price, discount)


@pytest.mark.parametrize(
    ("price", "code"),
    [
        (cny("-1"), "quote.price_wrong"),
        (cny("1").model_copy(update={"currency": "EUR"}), "quote.price_wrong"),
        (cny("99999999999999"), "quote.amount_too_large"),
    ],
)
def test_an_impossible_price_is_refused(office: Office, price: Any, code: str) -> None:
    line = WantedQuoteLine(product=STENT, quantity=1_000_000, price=price)
    assert office.refusal(draft((line,))).code == code


def test_a_total_too_large_for_money_is_refused(office: Office) -> None:
    line = WantedQuoteLine(product=STENT, quantity=1, price=cny("90000000000000"))
    office.drafted((line, line))
    assert office.refusal(SubmitQuote(), Q1).code == "quote.amount_too_large"


def test_a_line_asks_for_a_price_or_a_discount_not_both() -> None:
    with pytest.raises(ValidationError, match="not both"):
        WantedQuoteLine(product=STENT, quantity=1, price=cny("1"), discount="1")


def test_what_has_no_price_cannot_be_quoted(office: Office) -> None:
    late = datetime(2027, 1, 1, tzinfo=UTC)
    assert office.refusal(draft(), at=late).code == "price.none"


def test_a_number_is_used_once_and_the_same_again_is_harmless(office: Office) -> None:
    office.drafted()
    assert office.tell(draft()) == []
    assert office.refusal(draft(TEN_OFF)).code == "quote.number_taken"


def test_a_draft_is_priced_anew_when_it_is_submitted(office: Office) -> None:
    office.drafted()
    office.price((PriceCell(product=PUMP, price=cny("9000.00")), CELLS[1]), date(2026, 6, 1))
    office.tell(SubmitQuote(), Q1)
    assert [(line.price, line.price_version) for line in office.quote.lines] == [
        (cny("9000.00"), 2),
        (cny("799.99"), 2),
    ]


# The states


ALL: dict[str, Command[Any]] = {
    "edit": EditQuote(lines=TEN_OFF, valid_until=LAST_DAY),
    "submit": SubmitQuote(),
    "withdraw": WithdrawQuote(reason="a typing error"),
    "issue": IssueQuote(),
    "revise": REVISE,
    "decline": DeclineQuote(reason="no budget"),
    "expire": ExpireQuote(valid_until=LAST_DAY),
    "convert": ConvertQuote(into=SO9),
    "void": VoidQuote(reason="the ward is not built"),
}
NEXT = {
    (S.DRAFT, "edit"): S.DRAFT,
    (S.DRAFT, "submit"): S.APPROVED,
    (S.PENDING_APPROVAL, "withdraw"): S.WITHDRAWN,
    (S.PENDING_APPROVAL, "revise"): S.DRAFT,
    (S.PENDING_APPROVAL, "approve"): S.APPROVED,
    (S.PENDING_APPROVAL, "reject"): S.DRAFT,
    (S.APPROVED, "issue"): S.ISSUED,
    (S.APPROVED, "revise"): S.DRAFT,
    (S.ISSUED, "accept"): S.ACCEPTED,
    (S.ISSUED, "decline"): S.DECLINED,
    (S.ISSUED, "expire"): S.EXPIRED,
    (S.ISSUED, "revise"): S.DRAFT,
    (S.ISSUED, "withdraw"): S.WITHDRAWN,
    (S.ACCEPTED, "convert"): S.CONVERTED,
    (S.ACCEPTED, "void"): S.VOIDED,
}
"""rules.md 3, and one more: what waits for approval may be revised, which voids the request."""
REPEATED = {
    (S.PENDING_APPROVAL, "submit"),
    (S.ISSUED, "issue"),
    (S.WITHDRAWN, "withdraw"),
    (S.DECLINED, "decline"),
    (S.ACCEPTED, "accept"),
    (S.CONVERTED, "accept"),
    (S.VOIDED, "accept"),
    (S.CONVERTED, "convert"),
    (S.VOIDED, "void"),
}
"""Asked again, these change nothing."""
STAGES = [status for status in S if status is not S.SUPERSEDED]


@pytest.mark.parametrize("action", [*ALL, "accept", "approve", "reject"])
@pytest.mark.parametrize("status", STAGES, ids=lambda status: status.value)
def test_every_transition_is_that_of_the_table(status: S, action: str) -> None:
    office = in_stage(status)
    assert office.quote.status is status
    wanted = NEXT.get((status, action))
    if action in {"approve", "reject"}:
        if wanted is None:
            verdict = about(office.quote, granted=action == "approve")
            assert office.refusal(TakeVerdict(verdict=verdict), Q1).code == "quote.wrong_stage"
            return
        (office.approve if action == "approve" else office.reject)()
    else:
        command = accept_or(ALL.get(action), office)
        if (status, action) in REPEATED or (action == "expire" and wanted is None):
            assert office.tell(command, Q1) == []
            return
        if wanted is None:
            code = office.refusal(command, Q1).code
            assert code in {"quote.wrong_stage", "quote.converted"}
            return
        office.tell(command, Q1)
    assert office.quote.status is wanted


def accept_or(command: Command[Any] | None, office: Office) -> Command[Any]:
    if command is not None:
        return command
    known = office.quote.content_hash or "sha256:" + "0" * 64
    return accept(office.quote, content_hash=known)


def about(quote: Quote, *, granted: bool, **otherwise: Any) -> Verdict:
    said = {
        "approval": quote.approval or ApprovalId.of(Q1, "1"),
        "version": quote.version,
        "content_hash": quote.content_hash,
        "granted": granted,
    }
    return Verdict(**{**said, **otherwise})


def test_a_refusal_says_what_the_quote_is_in_both_languages() -> None:
    refused = in_stage(S.DECLINED).refusal(IssueQuote(), Q1)
    assert refused.sentence == (
        "version 1 is declined, not approved",
        "第 1 版已被拒绝, 而非已批准",
    )


# Q2: the approval is of this version and this content


def test_q2_at_the_price_in_force_it_is_within_ones_own_limit(office: Office) -> None:
    happened = office.drafted().tell(SubmitQuote(), Q1)
    assert names(happened) == [
        "QuoteSubmitted",
        "ApprovalRequested",
        "ApprovalGranted",
        "QuoteApproved",
    ]
    assert office.quote.status is S.APPROVED


def test_q2_a_discount_waits_for_somebody_else(office: Office) -> None:
    office.submitted(TEN_OFF)
    assert office.refusal(IssueQuote(), Q1).code == "quote.wrong_stage"
    assert names(office.approve()) == ["StepApproved", "ApprovalGranted", "QuoteApproved"]
    office.tell(IssueQuote(), Q1)


def test_q2_below_the_floor_two_people_approve(office: Office) -> None:
    office.submitted(BELOW_FLOOR)
    assert submission(office).case.flags == ("below_floor",)
    assert "QuoteApproved" not in names(office.approve(by="wang"))
    assert names(office.approve(by="sun"))[-1] == "QuoteApproved"


def submission(office: Office) -> QuoteSubmitted:
    submitted = office.streams_of(Q1, "QuoteSubmitted")[-1]
    assert isinstance(submitted, QuoteSubmitted)
    return submitted


def test_q2_the_approval_names_the_version_and_the_hash_of_what_the_customer_sees(
    office: Office,
) -> None:
    quote = office.submitted(TEN_OFF).quote
    assert quote.content is not None
    assert quote.content_hash == content_hash(quote.content)
    (asked,) = office.streams_of(ApprovalId.of(Q1, "1"), "ApprovalRequested")
    told = asked.model_dump()
    assert (told["version"], told["content_hash"]) == (1, quote.content_hash)
    shown = (quote.content.customer_name, quote.content.total, quote.content.lines[0].name)
    assert shown == ("浙江协和医院", cny("18000.00"), "输液泵")


def test_q2_the_case_tells_what_conditions_look_at(office: Office) -> None:
    mixed = (*TEN_OFF, WantedQuoteLine(product=STENT, quantity=1, discount="20"))
    case = submission(office.submitted(mixed)).case
    assert (case.discount, case.amount, case.region) == (Decimal("20.00"), cny("18640.00"), "华东")
    assert case.customer_grade == "3A"


def test_q2_what_is_submitted_is_not_edited(office: Office) -> None:
    office.submitted(TEN_OFF)
    edit = EditQuote(lines=BELOW_FLOOR, valid_until=LAST_DAY)
    assert office.refusal(edit, Q1).code == "quote.wrong_stage"
    office.approve()
    assert office.refusal(edit, Q1).code == "quote.wrong_stage"


@pytest.mark.parametrize("approved", [False, True])
def test_q2_a_revision_voids_the_approval_in_the_same_decision(
    office: Office, approved: bool
) -> None:
    office.submitted(TEN_OFF)
    first = office.quote.approval
    if approved:
        office.approve()
    assert names(office.tell(REVISE, Q1)) == ["QuoteRevised", "ApprovalVoided"]
    assert (office.quote.version, office.quote.status) == (2, S.DRAFT)
    assert office.refusal(IssueQuote(), Q1).code == "quote.wrong_stage"
    with pytest.raises(Exception, match="voided"):
        office.approve(first, by="sun")


def test_q2_a_withdrawal_voids_the_approval(office: Office) -> None:
    office.submitted(TEN_OFF)
    withdrawn = office.tell(WithdrawQuote(reason="no longer wanted"), Q1)
    assert names(withdrawn) == ["QuoteWithdrawn", "ApprovalVoided"]


def test_q2_a_rejected_version_is_edited_and_asks_anew(office: Office) -> None:
    office.submitted(BELOW_FLOOR)
    assert names(office.reject()) == ["ApprovalRejected", "QuoteRejected"]
    assert (office.quote.version, office.quote.status) == (1, S.DRAFT)
    office.tell(EditQuote(lines=TEN_OFF, valid_until=LAST_DAY), Q1)
    office.tell(SubmitQuote(), Q1)
    assert office.quote.approval == ApprovalId.of(Q1, "2")
    office.approve()
    assert office.quote.status is S.APPROVED


@pytest.mark.parametrize(
    "otherwise",
    [
        {"content_hash": "sha256:" + "0" * 64},
        {"version": 2},
        {"approval": ApprovalId.of(Q1, "2")},
    ],
)
def test_q2_a_verdict_about_anything_else_is_refused(
    office: Office, otherwise: dict[str, Any]
) -> None:
    quote = office.submitted(TEN_OFF).quote
    verdict = about(quote, granted=True, **otherwise)
    assert office.refusal(TakeVerdict(verdict=verdict), Q1).code == "approval.verdict_stale"


def test_q2_who_wrote_or_submitted_it_does_not_approve_it(office: Office) -> None:
    office.drafted(TEN_OFF)
    office.tell(EditQuote(lines=BELOW_FLOOR, valid_until=LAST_DAY), Q1, by="li")
    office.tell(SubmitQuote(), Q1, by="zhou")
    approval = office.quote.approval
    for author in ("chen", "li", "zhou"):
        with pytest.raises(Exception, match="did not write or submit"):
            office.approve(approval, by=author)
    office.approve(approval, by="wang")


def test_q2_who_wrote_the_version_before_does_not_approve_the_revision(office: Office) -> None:
    office.submitted(TEN_OFF)
    office.tell(REVISE, Q1, by="li")
    office.tell(SubmitQuote(), Q1, by="li")
    with pytest.raises(Exception, match="did not write or submit"):
        office.approve(by="chen")


# Q3, Q4: only what is issued, current and valid is accepted


def test_q3_only_the_current_version_is_accepted(office: Office) -> None:
    first = office.issued().quote
    office.tell(REVISE, Q1)
    assert office.refusal(accept(first), Q1).code == "quote.not_current"
    office.tell(SubmitQuote(), Q1)
    office.tell(IssueQuote(), Q1)
    assert office.refusal(accept(first), Q1).code == "quote.not_current"
    office.tell(accept(office.quote), Q1)


def test_q4_what_was_seen_is_what_is_accepted(office: Office) -> None:
    other = accept(office.issued().quote, content_hash="sha256:" + "0" * 64)
    assert office.refusal(other, Q1).code == "quote.content_differs"


def test_q4_the_last_day_is_a_good_one(office: Office) -> None:
    office.issued()
    office.tell(accept(office.quote), Q1, at=EVENING)
    assert office.quote.status is S.ACCEPTED


def test_q4_after_it_nothing_is_accepted_whether_or_not_the_timer_has_rung(
    office: Office,
) -> None:
    office.issued()
    assert office.refusal(accept(office.quote), Q1, at=MIDNIGHT).code == "quote.expired"
    assert office.quote.status is S.ISSUED


def test_q4_a_timer_for_another_day_changes_nothing(office: Office) -> None:
    office.issued()
    assert office.tell(ExpireQuote(valid_until=date(2026, 6, 29)), Q1) == []
    assert names(office.tell(ExpireQuote(valid_until=LAST_DAY), Q1)) == ["QuoteExpired"]


def test_q4_two_acceptances_are_one_or_the_second_is_told(office: Office) -> None:
    quote = office.issued().quote
    office.tell(accept(quote), Q1)
    assert office.tell(accept(quote), Q1) == []
    other = accept(quote, accepted_by="somebody else")
    assert office.refusal(other, Q1).code == "quote.wrong_stage"


@pytest.mark.parametrize("command", [SubmitQuote(), IssueQuote()], ids=["submit", "issue"])
def test_what_is_over_is_neither_submitted_nor_issued(office: Office, command: Any) -> None:
    office.drafted()
    if isinstance(command, IssueQuote):
        office.tell(SubmitQuote(), Q1)
    assert office.refusal(command, Q1, at=MIDNIGHT).code == "quote.expired"


def test_a_suspended_customer_is_not_quoted(office: Office) -> None:
    office.drafted()
    office.streams[UNION].append(UNPAID)
    office.known.pop(UNION)
    assert office.refusal(SubmitQuote(), Q1).code == "customer.suspended"


@pytest.mark.parametrize(
    "command", [AcceptQuote, ReviseQuote, WithdrawQuote, VoidQuote, ConvertQuoteToContract]
)
def test_q4_what_binds_us_or_frees_us_counts_from_when_it_is_told(
    command: type[Command[Any]],
) -> None:
    """With a time of its own choosing a quote could be accepted before it was written."""
    assert command.at_once


# P7: what the customer has in hand counts; what we still have is looked at once more


@pytest.mark.parametrize("revoked", [False, True], ids=["suspended", "revoked"])
def test_p7_a_quote_is_not_issued_at_prices_that_have_been_given_up(
    office: Office, revoked: bool
) -> None:
    office.submitted()
    office.tell(SuspendVersion(version=1, reason="a wrong column"), LIST)
    if revoked:
        office.tell(RevokeVersion(version=1, reason="a wrong column"), LIST)
    refused = office.refusal(IssueQuote(), Q1)
    assert refused.code == "quote.price_given_up"
    assert "revise the quote" in refused.sentence.en
    assert "请修订报价" in refused.sentence.zh


def test_p7_revised_it_is_issued_at_the_prices_that_count_now(office: Office) -> None:
    office.submitted()
    office.tell(SuspendVersion(version=1, reason="a wrong column"), LIST)
    office.tell(RevokeVersion(version=1, reason="a wrong column"), LIST)
    office.price(CELLS, date(2026, 1, 1))
    for command in (REVISE, SubmitQuote(), IssueQuote()):
        office.tell(command, Q1)
    assert {line.price_version for line in office.quote.lines} == {2}


def test_p7_resumed_prices_are_issued_as_they_were_approved(office: Office) -> None:
    office.submitted()
    office.tell(SuspendVersion(version=1, reason="a doubt"), LIST)
    office.tell(ResumeVersion(version=1, reason="all is well"), LIST)
    office.tell(IssueQuote(), Q1)
    assert office.quote.status is S.ISSUED


def test_p7_what_has_been_issued_is_accepted_whatever_becomes_of_its_prices(
    office: Office,
) -> None:
    office.issued().tell(SuspendVersion(version=1, reason="a wrong column"), LIST)
    office.tell(accept(office.quote), Q1)
    assert office.quote.status is S.ACCEPTED


# Q5: converted exactly once


def test_q5_an_order_is_made_of_it_once(office: Office) -> None:
    office.accepted()
    offer = office.quote.offer(NOON)
    assert (offer.version, offer.customer, offer.price_matrix) == (1, UNION, LIST)
    assert [line.price for line in offer.lines] == [cny("10000.00"), cny("799.99")]
    office.tell(ConvertQuote(into=SO9), Q1)
    assert office.tell(ConvertQuote(into=SO9), Q1) == []
    again = office.refusal(ConvertQuote(into=OrderId("order:SO-10")), Q1)
    assert (again.code, again.sentence.en) == (
        "quote.converted",
        "the quote has already become order:SO-9",
    )
    with pytest.raises(Exception, match="already become"):
        office.quote.offer(NOON)


def test_q5_nothing_is_made_of_what_is_not_accepted(office: Office) -> None:
    with pytest.raises(Exception, match="is issued, not accepted"):
        office.issued().quote.offer(NOON)


TO_CONTRACT = ConvertQuoteToContract(
    number="HT-1",
    title="输液泵采购",
    valid_from=date(2026, 6, 1),
    valid_until=date(2027, 5, 31),
)


def test_q5_a_contract_is_drafted_at_its_prices_with_their_reasons(office: Office) -> None:
    office.accepted()
    happened = office.tell(TO_CONTRACT, Q1)
    assert names(happened) == ["QuoteConverted", "ContractDrafted"]
    draft = office.state("contract:HT-1", Contract).under_way
    assert draft is not None
    assert (draft.content.quote, draft.content.customer) == (Q1, UNION)
    assert [(line.price, line.max_quantity) for line in draft.content.lines] == [
        (cny("10000.00"), 2),
        (cny("799.99"), 10),
    ]
    assert [(reason.pieces, reason.price_version) for reason in draft.reasons] == [(2, 1), (10, 1)]
    assert office.tell(TO_CONTRACT, Q1) == []
    again = TO_CONTRACT.model_copy(update={"number": "HT-2"})
    assert office.refusal(again, Q1).code == "quote.converted"
    assert office.refusal(ConvertQuote(into=SO9), Q1).code == "quote.converted"
    assert office.quote.converted_into == ContractId("contract:HT-1")


@pytest.mark.parametrize("otherwise", [{"title": "其他"}, {"valid_until": date(2028, 5, 31)}])
def test_q5_its_contract_asked_for_again_with_another_content_is_refused(
    office: Office, otherwise: dict[str, Any]
) -> None:
    office.accepted().tell(TO_CONTRACT, Q1)
    other = TO_CONTRACT.model_copy(update=otherwise)
    assert office.refusal(other, Q1).code == "contract.number_taken"
    assert office.tell(TO_CONTRACT, Q1) == []


def test_q5_when_the_contract_is_refused_the_quote_is_as_it_was(office: Office) -> None:
    office.accepted()
    backwards = TO_CONTRACT.model_copy(update={"valid_until": date(2026, 5, 31)})
    assert office.refusal(backwards, Q1).code == "contract.ends_before_it_begins"
    assert office.quote.status is S.ACCEPTED


def test_q5_a_product_in_several_lines_is_one_line_of_the_contract(office: Office) -> None:
    office.issued((*AT_LIST, AT_LIST[0]))
    office.tell(accept(office.quote), Q1)
    office.tell(TO_CONTRACT, Q1)
    content = office.state("contract:HT-1", Contract).content
    assert content is not None
    assert [(line.product, line.max_quantity) for line in content.lines] == [(PUMP, 4), (STENT, 10)]


# Q6: an offer that outlives its price needs approval


@pytest.mark.parametrize(
    ("valid_until", "status"),
    [(date(2026, 12, 31), S.APPROVED), (date(2027, 1, 1), S.PENDING_APPROVAL)],
)
def test_q6_an_offer_that_outlives_its_price_waits_for_approval(
    office: Office, valid_until: date, status: S
) -> None:
    office.submitted(valid_until=valid_until)
    assert office.quote.status is status
    beyond = status is S.PENDING_APPROVAL
    assert submission(office).case.flags == (("beyond_price_validity",) if beyond else ())


def test_q6_the_next_version_of_the_prices_ends_the_one_in_force(office: Office) -> None:
    office.price(CELLS, date(2026, 6, 15))
    office.submitted()
    assert submission(office).case.flags == ("beyond_price_validity",)


@pytest.mark.parametrize(("days", "flagged"), [(90, False), (91, True)])
def test_q6_a_price_without_an_end_is_not_promised_for_ever(
    office: Office, days: int, flagged: bool
) -> None:
    office.price(CELLS, date(2026, 1, 1))
    office.submitted(valid_until=NOON.date() + timedelta(days=days))
    assert submission(office).case.flags == (("beyond_price_validity",) if flagged else ())
    assert office.quote.status is (S.PENDING_APPROVAL if flagged else S.APPROVED)


# Q7, LIC-5: who may buy this, who may sell it

CLASS_III = registered(PUMP_DI, "输液泵", TrackedBy.SERIAL).model_copy(
    update={"device_class": DeviceClass.III}
)
THEIR_FILE = LicenceFileId.of(UNION)


VERIFIED = VerifyLicence(
    number="12330000470003281C", method="卫健委查询", valid_until=date(2030, 1, 1)
)


def licensed(*products: ProductId) -> RecordLicence:
    licence = Licence(
        kind=LicenceKind.PRACTICE,
        number="12330000470003281C",
        scope=LicenceScope(products=products),
        valid_from=date(2020, 1, 1),
        valid_until=date(2030, 1, 1),
        issuer="浙江省卫生健康委员会",
    )
    return RecordLicence(holder=UNION, licence=licence)


@pytest.fixture
def strict() -> Office:
    """Where pumps are of class III: a hospital needs its practice licence for them."""
    office = Office()
    office.streams[PUMP][0] = CLASS_III
    office.known.clear()
    return office


def test_q7_without_a_licence_on_file_it_is_not_submitted(strict: Office) -> None:
    strict.drafted()
    refused = strict.refusal(SubmitQuote(), Q1)
    assert refused.code == "buyer.licence_missing"
    assert strict.quote.status is S.DRAFT


def test_q7_a_licence_that_does_not_cover_the_goods_is_not_enough(strict: Office) -> None:
    strict.tell(licensed(STENT))
    strict.tell(VERIFIED, THEIR_FILE, by="gu")
    assert strict.drafted().refusal(SubmitQuote(), Q1).code == "buyer.scope"


def test_q7_what_the_gates_saw_is_kept_and_lic_5_warns(strict: Office) -> None:
    strict.tell(licensed())
    strict.tell(VERIFIED, THEIR_FILE, by="gu")
    submitted = submission(strict.submitted())
    buyer, seller = submitted.gates
    assert (buyer.gate, buyer.passed, buyer.inputs[0].number) == (
        "LIC-3",
        True,
        "12330000470003281C",
    )
    assert (seller.gate, seller.passed, seller.code) == ("LIC-5", False, "authorisation.missing")
    assert submitted.case.product_classes == ("III",)


def test_a_void_quote_is_given_up_by_a_manager() -> None:
    assert VoidQuote.allowed == (Role.MANAGER,)
    assert accept(Quote(version=1, content_hash=LETTER)).evidence == LETTER
