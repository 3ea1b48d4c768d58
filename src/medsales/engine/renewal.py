"""Renewal: read models whose code has changed are rebuilt beside whatever else the worker does."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from eventsourcing.persistence import PersistenceError

from medsales.engine.follower import Follower
from medsales.engine.rebuild import Stopped

LOG = logging.getLogger(__name__)
RETRY = 1.0
"""Seconds between two tries while the database is away."""


@contextmanager
def renewing(follower: Follower) -> Iterator[None]:
    """The old rows serve, standing still, until the new ones take their place.

    Left early, it has to be begun again, and goes on where it was.
    """
    enough = threading.Event()
    name = f"renewal {follower.database.company}"
    thread = threading.Thread(target=_renew, args=(follower, enough), name=name)
    if follower.outdated():
        thread.start()
    try:
        yield
    finally:
        enough.set()
        if thread.ident:
            thread.join()


def _renew(follower: Follower, enough: threading.Event) -> None:
    done = False
    while not done and not enough.is_set():
        try:
            follower.renew(enough.is_set)
            done = True
        except Stopped:
            done = True
        except (PersistenceError, psycopg.Error) as error:
            LOG.warning("rebuild is tried again: %s", " ".join(str(error).split()))
            enough.wait(RETRY)
        except Exception:
            LOG.exception("the rebuild has failed; the old read models go on serving as they are")
            done = True
