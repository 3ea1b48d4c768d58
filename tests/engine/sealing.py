"""A sealed log, and what a superuser can do to it when nobody looks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow
from tests.engine.conftest import Server
from tests.engine.purses import execute

from medsales.audit.heads import Head
from medsales.audit.merkle import leaf_hash
from medsales.company import Company
from medsales.engine import witness
from medsales.engine.log import Selection, rows
from medsales.engine.seal import Sealer, Sealing
from medsales.engine.seal_check import Checked, checked
from medsales.engine.sealed import line_of, lines

Superuser = Connection[DictRow]


def sealer_of(company: Company, home: Path, **given: Any) -> Sealer:
    return Sealer(company.database, Sealing(home / "seal.key", **given))


def fill(company: Company, count: int) -> None:
    """So many facts more, as quickly as the database can write them."""
    execute(
        company,
        "insert into facts select 'purse:' || n, 1, 'PurseOpened',"
        ' convert_to(format(\'{"owner":"王 %%s","coins":%%s}\', n, n), \'UTF8\'), n,'
        " gen_random_uuid(), convert_to('{\"by\":\"ann\"}', 'UTF8'), clock_timestamp(),"
        " clock_timestamp()"
        " from (select coalesce(max(notification_id), 0) as last from facts) as log,"
        " generate_series(last + 1, last + %s) n",
        count,
    )


def lines_of(company: Company) -> list[bytes]:
    with company.database.cursor() as db:
        return [line_of(row) for row in rows(db, Selection(), 10_000)]


def sealed(company: Company, home: Path, **given: Any) -> Head:
    head = sealer_of(company, home, **given).seal()
    assert head is not None
    return head


def check(company: Company, home: Path) -> Checked:
    return checked(company.database, witness.lines_in(home / "heads.jsonl"))


def codes(found: Checked) -> list[tuple[str, int | None]]:
    return [(finding.code, finding.position) for finding in found.findings]


@contextmanager
def unwatched(server: Server, company: Company) -> Iterator[Superuser]:
    """A superuser's connection, on which no trigger stands in his way."""
    tables = ("facts", "seal_tiles", "seal_heads", "seal_keys")
    with server.connect(company, superuser=True) as conn:
        for table in tables:
            conn.execute(f"alter table {table} disable trigger all")
        yield conn
        for table in tables:
            conn.execute(f"alter table {table} enable trigger all")


# What he can do. The company has 600 facts; the heads are at 100, 300, 555 and 600.

Deed = Callable[[Superuser], object]


def edit_payload(db: Superuser) -> None:
    db.execute('update facts set state = \'{"owner":"me"}\' where notification_id = 137')


def hide_facts_beside_the_log(db: Superuser) -> None:
    """Where no position of the log is: decisions about their subject would count them."""
    for position in (-5, 0):
        db.execute(
            "insert into facts select 'purse:hidden', %s + 9, topic, state, %s,"
            " gen_random_uuid(), metadata, effective_at, recorded_at"
            " from facts where notification_id = 9",
            (position, position),
        )


def edit_every_part(db: Superuser) -> None:
    """Each of another fact: nothing that a fact says can be changed unseen."""
    parts = (
        "originator_id = 'purse:mine'",
        "originator_version = 7",
        "topic = 'CoinsPut'",
        'metadata = \'{"by":"bob"}\'',
        "effective_at = effective_at - interval '1 day'",
        "recorded_at = recorded_at + interval '1 microsecond'",
        "event_id = gen_random_uuid()",
    )
    for position, part in enumerate(parts, start=11):
        db.execute(f"update facts set {part} where notification_id = {position}")


def delete_last(db: Superuser) -> None:
    db.execute("delete from facts where notification_id = 600")


def delete_one(db: Superuser) -> None:
    db.execute("delete from facts where notification_id = 256")


def delete_one_and_close_the_gap(db: Superuser) -> None:
    db.execute("delete from facts where notification_id = 250")
    shift(db, 251, -1)


def swap_two(db: Superuser) -> None:
    swap(db, 42, 400)


def swap_neighbours(db: Superuser) -> None:
    swap(db, 256, 257)


def swap(db: Superuser, one: int, other: int) -> None:
    for was, becomes in ((one, 10**9), (other, one), (10**9, other)):
        db.execute(
            "update facts set notification_id = %s where notification_id = %s", (becomes, was)
        )


def insert_one(db: Superuser) -> None:
    shift(db, 333, 1)
    db.execute(
        "insert into facts select 'purse:forged', 1, topic, state, 333, gen_random_uuid(),"
        " metadata, effective_at, recorded_at from facts where notification_id = 334"
    )


def shift(db: Superuser, first: int, by: int) -> None:
    """In two strides, so that no two facts ever have the same position."""
    for stride in (10**9, by - 10**9):
        db.execute(
            "update facts set notification_id = notification_id + %s where notification_id >= %s",
            (stride, first),
        )


def edit_tile(db: Superuser) -> None:
    """The hash of position 400, on its 32 bytes in the second tile."""
    db.execute(
        "update seal_tiles set hashes = overlay(hashes placing sha256('x') from 143 * 32 + 1)"
        " where level = 0 and tile = 1"
    )


def edit_upper_tile(db: Superuser) -> None:
    db.execute(
        "update seal_tiles set hashes = overlay(hashes placing sha256('x') from 33)"
        " where level = 1 and tile = 0"
    )


def edit_fact_and_its_hash(db: Superuser) -> None:
    """As one does who knows how it works, but has not the key."""
    edit_payload(db)
    db.execute(
        "update seal_tiles set hashes = overlay(hashes placing sha256('x') from 136 * 32 + 1)"
        " where level = 0 and tile = 0"
    )


def edit_fact_and_put_its_hash_right(db: Superuser) -> None:
    """As one does who has read all of this: only the signature is left to tell."""
    edit_payload(db)
    ((_, line),) = lines(db.cursor(), 136, 137, 1)
    db.execute(
        "update seal_tiles set hashes = overlay(hashes placing %s from 136 * 32 + 1)"
        " where level = 0 and tile = 0",
        (leaf_hash(line),),
    )


def edit_head(db: Superuser) -> None:
    db.execute("update seal_heads set sealed_at = sealed_at - interval '1 day' where number = 2")


def edit_last_head(db: Superuser) -> None:
    db.execute("update seal_heads set size = 599 where number = 4")


def delete_head(db: Superuser) -> None:
    db.execute("delete from seal_heads where number = 2")


def cut_off_cleanly(db: Superuser) -> None:
    """Facts, hashes and heads, as if the last 300 had never been."""
    db.execute("delete from seal_heads where number > 2")
    db.execute("delete from facts where notification_id > 300")
    db.execute("delete from seal_tiles where (level, tile) in ((0, 2))")
    db.execute(
        "update seal_tiles set hashes = substr(hashes, 1, 44 * 32) where (level, tile) = (0, 1)"
    )
    db.execute("update seal_tiles set hashes = substr(hashes, 1, 32) where level = 1")


DEEDS: dict[Deed, list[tuple[str, int | None]]] = {
    edit_payload: [("fact.changed", 137)],
    edit_every_part: [("fact.changed", position) for position in range(11, 18)],
    hide_facts_beside_the_log: [("fact.beside_the_log", -5), ("fact.beside_the_log", 0)],
    delete_last: [("fact.missing", 600)],
    delete_one: [("fact.missing", 256)],
    delete_one_and_close_the_gap: [("fact.removed", 250)],
    swap_two: [("facts.swapped", 42)],
    swap_neighbours: [("facts.swapped", 256)],
    insert_one: [("fact.inserted", 333)],
    edit_tile: [("hash.changed", 400)],
    edit_upper_tile: [("tile.changed", 257)],
    edit_fact_and_its_hash: [("facts.not_signed_over", 101), ("fact.changed", 137)],
    edit_fact_and_put_its_hash_right: [("facts.not_signed_over", 101)],
    edit_head: [("head.forged", None), ("log.forked", None), ("head.unlinked", None)],
    edit_last_head: [("head.forged", None), ("log.forked", None)],
    delete_head: [("head.unlinked", None)],
    cut_off_cleanly: [("log.cut_off", 301)],
}
"""Each deed, and what must be said of it: codes and positions."""
