"""What auditors prove the log with: signed heads, and what leads from a fact to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict

from medsales.api.auth import Auditor
from medsales.api.facts import unknown
from medsales.api.problems import Trouble
from medsales.api.reading import MOST, LogReading, Page, Paging
from medsales.audit.heads import Head
from medsales.audit.merkle import leaf_hash
from medsales.engine.sealed import NotSealed, extension, keys_of, proof
from medsales.engine.tiles import SealBroken

router = APIRouter(tags=["audit"])
Sealed = Annotated[int, Path(ge=1, le=MOST, description="A position of the log.")]


class SealedHead(BaseModel):
    """A signed tree head: the log as it was when it was sealed."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    log: str
    """Which log: the same for ever."""
    number: int
    size: int
    """So many facts: those at the positions 1 to this."""
    root: str
    """Of the Merkle tree (RFC 6962) over their lines; hashes are hexadecimal."""
    sealed_at: str
    previous: str
    """The hash of the head before."""
    key: str
    """The fingerprint of the key that signed."""
    signature: str
    """Ed25519, over the text that docs/sealing.md shows."""


class SealingKey(BaseModel):
    """A key that signs or signed the heads of this log."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    id: str
    """The fingerprint: SHA-256 of the public key."""
    public: str
    made_at: str
    signed_by: str | None
    """The key before, which vouches for this one."""
    signature: str


class FactProof(BaseModel):
    """What shows that a fact is in the log that a head was signed over."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    position: int
    line: str
    """The fact, as `GET /facts` streams it; its bytes were hashed."""
    leaf_hash: str
    proof: list[str]
    """The hashes from the leaf `position - 1` up to the root of the head."""
    head: SealedHead


class ConsistencyProof(BaseModel):
    """What shows that the log of a head begins with its first facts, unchanged."""

    first: int
    proof: list[str]
    head: SealedHead


HEADS = """
    select (select log::text from seal_log) as log, number, size, encode(root, 'hex') as root,
           to_char(sealed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as sealed_at,
           encode(previous, 'hex') as previous, key, encode(signature, 'hex') as signature
    from seal_heads
"""


@router.get(
    "/facts/{position}/proof",
    operation_id="fact_proof",
    summary="Proof that a fact is in the sealed log",
)
def fact_proof(caller: Auditor, position: Sealed) -> FactProof:
    """By the last head; a fact that it does not cover yet is a 503 for some seconds."""
    with told(position), caller.company.database.reading() as db:
        found = proof(db, position)
        if found is None:
            raise unknown(position)
    return FactProof(
        position=position,
        line=found.line.decode(),
        leaf_hash=leaf_hash(found.line).hex(),
        proof=[hash.hex() for hash in found.hashes],
        head=shown(found.head),
    )


@router.get(
    "/facts/{position}/consistency",
    operation_id="fact_consistency",
    summary="Proof that the sealed log still begins with its first facts",
)
def consistency(caller: Auditor, position: Sealed) -> ConsistencyProof:
    """For whoever holds an older head: `position` is its size."""
    if caller.company.log.head() < position:
        raise unknown(position)
    with told(position), caller.company.database.reading() as db:
        found = extension(db, position)
    return ConsistencyProof(
        first=position, proof=[hash.hex() for hash in found.hashes], head=shown(found.head)
    )


@router.get("/seals", operation_id="seals", summary="Signed heads of the log, the last one first")
def seals(_: Auditor, log: LogReading, paging: Paging) -> Page[SealedHead]:
    return log.page(SealedHead, paging, HEADS, by=("number",), newest_first=True)


@router.get("/seals/keys", operation_id="seal_keys", summary="The keys that signed them")
def keys(caller: Auditor) -> list[SealingKey]:
    with caller.company.database.reading() as db:
        return [SealingKey.model_validate(key.as_json()) for key in keys_of(db)]


def shown(head: Head) -> SealedHead:
    return SealedHead.model_validate(head.as_json())


@contextmanager
def told(position: int) -> Iterator[None]:
    """Why there is no proof. Raises Trouble."""
    try:
        yield
    except NotSealed as error:
        raise Trouble(
            503,
            "fact.not_sealed",
            f"position {position} is not sealed yet; the seal covers {error.sealed} facts",
            f"位置 {position} 尚未封存，目前已封存 {error.sealed} 条事实",
            {"Retry-After": "5"},
        ) from error
    except SealBroken as broken:
        raise Trouble(
            500,
            "seal.broken",
            f"the seal of this log is broken: {broken.finding.en}",
            f"此日志的封存已被破坏：{broken.finding.zh}",
        ) from broken
