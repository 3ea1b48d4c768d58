"""Backing up and restoring as an operator does it, beside a server that is at work."""

import json
from pathlib import Path

from tests.cli.conftest import Program, http, new_home
from tests.cli.test_serving import open_warehouse


def test_a_backup_beside_a_working_server_becomes_an_installation_that_serves(
    alone: Program, tmp_path: Path
) -> None:
    token = alone.says("token")
    server = alone.serve()
    url = server.url()
    before = [open_warehouse(url, token, f"B-{n}") for n in range(3)]
    told = json.loads(alone.says("backup", str(tmp_path / "backups"), "--json"))
    open_warehouse(url, token, "LATER")
    with Program(new_home()) as other:
        said = alone.says("restore", told["place"], "--home", str(other.home))
        assert "default up to position 3" in said
        assert [fact["position"] for fact in other.facts()] == before
        assert other.json("verify")["differences"] == []
        with http(other.serve().url(), token) as client:  # its secret came along
            assert client.get("/facts").status_code == 200
    info = alone.json("info")
    assert info["backup"]["place"] == told["place"]
    assert info["backup"]["there"]
    assert info["companies"][0]["head"] == 4


def test_an_installation_is_never_overwritten(alone: Program, tmp_path: Path) -> None:
    alone.says("company", "add", "default")
    place = alone.says("backup", str(tmp_path)).strip()
    assert "never over it" in alone.refuses("restore", place, "--home", str(alone.home))


def test_what_cannot_be_backed_up_is_told(alone: Program, medsales: Program) -> None:
    folder = str(alone.home / "b")
    assert alone.refuses("backup", folder).startswith("there is nothing to back up")
    assert medsales.refuses("backup", folder).startswith("MEDSALES_DATABASE_URL names a server")
    nothing = alone.refuses("restore", folder, "--home", str(alone.home / "h"))
    assert nothing.startswith("there is no backup in")
    assert list(alone.home.iterdir()) == []
