"""A person who acts here: the name to print, who may stand in, and how he proves that it is he."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Annotated, NamedTuple, Self
from unicodedata import normalize

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from medsales.domain.ids import PersonId
from medsales.domain.kernel import (
    Aggregate,
    Command,
    Event,
    Key,
    Refused,
    Role,
    Term,
    Text,
    Value,
    Who,
)
from medsales.domain.values import Quantity

PEOPLE = tuple(role for role in Role if role is not Role.SYSTEM)
"""Whoever has a token of his own."""
STAFF = tuple(role for role in PEOPLE if role is not Role.COUNTERPARTY)
"""Our own people; who signs for the other party does that, and nothing else."""
FAILURES = 5
"""So many wrong passwords one after another, and the person is locked until reset."""
PAUSE = timedelta(minutes=15)
"""Who has not signed for longer signs with all components again (21 CFR 11.200(a)(1))."""


def nfc(text: str) -> str:
    """Composed, so that a text is the same bytes wherever it was typed (B7)."""
    return normalize("NFC", text)


Name = Annotated[Text, AfterValidator(nfc), Field(examples=["陈立"])]
"""As it is printed beside a signature."""
Organisation = Annotated[Text, AfterValidator(nfc), Field(examples=["杭州翠鸟医疗器械有限公司"])]
"""Whom the person acts for."""
Title = Annotated[Text, AfterValidator(nfc), Field(examples=["销售总监"])]
"""What the person is there."""
Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", examples=["0" * 64])]
"""Of a key: the SHA-256 of the 32 bytes of the public key."""
PublicKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$", max_length=44)]
"""The 32 bytes of an Ed25519 public key, in base64."""
SessionName = Annotated[str, Field(pattern=r"^[\x21-\x7e]+$", max_length=64)]
"""A continuous time at work of one person, between a proof with all components and a pause."""


class Component(Term):
    """What somebody gives to prove who he is (21 CFR 11.200)."""

    PERSON_ID = "person_id", "人员编号"
    PASSWORD = "password", "密码"


EVERY_COMPONENT = frozenset(Component)


class KeyCause(Term):
    FIRST = "first", "首次设置"
    CHANGED = "changed", "本人更改"
    RESET = "reset", "重置后设置"


class Authentication(Value):
    """How the signer proved who he is, as the signature says it (B7)."""

    components: Annotated[tuple[Component, ...], Field(min_length=1, max_length=len(Component))]
    method: Text
    session: SessionName
    continuous: bool
    """Whether the session went on; then one component is enough."""
    at: AwareDatetime


class SigningKey(NamedTuple):
    """A public key, and from when until when the person signed with it."""

    public: str
    since: datetime
    until: datetime | None = None


class Substitution(NamedTuple):
    substitute: PersonId
    roles: tuple[Role, ...]
    first_day: date
    last_day: date

    def covers(self, substitute: PersonId, role: Role, day: date) -> bool:
        same = self.substitute == substitute and role in self.roles
        return same and self.first_day <= day <= self.last_day


@dataclass(frozen=True)
class Person(Aggregate):
    """Somebody who acts here."""

    name: str = ""
    organisation: str = ""
    title: str = ""
    gone: bool = False
    substitutions: dict[int, Substitution] = field(default_factory=dict)
    appointed: int = 0
    """How many substitutions there have ever been: the last one's number."""
    keys: dict[str, SigningKey] = field(default_factory=dict)
    key: str | None = None
    """The fingerprint of the one he signs with."""
    sessions: dict[str, datetime] = field(default_factory=dict)
    """When each was last used."""
    failures: int = 0
    locked: bool = False

    def stands_in(self, substitute: PersonId, role: Role, day: date) -> bool:
        """Whether this person has appointed that one to act in a role on a day."""
        return any(each.covers(substitute, role, day) for each in self.substitutions.values())

    def goes_on(self, session: str | None, at: datetime) -> bool:
        """Whether the session has lasted until now without a pause."""
        last = self.sessions.get(session or "")
        return last is not None and at - last <= PAUSE

    def must_be_here(self) -> None:
        if self.gone:
            raise Refused("person.gone", f"{self.name} has left", f"{self.name} 已离职")

    def must_be_unlocked(self) -> None:
        if self.locked:
            raise Refused(
                "person.locked",
                f"{self.name} is locked after {FAILURES} failed attempts; the operator sets a"
                " new password",
                f"{self.name} 因 {FAILURES} 次验证失败已被锁定, 须由管理员重置密码",
            )

    def with_substitution(self, number: int, substitution: Substitution) -> Person:
        substitutions = {**self.substitutions, number: substitution}
        return replace(self, substitutions=substitutions, appointed=number)

    def cause_of_next_key(self) -> KeyCause:
        if not self.keys:
            return KeyCause.FIRST
        return KeyCause.CHANGED if self.key else KeyCause.RESET

    def without_key(self, at: datetime) -> Person:
        """What the one of now was good for ends: sessions too, and a lock."""
        ended = {key: known._replace(until=known.until or at) for key, known in self.keys.items()}
        return replace(self, keys=ended, sessions={}, failures=0, locked=False)

    def with_key(self, name: str, public: str, at: datetime) -> Person:
        ended = self.without_key(at)
        return replace(ended, keys={**ended.keys, name: SigningKey(public, at)}, key=name)

    def with_session(self, session: str, at: datetime) -> Person:
        going_on = {known: last for known, last in self.sessions.items() if at - last <= PAUSE}
        return replace(self, sessions={**going_on, session: at}, failures=0)


def must_be_himself(id: str, who: Who) -> None:
    """Nobody does this for somebody else."""
    if id != PersonId.of(who.id):
        raise Refused(
            "person.other",
            f"this is for {id} alone; you are {who.id}",
            f"须由 {id} 本人操作; 您是 {who.id}",
        )


def must_be_another(id: str, who: Who) -> None:
    """What stands beside a signature, somebody else has vouched for."""
    if id == PersonId.of(who.id):
        raise Refused(
            "person.oneself",
            "nobody enters his own name, organisation or title: somebody else does",
            "本人不得登记或变更自己的姓名、单位和职务, 须由他人办理",
        )


def must_not_decide_on_himself(id: str, who: Who) -> None:
    if id == PersonId.of(who.id):
        raise Refused(
            "person.own_leave",
            "another director records whether you have left or are here again",
            "本人的离职或复职须由其他总监登记",
        )


class RegisterPerson(Command[Person]):
    """Name somebody who acts here, by the id that his tokens bear; an id is never given again.

    Nobody names himself. To begin with, the operator gives out two tokens; a token needs no
    registered person, so the two register each other.
    """

    allowed = (Role.MANAGER, Role.DIRECTOR, Role.QUALITY)

    person: Annotated[Key, Field(examples=["chen"])]
    """The id in his tokens."""
    name: Name
    organisation: Organisation
    """Whom he acts for."""
    title: Title
    """What he is there."""

    def begins(self) -> PersonId:
        return PersonId.of(self.person)

    def decide(self, person: Person, who: Who) -> PersonRegistered | None:
        must_be_another(self.begins(), who)
        given = (self.name, self.organisation, self.title)
        if (person.name, person.organisation, person.title) == given and not person.gone:
            return None
        if person.name:
            raise Refused(
                "person.exists",
                f"{self.person} is the id of {person.name}, and never given to anybody else",
                f"{self.person} 是 {person.name} 的编号, 不得重复使用",
            )
        return PersonRegistered(name=self.name, organisation=self.organisation, title=self.title)


class PersonRegistered(Event[Person]):
    name: str
    organisation: str
    title: str

    def apply(self, person: Person, /) -> Person:
        return replace(person, name=self.name, organisation=self.organisation, title=self.title)


class RevisePerson(Command[Person]):
    """Change what is printed beside signatures from now on; those given keep what they say."""

    allowed = (Role.MANAGER, Role.DIRECTOR, Role.QUALITY)

    name: Name
    organisation: Organisation
    """Whom he acts for."""
    title: Title
    """What he is there."""
    reason: Text

    def decide(self, person: Person, id: PersonId, who: Who) -> PersonRevised | None:
        must_be_another(id, who)
        person.must_be_here()
        given = (self.name, self.organisation, self.title)
        if (person.name, person.organisation, person.title) == given:
            return None
        return PersonRevised(
            name=self.name,
            organisation=self.organisation,
            title=self.title,
            reason=self.reason,
        )


class PersonRevised(Event[Person]):
    name: str
    organisation: str
    title: str
    reason: str

    def apply(self, person: Person, /) -> Person:
        return replace(person, name=self.name, organisation=self.organisation, title=self.title)


class DismissPerson(Command[Person]):
    """Record that somebody has left: he signs nothing any more, and nobody stands in for him.

    A director does, for everybody: what somebody may do is said by his tokens and not kept here, so
    that a manager could otherwise silence the director who is to approve what he wants.
    """

    allowed = (Role.DIRECTOR,)

    reason: Text

    def decide(self, person: Person, id: PersonId, who: Who) -> PersonDismissed | None:
        must_not_decide_on_himself(id, who)
        if person.gone:
            return None
        return PersonDismissed(reason=self.reason)


class PersonDismissed(Event[Person]):
    reason: str

    def apply(self, person: Person, /) -> Person:
        return replace(person, gone=True, sessions={}, substitutions={})


class ReinstatePerson(Command[Person]):
    """Record that somebody is here again, or never left.

    He signs with the key he had; whom he had appointed to act for him, he appoints anew.
    """

    allowed = (Role.DIRECTOR,)

    reason: Text

    def decide(self, person: Person, id: PersonId, who: Who) -> PersonReinstated | None:
        must_not_decide_on_himself(id, who)
        if not person.gone:
            return None
        return PersonReinstated(reason=self.reason)


class PersonReinstated(Event[Person]):
    reason: str

    def apply(self, person: Person, /) -> Person:
        return replace(person, gone=False)


class AppointSubstitute(Command[Person]):
    """Have somebody act for you for some days; he signs as himself, naming you."""

    allowed = STAFF

    substitute: PersonId
    """Who is to act."""
    roles: Annotated[tuple[Role, ...], Field(min_length=1, max_length=len(PEOPLE))]
    """In which of your own roles."""
    first_day: date
    """From this day on."""
    last_day: date
    """Up to and including this day."""
    reason: Text

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Self:
        if self.last_day < self.first_day:
            raise ValueError("the last day is before the first")
        return self

    def decide(
        self,
        person: Person,
        id: PersonId,
        who: Who,
        substitute: Person,
    ) -> SubstituteAppointed | None:
        must_be_himself(id, who)
        person.must_be_here()
        substitute.must_be_here()
        self.must_be_another(id)
        self.must_be_own_roles(who)
        if self.as_appointed() in person.substitutions.values():
            return None
        return SubstituteAppointed(
            number=person.appointed + 1,
            substitute=self.substitute,
            roles=self.roles,
            first_day=self.first_day,
            last_day=self.last_day,
            reason=self.reason,
        )

    def as_appointed(self) -> Substitution:
        return Substitution(self.substitute, self.roles, self.first_day, self.last_day)

    def must_be_another(self, id: PersonId) -> None:
        if self.substitute == id:
            raise Refused(
                "substitute.oneself",
                "nobody is his own substitute",
                "不得指定本人为代理人",
            )

    def must_be_own_roles(self, who: Who) -> None:
        lacking = [role for role in self.roles if role not in who.roles or role not in STAFF]
        if lacking:
            raise Refused(
                "substitute.role_not_own",
                f"you are not {lacking[0].en} yourself, and cannot pass it on",
                f"您本人不具有{lacking[0].zh}角色, 不能授予他人",
            )


class SubstituteAppointed(Event[Person]):
    number: int
    substitute: PersonId
    roles: tuple[Role, ...]
    first_day: date
    last_day: date
    reason: str

    def apply(self, person: Person, /) -> Person:
        given = Substitution(self.substitute, self.roles, self.first_day, self.last_day)
        return person.with_substitution(self.number, given)


class EndSubstitution(Command[Person]):
    """Take back what you have passed on, from now on."""

    allowed = STAFF

    number: Quantity
    """Which of your substitutions, counted from 1."""

    def decide(self, person: Person, id: PersonId, who: Who) -> SubstitutionEnded | None:
        must_be_himself(id, who)
        if self.number > person.appointed:
            raise Refused(
                "substitute.unknown",
                f"there is no substitution {self.number}",
                f"没有第 {self.number} 次代理授权",
            )
        if self.number not in person.substitutions:
            return None
        substitute = person.substitutions[self.number].substitute
        return SubstitutionEnded(number=self.number, substitute=substitute)


class SubstitutionEnded(Event[Person]):
    number: int
    substitute: PersonId

    def apply(self, person: Person, /) -> Person:
        left = {n: each for n, each in person.substitutions.items() if n != self.number}
        return replace(person, substitutions=left)


class ResetPassword(Command[Person]):
    """Give up the password of somebody who is locked out or begins; asked by the operator.

    He gets a code to set a password of his own with, so that nobody else ever knows one that signs.
    """

    allowed = ()

    reason: Text

    def decide(self, person: Person, at: datetime) -> PasswordReset:
        person.must_be_here()
        return PasswordReset(reason=self.reason, reset_at=at, ends=person.key)


class PasswordReset(Event[Person]):
    reason: str
    reset_at: datetime
    ends: str | None
    """The key that counted up to now; what it signed stays signed."""

    def apply(self, person: Person, /) -> Person:
        return replace(person.without_key(self.reset_at), key=None)


class RegisterSigningKey(Command[Person]):
    """Make known the public key that belongs to a new password; asked by what keeps passwords."""

    allowed = ()

    public_key: PublicKey
    key_id: Fingerprint
    replaces: Fingerprint | None = None

    def decide(self, person: Person, id: PersonId, who: Who, at: datetime) -> SigningKeyRegistered:
        must_be_himself(id, who)
        person.must_be_here()
        person.must_be_unlocked()
        if person.key != self.replaces:
            raise Refused(
                "signing_key.moved",
                "your password has just been set otherwise; begin again",
                "您的密码刚刚已被更改, 请重新操作",
            )
        if self.key_id in person.keys:
            raise Refused(
                "signing_key.used_before",
                "a signing key is not taken up again",
                "签名密钥不得重新启用",
            )
        return SigningKeyRegistered(
            public_key=self.public_key,
            key_id=self.key_id,
            cause=person.cause_of_next_key(),
            since=at,
            replaces=person.key,
        )


class SigningKeyRegistered(Event[Person]):
    public_key: str
    key_id: str
    cause: KeyCause
    since: datetime
    replaces: str | None
    """The key that counted up to now; what it signed stays signed."""

    def apply(self, person: Person, /) -> Person:
        return person.with_key(self.key_id, self.public_key, self.since)


class RecordReauthentication(Command[Person]):
    """Keep that somebody proved who he is, or failed to; asked by whatever checks the password."""

    allowed = ()

    session: SessionName
    components: Annotated[tuple[Component, ...], Field(min_length=1, max_length=len(Component))]
    method: Text
    continuous: bool
    """Whether the session is said to go on."""
    passed: bool

    def decide(
        self, person: Person, id: PersonId, who: Who, at: datetime
    ) -> (
        ReauthenticationPassed
        | ReauthenticationFailed
        | tuple[ReauthenticationFailed, PersonLocked]
    ):
        must_be_himself(id, who)
        person.must_be_here()
        person.must_be_unlocked()
        if not self.passed:
            return self.failed(person)
        self.must_be_enough(person, at)
        return ReauthenticationPassed(
            session=self.session,
            components=self.components,
            method=self.method,
            continuous=self.continuous,
            proved_at=at,
        )

    def must_be_enough(self, person: Person, at: datetime) -> None:
        """First in a session all components, later at least one (21 CFR 11.200(a)(1))."""
        if self.continuous and person.goes_on(self.session, at):
            return
        if self.continuous or {*self.components} < EVERY_COMPONENT:
            raise Refused(
                "reauthentication.incomplete",
                "the session is not going on any more: give your person id and your password",
                "会话已中断: 请同时提供人员编号和密码",
            )

    def failed(
        self, person: Person
    ) -> ReauthenticationFailed | tuple[ReauthenticationFailed, PersonLocked]:
        failures = person.failures + 1
        failed = ReauthenticationFailed(
            components=self.components, method=self.method, failures=failures
        )
        return failed if failures < FAILURES else (failed, PersonLocked(failures=failures))


class ReauthenticationPassed(Event[Person]):
    session: str
    components: tuple[Component, ...]
    method: str
    continuous: bool
    proved_at: datetime

    def apply(self, person: Person, /) -> Person:
        return person.with_session(self.session, self.proved_at)


class ReauthenticationFailed(Event[Person]):
    components: tuple[Component, ...]
    method: str
    failures: int
    """One after another."""

    def apply(self, person: Person, /) -> Person:
        return replace(person, failures=self.failures)


class PersonLocked(Event[Person]):
    failures: int

    def apply(self, person: Person, /) -> Person:
        return replace(person, locked=True, sessions={})


class EndSession(Command[Person]):
    """Lock your session, as when you leave the screen; the next signature needs all components."""

    allowed = PEOPLE

    session: SessionName
    """As the first signature in it was answered."""

    def decide(self, person: Person, id: PersonId, who: Who) -> SessionEnded | None:
        must_be_himself(id, who)
        if self.session not in person.sessions:
            return None
        return SessionEnded(session=self.session)


class SessionEnded(Event[Person]):
    session: str

    def apply(self, person: Person, /) -> Person:
        left = {known: last for known, last in person.sessions.items() if known != self.session}
        return replace(person, sessions=left)
