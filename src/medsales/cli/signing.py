"""Passwords that people sign with, and whether a signature is what it says."""

import getpass
from datetime import timedelta
from secrets import token_hex

import typer
from pydantic import TypeAdapter, ValidationError

from medsales.api.auth import Speaker
from medsales.audit.signatures import Signature, checked
from medsales.cli.failures import Failed
from medsales.cli.opening import ERR, OUT, opened
from medsales.company import Company
from medsales.domain.governance import signature
from medsales.domain.governance.person import Person, ResetPassword
from medsales.domain.ids import PersonId, PriceMatrixId, PriceSheetId
from medsales.domain.kernel import Role
from medsales.engine.application import Actor, Ask
from medsales.engine.credentials import Passwords
from medsales.engine.database import Db
from medsales.engine.sealed import lines_of

GOOD_FOR = timedelta(days=3)
SPEAKER: TypeAdapter[str] = TypeAdapter(Speaker)


def set_password(name: str, person: str, reason: str, user: str | None) -> None:
    """The code alone goes to stdout. It signs nothing: whoever holds it sets his own password."""
    id = PersonId.of(person.removeprefix("person:"))
    with opened(name) as company:
        code = new_code(company, id, reason, speaker(user))
    ERR.print(
        f"a code for {id}, good for three days and once; with it he sets a password of his own:\n"
        f"POST /persons/{id}/password. The password before is void.",
        markup=False,
    )
    typer.echo(code)


def new_code(company: Company, id: PersonId, reason: str, user: str) -> str:
    """Gives up the password of a person. Raises Failed for a bad reason, Refused."""
    try:
        command = ResetPassword(reason=reason)
    except ValidationError as error:
        raise Failed("a reset needs a reason of 1 to 200 characters, in one line") from error
    operator = Actor(user, user, (Role.SYSTEM,), "medsales password")
    company.app.handle(Ask(command, operator, id))
    code = "-".join(token_hex(2) for _ in range(6))
    passwords = Passwords(company.database)
    passwords.put_code(id, code, company.app.clock() + GOOD_FOR)
    passwords.drop(id, *company.app.existing(id, Person).keys)
    return code


def speaker(user: str | None) -> str:
    """Who sits at the keyboard. Raises Failed."""
    who = user or getpass.getuser()
    try:
        return SPEAKER.validate_python(who)
    except ValidationError as error:
        raise Failed(f"{who} cannot decide: that is no name of a person") from error


def verify(name: str, id: str, *, json: bool) -> None:
    """Exit code 1 when something is wrong with it. Raises Failed or Refused."""
    with opened(name) as company:
        known = company.app.existing(id, signature.Signature)
        assert known.signed is not None
        said = known.signed.statement
        with company.database.reading() as db:
            lines = lines_of(db, (id, said.signer, *with_sheets(db, said.subject)))
    found = checked(lambda: lines).found[id]
    if json:
        OUT.print_json(data=_as_json(found))
    else:
        _tell(found, known)
    if found.findings:
        raise typer.Exit(1)


def with_sheets(db: Db, subject: str) -> list[str]:
    """The prices of a matrix lie in its sheets."""
    kind, _, key = subject.partition(":")
    if kind != PriceMatrixId.kind:
        return [subject]
    rows = db.execute(
        "select distinct originator_id from facts where starts_with(originator_id, %s)",
        (f"{PriceSheetId.kind}:{key}:",),
    )
    return [subject, *(row["originator_id"] for row in rows)]


def _as_json(found: Signature) -> dict[str, object]:
    return {**found.as_json(), "findings": [finding.as_json() for finding in found.findings]}


def _tell(found: Signature, known: signature.Signature) -> None:
    """In English and in Chinese."""
    assert known.signed is not None
    for line in signature.lines_for_people(known.signed, known.invalidated):
        OUT.print(line.en if line.en == line.zh else f"{line.en}\n  {line.zh}", markup=False)
    for finding in found.findings:
        OUT.print(f"{finding}", markup=False)
    if found.findings:
        OUT.print("NOT VERIFIED\n  核验未通过")
    elif known.invalidated is None:
        OUT.print(
            "verified: genuine, of what its subject had then, and it counts\n  核验通过，有效"
        )
    else:
        OUT.print("verified: genuine, but invalidated\n  核验通过，但已作废")
