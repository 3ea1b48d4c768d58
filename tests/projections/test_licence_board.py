"""What the boards show of licences, registrations and classifications, also as of the past."""

from datetime import date

from tests.dealer import LENS, ZHAO, Dealer
from tests.domain.governance.licences import ENDS, LETTER, OPERATING

from medsales.domain.governance.licence_file import (
    OWN,
    RecordLicence,
    RenewLicence,
    RevokeLicence,
    VerifyLicence,
    WithdrawSupplierApproval,
)
from medsales.domain.stock.product import ClassifyProduct, RevokeRegistration
from medsales.projections.licence_board import LicenceLine, licence_file_seen
from medsales.projections.product_list import product_card

RENEW = RenewLicence(
    number=OPERATING.number, valid_from=date(2030, 1, 1), valid_until=date(2034, 12, 31)
)
VERIFY = VerifyLicence(number=OPERATING.number, method="nmpa.gov.cn", valid_until=ENDS)


def ours(dealer: Dealer) -> dict[str, LicenceLine]:
    dealer.catch_up()
    with dealer.company.database.reading() as db:
        seen = licence_file_seen(db, OWN)
    assert seen is not None
    return {line.number: line for line in seen.licences}


def test_a_line_shows_the_current_term_and_who_checked_it(dealer: Dealer) -> None:
    dealer.tell(RecordLicence(holder="own", licence=OPERATING))
    dealer.tell(VERIFY, OWN, ZHAO)
    line = ours(dealer)[OPERATING.number]
    assert (line.valid_until, line.verified_by, line.verified_how) == (ENDS, "zhao", "nmpa.gov.cn")
    dealer.tell(RENEW, OWN)
    line = ours(dealer)[OPERATING.number]
    assert (line.valid_until, line.verified_by, line.issuer) == (
        date(2034, 12, 31),
        None,
        OPERATING.issuer,
    )


def test_a_revoked_licence_stays_on_the_board_with_its_reason(dealer: Dealer) -> None:
    dealer.tell(RecordLicence(holder="own", licence=OPERATING))
    dealer.tell(RecordLicence(holder="own", licence=LETTER))
    revoke = RevokeLicence(number=OPERATING.number, on=date(2026, 7, 1), reason="moved away")
    dealer.tell(revoke, OWN)
    lines = ours(dealer)
    assert lines[OPERATING.number].revoked_for == "moved away"
    assert lines[LETTER.number].revoked_on is None


def test_who_is_no_supplier_has_no_standing(dealer: Dealer) -> None:
    dealer.tell(RecordLicence(holder="own", licence=OPERATING))
    dealer.tell(WithdrawSupplierApproval(reason="never approved"), OWN)
    dealer.catch_up()
    with dealer.company.database.reading() as db:
        seen = licence_file_seen(db, OWN)
        assert licence_file_seen(db, "licence-file:supplier:nobody") is None
    assert seen is not None
    assert seen.supplier is None


def test_a_product_shows_its_family_its_code_and_what_was_revoked(dealer: Dealer) -> None:
    dealer.tell(ClassifyProduct(family="lenses", classification="16-07-01"), LENS)
    revoke = RevokeRegistration(
        number="国械注准20203160001", on=date(2026, 7, 1), reason="recalled by the authority"
    )
    dealer.tell(revoke, LENS)
    dealer.catch_up()
    with dealer.company.database.reading() as db:
        card = product_card(db, LENS)
    assert card is not None
    assert (card.product.family, card.product.classification) == ("lenses", "16-07-01")
    assert [(each.number, each.revoked_on) for each in card.revocations] == [
        (revoke.number, date(2026, 7, 1))
    ]


def test_the_rows_equal_the_facts(dealer: Dealer) -> None:
    dealer.tell(RecordLicence(holder="own", licence=OPERATING))
    dealer.tell(VERIFY, OWN, ZHAO)
    dealer.tell(RENEW, OWN)
    dealer.tell(ClassifyProduct(family="lenses"), LENS)
    dealer.catch_up()
    assert dealer.company.follower.verify(["licence_board", "product_list"]) == []
