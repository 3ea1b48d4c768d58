"""A dealer whose read models can be asked."""

import pytest
from tests.dealer import Dealer

from medsales.company import Company


@pytest.fixture
def dealer(company: Company) -> Dealer:
    return Dealer(company)
