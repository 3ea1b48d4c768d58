"""The words that documents print, in both languages, and how each writes a day and an amount."""

from datetime import date
from decimal import Decimal

from medsales.documents.sheet import Language
from medsales.domain.kernel import Sentence, Term
from medsales.domain.values import Money

Said = str | date | Money | Sentence | Term
"""What a document says: in both languages where it can, else as it was written."""


class Word(Term):
    QUOTE = "Quotation", "报价单"
    CONTRACT = "Contract", "合同"
    AMENDMENT = "Amendment", "补充协议"
    VERSION = "Version", "版本"
    STATUS = "Status", "状态"
    SELLER = "Seller", "供方"
    BUYER = "Buyer", "需方"
    CONTACT = "Contact", "联系方式"
    NAME = "Name", "名称"
    NUMBER_OF_PARTY = "Official number", "信用代码/编号"
    ADDRESS = "Address", "地址"
    DATED = "Date", "日期"
    VALID_UNTIL = "Valid until", "有效期至"
    VALID_FROM = "Valid from", "有效期自"
    GOODS = "Goods and prices", "产品与价格"
    LINE = "Line", "行"
    PRODUCT = "Product", "产品"
    QUANTITY = "Quantity", "数量"
    UNIT_PRICE = "Unit price", "单价"
    AMOUNT = "Amount", "金额"
    TOTAL = "Total", "合计"
    IN_CAPITALS = "In capitals", "大写"
    AT_MOST = "At most", "最高金额"
    AS_CALLED_OFF = "as called off", "按订单"
    DELIVERY_PLACE = "Place of delivery", "交货地点"
    DELIVERY_DAYS = "Delivery within (days)", "交货期限 (天)"
    DELIVERY_COST = "Delivery at the cost of", "运费承担"
    DELIVERY_TERMS = "Terms of delivery", "交货条件"
    PAYMENT_DAYS = "Payment within (days of the invoice)", "付款期限 (开票后天数)"
    RENEWAL_NOTICE = "Notice of renewal (days before the end)", "续签提醒 (到期前天数)"
    PROCUREMENT = "Public procurement", "政府采购"
    YES = "yes", "是"
    QUALITY = "Quality", "质量要求"
    PRICE_LIST = "Price list", "价格表"
    REMARKS = "Remarks", "备注"
    EVIDENCE = "Evidence", "凭据"
    TENDER = "Tender", "招标编号"
    AWARDED_ON = "Awarded on", "中标通知日期"
    FROM_QUOTE = "From quotation", "依据报价单"
    TEMPLATE_OF = "Clauses from template", "条款模板"
    CLAUSES_CHANGED = "Clauses that differ from the template", "与模板不同的条款"
    AMENDS = "Amends", "变更类型"
    REASON = "Reason", "原因"
    EFFECTIVE_FROM = "In force since", "生效起始日"
    NOT_BEFORE = "Not before", "最早生效日"
    CLAUSES = "Clauses", "条款"
    OBLIGATIONS = "Obligations", "义务与里程碑"
    WHAT = "What", "事项"
    PARTY = "Party", "责任方"
    DUE = "Due", "到期日"
    APPROVAL = "Approval", "审批"
    APPROVED_BY = "Approved by", "批准人"
    SIGNATURES = "Signatures", "签名"
    NO_SIGNATURE = "No signature.", "无签名。"
    CONTENT_HASH = "Content hash", "内容哈希"
    PRINTED_BY = "Template", "模板"
    VOID = "INVALIDATED", "已作废"
    ACCEPTED_BY = "Accepted by", "接受人"
    ACCEPTED_AT = "Accepted on", "接受日期"
    REFERENCE = "Reference", "凭证"


def say(said: Said, language: Language) -> str:
    """As this language writes it."""
    match said:
        case Sentence() | Term():
            return said.zh if language is Language.ZH else said.en
        case Money():
            return f"{said.currency} {said.amount:,f}"
        case date() if language is Language.ZH:
            return f"{said.year}年{said.month}月{said.day}日"
    return str(said)


DIGITS = "零壹贰叁肆伍陆柒捌玖"
PLACES = ("", "拾", "佰", "仟")
GROUPS = ("", "万", "亿")
CENTS = Decimal("0.01")
TOO_MUCH = 10**12


def in_capitals(money: Money) -> str | None:
    """人民币大写, as contracts write sums; None for what it cannot write exactly."""
    amount = money.amount
    if money.currency != "CNY" or not 0 <= amount < TOO_MUCH or amount != amount.quantize(CENTS):
        return None
    whole, cents = divmod(int(amount * 100), 100)
    yuan = f"{_whole(whole)}元" if whole else ""
    return (yuan + _part(cents, bool(yuan))) or "零元整"


def _whole(number: int) -> str:
    """In groups of four digits; what is zero between two digits is said once."""
    said = ""
    digits = str(number)
    for index, digit in enumerate(digits):
        place = len(digits) - 1 - index
        if digit != "0":
            said += DIGITS[int(digit)] + PLACES[place % 4]
        elif not said.endswith("零"):
            said += "零"
        if place % 4 == 0:
            said = _grouped(said, digits[max(0, index - 3) : index + 1], GROUPS[place // 4])
    return said.rstrip("零")


def _grouped(said: str, group: str, name: str) -> str:
    """The name of a group follows its digits; a zero before it is said after it."""
    if not int(group):
        return said
    zero = said.endswith("零")
    return said.rstrip("零") + name + ("零" if zero else "")


def _part(cents: int, after_yuan: bool) -> str:
    if not cents:
        return "整" if after_yuan else ""
    tenth, hundredth = divmod(cents, 10)
    dimes = f"{DIGITS[tenth]}角" if tenth else ("零" if after_yuan else "")
    return dimes + (f"{DIGITS[hundredth]}分" if hundredth else "整")
