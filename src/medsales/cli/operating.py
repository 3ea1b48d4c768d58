"""What an operator does: add companies, make tokens."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import typer

from medsales.api.auth import issue_token
from medsales.cli.opening import ERR, OUT, founded, opened_companies
from medsales.domain.governance.person import STAFF
from medsales.domain.kernel import Role
from medsales.engine.database import schema_of
from medsales.settings import Settings

PEOPLE = STAFF


def add_company(name: str) -> None:
    schema_of(name)
    with opened_companies() as companies:
        known = name in companies.names()
        founded(companies, name).follower.prepare()
    OUT.print(f"{name} is there already" if known else f"{name} is added")


def list_companies(*, json: bool) -> None:
    with opened_companies() as companies:
        names = companies.names()
    if json:
        OUT.print_json(data=names)
    else:
        typer.echo("\n".join(names)) if names else ERR.print("there is no company yet")


def token(  # noqa: PLR0913 - what a token says
    user: str, name: str, roles: Sequence[Role], company: str, days: float, *, json: bool
) -> None:
    """The token alone goes to stdout, what it is worth to stderr."""
    schema_of(company)
    secret = Settings().secret()
    held = tuple(roles) or PEOPLE
    made = issue_token(secret, user, name or user, held, company=company, days=days)
    until = datetime.now(UTC) + timedelta(days=days)
    if json:
        said = {"token": made, "user": user, "roles": held, "company": company, "expires": until}
        OUT.print_json(data=said, default=str)
        return
    ERR.print(
        f"for {user} in {company} until {until:%Y-%m-%d}, as {', '.join(role.en for role in held)}"
        + ("" if roles else " (every role, for local use; --role gives fewer)")
    )
    typer.echo(made)
