"""The command `medsales`: its sub-commands, what each takes, and the text of their --help.

What they do is in the modules beside this one, loaded when the command is given: --help and
--version answer at once.
"""

import sys
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from medsales.domain.kernel import Role

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
company = typer.Typer(no_args_is_help=True, help="The companies kept in this installation.")
app.add_typer(company, name="company")
seal = typer.Typer(invoke_without_command=True)
app.add_typer(seal, name="seal")
parked = typer.Typer(invoke_without_command=True)
app.add_typer(parked, name="parked")
audit = typer.Typer(no_args_is_help=True, help="What is handed to an auditor.")
app.add_typer(audit, name="audit")
prices = typer.Typer(no_args_is_help=True, help="Price lists.")
app.add_typer(prices, name="prices")
password = typer.Typer(no_args_is_help=True, help="What people sign with.")
app.add_typer(password, name="password")
signature = typer.Typer(no_args_is_help=True, help="What people have signed.")
app.add_typer(signature, name="signature")


def main() -> None:
    """A failure is one sentence and exit code 1; its traceback comes only with --debug."""
    debug = "--debug" in sys.argv
    try:
        app([word for word in sys.argv[1:] if word != "--debug"], prog_name="medsales")
    except Exception as error:
        if debug:
            raise
        from medsales.audit.terminal import showable
        from medsales.cli.failures import sentence

        typer.echo(f"medsales: {showable(sentence(error))}", err=True)
        sys.exit(1)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"medsales {version('medsales')}")
        raise typer.Exit


@app.callback()
def medsales(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show the version and end."
        ),
    ] = False,
    _debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of a failure.")
    ] = False,
) -> None:
    """Event-sourced sales of medical devices.

    Settings are environment variables. MEDSALES_HOME: the data folder.

    MEDSALES_DATABASE_URL: a PostgreSQL of your own, instead of the embedded one.

    MEDSALES_SECRET: what signs the tokens, instead of a file in the data folder.
    """


Name = Annotated[str, typer.Option("--company", help="Which company.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]
Host = Annotated[
    str | None, typer.Option(help="Address to listen on; MEDSALES_HOST, or only this machine.")
]
Port = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Port; MEDSALES_PORT, or 8000; 0 takes a free one."),
]
ReadModels = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Read models; all if none is named.")
]
Processes = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Processes at the work; as many as there are cores."),
]
Table = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A file of yours.")]
Units = Annotated[int, typer.Option(min=1, help="How many device units the demo moves.")]


class Language(StrEnum):
    """What is spoken in the business."""

    EN = "en"
    ZH = "zh"


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter("write it as 2026-01-31 or 2026-01-31T08:30+08:00") from None


Moment = Annotated[
    datetime | None, typer.Option(parser=_moment, metavar="TIME", help="ISO 8601; UTC if no zone.")
]


@app.command()
def run(host: Host = None, port: Port = None, units: Units = 3000) -> None:
    """The first thing to try: fill an empty log with a story, then serve.

    A log that holds facts already is kept as it is.
    """
    from medsales.cli import serving, story

    serving.serve(serving.settings(host, port), first=partial(story.tell, units=units))


@app.command()
def serve(
    *,
    host: Host = None,
    port: Port = None,
    worker: Annotated[
        bool, typer.Option(help="Keep the read models up to date as well; else run `worker`.")
    ] = True,
) -> None:
    """Answer over HTTP until Ctrl-C."""
    from medsales.cli import serving

    serving.serve(serving.settings(host, port), work=worker)


@app.command()
def worker(
    company: Annotated[
        list[str] | None,
        typer.Option(help="Work for this company only; may be repeated. Else all, also new ones."),
    ] = None,
) -> None:
    """Keep read models and processes at the end of the log, until Ctrl-C.

    Several workers may run: one works per company, the others take over when it dies.
    """
    from medsales.cli import serving

    serving.work(serving.settings(), company or ())


@app.command()
def demo(
    *,
    products: Table = None,
    hospitals: Table = None,
    units: Units = 3000,
    company: Name = "default",
    quiet: Annotated[bool, typer.Option("--quiet", help="Tell nothing.")] = False,
) -> None:
    """Play some years of business into a company's log, and tell the story."""
    from medsales.cli import story

    story.demo(company, products, hospitals, units, quiet=quiet)


@company.command("add")
def add_company(name: str) -> None:
    """Add a company; harmless if it is there already."""
    from medsales.cli import operating

    operating.add_company(name)


@company.command("list")
def list_companies(*, json: Json = False) -> None:
    """Name the companies, one a line."""
    from medsales.cli import operating

    operating.list_companies(json=json)


@app.command()
def token(  # noqa: PLR0913, PLR0917 - what a token says
    user: Annotated[str, typer.Option(help="Id of the person; written beside every fact.")] = "me",
    name: Annotated[str, typer.Option(help="The person's printed name.")] = "",
    role: Annotated[
        list[Role] | None,
        typer.Option(help="May be repeated. Without it every role of a person, for local use."),
    ] = None,
    company: Name = "default",
    days: Annotated[float, typer.Option(min=1, max=3650, help="How long it is good.")] = 30,
    json: Json = False,
) -> None:
    """Print a signed token: curl -H "Authorization: Bearer $(medsales token)" …"""
    from medsales.cli import operating

    operating.token(user, name, role or (), company, days, json=json)


@app.command()
def info(*, json: Json = False) -> None:
    """What an operator asks first: versions, disk, backups, how far each company is."""
    from medsales.cli import inspecting

    inspecting.info(json=json)


@app.command()
def backup(
    folder: Annotated[
        Path, typer.Argument(file_okay=False, help="Where backups are collected; made if missing.")
    ],
    keep: Annotated[
        int | None, typer.Option(min=1, help="Remove all but the newest that many.")
    ] = None,
    json: Json = False,
) -> None:
    """Copy the embedded database while it works, verified, into a new folder; prints its name."""
    from medsales.cli import backing_up

    backing_up.make(folder, keep, json=json)


@app.command()
def restore(
    backup: Annotated[Path, typer.Argument(file_okay=False, help="What `medsales backup` made.")],
    home: Annotated[Path, typer.Option(help="The data folder to make; must be new or empty.")],
    to: Moment = None,
    wal: Annotated[
        list[Path] | None,
        typer.Option(help="Where the write-ahead log is, if not where it was; may be repeated."),
    ] = None,
    json: Json = False,
) -> None:
    """Make a new installation from a backup, as all was at a moment, or at the end."""
    from medsales.cli import backing_up

    backing_up.bring_back(backup, home, to, wal or (), json=json)


@app.command()
def facts(  # noqa: PLR0913, PLR0917 - the ways to choose facts
    company: Name = "default",
    subject: Annotated[str | None, typer.Option(help="Facts of this aggregate.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Events; may be repeated.")] = None,
    actor: Annotated[str | None, typer.Option(help="What this user caused.")] = None,
    since: Moment = None,
    until: Moment = None,
    after: Annotated[int, typer.Option(min=0, help="Positions greater than this.")] = 0,
    upto: Annotated[int | None, typer.Option(min=0, help="Positions up to this.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="As many at most.")] = None,
    mentioning: Annotated[
        str | None, typer.Option(metavar="SUBJECT", help="Its own facts, and all that name it.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show the log in order: --since this moment, --until before that one."""
    from medsales.cli.reading import Selection, show

    chosen = Selection(after, upto, subject, tuple(kind or ()), actor, since, until)
    show(company, chosen, limit, mentioning, json=json)


def _position_or_moment(text: str) -> int | datetime:
    return int(text) if text.isdecimal() else _moment(text)


@app.command()
def diff(  # noqa: PLR0913 - what is compared
    subject: Annotated[str, typer.Argument(help="An id: customer:…, device-unit:…")],
    begin: Annotated[
        # Typer knows no union of the two; the parser gives either.
        datetime | None,
        typer.Option(
            "--from", parser=_position_or_moment, metavar="P1", help="A position, or a time."
        ),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option("--to", parser=_position_or_moment, metavar="P2", help="Now if not given."),
    ] = None,
    lang: Annotated[Language, typer.Option(help="Of the sentences.")] = Language.EN,
    company: Name = "default",
    *,
    json: Json = False,
) -> None:
    """Tell in words what has changed about a subject between two moments."""
    from medsales.cli.diff import diff

    diff(company, subject, (begin or 0, end), lang, json=json)


@app.command()
def rebuild(names: ReadModels = None, company: Name = "default", workers: Processes = None) -> None:
    """Make read models anew from the facts; the old ones serve meanwhile.

    Killed half-way, the same command goes on where it was.
    """
    from medsales.cli import read_models

    read_models.rebuild(company, names or (), workers)


@app.command()
def verify(
    names: ReadModels = None,
    company: Name = "default",
    workers: Processes = None,
    *,
    json: Json = False,
) -> None:
    """Prove that the stored read models equal the facts; exit code 1 if they do not."""
    from medsales.cli import read_models

    read_models.verify(company, names or (), workers, json=json)


Heads = Annotated[
    Path | None, typer.Option("--heads", dir_okay=False, help="Heads that are known outside.")
]
Key = Annotated[str | None, typer.Option("--key", help="Fingerprint of the key you trust.")]


@seal.callback()
def seal_now(context: typer.Context, company: Name = "default", *, json: Json = False) -> None:
    """Seal the log now, up to its end, and show the signed head; the worker does so by itself."""
    if context.invoked_subcommand is None:
        from medsales.cli import sealing

        sealing.seal(company, json=json)


@seal.command("verify")
def seal_verify(
    company: Name = "default", heads: Heads = None, key: Key = None, *, json: Json = False
) -> None:
    """Prove that every sealed fact is unchanged; exit code 1 names what is not."""
    from medsales.cli import sealing

    sealing.verify(company, heads, key, json=json)


@seal.command("rotate")
def seal_rotate() -> None:
    """Make a new key, signed by the present one, which is given up; for all companies."""
    from medsales.cli import sealing

    sealing.rotate()


@audit.command("export")
def audit_export(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="A new or empty folder.")],
    company: Name = "default",
    first: Annotated[int, typer.Option("--from", min=1, help="The first position.")] = 1,
    last: Annotated[int | None, typer.Option("--to", min=1, help="The last position.")] = None,
) -> None:
    """Write facts, heads, proofs and digests into a folder, and the program that verifies it."""
    from medsales.cli import sealing

    sealing.export(company, folder, first, last)


Day = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DAY", help="The last day.")
]


@prices.command("import")
def import_prices(  # noqa: PLR0913, PLR0917 - what a draft is
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or XLSX.")],
    matrix: Annotated[str, typer.Option("--matrix", help="The code of the price matrix.")],
    begin: Annotated[
        datetime,
        typer.Option("--from", formats=["%Y-%m-%d"], metavar="DAY", help="The first day."),
    ],
    until: Day = None,
    currency: Annotated[
        str | None, typer.Option(help="Of amounts without one; else that of the matrix.")
    ] = None,
    company: Name = "default",
    user: Annotated[
        str | None, typer.Option("--user", help="Who drafts, as the log will say; else your login.")
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what is wrong with the file.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a file of prices into a new draft version, or say all that is wrong with it."""
    from medsales.cli.prices import take_in

    take_in(
        company,
        file,
        matrix,
        (begin.date(), until.date() if until else None),
        currency=currency,
        user=user,
        dry_run=dry_run,
        json=json,
    )


Reader = Annotated[str, typer.Argument(metavar="NAME", help="A read model, process or timer.")]
Stream = Annotated[str, typer.Argument(metavar="SUBJECT", help="The aggregate whose facts wait.")]
User = Annotated[
    str | None, typer.Option("--user", help="Who decides, as the log will say; else your login.")
]


@parked.callback()
def show_parked(context: typer.Context, company: Name = "default", *, json: Json = False) -> None:
    """Show which facts could not be taken in, by whom and why; the rest of each stream waits."""
    if context.invoked_subcommand is None:
        from medsales.cli import parking

        parking.show(company, json=json)


@parked.command("retry")
def retry_parked(
    name: Reader,
    subject: Annotated[
        str | None, typer.Argument(metavar="[SUBJECT]", help="One stream; else all of NAME.")
    ] = None,
    company: Name = "default",
    user: User = None,
) -> None:
    """Have parked streams tried again, after what was wrong has been mended."""
    from medsales.cli import parking

    parking.retry(company, name, subject, user)


@parked.command("discard")
def discard_parked(
    name: Reader,
    subject: Stream,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")],
    company: Name = "default",
    user: User = None,
) -> None:
    """Have NAME pass the parked fact over for good; the fact stays in the log."""
    from medsales.cli import parking

    parking.discard(company, name, subject, reason, user)


@password.command("set")
def password_set(
    person: Annotated[str, typer.Argument(metavar="PERSON", help="His id, as his tokens name it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the decision.")] = (
        "a first password"
    ),
    company: Name = "default",
    user: User = None,
) -> None:
    """Give somebody a code to set a password of his own with; the one before is void.

    Also for who is locked. Nobody else ever knows a password that signs.
    """
    from medsales.cli import signing

    signing.set_password(company, person, reason, user)


@signature.command("verify")
def signature_verify(
    id: Annotated[str, typer.Argument(metavar="ID", help="signature:…")],
    company: Name = "default",
    *,
    json: Json = False,
) -> None:
    """Prove that a signature is what it says; exit code 1 names what is wrong.

    Away from the server: `medsales audit export`, then `python -m medsales.audit`.
    """
    from medsales.cli import signing

    signing.verify(company, id, json=json)
