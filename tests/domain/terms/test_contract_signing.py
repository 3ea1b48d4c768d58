"""C1, C5, C6, C7: what is signed, by whom, in time, and with valid licences."""

from datetime import date, timedelta
from typing import Any

import pytest
from tests.domain.terms.contracts import (
    BEGIN,
    CONTRACT,
    END,
    HOSPITAL,
    PENS,
    PUMP,
    UNION,
    ContractTown,
    cny,
    draft,
    lines,
)

from medsales.domain.canonical import content_hash
from medsales.domain.governance.approval import Verdict
from medsales.domain.governance.licence_file import (
    OWN,
    GatePolicy,
    Licence,
    LicenceKind,
    RecordLicence,
    SetSalespersonPolicy,
    VerifyLicence,
)
from medsales.domain.governance.licence_numbers import DeviceClass
from medsales.domain.governance.signature import Meaning, Signature
from medsales.domain.ids import PersonId
from medsales.domain.kernel import Role
from medsales.domain.terms.contract import (
    ContractStatus,
    EditContract,
    RecallContract,
    SendContract,
    SubmitContract,
    TakeVerdict,
)
from medsales.domain.terms.contract_content import AgreedLine, Award, Side
from medsales.domain.terms.contract_signing import (
    ContractActivated,
    ContractSigned,
    CounterpartySignatureRecorded,
    ExcuseLateSigning,
    RefuseContract,
)

OTHER = "sha256:" + "0" * 64


@pytest.fixture
def town() -> ContractTown:
    town = ContractTown()
    town.told(draft())
    return town


def test_c1_each_signature_covers_the_hash_of_the_content(town: ContractTown) -> None:
    town.sent()
    content = town.under_way.content
    town.told(town.countersign(), CONTRACT, by="liu")
    town.told(town.sign(), CONTRACT, by="sun")
    signed = [e for e in town.streams[CONTRACT] if isinstance(e, ContractSigned)]
    assert [each.side for each in signed] == [Side.THEIRS, Side.OURS]
    for each in signed:
        signature = town.state(each.signature)
        assert isinstance(signature, Signature)
        assert signature.signed is not None
        assert signature.signed.statement.content_hash == content_hash(content)
        assert signature.signed.is_genuine(PENS[each.signer.key].public_key)


def test_c1_a_change_of_content_or_signature_shows(town: ContractTown) -> None:
    town.sent()
    content = town.under_way.content
    changed = content.model_copy(update={"payment_days": content.payment_days + 1})
    assert content_hash(changed) != town.under_way.content_hash
    signed = town.statement("sun")
    other = signed.statement.model_copy(update={"content_hash": content_hash(changed)})
    forged = signed.model_copy(update={"statement": other})
    assert not forged.is_genuine(PENS["sun"].public_key)


@pytest.mark.parametrize(
    ("otherwise", "code"),
    [
        ({"subject": "contract:HT-2"}, "signature.other_subject"),
        ({"version": 2}, "signature.subject_moved"),
        ({"content_hash": OTHER}, "signature.subject_moved"),
        ({"meaning": Meaning.RECEIPT}, "signature.other_meaning"),
        ({"role": Role.SALES}, "contract.not_our_signatory"),
    ],
)
def test_c1_a_signature_of_anything_else_is_none(
    town: ContractTown, otherwise: dict[str, Any], code: str
) -> None:
    town.sent()
    town.refused(code, town.sign(**otherwise), by="sun")


def test_what_changed_after_it_was_signed_is_signed_again(town: ContractTown) -> None:
    town.sent()
    stale = town.sign()
    town.told(RecallContract(reason="付款期有误"), CONTRACT)
    edit = EditContract(**draft(payment_days=60).model_dump(exclude={"number", "customer"}))
    town.told(edit, CONTRACT)
    town.sent()
    town.refused("signature.subject_moved", stale, by="sun")


def test_the_last_signature_activates_and_says_what_counts(town: ContractTown) -> None:
    town.sent()
    town.told(town.sealed(), CONTRACT)
    assert town.status() is ContractStatus.PARTIALLY_SIGNED
    town.later(2)
    town.told(town.sign(), CONTRACT, by="sun")
    last = town.last()
    assert isinstance(last, ContractActivated)
    assert last.since == BEGIN + timedelta(days=2)
    assert last.terms.valid_until == END
    assert town.status() is ContractStatus.ACTIVE


def test_the_order_of_the_signatures_does_not_matter(town: ContractTown) -> None:
    town.sent()
    town.told(town.sign(by="wang"), CONTRACT, by="wang")
    town.told(town.sealed(), CONTRACT)
    assert town.status() is ContractStatus.ACTIVE


def test_signing_again_is_harmless_and_signing_twice_is_not(town: ContractTown) -> None:
    town.sent()
    sign = town.sign()
    town.told(sign, CONTRACT, by="sun")
    town.told(sign, CONTRACT, by="sun")
    town.refused("contract.signed_already", town.sign(by="wang"), by="wang")
    town.told(town.sealed(), CONTRACT)
    town.told(sign, CONTRACT, by="sun")
    assert town.happened().count("ContractSigned") == 1


def test_nobody_signs_as_somebody_else(town: ContractTown) -> None:
    town.sent()
    town.refused("signature.not_own", town.sign(by="sun"), by="wang")
    assert town.status() is ContractStatus.OUT_FOR_SIGNATURE


def test_our_people_sign_for_us_and_theirs_for_them(town: ContractTown) -> None:
    town.sent()
    town.refused("contract.not_our_signatory", town.sign(by="liu"), by="liu")
    town.refused("contract.not_their_signatory", town.countersign(by="sun"), by="sun")


def test_whoever_enters_their_signature_does_not_sign_for_us(town: ContractTown) -> None:
    town.sent()
    town.told(town.sealed(), CONTRACT, by="sun")
    town.refused("contract.both_sides", town.sign(by="sun"), by="sun")
    town.told(town.sign(by="wang"), CONTRACT, by="wang")


def test_whoever_signed_for_us_does_not_enter_their_signature(town: ContractTown) -> None:
    town.sent()
    town.told(town.sign(by="sun"), CONTRACT, by="sun")
    town.refused("contract.both_sides", town.sealed(), by="sun")


def test_what_they_signed_elsewhere_is_kept_with_its_evidence(town: ContractTown) -> None:
    town.sent()
    town.later(1)
    town.told(town.sealed(), CONTRACT)
    recorded = town.last()
    assert isinstance(recorded, CounterpartySignatureRecorded)
    assert recorded.organisation == HOSPITAL
    assert recorded.recorded_by == "chen"
    assert recorded.signed_on == BEGIN + timedelta(days=1)
    assert recorded.content_hash == town.under_way.content_hash


def test_entering_their_signature_again_changes_nothing(town: ContractTown) -> None:
    town.sent()
    sealed = town.sealed()
    town.told(sealed, CONTRACT)
    town.told(sealed, CONTRACT)
    town.refused("contract.signed_already", town.sealed(evidence=OTHER))
    town.told(town.sign(), CONTRACT, by="sun")
    town.told(sealed, CONTRACT)
    assert town.happened().count("CounterpartySignatureRecorded") == 1


def test_what_they_signed_elsewhere_is_this_content_and_after_it_was_sent(
    town: ContractTown,
) -> None:
    town.sent()
    town.refused("contract.content_differs", town.sealed(content_hash=OTHER))
    early, late = town.now - timedelta(days=1), town.now + timedelta(hours=1)
    for moment in (early, late):
        town.refused("contract.signed_at_wrong", town.sealed(signed_at=moment))


def test_a_refusal_voids_the_signatures_and_deletes_none(town: ContractTown) -> None:
    town.sent()
    sign = town.sign()
    town.told(sign, CONTRACT, by="sun")
    town.told(RefuseContract(side=Side.THEIRS, reason="院方预算取消"), CONTRACT)
    signature = sign.signature.statement.id()
    assert town.happened(signature) == ["Signed", "SignatureInvalidated"]
    assert town.status() is ContractStatus.DRAFT
    town.sent()
    town.refused("signature.invalidated", sign, by="sun")
    town.later(1)
    town.told(town.sign(), CONTRACT, by="sun")


def test_nothing_is_signed_before_it_was_sent(town: ContractTown) -> None:
    town.refused("contract.wrong_stage", town.sign(), by="sun")
    town.approved()
    town.refused("contract.wrong_stage", town.sign(), by="sun")
    town.refused("contract.wrong_stage", town.sealed())


def test_what_would_be_over_is_not_signed(town: ContractTown) -> None:
    town.sent()
    town.later(400)
    town.refused("contract.over", town.sign(), by="sun")


# C5, C6

AWARD = Award(
    tender="ZB-2026-7",
    subject="输液泵与支架年度采购",
    awarded_on=BEGIN - timedelta(days=10),
    lines=lines(),
    valid_from=BEGIN,
    valid_until=END,
)


@pytest.mark.parametrize(
    ("otherwise", "what"),
    [
        ({"title": "另一标的"}, "subject"),
        ({"quality": "降低标准"}, "quality"),
        ({"lines": (lines()[0], lines()[1].model_copy(update={"price": cny(699)}))}, "price"),
        ({"lines": lines(pumps=101)}, "quantity"),
        ({"lines": lines()[:1]}, "price"),
        ({"valid_until": END + timedelta(days=1)}, "term"),
    ],
)
def test_c5_a_contract_from_a_tender_says_what_was_bid(
    otherwise: dict[str, object], what: str
) -> None:
    town = ContractTown()
    refusal = town.refused("contract.unlike_the_bid", draft(award=AWARD, **otherwise))
    assert f"the {what} is not that of the bid" in str(refusal)


def test_c5_not_even_the_draft_of_it_is_changed() -> None:
    town = ContractTown()
    town.told(draft(award=AWARD))
    edit = draft(award=AWARD, payment_days=90).model_dump(exclude={"number", "customer"})
    town.told(EditContract(**edit), CONTRACT)
    wrong = {**edit, "lines": lines(stents=21)}
    town.refused("contract.unlike_the_bid", EditContract(**wrong))


def awarded(days_ago: int) -> ContractTown:
    town = ContractTown()
    award = AWARD.model_copy(update={"awarded_on": BEGIN - timedelta(days=days_ago)})
    town.told(draft(award=award))
    town.sent()
    return town


@pytest.mark.parametrize(("days_ago", "late"), [(30, False), (31, True)])
def test_c6_a_contract_is_signed_within_30_days_of_the_award(days_ago: int, *, late: bool) -> None:
    town = awarded(days_ago)
    if not late:
        town.told(town.sealed(), CONTRACT)
        town.told(town.sign(), CONTRACT, by="sun")
        return
    town.refused("contract.award_too_old", town.sealed())
    town.refused("contract.award_too_old", town.sign(), by="sun")


def test_c6_both_signatures_are_in_time() -> None:
    town = awarded(30)
    town.told(town.sealed(), CONTRACT)
    town.later(1)
    town.refused("contract.award_too_old", town.sign(), by="sun")


def test_c6_it_is_signed_later_after_somebody_else_has_said_why() -> None:
    town = awarded(31)
    excuse = ExcuseLateSigning(reason="招标人因换届延期, 双方书面同意")
    town.refused("contract.excused_by_author", excuse, by="chen")
    town.told(excuse, CONTRACT, by="sun")
    town.told(excuse, CONTRACT, by="sun")
    town.told(town.sealed(), CONTRACT)
    town.told(town.sign(), CONTRACT, by="sun")
    assert town.status() is ContractStatus.ACTIVE
    assert town.happened().count("LateSigningExcused") == 1


def test_c6_is_about_tenders() -> None:
    town = ContractTown()
    town.told(draft())
    town.refused("contract.not_from_tender", ExcuseLateSigning(reason="x"), by="sun")


# C7


def licensed(town: ContractTown, holder: str, kind: LicenceKind, until: date) -> None:
    number = {"own": "浙杭药监械经营许20220001号"}.get(holder, f"PDY{holder[-5:]}")
    licence = Licence(
        kind=kind, number=number, issuer="卫健委", valid_from=date(2022, 1, 1), valid_until=until
    )
    record = RecordLicence(holder=holder, licence=licence)
    town.told(record)
    if holder != "own":
        verify = VerifyLicence(number=number, method="卫健委网站", valid_until=until)
        town.told(verify, record.begins(), by="li")


@pytest.fixture
def regulated() -> ContractTown:
    """A contract about pumps of class III."""
    town = ContractTown(pumps=DeviceClass.III)
    town.told(draft())
    town.sent()
    return town


def test_c7_both_parties_are_licensed_at_the_signing(regulated: ContractTown) -> None:
    town = regulated
    town.refused("buyer.licence_missing", town.sign(), by="sun")
    licensed(town, UNION, LicenceKind.PRACTICE, date(2027, 12, 31))
    town.refused("seller.licence_missing", town.sign(), by="sun")
    licensed(town, "own", LicenceKind.OPERATING, date(2026, 12, 31))
    town.told(town.sign(), CONTRACT, by="sun")
    signed = town.last()
    assert isinstance(signed, ContractSigned)
    assert [gate.gate for gate in signed.gates] == ["LIC-3", "LIC-4", "LIC-5"]
    assert [len(gate.inputs) for gate in signed.gates[:2]] == [1, 1]


def test_c7_an_expired_licence_suspends_new_orders(regulated: ContractTown) -> None:
    town = regulated
    licensed(town, UNION, LicenceKind.PRACTICE, date(2027, 12, 31))
    licensed(town, "own", LicenceKind.OPERATING, date(2026, 12, 31))
    town.told(town.sealed(), CONTRACT)
    town.told(town.sign(), CONTRACT, by="sun")
    town.told(town.call_off("SO-1", pumps=1), CONTRACT)
    town.later(300)
    town.refused("licence.expired", town.call_off("SO-2", pumps=1))
    town.told(town.call_off("SO-3", stents=1), CONTRACT)
    town.told(town.give_back("SO-1", pumps=1), CONTRACT)


def test_lic_5_the_salesperson_is_authorised_where_the_policy_says_so() -> None:
    town = ContractTown()
    town.told(SetSalespersonPolicy(policy=GatePolicy.BLOCK), OWN)
    town.told(draft())
    town.sent()
    town.refused("authorisation.missing", town.sealed())
    town.told(SetSalespersonPolicy(policy=GatePolicy.WARN), OWN)
    town.told(town.sealed(), CONTRACT)
    recorded = town.last()
    assert isinstance(recorded, CounterpartySignatureRecorded)
    assert [gate.passed for gate in recorded.gates] == [True, True, False]


def test_who_drafted_it_is_whose_authorisation_counts() -> None:
    town = ContractTown()
    town.told(draft())
    assert town.contract.seller_licences == f"licence-file:{PersonId.of('chen')}"


def test_a_line_without_a_price_reason_is_told_to_the_approvers() -> None:
    town = ContractTown()
    town.told(draft(lines=(AgreedLine(product=PUMP, price=cny(1), max_quantity=1),)))
    assert {"price_of_its_own", "no_template"} <= set(town.under_way.content.flags(()))
    town.told(SubmitContract(), CONTRACT)
    assert town.approve() is None
    town.told(SendContract(), CONTRACT)


def test_it_counts_from_the_later_of_both_signatures_whichever_is_entered_last(
    town: ContractTown,
) -> None:
    town.sent()
    town.later(3)
    their_moment = town.now
    town.later(2)
    town.told(town.sign(), CONTRACT, by="sun")
    town.told(town.sealed(signed_at=their_moment), CONTRACT)
    activated = town.last()
    assert isinstance(activated, ContractActivated)
    assert activated.since == BEGIN + timedelta(days=5)


@pytest.mark.parametrize(
    "stale", [{"version": 2}, {"content_hash": OTHER}, {"approval": "approval:contract:HT-1:2"}]
)
def test_a_verdict_about_anything_else_is_none(town: ContractTown, stale: dict[str, Any]) -> None:
    """Q2: it names version, content and the request that waits."""
    town.told(SubmitContract(), CONTRACT)
    said = {
        "approval": town.contract.approval(CONTRACT),
        "version": 1,
        "content_hash": town.under_way.content_hash,
        "granted": True,
        "approvers": ("wang",),
    }
    town.refused("approval.verdict_stale", TakeVerdict(verdict=Verdict(**{**said, **stale})))
    town.told(TakeVerdict(verdict=Verdict(**said)), CONTRACT)
    town.refused("contract.wrong_stage", TakeVerdict(verdict=Verdict(**said)))
