"""Any fact as a sentence: the audit trail's if it has one, or its name and its plain fields."""

import re
from collections.abc import Iterable
from typing import Any

from medsales.domain.kernel import EVENTS, Sentence
from medsales.engine.facts import Fact
from medsales.engine.projection import Projection

NAMES = {
    "CustomerRegistered": "建立客户",
    "CustomerRevised": "变更客户资料",
    "DepartmentAdded": "增加科室",
    "CustomerSuspended": "暂停客户",
    "CustomerResumed": "恢复客户",
    "WarehouseOpened": "启用仓库",
    "ZoneAdded": "增加库区",
    "WarehouseClosed": "关闭仓库",
    "IdentifierAssigned": "分配产品标识",
    "ProductRegistered": "建立产品",
    "PackagingAdded": "增加包装层级",
    "RegistrationRecorded": "登记注册证",
    "LotOpened": "建立批次",
    "LotReceived": "批次入库",
    "LotInspected": "批次检验",
    "LotTransferred": "批次调拨",
    "LotReserved": "批次预占",
    "LotReleased": "解除批次预占",
    "LotShipped": "批次发货",
    "LotDelivered": "批次交付",
    "LotReturned": "批次退货",
    "LotHeld": "批次暂停使用",
    "LotHoldLifted": "解除批次暂停",
    "LotScrapped": "批次报废",
    "PriceMatrixOpened": "建立价格矩阵",
    "VersionDrafted": "编制价格版本",
    "DraftEdited": "修改价格草稿",
    "VersionSubmitted": "提交价格版本",
    "VersionApproved": "批准价格版本",
    "VersionRejected": "驳回价格版本",
    "DraftDiscarded": "废弃价格草稿",
    "VersionRevoked": "撤销价格版本",
    "OrderPlaced": "下单",
    "OrderConfirmed": "确认订单",
    "GoodsReserved": "订单预占货物",
    "GoodsReleased": "订单解除预占",
    "OrderCancelled": "取消订单",
    "OrderShipped": "订单发货",
    "OrderDelivered": "订单交付",
    "PlacedUnitsSold": "就地售出",
    "GoodsReturned": "订单退货",
    "ShipmentPlanned": "计划发货",
    "ShipmentCancelled": "取消发货",
    "ShipmentDispatched": "发出货物",
    "ShipmentDelivered": "货物签收",
    "ParkedRetried": "重试搁置的事实",
    "ParkedDiscarded": "放弃搁置的事实",
}
"""What each event is called in Chinese, where no read model tells it in a sentence."""
SHOWN = 80
"""Characters of a field."""


def in_words(fact: Fact[Any], projections: Iterable[Projection]) -> Sentence:
    for projection in projections:
        for change in projection.changes(fact) if _tells(projection) else ():
            if "en" in change.values and "zh" in change.values:
                return Sentence(change.values["en"], change.values["zh"])
    english = re.sub(r"(?<!^)(?=[A-Z])", " ", fact.name).capitalize()
    return Sentence(_with(fact, english), _with(fact, NAMES.get(fact.name, fact.name)))


def _tells(projection: Projection) -> bool:
    return any({"en", "zh"} <= row.model_fields.keys() for row in projection.rows)


def _with(fact: Fact[Any], name: str) -> str:
    if fact.name not in EVENTS:
        return name
    plain = {
        field: value
        for field, value in fact.event.model_dump(mode="json", exclude_none=True).items()
        if isinstance(value, str | int)
    }
    told = "; ".join(f"{field} {str(value)[:SHOWN]}" for field, value in plain.items())
    return f"{name}: {told}" if told else name
