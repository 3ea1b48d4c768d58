"""How much a price list may hold, and how it is said that a file is none."""

from medsales.domain.kernel import Sentence

MIB = 1024 * 1024
FILE = 16 * MIB
ROWS = 100_001
COLUMNS = 50
LINE = 64 * 1024
"""Characters of a row of a CSV file, which may stand in several lines."""


class Unreadable(Exception):
    """The file as a whole cannot be read; says why in both languages."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.sentence = Sentence(en, zh)


def too_many_rows() -> Unreadable:
    return Unreadable(f"the file has over {ROWS - 1:,} prices", f"文件超过 {ROWS - 1:,} 条价格")


def too_wide(row: int) -> Unreadable:
    return Unreadable(f"row {row} has over {COLUMNS} columns", f"第 {row} 行超过 {COLUMNS} 列")


def too_long(row: int) -> Unreadable:
    return Unreadable(
        f"row {row} has over {LINE:,} characters; a row has {COLUMNS} columns at most",
        f"第 {row} 行超过 {LINE:,} 个字符; 每行最多 {COLUMNS} 列",
    )


def too_large() -> Unreadable:
    return Unreadable(
        "the XLSX file is far larger unpacked than a price list is:"
        f" that has {ROWS - 1:,} rows of {COLUMNS} columns at most",
        f"XLSX 文件解压后过大, 不像价格表: 价格表最多 {ROWS - 1:,} 行, {COLUMNS} 列",
    )


def broken() -> Unreadable:
    return Unreadable("the XLSX file is damaged or protected", "XLSX 文件已损坏或受密码保护")
