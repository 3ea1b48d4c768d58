"""Real registers as commands: FDA GUDID devices, hospitals of CMS and of Hangzhou.

A record that breaks a rule is taken over with a warning if the product can live with it; whatever
cannot be taken over is listed with its line and the reason. Nothing is lost silently (UDI-3).
"""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from medsales.domain.kernel import Command
from medsales.domain.parties.customer import (
    CustomerKind,
    CustomerTier,
    HospitalGrade,
    RegisterCustomer,
)
from medsales.domain.stock.product import (
    Packaging,
    RecordRegistration,
    RegisterProduct,
    Registration,
    StorageConditions,
    TrackedBy,
)
from medsales.domain.udi import Issuer, check_di

DATA = files("medsales.demo") / "data"
ISSUERS = {"GS1": Issuer.GS1, "HIBCC": Issuer.HIBCC, "ICCBBA": Issuer.ICCBBA}
TIERS = tuple(CustomerTier)


@dataclass(frozen=True)
class Listed:
    """A record worth telling about: taken over with a warning, or not at all."""

    source: str
    record: str
    reason: str
    taken: bool


@dataclass(frozen=True)
class Source:
    """What a file gave: commands in the order of its records, and what was odd."""

    name: str
    commands: list[tuple[str, list[Command[Any]]]]
    """By record."""
    listed: list[Listed]
    records: int


Reader = Callable[[str], Iterator[tuple[str, Callable[[], list[Command[Any]]]]]]


def devices(path: Path | None) -> Source:
    """GUDID records as JSON lines; the selection that ships with medsales if no file is given."""
    text = path.read_text() if path else (DATA / "gudid.jsonl").read_text()
    return _without_doubles(_read(path.name if path else "gudid.jsonl", text, _device_records))


def hospitals(path: Path | None) -> Source:
    """Hospitals as CSV: CMS General Information, or name, district, grade, address."""
    if path:
        return _read(path.name, path.read_text("utf-8-sig"), _hospital_records)
    shipped = [_shipped("hospitals_us.csv"), _shipped("hospitals_hangzhou.csv")]
    return Source(
        "hospitals",
        [commands for source in shipped for commands in source.commands],
        [listed for source in shipped for listed in source.listed],
        sum(source.records for source in shipped),
    )


def _shipped(name: str) -> Source:
    return _read(name, (DATA / name).read_text("utf-8-sig"), _hospital_records)


def _read(name: str, text: str, records: Reader) -> Source:
    commands: list[tuple[str, list[Command[Any]]]] = []
    listed: list[Listed] = []
    total = 0
    for record, make in records(text):
        total += 1
        try:
            made = make()
        except (ValidationError, ValueError, KeyError, TypeError) as error:
            listed.append(Listed(name, record, _in_one_line(error), taken=False))
            continue
        commands.append((record, made))
        listed += [Listed(name, record, warning, taken=True) for warning in _warnings(made)]
    return Source(name, commands, listed, total)


def _without_doubles(source: Source) -> Source:
    """Leaves out package identifiers that another record of the file bears (UDI-7), and says so; a
    record whose own identifier is taken is refused later, and listed then."""
    owners = {made[0].di: record for record, made in reversed(source.commands)}
    commands = []
    for record, (product, *others) in source.commands:
        assert isinstance(product, RegisterProduct), "a device record begins with its product"
        kept = []
        for package in product.packages:
            if owners.setdefault(package.di, record) == record:
                kept.append(package)
            else:
                reason = f"{package.di} already names the device of {owners[package.di]}; left out"
                source.listed.append(Listed(source.name, record, reason, taken=True))
        whole = product.model_copy(update={"packages": tuple(kept)})
        commands.append((record, [whole, *others]))
    return Source(source.name, commands, source.listed, source.records)


def _in_one_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    if isinstance(error, KeyError):
        return f"the field {error.args[0]} is missing"
    return " ".join(str(error).split())


def _warnings(commands: list[Command[Any]]) -> Iterator[str]:
    for command in commands:
        if isinstance(command, RegisterProduct):
            base = Packaging(di=command.di, level="base", issuer=command.issuer)
            for level in (base, *command.packages):
                yield from (finding.en for finding in check_di(level.di, level.issuer))


def _device_records(text: str) -> Iterator[tuple[str, Callable[[], list[Command[Any]]]]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield f"line {number}", lambda line=line: _device(json.loads(line))  # type: ignore[misc]


def _device(record: dict[str, Any]) -> list[Command[Any]]:
    identifiers = record["identifiers"]
    primary = next(i for i in identifiers if i["deviceIdType"] == "Primary")
    product = RegisterProduct(
        di=record["primaryDi"],
        issuer=ISSUERS[primary["deviceIdIssuingAgency"]],
        name=_one_line(record["brandName"]),
        model=_one_line(record["versionModelNumber"]),
        catalogue_number=_one_line(record.get("catalogNumber") or "") or None,
        registrant=_one_line(record["companyName"]),
        tracked_by=TrackedBy.SERIAL if record["serialNumber"] else TrackedBy.LOT,
        single_use=record["singleUse"],
        packages=tuple(_packaging(i) for i in identifiers if i is not primary),
        storage=_storage(record.get("storage") or []),
        imported=True,
    )
    published = date.fromisoformat(record["devicePublishDate"])
    listing = Registration(number=f"GUDID {record['primaryDi']}", valid_from=published)
    return [product, RecordRegistration(registration=listing)]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _packaging(identifier: dict[str, Any]) -> Packaging:
    return Packaging(
        di=identifier["deviceId"],
        level=identifier["deviceIdType"].lower(),
        issuer=ISSUERS[identifier["deviceIdIssuingAgency"]],
        contains=identifier.get("containsDINumber"),
        quantity=int(identifier.get("pkgQuantity") or 1),
    )


def _storage(conditions: list[dict[str, Any]]) -> StorageConditions | None:
    text = "; ".join(filter(None, (_special(condition) for condition in conditions)))
    bounds = next(
        (c for c in conditions if c["storageHandlingType"] == "Storage Environment Temperature"), {}
    )
    low = _celsius(bounds.get("storageHandlingLow") or {})
    high = _celsius(bounds.get("storageHandlingHigh") or {})
    if low is None and high is None and not text:
        return None
    return StorageConditions(min_celsius=low, max_celsius=high, text=text[:200] or None)


def _special(condition: dict[str, Any]) -> str:
    text = condition.get("storageHandlingSpecialConditionText")
    return _one_line(text) if isinstance(text, str) else ""


def _celsius(bound: dict[str, Any]) -> Decimal | None:
    try:
        value = Decimal(bound["value"])
    except (KeyError, InvalidOperation, TypeError):
        return None
    if "Fahrenheit" in bound["unit"]:
        value = (value - 32) * 5 / 9
    return value.quantize(Decimal("0.1"))


def _hospital_records(text: str) -> Iterator[tuple[str, Callable[[], list[Command[Any]]]]]:
    rows = csv.DictReader(text.splitlines())
    make = _us_hospital if "Provider ID" in (rows.fieldnames or ()) else _chinese_hospital
    for number, row in enumerate(rows, start=2):
        yield f"line {number}", lambda row=row: [make(row)]  # type: ignore[misc]


def _us_hospital(row: dict[str, str]) -> RegisterCustomer:
    return RegisterCustomer(
        number=f"cms-{row['Provider ID']}",
        kind_of=CustomerKind.HOSPITAL,
        name=_one_line(row["Hospital Name"]),
        region=row["State"],
        tier=TIERS[int(row["Provider ID"][-1:], 36) % len(TIERS)],
        address=_one_line(f"{row['Address']}, {row['City']}, {row['State']} {row['ZIP Code']}"),
        departments=("Emergency",) if row["Emergency Services"] == "Yes" else (),
    )


def _chinese_hospital(row: dict[str, str]) -> RegisterCustomer:
    name = _one_line(row["name"])
    grades = {grade.zh: grade for grade in HospitalGrade}
    return RegisterCustomer(
        number=f"cn-{name}"[:100],
        kind_of=CustomerKind.HOSPITAL,
        name=name,
        region="浙江",
        tier=CustomerTier.A if row["grade"].startswith("三") else CustomerTier.B,
        grade=grades[row["grade"]] if row["grade"] else None,
        address=_one_line(row["address"]),
        departments=("设备科",),
    )
