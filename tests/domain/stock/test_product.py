"""A product: its identifiers name it for ever, its certificates say when it may be sold."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from pydantic import ValidationError
from tests.domain.examples import (
    CERTIFY,
    FIRST_CERTIFICATE,
    FOREIGN_DI,
    PUMP,
    PUMP_BOX_DI,
    PUMP_DI,
    REGISTER_PUMP,
    RENEWED_CERTIFICATE,
    SUTURE,
    SUTURE_CASE_DI,
    SUTURE_DI,
)

from medsales.domain.governance.licence_numbers import DeviceClass
from medsales.domain.ids import DeviceIdentifierId
from medsales.domain.kernel import Refused
from medsales.domain.stock.device_identifier import IdentifierAssigned
from medsales.domain.stock.product import (
    AddPackaging,
    ApproveProduct,
    ClassifyProduct,
    Packaging,
    PackagingAdded,
    Product,
    ProductApprovalWithdrawn,
    ProductApproved,
    ProductClassified,
    ProductRegistered,
    RecordRegistration,
    RegisterProduct,
    Registration,
    RegistrationExpired,
    RegistrationExpiryNear,
    RegistrationRecorded,
    RegistrationRevoked,
    RemindOfRegistration,
    RevokeRegistration,
    StorageConditions,
    TrackedBy,
    WithdrawProductApproval,
)
from medsales.domain.udi import Issuer
from medsales.domain.values import PartialDate
from medsales.testing import given

REGISTERED = ProductRegistered(
    di=PUMP_DI,
    issuer=Issuer.GS1,
    name="Hummingbird infusion pump",
    model="HB-2",
    registrant="Zhejiang Kingfisher Medical",
    tracked_by=TrackedBy.SERIAL,
    packages=(
        Packaging(di=PUMP_DI, level="base"),
        Packaging(di=PUMP_BOX_DI, level="box", contains=PUMP_DI, quantity=4),
    ),
)
CERTIFIED = RegistrationRecorded(registration=FIRST_CERTIFICATE)
RENEWED = RegistrationRecorded(registration=RENEWED_CERTIFICATE)
CARTON = Packaging(di=FOREIGN_DI, level="carton", contains=PUMP_BOX_DI, quantity=10)
CERTIFIED_PUMP = Product().after([REGISTERED, CERTIFIED])


def pump(**changes: object) -> RegisterProduct:
    return RegisterProduct(**{**REGISTER_PUMP.model_dump(), **changes})


class TestRegistering:
    def test_a_product_is_taken_up_with_the_identifiers_of_all_its_packages(self) -> None:
        """UDI-7."""
        outcome = given().when(REGISTER_PUMP).then(REGISTERED)
        assert outcome.subject == PUMP
        assert outcome.also == {
            DeviceIdentifierId.of(di): [IdentifierAssigned(product=PUMP)]
            for di in (PUMP_DI, PUMP_BOX_DI)
        }

    def test_registering_the_same_product_again_changes_nothing(self) -> None:
        given(REGISTERED).when(REGISTER_PUMP).then()

    @pytest.mark.parametrize("change", [{"name": "Kolibri"}, {"packages": ()}], ids=str)
    def test_an_identifier_is_never_registered_as_something_else(
        self, change: dict[str, object]
    ) -> None:
        """UDI-7."""
        given(REGISTERED).when(pump(**change)).refused("product.exists", "Hummingbird")

    def test_a_package_identifier_never_names_a_second_product(self) -> None:
        """UDI-7."""
        others = {str(DeviceIdentifierId.of(PUMP_BOX_DI)): [IdentifierAssigned(product=SUTURE)]}
        given(others=others).when(REGISTER_PUMP).refused("identifier.taken", SUTURE)

    @pytest.mark.parametrize(
        ("di", "code"),
        [("06901234567893", "udi.check_digit"), ("069012345678AB", "udi.malformed")],
    )
    def test_our_own_entries_have_a_well_formed_identifier(self, di: str, code: str) -> None:
        """UDI-3."""
        given().when(pump(di=di, packages=())).refused(code)

    def test_a_wrong_identifier_on_an_outer_package_is_seen_too(self) -> None:
        """UDI-3."""
        box = Packaging(di="06901234567015", level="box", contains=PUMP_DI)
        given().when(pump(packages=(box,))).refused("udi.check_digit", "06901234567015")

    def test_an_imported_product_keeps_its_defective_identifier_with_a_warning(self) -> None:
        """UDI-3."""
        outcome = given().when(pump(di="06901234567893", packages=(), imported=True))
        (registered,) = outcome.events
        assert isinstance(registered, ProductRegistered)
        assert registered.di == "06901234567893"
        assert len(registered.warnings) == 1

    def test_two_package_levels_cannot_share_an_identifier(self) -> None:
        with pytest.raises(ValidationError, match="same device identifier"):
            pump(packages=(Packaging(di=PUMP_DI, level="box"),))

    @pytest.mark.parametrize("inside", [FOREIGN_DI, PUMP_BOX_DI], ids=["unknown", "itself"])
    def test_a_package_contains_a_package_of_the_same_product(self, inside: str) -> None:
        with pytest.raises(ValidationError, match="contains an unknown"):
            pump(packages=(Packaging(di=PUMP_BOX_DI, level="box", contains=inside),))

    def test_a_storage_range_runs_upwards(self) -> None:
        """GSP art. 63."""
        with pytest.raises(ValidationError, match="lower temperature"):
            StorageConditions(min_celsius=Decimal(8), max_celsius=Decimal(2))


class TestPackaging:
    def test_a_further_package_level_is_named(self) -> None:
        """UDI-7."""
        outcome = given(REGISTERED).when(AddPackaging(packaging=CARTON), PUMP)
        outcome.then(PackagingAdded(packaging=CARTON))
        assert outcome.also == {
            DeviceIdentifierId.of(CARTON.di): [IdentifierAssigned(product=PUMP)]
        }

    def test_goods_may_bear_the_new_identifier_from_then_on(self) -> None:
        product = Product().after([REGISTERED, PackagingAdded(packaging=CARTON)])
        product.must_bear(CARTON.di)

    def test_a_known_package_level_is_not_added_again(self) -> None:
        added = PackagingAdded(packaging=CARTON)
        given(REGISTERED, added).when(AddPackaging(packaging=CARTON), PUMP).then()

    def test_a_package_of_another_product_cannot_be_inside(self) -> None:
        case = Packaging(di=SUTURE_CASE_DI, level="case", contains=SUTURE_DI)
        given(REGISTERED).when(AddPackaging(packaging=case), PUMP).refused(
            "product.identifier_foreign"
        )

    def test_an_identifier_of_another_product_cannot_be_taken_over(self) -> None:
        """UDI-7."""
        others = {str(DeviceIdentifierId.of(CARTON.di)): [IdentifierAssigned(product=SUTURE)]}
        given(REGISTERED, others=others).when(AddPackaging(packaging=CARTON), PUMP).refused(
            "identifier.taken"
        )


class TestCertificates:
    def test_a_certificate_is_recorded(self) -> None:
        given(REGISTERED).when(CERTIFY, PUMP).then(CERTIFIED)

    def test_a_renewal_leaves_the_earlier_certificate_known(self) -> None:
        renewal = RecordRegistration(registration=RENEWED_CERTIFICATE)
        given(REGISTERED, CERTIFIED).when(renewal, PUMP).then(RENEWED)
        product = Product().after([REGISTERED, CERTIFIED, RENEWED])
        assert product.registrations == (FIRST_CERTIFICATE, RENEWED_CERTIFICATE)

    def test_the_same_certificate_is_recorded_once(self) -> None:
        given(REGISTERED, CERTIFIED).when(CERTIFY, PUMP).then()

    def test_a_certificate_cannot_end_before_it_begins(self) -> None:
        backwards = Registration(
            number="1", valid_from=date(2025, 1, 2), valid_until=date(2025, 1, 1)
        )
        given(REGISTERED).when(RecordRegistration(registration=backwards), PUMP).refused(
            "registration.ends_before_it_begins"
        )

    @pytest.mark.parametrize("day", [date(2020, 3, 1), date(2022, 6, 1), date(2025, 2, 28)])
    def test_d6_a_certificate_covers_its_first_and_its_last_day(self, day: date) -> None:
        CERTIFIED_PUMP.must_be_registered_on(day)

    @pytest.mark.parametrize("day", [date(2020, 2, 29), date(2025, 3, 1)])
    def test_d6_a_certificate_covers_no_day_outside(self, day: date) -> None:
        with pytest.raises(Refused, match="no registration certificate valid"):
            CERTIFIED_PUMP.must_be_registered_on(day)

    def test_d6_a_filing_without_an_end_covers_every_later_day(self) -> None:
        filing = Registration(number="浙械备1", valid_from=date(2020, 3, 1))
        assert filing.covers(date.max)
        assert not filing.covers(date(2020, 2, 29))

    def test_d6_between_two_certificates_nothing_is_covered(self) -> None:
        late = Registration(number="2", valid_from=date(2025, 6, 1))
        product = CERTIFIED_PUMP.after([RegistrationRecorded(registration=late)])
        with pytest.raises(Refused):
            product.must_be_registered_on(date(2025, 4, 1))

    def test_lic2_a_month_of_manufacture_counts_to_its_last_day(self) -> None:
        CERTIFIED_PUMP.must_be_registered_when_made(PartialDate.month(2020, 3))
        with pytest.raises(Refused):
            CERTIFIED_PUMP.must_be_registered_when_made(PartialDate.month(2025, 3))


class TestNumbers:
    """令47 art. 115, 116: the number says the class."""

    @pytest.mark.parametrize(
        ("device_class", "number", "code"),
        [
            (DeviceClass.III, "国械注准20203080001", None),
            (DeviceClass.II, "国械注准20203080001", "registration.other_class"),
            (DeviceClass.I, "粤潮械备20140023", None),
            (DeviceClass.III, "粤潮械备20140023", "registration.other_class"),
            (None, "浙械注准20212140123", None),
            (DeviceClass.III, "国食药监械(准)字2013第3460001号", None),
            (DeviceClass.II, "K123456", None),
            (DeviceClass.III, "国械注准2020308001", "certificate.number_malformed"),
            (None, "浙杭药监械经营许20200123", "registration.number_of_another_kind"),
        ],
    )
    def test_the_class_in_a_number_is_that_of_the_product(
        self, device_class: DeviceClass | None, number: str, code: str | None
    ) -> None:
        registered = REGISTERED.model_copy(update={"device_class": device_class})
        registration = Registration(number=number, valid_from=date(2024, 1, 1))
        outcome = given(registered).when(RecordRegistration(registration=registration), PUMP)
        if code is None:
            outcome.then(RegistrationRecorded(registration=registration))
        else:
            outcome.refused(code)

    def test_a_fact_from_before_numbers_were_checked_still_counts(self) -> None:
        odd = Registration(number="浙械备1", valid_from=date(2020, 1, 1))
        product = Product().after([REGISTERED, RegistrationRecorded(registration=odd)])
        product.must_be_registered_on(date(2026, 1, 1))


class TestRevocation:
    REVOKE = RevokeRegistration(
        number=FIRST_CERTIFICATE.number, on=date(2024, 7, 1), reason="recalled"
    )
    REVOKED = RegistrationRevoked(
        number=FIRST_CERTIFICATE.number, on=date(2024, 7, 1), reason="recalled"
    )

    def test_a_registration_is_revoked_once(self) -> None:
        given(REGISTERED, CERTIFIED).when(self.REVOKE, PUMP).then(self.REVOKED)
        given(REGISTERED, CERTIFIED, self.REVOKED).when(self.REVOKE, PUMP).then()

    def test_d6_a_revoked_registration_counts_until_the_day_before(self) -> None:
        product = CERTIFIED_PUMP.after([self.REVOKED])
        product.must_be_registered_on(date(2024, 6, 30))
        with pytest.raises(Refused, match="no registration certificate valid"):
            product.must_be_registered_on(date(2024, 7, 1))

    def test_what_was_never_recorded_cannot_be_revoked(self) -> None:
        given(REGISTERED).when(self.REVOKE, PUMP).refused("registration.unknown")

    def test_a_revoked_registration_is_not_renewed(self) -> None:
        renewal = RecordRegistration(registration=RENEWED_CERTIFICATE)
        given(REGISTERED, CERTIFIED, self.REVOKED).when(renewal, PUMP).refused(
            "registration.revoked"
        )


class TestReminders:
    """GSP art. 51, item 5."""

    NUMBER, UNTIL = FIRST_CERTIFICATE.number, date(2025, 2, 28)
    REMIND = RemindOfRegistration(number=NUMBER, valid_until=UNTIL)
    NEAR = RegistrationExpiryNear(number=NUMBER, valid_until=UNTIL, days=90)
    OVER = RegistrationExpired(number=NUMBER, valid_until=UNTIL)

    def test_the_end_of_a_registration_is_announced_and_told(self) -> None:
        soon, late = datetime(2024, 12, 1, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC)
        given(REGISTERED, CERTIFIED).when(self.REMIND, PUMP, at=soon).then(self.NEAR)
        given(REGISTERED, CERTIFIED, self.NEAR).when(self.REMIND, PUMP, at=soon).then()
        given(REGISTERED, CERTIFIED, self.NEAR).when(self.REMIND, PUMP, at=late).then(self.OVER)
        given(REGISTERED, CERTIFIED, self.OVER).when(self.REMIND, PUMP, at=late).then()

    def test_of_what_is_renewed_in_time_nobody_is_reminded(self) -> None:
        late = datetime(2025, 3, 1, tzinfo=UTC)
        given(REGISTERED, CERTIFIED, RENEWED).when(self.REMIND, PUMP, at=late).then()
        given(REGISTERED, RENEWED, CERTIFIED).when(self.REMIND, PUMP, at=late).then()


class TestFirstPurchase:
    """LIC-2: 首营品种, GSP art. 54."""

    LABEL = "sha256:" + "7" * 64
    APPROVE = ApproveProduct(label=LABEL)
    APPROVED = ProductApproved(approver="li", label=LABEL, certificate=RENEWED_CERTIFICATE)
    WITHDRAW = WithdrawProductApproval(reason="the label was changed")

    def test_lic2_a_registered_product_is_approved_on_its_certificate_and_label(self) -> None:
        given(REGISTERED, CERTIFIED, RENEWED).when(self.APPROVE, PUMP, by="li").then(self.APPROVED)
        given(REGISTERED, RENEWED, self.APPROVED).when(self.APPROVE, PUMP).then()

    def test_lic2_without_a_valid_certificate_it_is_not_approved(self) -> None:
        given(REGISTERED, CERTIFIED).when(self.APPROVE, PUMP).refused("registration.not_valid")

    def test_lic2_an_approval_can_be_withdrawn(self) -> None:
        withdrawn = ProductApprovalWithdrawn(reason=self.WITHDRAW.reason)
        given(REGISTERED, RENEWED, self.APPROVED).when(self.WITHDRAW, PUMP).then(withdrawn)
        given(REGISTERED, RENEWED).when(self.WITHDRAW, PUMP).then()
        assert not Product().after([REGISTERED, self.APPROVED, withdrawn]).approved


class TestClassification:
    CLASSIFY = ClassifyProduct(family="infusion pumps", classification="14-02-01")
    CLASSIFIED = ProductClassified(family="infusion pumps", classification="14-02-01")

    def test_a_product_has_a_family_and_a_place_in_the_catalogue(self) -> None:
        given(REGISTERED).when(self.CLASSIFY, PUMP).then(self.CLASSIFIED)
        product = Product().after([REGISTERED, self.CLASSIFIED])
        assert (product.family, product.gated.family) == ("infusion pumps", "infusion pumps")
        assert product.gated.classification == "14-02-01"

    def test_classifying_it_alike_changes_nothing(self) -> None:
        given(REGISTERED, self.CLASSIFIED).when(self.CLASSIFY, PUMP).then()
        nothing = ProductClassified(family=None, classification=None)
        given(REGISTERED, self.CLASSIFIED).when(ClassifyProduct(), PUMP).then(nothing)

    def test_a_class_that_was_unknown_is_named_once_and_does_not_change(self) -> None:
        name_it = ClassifyProduct(device_class=DeviceClass.III)
        named = ProductClassified(device_class=DeviceClass.III)
        given(REGISTERED).when(name_it, PUMP).then(named)
        given(REGISTERED, named).when(name_it, PUMP).then()
        given(REGISTERED, named).when(self.CLASSIFY, PUMP).then(
            self.CLASSIFIED.model_copy(update={"device_class": DeviceClass.III})
        )
        lower = ClassifyProduct(device_class=DeviceClass.II)
        given(REGISTERED, named).when(lower, PUMP).refused("product.other_class")

    def test_a_class_agrees_with_the_numbers_on_its_certificates(self) -> None:
        lower = ClassifyProduct(device_class=DeviceClass.II)
        given(REGISTERED, CERTIFIED).when(lower, PUMP).refused("registration.other_class")
        odd = RegistrationRecorded(
            registration=Registration(number="浙械备1", valid_from=date(2020, 1, 1))
        )
        named = ProductClassified(device_class=DeviceClass.II)
        given(REGISTERED, odd).when(lower, PUMP).then(named)

    @pytest.mark.parametrize("code", ["", "1", "14-2", "14-02-01-01", "十四"])
    def test_a_classification_has_the_form_of_a_code(self, code: str) -> None:
        with pytest.raises(ValidationError, match="classification"):
            ClassifyProduct(classification=code)


@pytest.mark.parametrize("command", [CERTIFY, AddPackaging(packaging=CARTON)])
def test_nothing_happens_to_a_product_that_was_never_registered(
    command: RecordRegistration | AddPackaging,
) -> None:
    given().when(command, PUMP).refused("product.unknown")
