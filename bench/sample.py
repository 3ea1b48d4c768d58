"""Data to measure with: the demo's simulated years without its console, and single commands."""

from collections.abc import Iterable, Sequence
from uuid import uuid4

from medsales.company import Company
from medsales.demo import life, sources
from medsales.demo.life import Arrived, Dealer
from medsales.domain.kernel import Role
from medsales.domain.parties.customer import CustomerKind, RegisterCustomer
from medsales.domain.stock.product import RegisterProduct
from medsales.engine.application import Actor

EVERYBODY = Actor("bench", "Bench", (Role.SYSTEM,), "bench")
FACTS_PER_UNIT = 6.3
"""Of a simulated unit, roughly: goods-in, inspection, sale, delivery, installation."""


def new_customer() -> RegisterCustomer:
    """A hospital with a number that nobody has yet."""
    return RegisterCustomer(
        number=f"bench-{uuid4().hex}",
        kind_of=CustomerKind.HOSPITAL,
        name="Second Affiliated Hospital 第二附属医院",
        region="浙江",
        address="88 Jiefang Road, Hangzhou 杭州市解放路88号",
        departments=("Radiology 放射科",),
    )


class Business:
    """A dealer that has opened: products with prices, customers, two warehouses."""

    def __init__(self, company: Company) -> None:
        self.company = company
        catalogue, sites = sources.devices(None), sources.hospitals(None)
        self.dealer = life.dealer(company.app)
        self.products: Sequence[RegisterProduct] = life.sellable(catalogue)
        self.customers = life.customers_of(sites)
        self._tell(life.opening(self.dealer, catalogue, sites))
        self._tell(life.pricing(self.dealer, self.products))

    def received(self, units: int) -> list[Arrived]:
        """Serials in stock that have passed inspection."""
        arrived: list[Arrived] = []
        self._tell(life.goods_in(self._next(), self.products, units, arrived))
        return [some for some in arrived if some.passed]

    def live(self, facts: int) -> None:
        """Two years, as the demo tells them, until the log has about so many facts."""
        arrived: list[Arrived] = []
        dealer = self._next()
        units = int((facts - self.company.log.head()) / FACTS_PER_UNIT)
        goods = list(life.goods_in(dealer, self.products, units, arrived))
        sold = life.sales(dealer, self.customers, arrived)
        self._tell(sorted([*goods, *sold], key=lambda step: step.at))

    def _next(self) -> Dealer:
        self.dealer = life.dealer(self.company.app)
        return self.dealer

    def _tell(self, steps: Iterable[life.Step]) -> None:
        self.dealer.tell(steps, lambda _: None)
