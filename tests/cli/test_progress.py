"""A long task tells how far it is; a short one, and one that nobody watches, does not."""

from io import StringIO

import pytest
from rich.console import Console

from medsales.cli import read_models
from medsales.cli.read_models import Bar, beside_the_old
from medsales.engine.comparison import Difference


def shown(terminal: bool, patience: float, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(read_models, "PATIENCE", patience)
    console = Console(file=StringIO(), force_terminal=terminal, width=120)
    with Bar(console, "verifying", 400) as bar:
        bar(100, 100)
        bar(200, 200)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_long_task_tells_how_far_it_is_and_how_long_it_will_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = shown(terminal=True, patience=0, monkeypatch=monkeypatch)
    assert "verifying" in said
    assert "200/400" in said
    assert "facts/s" in said
    assert "left" in said


def test_a_short_task_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(terminal=True, patience=60, monkeypatch=monkeypatch) == ""


def test_where_nobody_watches_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(terminal=False, patience=0, monkeypatch=monkeypatch) == ""


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (Difference("balance", stored_count=1200, told_count=1200), "1,200 rows, as before"),
        (
            Difference("balance", [], [], 7, 8, 3),
            "3 rows differ between the 7 old ones and the 8 new ones",
        ),
        (Difference("balance", not_compared="it is new"), "not compared, it is new"),
    ],
)
def test_a_rebuilt_table_is_told_beside_the_old_one(difference: Difference, said: str) -> None:
    assert beside_the_old(difference) == f"  balance: {said}"
