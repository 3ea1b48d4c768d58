"""The audit trail of every serial number: one sentence per fact, in Chinese and English."""

from datetime import datetime
from typing import Any

from medsales.domain.ids import DeviceUnitId
from medsales.domain.kernel import EVENTS
from medsales.domain.stock import device_unit as unit
from medsales.domain.stock.movement import Place
from medsales.engine.database import Db
from medsales.engine.facts import Fact
from medsales.engine.projection import BEGINNING, Changes, Projection, Row, on


class HistoryEntry(Row, key=("unit", "position"), ledger=True):
    """One line of the audit trail of a unit."""

    unit: str
    position: int
    version: int = 0
    event: str = ""
    en: str = ""
    zh: str = ""
    by: str = ""
    by_name: str = ""
    recorded_at: datetime = BEGINNING
    effective_at: datetime = BEGINNING
    reason: str | None = None
    """Why it was recorded with an effective time of its own."""
    evidence: str | None = None
    """The SHA-256 of a document, photograph or signature."""


class UnitNumber(Row, key=("number",), indexes=(("unit",),)):
    """A serial number that leads to a unit recorded under another (U1)."""

    number: str
    unit: str = ""


class UnitHistory(Projection):
    rows = (HistoryEntry, UnitNumber)

    @on(unit.UnitReceived)
    def received(self, fact: Fact[unit.UnitReceived]) -> Changes:
        udi, into = fact.event.udi, fact.event.moved.destination
        expires = udi.expires and str(udi.expires)
        supplier, scan = fact.event.supplier, printable(udi.raw)
        yield told(
            fact,
            f"received into {shown(into)}, lot {udi.lot or '-'}, expiring {expires or 'never'}"
            + (f", from {supplier}" if supplier else "")
            + f"; scanned {scan}",
            f"入库至{shown(into, zh=True)}, 批号 {udi.lot or '-'}, 有效期 {expires or '无'}"
            + (f", 供货商 {supplier}" if supplier else "")
            + f"; 扫码 {scan}",
        )

    @on(unit.UnitInspected)
    def inspected(self, fact: Fact[unit.UnitInspected]) -> Changes:
        quality, remark = fact.event.quality, fact.event.remark
        note = f": {remark}" if remark else ""
        yield told(
            fact,
            f"inspected by {fact.event.inspector}, now {quality.en}{note}",
            f"经 {fact.event.inspector} 检验, {quality.zh}{note}",
        )

    @on(unit.UnitReserved)
    def reserved(self, fact: Fact[unit.UnitReserved]) -> Changes:
        order, customer = fact.event.order, fact.event.customer
        used = fact.event.disclosed_as_used
        yield told(
            fact,
            f"reserved for {order} of {customer}" + (", disclosed as used" if used else ""),
            f"为 {customer} 的 {order} 预占" + (", 已告知曾使用" if used else ""),
        )

    @on(unit.UnitReleased)
    def released(self, fact: Fact[unit.UnitReleased]) -> Changes:
        yield told(
            fact, f"no longer reserved for {fact.event.order}", f"解除 {fact.event.order} 的预占"
        )

    @on(unit.UnitTransferred)
    def transferred(self, fact: Fact[unit.UnitTransferred]) -> Changes:
        here = fact.event.moved.source
        yield told(
            fact,
            f"sent from {shown(here)} to {fact.event.target}",
            f"自{shown(here, zh=True)}调往 {fact.event.target}",
        )

    @on(unit.UnitArrived)
    def arrived(self, fact: Fact[unit.UnitArrived]) -> Changes:
        there = fact.event.moved.destination
        yield told(fact, f"arrived at {shown(there)}", f"到达{shown(there, zh=True)}")

    @on(unit.UnitShipped)
    def shipped(self, fact: Fact[unit.UnitShipped]) -> Changes:
        event = fact.event
        yield told(
            fact,
            f"shipped from {shown(event.moved.source)} with {event.shipment}"
            f" to {event.customer} for {event.order}",
            f"自{shown(event.moved.source, zh=True)}随 {event.shipment}"
            f" 发往 {event.customer}, {event.order}",
        )

    @on(unit.UnitDelivered)
    def delivered(self, fact: Fact[unit.UnitDelivered]) -> Changes:
        yield told(
            fact,
            f"delivered to {fact.event.customer}, who owns it now",
            f"已交付 {fact.event.customer}, 所有权转移",
        )

    @on(unit.UnitPlaced)
    def placed(self, fact: Fact[unit.UnitPlaced]) -> Changes:
        event = fact.event
        yield told(
            fact,
            f"left with {event.customer} on {event.placement.en}, agreement {event.agreement},"
            f" due back {event.due_back}",
            f"以{event.placement.zh}方式放置于 {event.customer}, 协议 {event.agreement},"
            f" 应于 {event.due_back} 归还",
        )

    @on(unit.PlacementExtended)
    def extended(self, fact: Fact[unit.PlacementExtended]) -> Changes:
        event = fact.event
        yield told(
            fact,
            f"due back {event.due_back} instead of {event.due_back_before}: {event.reason}",
            f"归还日由 {event.due_back_before} 延至 {event.due_back}: {event.reason}",
        )

    @on(unit.PlacementOverdue)
    def overdue(self, fact: Fact[unit.PlacementOverdue]) -> Changes:
        event = fact.event
        agreement = event.agreement or "-"
        yield told(
            fact,
            f"overdue: was to be back from {event.customer} by {event.due_back},"
            f" agreement {agreement}",
            f"逾期: 应于 {event.due_back} 前自 {event.customer} 归还, 协议 {agreement}",
        )

    @on(unit.PlacedUnitSold)
    def sold_in_place(self, fact: Fact[unit.PlacedUnitSold]) -> Changes:
        event = fact.event
        used = event.disclosed_as_used
        yield told(
            fact,
            f"sold where it stands to {event.customer} with {event.order}"
            + (", disclosed as used" if used else ""),
            f"就地售予 {event.customer}, {event.order}" + (", 已告知曾使用" if used else ""),
        )

    @on(unit.UnitInstalled)
    def installed(self, fact: Fact[unit.UnitInstalled]) -> Changes:
        event = fact.event
        yield told(
            fact,
            f"installed at {event.customer}, {event.department}, by {event.engineer}",
            f"由 {event.engineer} 安装于 {event.customer} {event.department}",
            event.checklist,
        )

    @on(unit.InstallationAccepted)
    def accepted(self, fact: Fact[unit.InstallationAccepted]) -> Changes:
        event = fact.event
        yield told(
            fact,
            f"accepted by {event.accepted_by} of {event.customer},"
            f" under warranty until {event.warranty_until}",
            f"{event.customer} {event.accepted_by} 验收合格, 保修至 {event.warranty_until}",
            event.evidence,
        )

    @on(unit.UnitUninstalled)
    def uninstalled(self, fact: Fact[unit.UnitUninstalled]) -> Changes:
        reason = fact.event.reason
        yield told(fact, f"taken out of use: {reason}", f"停用拆卸: {reason}")

    @on(unit.UnitConsumed)
    def consumed(self, fact: Fact[unit.UnitConsumed]) -> Changes:
        event = fact.event
        yield told(
            fact,
            f"used up at {event.customer}, reference {event.reference}",
            f"在 {event.customer} 使用, 凭证 {event.reference}",
        )

    @on(unit.UnitHeld)
    def held(self, fact: Fact[unit.UnitHeld]) -> Changes:
        hold, reason = fact.event.hold, fact.event.reason
        yield told(fact, f"put on hold {hold}: {reason}", f"暂停使用 ({hold}): {reason}")

    @on(unit.UnitNearExpiry)
    def near_expiry(self, fact: Fact[unit.UnitNearExpiry]) -> Changes:
        expires = fact.event.expires
        yield told(fact, f"near its expiry on {expires}", f"近效期: 有效期至 {expires}")

    @on(unit.UnitExpired)
    def expired(self, fact: Fact[unit.UnitExpired]) -> Changes:
        expires = fact.event.expires
        yield told(fact, f"expired on {expires}", f"已过期: 有效期至 {expires}")

    @on(unit.UnitHoldLifted)
    def hold_lifted(self, fact: Fact[unit.UnitHoldLifted]) -> Changes:
        hold, reason = fact.event.hold, fact.event.reason
        yield told(fact, f"hold {hold} lifted: {reason}", f"解除暂停 ({hold}): {reason}")

    @on(unit.UnitReturned)
    def returned(self, fact: Fact[unit.UnitReturned]) -> Changes:
        event = fact.event
        yield told(
            fact,
            f"on its way back from {event.customer}: {event.reason}",
            f"自 {event.customer} 退回途中: {event.reason}",
        )

    @on(unit.UnitTakenBack)
    def taken_back(self, fact: Fact[unit.UnitTakenBack]) -> Changes:
        there = fact.event.moved.destination
        yield told(
            fact,
            f"taken back into {shown(there)}, to be inspected",
            f"退回入{shown(there, zh=True)}, 待检验",
        )

    @on(unit.RepairOpened)
    def repair_opened(self, fact: Fact[unit.RepairOpened]) -> Changes:
        yield told(fact, f"under repair: {fact.event.fault}", f"开始维修: {fact.event.fault}")

    @on(unit.RepairCompleted)
    def repaired(self, fact: Fact[unit.RepairCompleted]) -> Changes:
        event = fact.event
        yield told(
            fact,
            f"repaired by {event.engineer}: {event.work}",
            f"由 {event.engineer} 修复: {event.work}",
            event.evidence,
        )

    @on(unit.PartReplaced)
    def part_replaced(self, fact: Fact[unit.PartReplaced]) -> Changes:
        fitted, removed = fact.event.fitted, fact.event.removed
        yield told(
            fact,
            f"part {fitted} fitted" + (f" in place of {removed}" if removed else ""),
            f"装入部件 {fitted}" + (f", 替换 {removed}" if removed else ""),
        )

    @on(unit.PartFitted)
    def fitted(self, fact: Fact[unit.PartFitted]) -> Changes:
        event = fact.event
        yield told(
            fact,
            f"fitted into {event.system} at {event.customer}",
            f"装入 {event.customer} 的 {event.system}",
        )

    @on(unit.PartTakenOut)
    def taken_out(self, fact: Fact[unit.PartTakenOut]) -> Changes:
        yield told(fact, f"taken out of {fact.event.system}", f"自 {fact.event.system} 拆下")

    @on(unit.UnitScrapped)
    def scrapped(self, fact: Fact[unit.UnitScrapped]) -> Changes:
        reason = fact.event.reason
        yield told(fact, f"scrapped: {reason}", f"报废: {reason}", fact.event.evidence)

    @on(unit.SerialCorrected)
    def corrected(self, fact: Fact[unit.SerialCorrected]) -> Changes:
        event = fact.event
        yield told(
            fact,
            f"serial number corrected, it is {event.correct}: {event.reason}",
            f"序列号更正为 {event.correct}: {event.reason}",
        )

    @on(unit.SerialLinked)
    def linked(self, fact: Fact[unit.SerialLinked]) -> Changes:
        of = fact.event.unit
        yield UnitNumber.put(number=fact.subject, unit=of)
        yield told(fact, f"the right number of {of}", f"{of} 的正确编号")


def told(fact: Fact[Any], en: str, zh: str, evidence: str | None = None) -> Any:
    envelope = fact.envelope
    return HistoryEntry.put(
        unit=fact.subject,
        position=fact.position,
        version=fact.version,
        event=fact.name,
        en=en,
        zh=zh,
        by=envelope.by,
        by_name=envelope.name,
        recorded_at=fact.recorded_at,
        effective_at=fact.effective_at,
        reason=envelope.reason,
        evidence=evidence,
    )


def shown(place: Place | None, *, zh: bool = False) -> str:
    if place is None:
        return "外部" if zh else "outside"
    if place.zone is None:
        return f" {place.holder} " if zh else place.holder
    return f" {place.holder} {place.zone.zh}" if zh else f"{place.holder} ({place.zone.en})"


CARETS = dict.fromkeys(range(ord(" ")), "^")


def printable(scan: str) -> str:
    """A scan as people can read it: GS, the separator nobody sees, as ^."""
    return scan.translate(CARETS)


def history_of(db: Db, id: DeviceUnitId) -> list[HistoryEntry]:
    """Everything that happened to a unit, whichever of its numbers is asked for."""
    rows = db.execute(
        "select e.* from history_entry e where e.unit = any("
        "  select %(id)s union select unit from unit_number where number = %(id)s"
        "  union select number from unit_number where unit = %(id)s)"
        " order by e.position",
        {"id": id},
        prepare=True,
    )
    return [HistoryEntry(**row) for row in rows]


def untold() -> set[str]:
    """Events of units that the audit trail would keep silent about; a test wants none."""
    own = {name for name, event in EVENTS.items() if event.__module__ == unit.__name__}
    return own - set(UnitHistory.handlers)
