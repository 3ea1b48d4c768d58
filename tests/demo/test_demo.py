"""The main job on real input: everything comes in or is listed, and the story can be told."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from medsales.catalogue import AGGREGATES
from medsales.company import Company
from medsales.demo import run, sources
from medsales.demo.sources import DATA, devices, hospitals
from medsales.domain.governance.parking import Parking
from medsales.domain.parties.customer import HospitalGrade, RegisterCustomer
from medsales.domain.stock.product import RegisterProduct, TrackedBy
from medsales.engine.log import Selection, facts
from medsales.engine.memory import Memory, restored, stored

FIRST = json.loads((DATA / "gudid.jsonl").read_text().splitlines()[1])


def written(folder: Path, *records: object) -> Path:
    path = folder / "devices.jsonl"
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records))
    return path


def with_di(di: str) -> dict[str, object]:
    primary = {"deviceId": di, "deviceIdType": "Primary", "deviceIdIssuingAgency": "GS1"}
    return {**FIRST, "primaryDi": di, "identifiers": [primary]}


def test_every_shipped_record_is_taken_over() -> None:
    for source in (devices(None), hospitals(None)):
        assert source.records == len(source.commands) > 100
        assert all(listed.taken for listed in source.listed)


def test_a_wrong_check_digit_is_taken_over_with_a_warning(tmp_path: Path) -> None:
    source = devices(written(tmp_path, with_di("00841523106439")))
    ((_, (product, *_)),) = source.commands
    assert isinstance(product, RegisterProduct)
    assert product.imported
    (listed,) = source.listed
    assert (listed.record, listed.taken) == ("line 1", True)
    assert "check digit" in listed.reason


def test_what_cannot_be_taken_over_is_listed_with_line_and_reason(tmp_path: Path) -> None:
    nameless = {key: part for key, part in FIRST.items() if key != "brandName"}
    source = devices(written(tmp_path, with_di("06901234567892"), "{broken", nameless))
    assert (source.records, len(source.commands)) == (3, 1)
    assert [(some.record, some.taken) for some in source.listed] == [
        ("line 2", False),
        ("line 3", False),
    ]
    assert source.listed[1].reason == "the field brandName is missing"


def test_udi_7_an_identifier_that_names_another_device_is_left_out_and_listed(
    tmp_path: Path,
) -> None:
    unit_of_use = {
        "deviceId": "06901234567892",
        "deviceIdType": "Unit of Use",
        "deviceIdIssuingAgency": "GS1",
    }
    first = with_di("26901234567896")
    first["identifiers"] = [*first["identifiers"], unit_of_use]  # type: ignore[misc]
    source = devices(written(tmp_path, first, with_di("06901234567892")))
    (listed,) = source.listed
    assert listed.record == "line 1"
    assert "already names the device of line 2" in listed.reason


def test_hospitals_of_both_registers_are_read() -> None:
    customers = [made[0] for _, made in hospitals(None).commands]
    assert all(isinstance(customer, RegisterCustomer) for customer in customers)
    graded = [c for c in customers if isinstance(c, RegisterCustomer) and c.grade]
    assert {c.region for c in graded} == {"浙江"}
    assert any(c.grade is HospitalGrade.GRADE_3A for c in graded)


@pytest.mark.parametrize("serial", [True, False])
def test_devices_are_tracked_as_their_register_says(tmp_path: Path, serial: bool) -> None:
    source = devices(written(tmp_path, {**with_di("06901234567892"), "serialNumber": serial}))
    ((_, (product, *_)),) = source.commands
    assert isinstance(product, RegisterProduct)
    assert product.tracked_by is (TrackedBy.SERIAL if serial else TrackedBy.LOT)


def test_fahrenheit_becomes_celsius() -> None:
    bound = {"unit": "Degrees Fahrenheit", "value": "131"}
    assert str(sources._celsius(bound)) == "55.0"


def test_two_years_are_lived_and_told(company: Company) -> None:
    told = io.StringIO()
    run(company, Console(file=told, width=200), units=160)
    story = told.getvalue()
    for part in (
        "Imported 158 of 158 device records and 144 of 144 hospitals",
        "Who holds lot:",
        "Shipping from the held lot is refused",
        "该批次已被暂停使用: Q-2026-7",
        "The audit trail of device-unit:",
        "The stock picture",
        "devices on site",
        "Who approved quote:Q-",
        "Which price counts today, and why",
        "signed by 王主任",
        "is on hold for credit",
        "Who has something to do",
    ):
        assert part in story
    assert company.follower.verify(list(company.follower.projections)) == []
    with company.database.reading() as db:
        (first,) = facts(db, Selection(kinds=("UnitReceived",)), 1)
        (last,) = db.execute("select max(effective_at) as at from facts").fetchall()
    assert (last["at"] - first.effective_at).days > 300
    assert first.event.udi.raw.startswith("]d201")
    must_survive_their_snapshots(company)


def must_survive_their_snapshots(company: Company) -> None:
    """Every state that this life has brought about comes back from a snapshot as it was."""
    with company.database.cursor() as db:
        ids = [row["id"] for row in db.execute("select distinct originator_id as id from facts")]
    kinds = set()
    for loaded in Memory(company.log).load(ids).values():
        assert restored(type(loaded.state), stored(loaded.state)) == loaded.state
        kinds.add(type(loaded.state))
    assert set(AGGREGATES) - kinds <= {Parking}


def test_a_second_run_adds_to_the_first(company: Company) -> None:
    quiet = Console(file=io.StringIO())
    run(company, quiet, units=40)
    before = company.log.head()
    run(company, quiet, units=40)
    assert company.log.head() > before + 80
