"""What we are compared with: the library's own recorder, and the same rows without any order."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from eventsourcing.persistence import ApplicationRecorder, InfrastructureFactory, StoredEvent
from eventsourcing.utils import Environment
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

SHAPE = """
    create schema {0};
    create table {0}.facts (
        originator_id text not null,
        originator_version bigint not null,
        topic text not null,
        state bytea not null,
        notification_id bigserial,
        event_id uuid not null default gen_random_uuid(),
        metadata bytea not null,
        effective_at timestamptz not null default clock_timestamp(),
        recorded_at timestamptz not null default clock_timestamp(),
        primary key (originator_id, originator_version)
    );
    create unique index on {0}.facts (notification_id);
    create index on {0}.facts using brin (recorded_at) with (pages_per_range = 16);
"""
INSERT = (
    "insert into bare.facts (originator_id, originator_version, topic, state, metadata)"
    " values (%s, 1, %s, %s, %s)"
)


def make_bare(url: str) -> None:
    """A table with the columns and indexes of our log, and nothing that keeps it in order."""
    with psycopg.connect(url) as conn:
        conn.execute(SQL(SHAPE).format(Identifier("bare")))


def library_settings(url: str, schema: str) -> dict[str, str]:
    """For the library: where the database is; all else stays at its defaults."""
    given = conninfo_to_dict(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "ORIGINATOR_ID_TYPE": "text",
        "POSTGRES_DBNAME": str(given["dbname"]),
        "POSTGRES_HOST": str(given["host"]),
        "POSTGRES_PORT": str(given["port"]),
        "POSTGRES_USER": str(given["user"]),
        "POSTGRES_PASSWORD": "",
        "POSTGRES_SCHEMA": schema,
    }


@contextmanager
def stock_recorder(url: str) -> Iterator[ApplicationRecorder]:
    """The library's recorder as its factory makes it, with a table in a schema of its own."""
    with psycopg.connect(url) as conn:
        conn.execute("create schema stock")
    factory: InfrastructureFactory[Any] = InfrastructureFactory.construct(
        Environment("", library_settings(url, "stock"))
    )
    try:
        yield factory.application_recorder()
    finally:
        factory.close()


def stored(id: str, topic: str, state: bytes) -> StoredEvent:
    return StoredEvent(originator_id=id, originator_version=1, topic=topic, state=state)
