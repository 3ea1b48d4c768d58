"""The library's own tests of a recorder, run against our log as far as they apply.

What does not apply, and why:

* `AggregateRecorderTestCase.test_insert_and_select` is for recorders without a log: it expects
  that writing returns no positions. `ApplicationRecorderTestCase` reads streams back, too.
* `TrackingRecorderTestCase`, `ProcessRecorderTestCase`: the library's tracking table is not used;
  read models and processes keep their own `positions` (test_follower, test_processes).
* `test_performance`, `test_concurrent_throughput`: they measure, which `make bench` does.
* Its cases of transcoders, mappers and ciphers: events are written by pydantic (test_facts).
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from tests.engine.conftest import Server
from tests.engine.purses import new_company

from medsales.engine.log import Log

if not TYPE_CHECKING:
    # The library's tests import its cipher, which needs a package that nothing here uses.
    cipher = ModuleType("eventsourcing.cipher")
    cipher.AESCipher = None
    sys.modules.setdefault(cipher.__name__, cipher)

from eventsourcing.tests import persistence


class OnOurLog:
    """Gives a case of the library a company of its own."""

    __test__ = False  # pytest would run the cases by themselves, without a server
    server: Server

    def create_recorder(self) -> Log:
        company = new_company(self.server.url)
        self.addCleanup(company.database.close)  # type: ignore[attr-defined]
        return company.log

    def new_originator_id(self) -> str:
        return str(super().new_originator_id())  # type: ignore[misc]


class ApplicationRecorderCase(OnOurLog, persistence.ApplicationRecorderTestCase[Any]):
    pass


class NotInterleavedCase(OnOurLog, persistence.NonInterleavingNotificationIDsBaseCase):
    pass


@pytest.mark.parametrize(
    ("case", "name"),
    [
        (ApplicationRecorderCase, "test_insert_select"),
        (ApplicationRecorderCase, "test_concurrent_no_conflicts"),
        (ApplicationRecorderCase, "optional_test_insert_subscribe"),
        (NotInterleavedCase, "test"),
    ],
)
def test_our_log_is_a_recorder_as_the_library_understands_it(
    server: Server, case: Any, name: str
) -> None:
    test = case(name)
    test.server = server
    try:
        test.debug()
    finally:
        test.doCleanups()
