"""Prices from a file, for whoever sits at the keyboard."""

import getpass
from datetime import date
from hashlib import sha256
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from medsales.api.auth import Speaker
from medsales.api.price_import import Draft, draft_from, read, told
from medsales.cli.failures import Failed
from medsales.cli.opening import ERR, OUT, opened
from medsales.domain.ids import PriceMatrixId
from medsales.domain.kernel import Role
from medsales.domain.terms.price_matrix import PriceMatrix
from medsales.engine.application import Actor
from medsales.intake.price_file import PriceFile, counted

SPEAKER: TypeAdapter[str] = TypeAdapter(Speaker)


def take_in(  # noqa: PLR0913 - as many as the command has
    company: str,
    file: Path,
    code: str,
    days: tuple[date, date | None],
    *,
    currency: str | None,
    user: str | None,
    dry_run: bool,
    json: bool,
) -> None:
    """Raises Failed where something is wrong with the file, after all of it has been told."""
    matrix = PriceMatrixId(code if code.startswith("price-matrix:") else f"price-matrix:{code}")
    data = file.read_bytes()
    with opened(company) as found:
        prices = read(data, found.app.existing(matrix, PriceMatrix), currency)
        if prices.faults or dry_run:
            _tell(file, prices, json=json)
            return
        draft = Draft(effective_from=days[0], effective_until=days[1])
        # The same file again, for the same days, is the same wish.
        key = sha256(b"\n".join((data, repr((matrix, days, currency)).encode()))).hexdigest()
        version, receipt = draft_from(found, matrix, _actor(user), key, draft, prices.cells)
    if json:
        OUT.print_json(told(prices, version, receipt.position).model_dump_json())
    else:
        are = "is" if len(prices.cells) == 1 else "are"
        written = f"{counted(len(prices.cells), 'price')} {are} version {version} of {matrix}"
        OUT.print(f"{written}, a draft", markup=False)


def _tell(file: Path, prices: PriceFile, *, json: bool) -> None:
    if json:
        OUT.print_json(told(prices).model_dump_json())
    for fault in () if json else prices.faults:
        OUT.print(f"{fault.place}  {fault.name}: {fault.en} / {fault.zh}", markup=False)
    if prices.faults:
        raise Failed(f"{file}: {prices.verdict.en}; nothing was imported")
    if not json:
        ERR.print(f"{counted(len(prices.cells), 'price')} could be imported; nothing is written")


def _actor(user: str | None) -> Actor:
    who = user or getpass.getuser()
    try:
        SPEAKER.validate_python(who)
    except ValidationError as error:
        raise Failed(f"{who} cannot write prices: that is no name of a person") from error
    return Actor(who, who, (Role.SALES,), "medsales prices")
