"""A product: its identifiers name it for ever, its certificates say when it may be sold."""

from datetime import date
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

from medsales.domain.ids import DeviceIdentifierId
from medsales.domain.kernel import Refused
from medsales.domain.stock.device_identifier import IdentifierAssigned
from medsales.domain.stock.product import (
    AddPackaging,
    Packaging,
    PackagingAdded,
    Product,
    ProductRegistered,
    RecordRegistration,
    RegisterProduct,
    Registration,
    RegistrationRecorded,
    StorageConditions,
    TrackedBy,
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


@pytest.mark.parametrize("command", [CERTIFY, AddPackaging(packaging=CARTON)])
def test_nothing_happens_to_a_product_that_was_never_registered(
    command: RecordRegistration | AddPackaging,
) -> None:
    given().when(command, PUMP).refused("product.unknown")
