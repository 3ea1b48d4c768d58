"""What is hashed, and the stored tree: it grows as the plain tree does, on every server."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.conftest import Server
from tests.engine.purses import execute, purse
from tests.engine.sealing import codes, edit_payload, fill, lines_of, sealed, sealer_of, unwatched

from medsales.audit.heads import Head
from medsales.audit.leaf import canonical_line
from medsales.audit.merkle import (
    consistency_proof,
    extends,
    includes,
    inclusion_proof,
    leaf_hash,
    root,
    span_of,
)
from medsales.company import Company
from medsales.engine import seal
from medsales.engine.seal_check import checked
from medsales.engine.sealed import extension, last_head, proof
from medsales.engine.tiles import Tile, Tiles, edge_of, grown, leaves_in


@settings(max_examples=30)
@given(st.lists(st.integers(1, 600), min_size=1, max_size=4), st.data())
def test_tiles_that_grow_have_the_roots_and_proofs_of_the_plain_tree(
    batches: list[int], data: st.DataObject
) -> None:
    leaves = [leaf_hash(b"%d" % n) for n in range(sum(batches))]
    tiles: dict[tuple[int, int], Tile] = {}
    at = 0
    for batch in batches:
        edge = {level: tiles[level, max(t for lv, t in tiles if lv == level)] for level, _ in tiles}
        assert leaves_in(edge) == at
        for tile in grown(edge, b"".join(leaves[at : at + batch])):
            before = tiles.get((tile.level, tile.tile))
            assert before is None or tile.hashes.startswith(before.hashes)
            tiles[tile.level, tile.tile] = tile
        at += batch
        assert Tiles(tiles.values()).span(0, at) == root(leaves[:at])
    # A proof of any moment can still be made when the tree has grown on.
    size = data.draw(st.integers(1, at))
    index = data.draw(st.integers(0, size - 1))
    stored, plain = Tiles(tiles.values()).span, span_of(leaves[:size])
    assert inclusion_proof(index, size, stored) == inclusion_proof(index, size, plain)
    assert consistency_proof(index + 1, size, stored) == consistency_proof(index + 1, size, plain)


def test_the_canonical_line_never_changes() -> None:
    """It was hashed and signed: another byte would make every old seal worthless."""
    line = canonical_line(
        7,
        'purse:"王\\\n\x01\x7f',
        2,
        "CoinsPut",
        b'{"coins":1}',
        b'{"by":"ann"}',
        datetime(2024, 2, 29, 8, tzinfo=timezone(timedelta(hours=8))),
        datetime(2026, 1, 31, 8, 30, 1, 5, tzinfo=UTC),
        "6f1c1f9e-0000-4000-8000-000000000007",
    )
    assert line.decode() == (
        '{"position":7,"subject":"purse:\\"王\\\\\\n\\u0001\x7f","version":2,"event":"CoinsPut",'
        '"payload":{"coins":1},"envelope":{"by":"ann"},'
        '"effective_at":"2024-02-29T00:00:00.000000Z","recorded_at":"2026-01-31T08:30:01.000005Z",'
        '"event_id":"6f1c1f9e-0000-4000-8000-000000000007"}'
    )


def test_a_head_covers_the_lines_of_all_facts(company: Company, tmp_path: Path) -> None:
    for owner in ("ann", "bob", "王"):
        purse(company, owner)
    fill(company, 300)
    head = sealed(company, tmp_path)
    assert head.size == 303
    assert head.root == root([leaf_hash(line) for line in lines_of(company)])
    assert json.loads(lines_of(company)[2])["subject"] == "purse:王"


def test_a_large_log_is_sealed_in_batches_and_goes_on_where_a_crash_left_it(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal, "BATCH", 100)
    fill(company, 700)
    sealer = sealer_of(company, tmp_path)

    def crash(done: int, _: int) -> None:
        if done == 400:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sealer.seal(crash)
    with company.database.cursor() as db:
        assert (leaves_in(edge_of(db)), last_head(db)) == (400, None)
    head = sealed(company, tmp_path)
    assert (head.size, head.root) == (700, root([leaf_hash(x) for x in lines_of(company)]))


def test_every_fact_can_be_proved_and_every_older_head_is_extended(
    company: Company, tmp_path: Path
) -> None:
    older: list[Head] = []
    for count in (1, 99, 200, 213):
        fill(company, count)
        older.append(sealed(company, tmp_path))
    head = older[-1]
    with company.database.reading() as db:
        for position in (1, 2, 100, 256, 257, 512, 513):
            found = proof(db, position)
            assert found is not None
            assert found.head == head
            leaf = leaf_hash(found.line)
            assert includes(head.root, head.size, position - 1, leaf, found.hashes)
        for old in older:
            hashes = extension(db, old.size).hashes
            assert extends(old.size, old.root, head.size, head.root, hashes)


def test_every_server_keeps_the_seal_and_finds_what_was_done(
    server: Server, company: Company, tmp_path: Path
) -> None:
    fill(company, 300)
    sealed(company, tmp_path)
    for table in ("seal_heads", "seal_tiles", "seal_keys", "seal_log"):
        with pytest.raises(Exception, match="is refused"):
            execute(company, f"delete from {table}")
    assert codes(checked(company.database)) == []
    with unwatched(server, company) as superuser:
        edit_payload(superuser)
    assert codes(checked(company.database)) == [("fact.changed", 137)]
