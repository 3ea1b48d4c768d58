"""Our company: what papers call us, from the day on which it is said."""

from medsales.domain.kernel import Role
from medsales.domain.parties.our_company import DescribeOurCompany, OurCompanyDescribed
from medsales.testing import given

US = {"name": "杭州翠鸟医疗器械有限公司", "address": "庆春路 79 号"}
DESCRIBED = OurCompanyDescribed(**US)


def test_we_are_described() -> None:
    given().when(DescribeOurCompany(**US)).then(DESCRIBED)


def test_the_same_again_changes_nothing() -> None:
    given(DESCRIBED).when(DescribeOurCompany(**US)).then()


def test_a_new_address_is_a_new_fact() -> None:
    moved = {**US, "address": "文三路 1 号"}
    given(DESCRIBED).when(DescribeOurCompany(**moved)).then(OurCompanyDescribed(**moved))


def test_it_counts_from_when_it_is_said_and_is_not_for_sellers() -> None:
    """Otherwise papers of the past would change."""
    assert DescribeOurCompany.at_once
    assert Role.SALES not in DescribeOurCompany.allowed
