"""The demo: some years of business, told while they are played."""

from pathlib import Path

from rich.console import Console

from medsales import demo as demonstration
from medsales.api.auth import issue_token
from medsales.cli.opening import DEFAULT, OUT, founded, opened_companies
from medsales.cli.operating import PEOPLE
from medsales.company import Companies
from medsales.engine.database import schema_of
from medsales.settings import Settings


def demo(
    name: str, products: Path | None, hospitals: Path | None, units: int, *, quiet: bool
) -> None:
    schema_of(name)
    console = Console(quiet=quiet)
    with opened_companies() as companies:
        company = founded(companies, name)
        demonstration.run(company, console, products=products, hospitals=hospitals, units=units)


def tell(companies: Companies, address: str, *, units: int) -> None:
    """Before serving: the story, once; a token, and what to ask with it."""
    company = companies[DEFAULT]
    if head := company.log.head():
        OUT.print(f"the log holds {head:,} facts already; they are kept")
    else:
        demonstration.run(company, Console(), products=None, hospitals=None, units=units)
    token = issue_token(Settings().secret(), "me", "me", PEOPLE, company=DEFAULT)
    OUT.print(EXAMPLES.format(address=address, token=token), markup=False)


EXAMPLES = """
A token for you, with every role, good for 30 days:

  TOKEN={token}

Ask, as soon as the server answers:

  curl -H "Authorization: Bearer $TOKEN" {address}/stock/summary
  curl -H "Authorization: Bearer $TOKEN" "{address}/products?limit=5"
  curl -H "Authorization: Bearer $TOKEN" {address}/approvals
  curl -H "Authorization: Bearer $TOKEN" "{address}/tasks?role=finance"
  curl -H "Authorization: Bearer $TOKEN" "{address}/facts?limit=5"
  curl {address}/health/ready
"""
