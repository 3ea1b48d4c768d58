"""The description of the API is complete, and everything it points to is there."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.api.conftest import Server, ToyBox

from medsales.api.batch import commands_by_name
from medsales.api.openapi import plural
from medsales.catalogue import AGGREGATES


@pytest.fixture(scope="module")
def described(server: Server) -> Any:
    return httpx.get(f"{server.url}/openapi.json").json()


def operations(described: Any) -> Iterator[tuple[str, Any]]:
    for path, methods in described["paths"].items():
        for operation in methods.values():
            yield path, operation


def test_a_command_is_described_by_its_own_words(described: Any) -> None:
    path = "/toy-boxes/{id}/put-toys-in"
    operation = described["paths"][path]["post"]
    assert operation["operationId"] == "PutToysIn"
    assert operation["summary"] == "Put toys in"
    assert operation["description"] == "Puts toys into the box.\n\nFor: warehouse."
    assert operation["tags"] == ["toy-boxes"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/PutToysIn"}


def test_a_field_is_described_by_its_docstring(described: Any) -> None:
    number = described["components"]["schemas"]["BuildToyBox"]["properties"]["number"]
    assert number["description"] == "What is written on its lid."
    assert number["maxLength"] == 200


def test_headers_and_parameters_are_described(described: Any) -> None:
    operation = described["paths"]["/toy-boxes/{id}/put-toys-in"]["post"]
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert names == {"id", "Idempotency-Key", "If-Match", "effective_at", "reason", "dry_run"}
    assert all(parameter["description"] for parameter in operation["parameters"])
    assert "ETag" in operation["responses"]["200"]["headers"]


def test_problems_are_declared_as_problems(described: Any) -> None:
    responses = described["paths"]["/toy-boxes/{id}/put-toys-in"]["post"]["responses"]
    assert {"400", "401", "403", "404", "412", "413", "422", "503"} <= set(responses)
    for status, response in responses.items():
        if status != "200":
            assert list(response["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in described["components"]["schemas"]


def test_every_reference_leads_somewhere(described: Any) -> None:
    schemas = described["components"]["schemas"]
    for name in re.findall(r"#/components/schemas/([^'\"]+)", str(described)):
        assert name in schemas


def test_every_tag_is_described(described: Any) -> None:
    known = {tag["name"]: tag["description"] for tag in described["tags"]}
    assert known["toy-boxes"] == "A box with room for three toys."
    for path, operation in operations(described):
        if "toys" not in operation["tags"]:
            assert set(operation["tags"]) <= set(known), path


def test_every_operation_has_a_name_of_its_own(described: Any) -> None:
    names = [operation["operationId"] for _, operation in operations(described)]
    assert len(names) == len(set(names))
    assert set(commands_by_name((*AGGREGATES, ToyBox))) <= set(names)


def test_everything_but_health_asks_who_you_are(described: Any) -> None:
    for path, operation in operations(described):
        assert ("security" in operation) is not path.startswith(("/health", "/metrics")), path


@pytest.mark.parametrize(
    ("kind", "many"),
    [
        ("device-unit", "device-units"),
        ("price-matrix", "price-matrices"),
        ("box", "boxes"),
        ("company", "companies"),
        ("lot", "lots"),
    ],
)
def test_the_address_of_many(kind: str, many: str) -> None:
    assert plural(kind) == many
