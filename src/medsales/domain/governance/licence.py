"""What licences permit: the gates through which goods are bought, sold and supplied.

Each gate is a pure function of files, goods and day, and its answer keeps what it saw (LIC-7):
whoever asks it puts the answer into the event it lets pass. It fails closed: where a licence is
needed, no file is not enough.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from medsales.domain.governance.licence_file import (
    LICENCES_TO_SUPPLY,
    OWN,
    GatedProduct,
    GatePolicy,
    HeldLicence,
    LicenceFile,
    LicenceKind,
    LicenceSeen,
    file_of,
)
from medsales.domain.governance.licence_numbers import DeviceClass
from medsales.domain.kernel import Refused, Value
from medsales.domain.parties.customer import Customer, CustomerKind

__all__ = [
    "OWN",
    "GateEvaluated",
    "GatePolicy",
    "GatedProduct",
    "LicenceFile",
    "LicenceSeen",
    "buyer_gate",
    "file_of",
    "must_pass",
    "salesperson_gate",
    "seller_gate",
    "supplier_gate",
]

RULES = 1
"""The version of what is written here; raised when a gate begins to decide otherwise."""


class GateEvaluated(Value):
    """What a gate decided, and on which licences (LIC-7)."""

    gate: str
    """`LIC-1` to `LIC-5`."""
    passed: bool
    on: date
    """The day that was asked about."""
    inputs: tuple[LicenceSeen, ...] = ()
    policy: GatePolicy = GatePolicy.BLOCK
    rules: int = RULES
    code: str | None = None
    reason_en: str | None = None
    reason_zh: str | None = None

    @property
    def blocks(self) -> bool:
        return not self.passed and self.policy is GatePolicy.BLOCK

    def must_hold(self) -> None:
        """Raises Refused where the gate is not passed and the policy is to block."""
        if self.blocks:
            raise Refused(
                self.code or "gate.closed", self.reason_en or self.gate, self.reason_zh or self.gate
            )


def must_pass(*gates: GateEvaluated) -> tuple[GateEvaluated, ...]:
    """The gates, to be kept in the event; the first that blocks is refused."""
    for gate in gates:
        gate.must_hold()
    return gates


MOST_NAMED = 5


class Lack(NamedTuple):
    """Why a gate stays closed."""

    code: str
    en: str
    zh: str

    def seeing(self, papers: Iterable[HeldLicence], on: date) -> "Lack":
        """Also which licences it saw: where a command is refused, its sentence is all that stays
        (LIC-7)."""
        seen = [_named(paper, on) for paper in papers]
        more = "" if len(seen) <= MOST_NAMED else ", …"
        named = ", ".join(seen[:MOST_NAMED]) + more
        return Lack(self.code, f"{self.en}; on file: {named}", f"{self.zh}; 在档: {named}")


def _named(held: HeldLicence, on: date) -> str:
    term = held.term_on(on) or held.current
    return f"{term.number} ({term.valid_from} / {term.valid_until or '…'})"


Kinds = tuple[LicenceKind, ...]


class Need(NamedTuple):
    """One licence of these kinds must cover these goods, and the region where one is named."""

    kinds: Kinds
    goods: GatedProduct
    missing: str = "licence.missing"
    scope: str = "licence.out_of_scope"
    ended: str = "licence.expired"
    region: str | None = None


TO_TRADE: dict[DeviceClass, Kinds] = {
    DeviceClass.II: (LicenceKind.OPERATING_FILING, LicenceKind.OPERATING),
    DeviceClass.III: (LicenceKind.OPERATING,),
}
"""令54 art. 4: class III needs a licence, class II a filing, class I neither."""
TO_TREAT: dict[DeviceClass, Kinds] = {
    DeviceClass.II: (LicenceKind.PRACTICE,),
    DeviceClass.III: (LicenceKind.PRACTICE,),
}
TO_NEED: dict[DeviceClass, Kinds] = {
    DeviceClass.II: (LicenceKind.STATEMENT_OF_NEED,),
    DeviceClass.III: (LicenceKind.STATEMENT_OF_NEED,),
}
"""GSP art. 81: others with a reasonable need say in writing what for."""
BUYERS: dict[CustomerKind, dict[DeviceClass, Kinds]] = {
    CustomerKind.PARTNER: TO_TRADE,
    CustomerKind.HOSPITAL: TO_TREAT,
    CustomerKind.CLINIC: TO_TREAT,
    CustomerKind.OTHER: TO_NEED,
}
TO_SUPPLY: dict[DeviceClass | None, Kinds] = {
    DeviceClass.III: (LicenceKind.OPERATING, LicenceKind.PRODUCTION),
    DeviceClass.II: (
        LicenceKind.OPERATING_FILING,
        LicenceKind.OPERATING,
        LicenceKind.PRODUCTION,
    ),
}
ANY_SUPPLIER: Kinds = (*LICENCES_TO_SUPPLY, LicenceKind.BUSINESS)


def supplier_gate(
    file: LicenceFile | None, goods: tuple[GatedProduct, ...], on: date
) -> GateEvaluated:
    """LIC-1: the supplier is approved, licensed for these goods and authorised to supply them."""
    licensed = [Need(TO_SUPPLY.get(g.device_class, ANY_SUPPLIER), g) for g in goods]
    authorised = _authorised(LicenceKind.MANUFACTURER_AUTHORISATION, None, goods)
    gate = _evaluated("LIC-1", file, [*licensed, *authorised], on)
    return gate if file and file.approved else _closed(gate, _not_approved(file))


def buyer_gate(
    file: LicenceFile | None, buyer: Customer, goods: tuple[GatedProduct, ...], on: date
) -> GateEvaluated:
    """LIC-3: the buyer's verified licence covers these goods. LIC-5: a partner's authorisation too,
    where it has one, in the region in which it sells."""
    needed = BUYERS[buyer.kind_of]
    missing = "buyer.need_statement_missing" if needed is TO_NEED else "buyer.licence_missing"
    needs = [
        Need(needed[g.device_class], g, missing, "buyer.scope")
        for g in goods
        if g.device_class in needed
    ]
    if file and any(file.of_kind(LicenceKind.DISTRIBUTION_AUTHORISATION)):
        needs += _authorised(LicenceKind.DISTRIBUTION_AUTHORISATION, buyer.region, goods)
    return _evaluated("LIC-3", file, needs, on)


def seller_gate(
    own: LicenceFile | None, goods: tuple[GatedProduct, ...], on: date
) -> GateEvaluated:
    """LIC-4: our own operating licence or filing is valid and covers these goods."""
    needs = [
        Need(TO_TRADE[g.device_class], g, "seller.licence_missing", "seller.scope")
        for g in goods
        if g.device_class in TO_TRADE
    ]
    return _evaluated("LIC-4", own, needs, on)


def salesperson_gate(
    file: LicenceFile | None,
    region: str | None,
    goods: tuple[GatedProduct, ...],
    on: date,
    own: LicenceFile | None = None,
) -> GateEvaluated:
    """LIC-5: the salesperson is authorised for these goods in this region on that day.

    Our own file says whether to block or to warn; without it, a warning is kept.
    """
    policy = own.salesperson_policy if own else GatePolicy.WARN
    needs = _authorised(LicenceKind.SALESPERSON_AUTHORISATION, region, goods)
    return _evaluated("LIC-5", file, needs, on).model_copy(update={"policy": policy})


def _authorised(
    kind: LicenceKind, region: str | None, goods: tuple[GatedProduct, ...]
) -> list[Need]:
    missing, out = "authorisation.missing", "authorisation.out_of_scope"
    return [Need((kind,), each, missing, out, out, region) for each in goods]


def _evaluated(
    gate: str, file: LicenceFile | None, needs: Iterable[Need], on: date
) -> GateEvaluated:
    """The first lack decides; kept is every licence of the kinds that were asked for."""
    needs = tuple(needs)
    kinds = {kind for need in needs for kind in need.kinds}
    seen = tuple(held.seen(file.holder, on) for held in file.of_kind(*kinds)) if file else ()
    passed = GateEvaluated(gate=gate, passed=True, on=on, inputs=seen)
    lacks = (lack for need in needs if (lack := _lack_of(need, file, on)))
    lack = next(lacks, None)
    return _closed(passed, lack) if lack else passed


def _closed(gate: GateEvaluated, lack: Lack) -> GateEvaluated:
    said = {"code": lack.code, "reason_en": lack.en, "reason_zh": lack.zh}
    return gate.model_copy(update={"passed": False, **said})


def _lack_of(need: Need, file: LicenceFile | None, on: date) -> Lack | None:
    """None where one licence is all that is needed; else how far the best one gets."""
    held = list(file.of_kind(*need.kinds)) if file else []
    valid = [one for one in held if one.term_on(on)]
    covering = list(_covering(valid, need, on))
    if not held:
        return _lack(
            need, need.missing, "there is no {} on file for {}", "没有{}, 不能经营或使用{}"
        )
    if not valid:
        return _not_valid(need, held[-1], on)
    if not covering:
        lack = _lack(need, need.scope, "no {} on file covers {}", "{}的范围不含{}")
        return lack.seeing(valid, on)
    if not any(one.verified_on(on) for one in covering) and _is_foreign(file):
        code = "licence.not_verified"
        lack = _lack(need, code, "the {} has not been verified for {}", "{}尚未核实: {}")
        return lack.seeing(covering, on)
    return None


def _covering(valid: Iterable[HeldLicence], need: Need, on: date) -> Iterator[HeldLicence]:
    for held in valid:
        term = held.term_on(on)
        if term and term.scope.covers(need.goods) and term.scope.covers_region(need.region):
            yield held


def _is_foreign(file: LicenceFile | None) -> bool:
    """What others show us is checked (LIC-3); our own papers and letters we write ourselves."""
    return file is not None and file.holder.startswith(("customer:", "supplier:"))


def _not_approved(file: LicenceFile | None) -> Lack:
    return Lack(
        "supplier.not_approved",
        f"{file.holder if file else 'the supplier'} has not been approved as a supplier",
        f"{file.holder if file else '该供货者'} 未通过首营企业审核",
    )


def _not_valid(need: Need, held: HeldLicence, on: date) -> Lack:
    licence = held.current
    if held.revoked_on is not None and on >= held.revoked_on:
        return Lack(
            "licence.revoked",
            f"the {licence.kind.en} {licence.number} was revoked on {held.revoked_on}",
            f"{licence.kind.zh} {licence.number} 已于 {held.revoked_on} 被撤销或注销",
        )
    until = licence.valid_until or "…"
    term = f"{licence.valid_from} / {until}"
    return Lack(
        need.ended,
        f"the {licence.kind.en} {licence.number} is valid {term}, not on {on}",
        f"{licence.kind.zh} {licence.number} 有效期 {term}, 在 {on} 无效",
    )


def _lack(need: Need, code: str, en: str, zh: str) -> Lack:
    goods, where = need.goods, need.region
    cls, catalogued = goods.device_class, goods.classification
    details = (cls and f"class {cls}", catalogued and f"code {catalogued}", where and f"in {where}")
    said = ", ".join(each for each in details if each)
    details_zh = (cls and cls.zh, catalogued and f"分类编码 {catalogued}", where)
    said_zh = ", ".join(each for each in details_zh if each)
    return Lack(
        code,
        en.format(" or ".join(kind.en for kind in need.kinds), f"{goods.product} ({said})"),
        zh.format("或".join(kind.zh for kind in need.kinds), f" {goods.product} ({said_zh})"),
    )
