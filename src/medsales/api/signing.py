"""Signing: a statement is prepared against the password, then sent with the command it belongs to.

    POST /signatures/prepare      proves who asks, and answers the signed statement
    POST /contracts/…/sign        or whatever is signed: the command carries the statement

The statement alone signs nothing: only the decision that takes it in keeps it.
"""

from datetime import UTC, date, datetime
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Query, Response

from medsales.api.auth import Asking, Caller
from medsales.api.commands import SubjectId
from medsales.api.problems import invalid
from medsales.api.proving import NewPassword, Password, Proof, Proved, password_set, proved
from medsales.api.reading import POSITION, Asked, Page, Paging, Reading, When, found, reader
from medsales.domain.governance.person import PEOPLE, Fingerprint, Person
from medsales.domain.governance.signature import (
    Device,
    Meaning,
    Said,
    Signature,
    SignedStatement,
    Statement,
    Zone,
    lines_for_people,
    signed_with,
)
from medsales.domain.ids import AnyId, PersonId
from medsales.domain.kernel import LONGEST_ID, PRINTABLE, Aggregate, Refused, Role, Value
from medsales.domain.values import Evidence, Quantity
from medsales.engine.past import state_at
from medsales.projections.signature_board import SIGNATURES, SignatureBoard, SignatureCard

A = TypeVar("A", bound=Aggregate)
router = APIRouter(tags=["signatures"])
Board = Annotated[Reading, reader(SignatureBoard)]


class Preparing(Proof):
    """What is to be signed, as it was shown, and the proof of who signs it."""

    subject: AnyId
    version: Quantity
    """Of the content, as it was shown."""
    content_hash: Evidence
    """Of the content, as it was shown."""
    document: Evidence | None = None
    """The SHA-256 of the PDF or page that you saw, where it was one."""
    meaning: Meaning
    text: Said
    """What you declare."""
    time_zone: Zone
    """Where you are."""
    device: Device | None = None
    """What you sign on, if you want to say so."""
    role: Role | None = None
    """As what you sign; the first of your roles if none is given."""


@router.post("/signatures/prepare", summary="Prove who you are, and get a signed statement")
async def prepare(caller: Caller, given: Preparing) -> SignedStatement:
    """The statement goes with the command that needs it, within ten minutes.

    First in a session `person` and `password`; then `session` (as the first answer names it) and
    `password`, until you pause for fifteen minutes. Each attempt is on record; after five wrong
    ones in a row you are locked until the operator gives you a new code.
    """
    role, zone = _role(caller, given.role), _zone(given.time_zone)
    who = await proved(caller, given)
    at = caller.company.app.clock()
    local = datetime.fromisoformat(at.astimezone(zone).isoformat())
    return signed_with(who.key, _statement(given, who, role, local))


def _statement(given: Preparing, who: Proved, role: Role, local: datetime) -> Statement:
    assert who.person.key is not None
    return Statement(
        subject=given.subject,
        subject_type=given.subject.partition(":")[0],
        version=given.version,
        content_hash=given.content_hash,
        document=given.document,
        meaning=given.meaning,
        text=given.text,
        signer=who.id,
        printed_name=who.person.name,
        title=who.person.title,
        role=role,
        organisation=who.person.organisation,
        executed_at=local.astimezone(UTC),
        time_zone=given.time_zone,
        device=given.device,
        local_time=local,
        authentication=who.how,
        key_id=who.person.key,
    )


def _role(caller: Asking, asked: Role | None) -> Role:
    own = [role for role in caller.actor.roles if role in PEOPLE]
    if not own or (asked and asked not in own):
        wanted = asked or Role.SYSTEM
        raise Refused(
            "signature.role_not_own",
            f"you are not {wanted.en}" if asked else "a program signs nothing",
            f"您不具有{wanted.zh}角色" if asked else "程序不得签名",
        )
    return asked or own[0]


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise invalid([(("time_zone",), f"{name} is no time zone of the IANA database")]) from error


class SettingPassword(Value):
    """A new password of your own."""

    old: Password
    """The password of now, or the code that the operator gave you."""
    new: NewPassword
    """At least twelve characters. It is kept nowhere: who forgets it gets a new key."""


class PasswordIsSet(Value):
    """The public key that your signatures bear from now on."""

    key_id: Fingerprint


@router.post("/persons/{id:path}/password", tags=["persons"], summary="Set your own password")
async def set_password(caller: Caller, id: SubjectId, given: SettingPassword) -> PasswordIsSet:
    """For yourself alone, with the old one or a code. What was signed before stays signed."""
    old, new = given.old.get_secret_value(), given.new.get_secret_value()
    if new == old or caller.actor.id.casefold() in new.casefold():
        raise invalid([(("new",), "is the old one, or holds your id")])
    return PasswordIsSet(key_id=await password_set(caller, id, old, new))


class KeySeen(Value):
    """A public key of a person, and from when until when he signed with it."""

    key_id: str
    public_key: str
    """Ed25519, base64."""
    since: datetime
    until: datetime | None


class SubstitutionSeen(Value):
    """Who may act for a person, in which roles and on which days."""

    number: int
    substitute: PersonId
    roles: tuple[Role, ...]
    first_day: date
    last_day: date


class PersonSeen(Value):
    """Somebody who acts here."""

    id: str
    name: str
    organisation: str
    title: str
    gone: bool
    locked: bool
    """After five failed attempts, until the operator resets the password."""
    keys: tuple[KeySeen, ...]
    substitutions: tuple[SubstitutionSeen, ...]


@router.get("/persons/{id:path}", tags=["persons"], summary="A person, with keys and substitutes")
def person(caller: Caller, response: Response, asked: Asked, id: SubjectId) -> PersonSeen:
    """As of now, or of a moment."""
    seen = _state(caller, response, asked, id, Person)
    keys = (
        KeySeen(key_id=name, public_key=key.public, since=key.since, until=key.until)
        for name, key in seen.keys.items()
    )
    return PersonSeen(
        id=id,
        name=seen.name,
        organisation=seen.organisation,
        title=seen.title,
        gone=seen.gone,
        locked=seen.locked,
        keys=tuple(keys),
        substitutions=tuple(
            SubstitutionSeen(number=number, **each._asdict())
            for number, each in sorted(seen.substitutions.items())
        ),
    )


class SignatureSeen(Value):
    """A signature, as it is kept and as people read it."""

    id: str
    signed: SignedStatement
    invalidated: str | None
    """Why it counts no longer."""
    en: tuple[str, ...]
    """The block that every rendering shows."""
    zh: tuple[str, ...]


@router.get("/signatures", summary="The signatures of a subject or of a person")
def signatures(
    board: Board,
    paging: Paging,
    subject: Annotated[str | None, Query(max_length=LONGEST_ID, pattern=PRINTABLE)] = None,
    signer: Annotated[str | None, Query(max_length=LONGEST_ID, pattern=PRINTABLE)] = None,
) -> Page[SignatureCard]:
    """Those that were invalidated too; `GET /signatures/{id}` shows one in full."""
    return board.page(SignatureCard, paging, SIGNATURES, subject=subject, signer=signer)


@router.get("/signatures/{id:path}", summary="One signature, with all that it says")
def signature(caller: Caller, response: Response, asked: Asked, id: SubjectId) -> SignatureSeen:
    """As of now, or of a moment."""
    seen = _state(caller, response, asked, id, Signature)
    assert seen.signed is not None
    lines = lines_for_people(seen.signed, seen.invalidated)
    return SignatureSeen(
        id=id,
        signed=seen.signed,
        invalidated=seen.invalidated,
        en=tuple(line.en for line in lines),
        zh=tuple(line.zh for line in lines),
    )


def _state(caller: Asking, response: Response, asked: When, id: str, kind: type[A]) -> A:
    company = caller.company
    if not asked:
        return company.app.existing(id, kind)
    moment = asked.moment(company, company.log.head())
    response.headers[POSITION] = str(moment.position)
    with company.database.reading() as db:
        own = id.partition(":")[0] == kind.kind
        return found(state_at(db, kind, id, moment) if own else None, id)
