"""What can be wrong with a barcode, each with its code and its sentence in two languages."""

from collections.abc import Iterable

from medsales.domain.kernel import Refused
from medsales.domain.udi.value import Finding

SENTENCES = {
    "ai_differs": (
        "{what} occurs twice with different values",
        "{what} 出现两次, 且内容不一致",
    ),
    "ai_excluded_pair": (
        "{what} must not occur together with {other}",
        "{what} 不能与 {other} 同时出现",
    ),
    "ai_missing_pair": ("{what} needs {other}", "{what} 必须与 {other} 一起出现"),
    "ai_unknown": ("{what} is not a GS1 application identifier", "{what} 不是 GS1 应用标识符"),
    "character": ("{what}: {other}", "{what}: 含有不允许的字符"),
    "check_digit": ("{what}: the check digit is wrong", "{what}: 校验位错误"),
    "content": ("{what}: {other}", "{what}: 内容不符合规则"),
    "date": ("{what}: there is no such date ({other})", "{what}: 日期无效"),
    "digital_link": ("GS1 Digital Link: {what} {other}", "GS1 数字链接格式错误: {what}"),
    "link_character": (
        "the secondary barcode belongs to another primary one: it links to {what}, not {other}",
        "辅助条码与主条码不匹配: 链接符为 {what}, 应为 {other}",
    ),
    "malformed": ("{what} {other}", "条码格式错误: {what}"),
    "no_di": ("the barcode names no device: {what}", "条码中没有产品标识 (DI): {what}"),
    "not_gs1": ("{what} is not a GS1 identifier", "{what} 不是 GS1 标识"),
    "secondary": (
        "a secondary barcode: it belongs to a device that another barcode names",
        "辅助条码: 产品标识 (DI) 在另一条码中",
    ),
    "separator_repaired": (
        "{what} was read as the separator GS; scan again to be sure",
        "{what} 已按分隔符 GS 读取, 请重新扫描确认",
    ),
    "too_long": ("{what} is too long", "{what} 过长"),
    "too_short": ("{what} is too short", "{what} 过短"),
    "unknown_issuer": (
        "{what} follows the rules of no issuer we know",
        "无法识别 {what} 的发码机构",
    ),
}

NOTED = frozenset({"udi.secondary"})
"""Worth saying, but nothing is wrong."""


def finding(kind: str, what: str = "", other: str = "") -> Finding:
    en, zh = (sentence.format(what=what, other=other) for sentence in SENTENCES[kind])
    return Finding(code=f"udi.{kind}", en=en, zh=zh)


def shown(text: str) -> str:
    """As much of a value as a sentence can bear."""
    limit = 40
    return text if len(text) <= limit else text[: limit - 1] + "…"


def refused(found: Finding) -> Refused:
    return Refused(found.code, found.en, found.zh)


def refuse_any(findings: Iterable[Finding]) -> None:
    """Raises the first finding that is wrong rather than merely noted."""
    for found in findings:
        if found.code not in NOTED:
            raise refused(found)
