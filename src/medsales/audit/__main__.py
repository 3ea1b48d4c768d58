"""Verifies an exported log: python -m medsales.audit FOLDER [--key FINGERPRINT] [--heads FILE]."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from medsales.audit.signatures import Signatures
from medsales.audit.terminal import showable
from medsales.audit.verifier import NoExport, Report, verified

SHOWN = 100
"""Findings that are told one by one."""
WRONG, UNREADABLE = 1, 2


def main() -> int:
    """0: all is as it was sealed. 1: something is not. 2: this is no export."""
    given = arguments()
    try:
        with outside(given.heads) as heads:
            report = verified(given.folder, trusted=given.key, outside=heads, deep=given.deep)
    except (NoExport, OSError) as error:
        say(f"{error}", sys.stderr)
        return UNREADABLE
    if given.json:
        say(json.dumps(as_json(report), ensure_ascii=False, indent=1))
    else:
        tell(report, given.key)
    return WRONG if report.findings else 0


def arguments() -> Namespace:
    parser = ArgumentParser(
        "python -m medsales.audit", description="Verifies an exported log. 核验导出的日志。"
    )
    parser.add_argument("folder", type=Path, help="the export / 导出文件夹")
    parser.add_argument(
        "--key", type=str.lower, help="fingerprint of the key that you trust / 信任的密钥指纹"
    )
    parser.add_argument(
        "--heads", type=Path, help="heads that are known outside / 外部留存的树头文件"
    )
    parser.add_argument(
        "--deep", action="store_true", help="also read every line as JSON / 逐行解析"
    )
    parser.add_argument("--json", action="store_true", help="for programs / 供程序使用")
    return parser.parse_args()


@contextmanager
def outside(path: Path | None) -> Iterator[BinaryIO | None]:
    if path is None:
        yield None
        return
    with path.open("rb") as file:
        yield file


def as_json(report: Report) -> dict[str, object]:
    export = report.export
    return {
        "log": export.log,
        "first": export.first,
        "last": export.last,
        "head": export.head.as_json(),
        "heads": report.heads,
        "stamps": report.stamps,
        "witnessed": report.witnessed,
        "signatures": [one.as_json() for one in report.signatures.found.values()],
        "signatures_unchecked": report.signatures.unchecked,
        "findings": [finding.as_json() for finding in report.findings],
    }


def tell(report: Report, trusted: str | None) -> None:
    """In English and in Chinese."""
    for finding in report.findings[:SHOWN]:
        say(f"{finding}")
    if len(report.findings) > SHOWN:
        left = len(report.findings) - SHOWN
        say(f"and {left} further findings\n  另有 {left} 处")
    if count := len(report.findings):
        say(f"NOT VERIFIED: {count} findings\n  核验未通过：{count} 处")
        return
    export, head = report.export, report.export.head
    by = "1 head" if report.heads == 1 else f"{report.heads} heads"
    say(
        f"verified: the positions {export.first} to {export.last} of log {export.log}, by"
        f" {by}; the last one covers {head.size} facts, signed {head.sealed_at}\n"
        f"  核验通过：日志 {export.log} 的位置 {export.first} 至 {export.last}，共 {report.heads}"
        f" 个树头；最后一个含 {head.size} 条事实，签于 {head.sealed_at}"
    )
    for told in (*of_signatures(report.signatures), *cautions(report, trusted)):
        say(told)


def of_signatures(signatures: Signatures) -> Iterator[str]:
    """How many people's signatures there are, and what was found of them."""
    count = len(signatures.found)
    gone = sum(one.invalidated is not None for one in signatures.found.values())
    if count:
        yield (
            f"genuine electronic signatures: {count - signatures.unchecked}; invalidated:"
            f" {gone} of all {count}\n"
            f"  {count - signatures.unchecked} 个电子签名真实有效，全部 {count} 个中有 {gone}"
            " 个已作废"
        )
    if signatures.unchecked:
        yield (
            f"{signatures.unchecked} signatures rest on facts from before this"
            " export, and were not checked\n"
            f"  {signatures.unchecked} 个签名所依据的事实不在此导出中，未核验"
        )


def cautions(report: Report, trusted: str | None) -> Iterator[str]:
    """What this did not prove."""
    if trusted is None:
        yield (
            f"no key was given to trust: compare {report.export.head.key} with what you know\n"
            "  未指定信任的密钥：请与您已知的指纹核对"
        )
    if not report.witnessed:
        yield (
            "no heads from outside were given: that the end was not cut off is not shown\n"
            "  未提供外部留存的树头：无法证明末尾未被截断"
        )
    for number in report.stamps:
        yield (
            f"head {number} is stamped; its authority's signature is checked by: openssl ts -verify"
            f" -in stamps/{number}.tsr -data stamps/{number}.txt -CAfile AUTHORITY\n"
            f"  第 {number} 个树头带有时间戳；其签名请用上述命令核验"
        )


def say(text: str, where: TextIO | None = None) -> None:
    where = where or sys.stdout
    print(showable(text, where.encoding), file=where)


if __name__ == "__main__":
    sys.exit(main())
