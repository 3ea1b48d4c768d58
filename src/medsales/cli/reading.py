"""Shows the log in its order, batch after batch, however long it is."""

import json as json_module
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from rich.text import Text

from medsales.api.facts import lines
from medsales.api.reading import MOST
from medsales.cli.failures import Failed
from medsales.cli.opening import OUT, opened
from medsales.company import Company
from medsales.domain.kernel import EVENTS
from medsales.engine.follower import NotYet
from medsales.engine.log import Selection
from medsales.engine.mentions import Mentions

__all__ = ["Selection", "show"]
PATIENCE = 2.0
"""Seconds that the subject index gets to take in what has just been recorded."""


def show(
    name: str,
    chosen: Selection,
    limit: int | None,
    mentioning: str | None = None,
    *,
    json: bool,
) -> None:
    """What is recorded while it is shown is not shown. Raises Failed for an unknown event."""
    for kind in chosen.kinds:
        if kind not in EVENTS:
            raise Failed(f"no event is called {kind}")
    with opened(name) as company:
        found = _until_now(company, chosen, limit or MOST, mentioning)
        if json:
            sys.stdout.buffer.writelines(found)
        else:
            _tell(found)


def _until_now(
    company: Company, chosen: Selection, limit: int, mentioning: str | None
) -> Iterator[bytes]:
    head = indexed(company) if mentioning else company.log.head()
    last = head if chosen.upto is None else min(chosen.upto, head)
    return lines(company, replace(chosen, upto=last), limit, mentioning)


def indexed(company: Company) -> int:
    """The end of the log, as soon as the subject index shows it. Raises Failed."""
    head = company.log.head()
    try:
        company.follower.wait_for(Mentions.name, head, PATIENCE)
    except NotYet as error:
        raise Failed(f"{error}: is there a worker?") from error
    return head


def _tell(found: Iterator[bytes]) -> None:
    # A terminal shows one line per fact; a file gets all of it.
    fitting: dict[str, Any] = {"soft_wrap": True}
    if OUT.is_terminal:
        fitting = {"soft_wrap": False, "no_wrap": True, "overflow": "ellipsis"}
    for batch in found:
        for line in batch.splitlines():
            OUT.print(_told(json_module.loads(line)), **fitting)


def _told(fact: dict[str, Any]) -> Text:
    recorded = datetime.fromisoformat(fact["recorded_at"])
    payload = json_module.dumps(fact["payload"], ensure_ascii=False)
    return Text.assemble(
        (f"{fact['position']:>8}", "dim"),
        f"  {recorded:%Y-%m-%d %H:%M:%S}  ",
        (f"{fact['envelope']['by']}  ", "cyan"),
        (f"{fact['event']}  ", "bold"),
        (f"{fact['subject']}  ", "green"),
        payload,
    )
