"""A small dealer in devices: what the engine does with the product's own aggregates."""

from typing import Any

from tests.engine.purses import asked

from medsales.company import Company
from medsales.domain.governance.approval import Approve
from medsales.domain.kernel import Command, Role
from medsales.domain.orders.holds import ConfirmOrder
from medsales.domain.orders.placing import PlaceOrder
from medsales.domain.parties.customer import RegisterCustomer
from medsales.domain.stock.device_unit import InspectUnit, ReceiveUnit
from medsales.domain.stock.product import RecordRegistration, RegisterProduct
from medsales.domain.stock.warehouse import OpenWarehouse
from medsales.domain.terms.price_matrix import (
    DraftVersion,
    OpenPriceMatrix,
    PriceMatrix,
    ScheduleVersion,
    SubmitVersion,
)
from medsales.engine.application import Actor, Receipt

ALL = tuple(role for role in Role if role is not Role.SYSTEM)
ANN = Actor("ann", "Ann", ALL, "desk-1")
BOB = Actor("bob", "Bob", ALL, "desk-2")
DI = "06901234567892"
CT = f"product:{DI}"
LOT = f"lot:{DI}:A1"
MATRIX = "price-matrix:CN"
UNITS = tuple(f"device-unit:{DI}:SN{n}" for n in range(20))


def done(company: Company, *wishes: tuple[type[Command[Any]], str | None, dict[str, Any]]) -> None:
    """Each of these, all accepted."""
    asks = [asked(kind(**body), id, ANN) for kind, id, body in wishes]
    for answer in company.app.handle_many(asks):
        assert isinstance(answer, Receipt), answer


def opened_for_business(company: Company) -> None:
    registration = {"number": "x", "valid_from": "2020-01-01"}
    product = {"di": DI, "issuer": "gs1", "name": "CT", "model": "64", "registrant": "R"}
    hospital = {"number": "x", "kind_of": "hospital", "name": "H", "region": "ZJ", "tier": "A"}
    cell = {"product": CT, "price": {"amount": "100", "currency": "CNY"}}
    done(
        company,
        (RegisterProduct, None, {**product, "tracked_by": "serial"}),
        (RecordRegistration, CT, {"registration": registration}),
        (OpenWarehouse, None, {"code": "HZ", "name": "Hangzhou", "address": "a"}),
        (RegisterCustomer, None, {**hospital, "address": "a", "departments": ("ICU",)}),
        (OpenPriceMatrix, None, {"code": "CN", "name": "n", "currency": "CNY"}),
        (DraftVersion, MATRIX, {"effective_from": "2024-01-01", "cells": (cell,)}),
        (SubmitVersion, MATRIX, {"version": 1}),
    )
    version = company.app.existing(MATRIX, PriceMatrix).version(1)
    company.app.handle(asked(Approve(content_hash=version.content_hash), version.approval, BOB))
    done(company, (ScheduleVersion, MATRIX, {"version": 1}))


def received(company: Company, count: int, first: int = 0) -> tuple[str, ...]:
    """Units of one lot, inspected and in stock."""
    for n in range(first, first + count):
        udi = f"(01){DI}(10)A1(21)SN{n}"
        receive = {"udi": udi, "product": CT, "warehouse": "warehouse:HZ"}
        done(company, (ReceiveUnit, None, receive), (InspectUnit, UNITS[n], {"passed": True}))
    return UNITS[first : first + count]


def ordered(company: Company, number: str, quantity: int = 1, *, confirmed: bool = True) -> str:
    lines = ({"product": CT, "quantity": quantity},)
    place = {"number": number, "customer": "customer:x", "price_matrix": MATRIX, "lines": lines}
    done(company, (PlaceOrder, None, place))
    if confirmed:
        done(company, (ConfirmOrder, f"order:{number}", {}))
    return f"order:{number}"
