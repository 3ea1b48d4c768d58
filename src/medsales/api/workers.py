"""One worker per company for as long as the server runs, also for companies added meanwhile."""

import logging
import threading

import psycopg
from eventsourcing.persistence import PersistenceError

from medsales.company import Companies, UnknownCompany
from medsales.engine.database import DatabaseUnavailable
from medsales.engine.worker import Worker

LOG = logging.getLogger(__name__)
LOOK = 2.0
"""Seconds between two looks for new companies, and for workers that have died."""


class Workers:
    """Starts a worker where a company has none that lives."""

    def __init__(self, companies: Companies) -> None:
        self.companies = companies
        self.at_work: dict[str, Worker] = {}
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name="workers")

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        """Every worker finishes the batch at hand."""
        self.stopping.set()
        self.thread.join()
        for worker in self.at_work.values():
            worker.stop()

    def lives(self, company: str) -> bool:
        worker = self.at_work.get(company)
        return worker is not None and worker.thread.is_alive()

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._hire()
            except (DatabaseUnavailable, PersistenceError, psycopg.Error, UnknownCompany) as error:
                LOG.warning("looking for companies: %s", " ".join(str(error).split()))
            self.stopping.wait(LOOK)

    def _hire(self) -> None:
        for name in self.companies.names():
            if not self.stopping.is_set() and not self.lives(name):
                self.at_work[name] = self.companies[name].worker()
                self.at_work[name].start()
