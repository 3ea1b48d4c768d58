"""Data to measure with: the demo's simulated years without its console, and single commands."""

from collections.abc import Iterable, Sequence
from uuid import uuid4

from medsales.company import Company
from medsales.demo import life, sources
from medsales.demo.life import Arrived, Dealer
from medsales.domain.kernel import Role
from medsales.domain.parties.customer import CustomerKind, RegisterCustomer
from medsales.domain.stock.device_unit import InspectUnit, ReceiveUnit
from medsales.domain.stock.product import RegisterProduct, TrackedBy
from medsales.domain.udi import gs1_element_string
from medsales.domain.values import PartialDate
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

    def delivery(self, units: int, per_lot: int) -> list[ReceiveUnit]:
        """New serials of one product, as they are scanned."""
        product = next(p for p in self.products if p.tracked_by is TrackedBy.SERIAL)
        run, made = uuid4().hex[:12], self.dealer.day(560).date()
        scans = (
            gs1_element_string(
                product.di,
                lot=f"{run}{number // per_lot:02d}",
                serial=f"{run}{number:04d}",
                manufactured=PartialDate(on=made),
                prefix="]d2",
            )
            for number in range(units)
        )
        id = product.begins()
        return [ReceiveUnit(udi=scan, product=id, warehouse=life.WAREHOUSES[0]) for scan in scans]

    def lot(self, units: int) -> None:
        """One large lot: received, inspected, and two thirds of it sold to many customers."""
        day, at = 600, self.dealer.day(600)
        received = self.delivery(units, units)
        arrived = [
            Arrived(each.begins(), each.product, each.lot, day, passed=True)
            for each in received
            if each.lot
        ]
        self._tell(life.Step(each, life.WU, at) for each in received)
        self._tell(life.Step(InspectUnit(passed=True), life.QIAN, at, s.unit) for s in arrived)
        sold = life.sales(self._next(), self.customers, arrived)
        self._tell(sorted(sold, key=life.moment))

    def live(self, facts: int) -> None:
        """Two years, as the demo tells them, until the log has about so many facts."""
        arrived: list[Arrived] = []
        dealer = self._next()
        units = int((facts - self.company.log.head()) / FACTS_PER_UNIT)
        goods = list(life.goods_in(dealer, self.products, units, arrived))
        sold = life.sales(dealer, self.customers, arrived)
        self._tell(sorted([*goods, *sold], key=life.moment))

    def _next(self) -> Dealer:
        self.dealer = life.dealer(self.company.app)
        return self.dealer

    def _tell(self, steps: Iterable[life.Step]) -> None:
        self.dealer.tell(steps, lambda _: None)
