"""What an auditor is told: each thing that is wrong, in a sentence of English and of Chinese."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was sealed."""

    code: str
    en: str
    zh: str
    position: int | None = None
    """The first position that it is about, where it is about facts."""

    def __str__(self) -> str:
        return f"{self.en}\n  {self.zh}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def changed(position: int) -> Finding:
    return Finding(
        "fact.changed",
        f"the fact at position {position} is not the one that was sealed",
        f"位置 {position} 的事实与封存时不同",
        position,
    )


def swapped(position: int, other: int) -> Finding:
    return Finding(
        "facts.swapped",
        f"the facts at positions {position} and {other} have been swapped",
        f"位置 {position} 与 {other} 的事实被互换",
        position,
    )


def inserted(position: int) -> Finding:
    return Finding(
        "fact.inserted",
        f"a fact was inserted at position {position}; those after it were moved down",
        f"位置 {position} 被插入了一条事实，其后的事实被后移",
        position,
    )


def removed(position: int) -> Finding:
    return Finding(
        "fact.removed",
        f"the fact at position {position} was taken out; those after it were moved up",
        f"位置 {position} 的事实被抽走，其后的事实被前移",
        position,
    )


def missing(first: int, last: int) -> Finding:
    if first == last:
        return Finding(
            "fact.missing",
            f"the fact at position {first} is missing",
            f"位置 {first} 的事实缺失",
            first,
        )
    return Finding(
        "fact.missing",
        f"the facts at positions {first} to {last} are missing",
        f"位置 {first} 至 {last} 的事实缺失",
        first,
    )


def twice(position: int) -> Finding:
    return Finding(
        "position.twice",
        f"position {position} stands in the log more than once or in the wrong place",
        f"位置 {position} 重复出现或顺序错误",
        position,
    )


def beside_the_log(position: int) -> Finding:
    return Finding(
        "fact.beside_the_log",
        f"a fact was put at {position}, where the log has no position",
        f"有一条事实被放在日志之外的位置 {position}",
        position,
    )


def no_line(after: int) -> Finding:
    return Finding(
        "line.unreadable",
        f"what follows position {after} is no line of a fact",
        f"位置 {after} 之后的内容不是事实行",
        after + 1,
    )


def hash_changed(position: int) -> Finding:
    return Finding(
        "hash.changed",
        f"the fact at position {position} is the one that was sealed, but the hash kept for it"
        " is not",
        f"位置 {position} 的事实未变，但为其保存的哈希已被改动",
        position,
    )


def tile_changed(level: int, index: int, first: int, last: int) -> Finding:
    return Finding(
        "tile.changed",
        f"the tile {index} of level {level}, over the positions {first} to {last}, is not the one"
        " that was sealed",
        f"第 {level} 层第 {index} 块（位置 {first} 至 {last}）与封存时不同",
        first,
    )


def not_signed_over(first: int, last: int, number: int) -> Finding:
    return Finding(
        "facts.not_signed_over",
        f"head {number} was signed over other facts at the positions {first} to {last}: they and"
        " the hashes kept for them were changed together",
        f"第 {number} 个树头所签的位置 {first} 至 {last} 的事实与现有的不同："
        "事实与其哈希被一并改动",
        first,
    )


def more(count: int) -> Finding:
    return Finding("more", f"and {count} further findings", f"另有 {count} 处")


# Heads and keys


def head_forged(number: int) -> Finding:
    return Finding(
        "head.forged",
        f"head {number} does not bear the signature of its key: it was changed, or made by"
        " somebody else",
        f"第 {number} 个树头的签名无效：已被改动或系他人伪造",
    )


def head_unlinked(number: int) -> Finding:
    return Finding(
        "head.unlinked",
        f"head {number} does not follow from the one before: one of them was changed, removed or"
        " inserted",
        f"第 {number} 个树头与前一个不相连：其中之一被改动、删除或插入",
    )


def head_of_another_log(number: int) -> Finding:
    return Finding(
        "head.of_another_log",
        f"head {number} belongs to another log",
        f"第 {number} 个树头属于另一日志",
    )


def key_unknown(number: int, key: str) -> Finding:
    return Finding(
        "key.unknown",
        f"head {number} names the key {key}, for which nobody vouches",
        f"第 {number} 个树头所用密钥 {key} 无人认可",
    )


def key_forged(key: str) -> Finding:
    return Finding(
        "key.forged",
        f"the key {key} is not vouched for by the key before it",
        f"密钥 {key} 未经前一密钥认可",
    )


def key_not_trusted(key: str) -> Finding:
    return Finding(
        "key.not_trusted",
        f"the key {key}, which you trust, is none of this log",
        f"您信任的密钥 {key} 不属于此日志",
    )


def no_head() -> Finding:
    return Finding("head.missing", "the log has never been sealed", "此日志从未封存")


def cut_off(number: int, size: int, sealed_at: str, last: int, last_size: int) -> Finding:
    return Finding(
        "log.cut_off",
        f"outside, head {number} of {size} facts is known since {sealed_at}; here the last one is"
        f" head {last} of {last_size} facts: the end was cut off, or an old backup restored",
        f"外部留存有 {sealed_at} 的第 {number} 个树头（{size} 条事实），此处最后为第 {last}"
        f" 个（{last_size} 条）：末尾被截断，或恢复了旧备份",
        last_size + 1,
    )


def forked(number: int, size: int, sealed_at: str) -> Finding:
    return Finding(
        "log.forked",
        f"head {number} is not the one that is known outside, of {size} facts, since {sealed_at}:"
        " an old backup was restored and written on, or the head was made anew",
        f"第 {number} 个树头与外部留存的（{size} 条事实，{sealed_at}）不同："
        "曾恢复旧备份后继续写入，或树头被重做",
    )


def replaced(log: str, number: int, size: int, sealed_at: str) -> Finding:
    return Finding(
        "log.replaced",
        f"outside, this company has another log, {log}: head {number} of {size} facts is known"
        f" since {sealed_at}; the log here was begun anew, or is of another installation",
        f"外部留存的该公司日志是另一个（{log}）：{sealed_at} 的第 {number} 个树头"
        f"（{size} 条事实）；此处的日志是重新开始的，或属于另一套安装",
    )


def outside_of_other_logs(log: str) -> Finding:
    return Finding(
        "outside.of_other_logs",
        f"the heads known outside are all of other logs; none is of this one, {log}",
        f"外部留存的树头均属于其他日志，没有一个属于此日志 {log}",
    )


def outside_forged(line: int) -> Finding:
    return Finding(
        "outside.forged",
        f"line {line} of the file of heads outside is damaged or was changed",
        f"外部树头文件第 {line} 行已损坏或被改动",
    )


# Exports


def manifest_forged() -> Finding:
    return Finding(
        "manifest.forged",
        "manifest.json does not bear the signature of a key of this log",
        "manifest.json 未带有此日志密钥的有效签名",
    )


def file_changed(name: str) -> Finding:
    return Finding(
        "file.changed",
        f"{name} is not the file that was exported",
        f"{name} 与导出时不同",
    )


def file_missing(name: str) -> Finding:
    return Finding("file.missing", f"{name} is missing", f"缺少文件 {name}")


def file_added(name: str) -> Finding:
    return Finding("file.added", f"{name} was not exported", f"{name} 不属于此导出")


def surplus(position: int) -> Finding:
    return Finding(
        "facts.surplus",
        f"the facts from position {position} on do not belong to this export",
        f"自位置 {position} 起的事实不属于此导出",
        position,
    )


def head_not_last(number: int) -> Finding:
    return Finding(
        "head.not_last",
        f"head {number}, by which this was exported, is not the last of heads.ndjson",
        f"导出所依据的第 {number} 个树头并非 heads.ndjson 中的最后一个",
    )


def stamp_of_another(number: str) -> Finding:
    return Finding(
        "stamp.of_another",
        f"the timestamp beside head {number} is not of this head",
        f"第 {number} 个树头旁的时间戳不属于该树头",
    )


def not_a_fact(position: int) -> Finding:
    return Finding(
        "line.not_a_fact",
        f"the line of position {position} is no JSON object with the fields of a fact",
        f"位置 {position} 的行不是含有事实各字段的 JSON 对象",
        position,
    )
