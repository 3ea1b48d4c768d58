"""The tree of RFC 6962, by the vectors of Certificate Transparency and against the plain tree."""

import json
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsales.audit.merkle import (
    EMPTY,
    Edge,
    consistency_proof,
    extends,
    includes,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    span_of,
    subtrees,
)

VECTORS = Path(__file__).parent / "vectors"
KNOWN = json.loads((VECTORS / "rfc6962_known_roots.json").read_text())


def vectors(name: str) -> list[Any]:
    found = json.loads((VECTORS / name).read_text())
    return [pytest.param(one, id=one["_file"]) for one in found]


def plain(hashes: list[str] | None) -> list[bytes]:
    return [b64decode(hash) for hash in hashes or ()]


def leaves(size: int) -> list[bytes]:
    return [leaf_hash(b"%d" % n) for n in range(size)]


@pytest.mark.parametrize("vector", vectors("inclusion.json"))
def test_every_vector_of_inclusion(vector: dict[str, Any]) -> None:
    held = includes(
        b64decode(vector["root"]),
        vector["treeSize"],
        vector["leafIdx"],
        b64decode(vector["leafHash"]),
        plain(vector["proof"]),
    )
    assert held is not vector["wantErr"]


@pytest.mark.parametrize("vector", vectors("consistency.json"))
def test_every_vector_of_consistency(vector: dict[str, Any]) -> None:
    held = extends(
        vector["size1"],
        b64decode(vector["root1"]),
        vector["size2"],
        b64decode(vector["root2"]),
        plain(vector["proof"]),
    )
    assert held is not vector["wantErr"]


def test_every_known_root_of_the_small_trees() -> None:
    given = [leaf_hash(bytes.fromhex(one)) for one in KNOWN["leaf_inputs_hex"]]
    for size, expected in enumerate(KNOWN["root_hashes_hex_by_size"]):
        assert root(given[:size]).hex() == expected
    for level, nodes in enumerate(KNOWN["node_hashes_hex"].values()):
        span = span_of(given)
        found = [span(n << level, n + 1 << level).hex() for n in range(len(nodes))]
        assert found == nodes


def test_every_known_hash() -> None:
    empty, no_data, some_data, node = KNOWN["hasher"]
    assert EMPTY.hex() == empty["want"]
    assert leaf_hash(no_data["data_utf8"].encode()).hex() == no_data["want"]
    assert leaf_hash(some_data["data_utf8"].encode()).hex() == some_data["want"]
    assert (
        node_hash(*(node[side].encode() for side in ("left_utf8", "right_utf8"))).hex()
        == (node["want"])
    )


def test_the_proofs_of_every_small_tree_hold() -> None:
    given = leaves(40)
    for size in range(1, 41):
        span, top = span_of(given[:size]), root(given[:size])
        for index in range(size):
            assert includes(top, size, index, given[index], inclusion_proof(index, size, span))
        for first in range(1, size + 1):
            proof = consistency_proof(first, size, span)
            assert extends(first, root(given[:first]), size, top, proof)


@given(size=st.integers(1, 2000), data=st.data())
def test_a_proof_shows_this_leaf_at_this_place_in_this_tree_and_nothing_else(
    size: int, data: st.DataObject
) -> None:
    given = leaves(size)
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size).filter(lambda n: n != index))
    top, proof = root(given), inclusion_proof(index, size, span_of(given))
    assert includes(top, size, index, given[index], proof)
    assert not includes(top, size, other, given[index], proof)
    assert not includes(top, size, index, leaf_hash(b"another"), proof)
    assert not includes(leaf_hash(b"another"), size, index, given[index], proof)
    assert not includes(top, size, index, given[index], [*proof, EMPTY])


@given(size=st.integers(2, 2000), data=st.data())
def test_a_changed_past_is_not_consistent(size: int, data: st.DataObject) -> None:
    given = leaves(size)
    first = data.draw(st.integers(1, size - 1))
    proof = consistency_proof(first, size, span_of(given))
    changed = [*given]
    changed[data.draw(st.integers(0, first - 1))] = leaf_hash(b"another")
    assert extends(first, root(given[:first]), size, root(given), proof)
    assert not extends(first, root(changed[:first]), size, root(given), proof)
    proof = consistency_proof(first, size, span_of(changed))
    assert not extends(first, root(given[:first]), size, root(changed), proof)


def test_an_edge_that_grows_has_the_root_of_the_plain_tree_at_every_size() -> None:
    given, edge = leaves(601), Edge()
    for size in range(601):
        assert (edge.size, edge.root()) == (size, root(given[:size]))
        edge.extend([given[size]])


@given(st.lists(st.integers(0, 300), max_size=8))
def test_it_does_not_matter_how_many_leaves_come_at_once(batches: list[int]) -> None:
    given, edge = leaves(sum(batches)), Edge()
    at = 0
    for batch in batches:
        edge.extend(given[at : at + batch])
        at += batch
    assert edge.root() == root(given)


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_subtrees_cover_a_range_without_gap_or_overlap(start: int, length: int) -> None:
    at = start
    for level, index in subtrees(start, start + length):
        assert index << level == at
        at += 1 << level
    assert at == start + length


def test_a_part_of_a_log_and_the_hashes_beside_it_lead_to_the_root_of_the_whole() -> None:
    given = leaves(300)
    span = span_of(given)
    for first, last in ((0, 300), (1, 2), (37, 211), (256, 300), (100, 101)):
        beside = [
            (level, span(index << level, index + 1 << level))
            for level, index in (*subtrees(0, first), *subtrees(last, 300))
        ]
        left = len(list(subtrees(0, first)))
        edge = Edge(beside[:left])
        edge.extend(given[first:last])
        for level, hash in beside[left:]:
            edge.add(level, hash)
        assert edge.root() == root(given)


def test_a_leaf_is_never_taken_for_a_node() -> None:
    left, right = leaves(2)
    assert leaf_hash(left + right) != node_hash(left, right)
    assert leaf_hash(b"") == sha256(b"\x00").digest()
