"""How a company's schema comes to be: numbered steps, each taken once, in order, by one process."""

from psycopg import Connection, sql
from psycopg.rows import DictRow

from medsales.engine.database import connect, schema_of

PREPARING = (0x6D656473, 1)
"""Advisory lock: whoever holds it creates or upgrades schemas; the others wait and find it done."""

LOG = """
    -- The log. The column names are those of the eventsourcing library, so that its recorder and
    -- its own compliance tests work on this table; the view `log` reads as people speak.
    create table facts (
        originator_id text not null,
        originator_version bigint not null,
        topic text not null,
        state bytea not null,
        notification_id bigint not null,
        event_id uuid not null,
        metadata bytea not null,
        effective_at timestamptz not null,
        recorded_at timestamptz not null,
        primary key (originator_id, originator_version)
    ) with (
        autovacuum_vacuum_insert_scale_factor = 0.5,
        autovacuum_analyze_scale_factor = 0.05
    );
    create unique index facts_notification_id_idx on facts (notification_id);
    create index facts_recorded_at on facts using brin (recorded_at) with (pages_per_range = 16);

    create view log as
    select notification_id as position, originator_id as subject, originator_version as version,
           topic as event, convert_from(state, 'UTF8')::jsonb as payload,
           convert_from(metadata, 'UTF8')::jsonb as envelope, effective_at, recorded_at, event_id
    from facts;

    -- Every command that was answered: what makes asking twice harmless, and where refusals stay.
    create table commands (
        client text not null,
        key text not null,
        fingerprint text not null,
        actor text not null,
        command text not null,
        subject text not null,
        outcome text not null check (outcome in ('accepted', 'nothing', 'refused')),
        version bigint not null,
        events text[] not null,
        position bigint not null,
        code text,
        en text,
        zh text,
        body text,
        recorded_at timestamptz not null,
        primary key (client, key)
    );
    create index commands_refused on commands (recorded_at) where outcome = 'refused';

    create table positions (
        name text primary key,
        position bigint not null default 0,
        fingerprint text not null
    );

    create function refuse_change() returns trigger language plpgsql as $$
    begin
        raise exception '% of % is refused: what happened is never changed or deleted',
            tg_op, tg_table_name using errcode = 'restrict_violation';
    end $$;
    create trigger facts_are_immutable before update or delete or truncate on facts
        for each statement execute function refuse_change();
    create trigger commands_are_immutable before update or delete or truncate on commands
        for each statement execute function refuse_change();
    -- "always": also when session_replication_role would switch ordinary triggers off.
    alter table facts enable always trigger facts_are_immutable;
    alter table commands enable always trigger commands_are_immutable;
    revoke update, delete, truncate on facts, commands from public, current_user;
    """

APPEND = """
    -- The only way into the log. One lock puts writers in line until they have committed, so
    -- positions have no gaps and a reader never sees p+1 before p. Each request stands alone:
    --   repeat    its key has been answered before, with the same body: the first answer
    --   reused    its key has been answered before, with another body
    --   conflict  something it read while deciding has moved on, or rests on a request before it
    --             in this batch whose facts were not written now
    --   done      its facts and its line in the command log are written
    create function append(requests jsonb)
    returns table (n int, status text, outcome text, version bigint, events text[],
                   "position" bigint, code text, en text, zh text)
    language plpgsql set search_path from current as $$
    #variable_conflict use_column
    declare
        request jsonb;
        answered commands;
        head bigint;
        added bigint;
        clock timestamptz;
        last_clock timestamptz;
        not_written text[] := '{}';
    begin
        perform pg_advisory_xact_lock('facts'::regclass::oid::int, 0);
        select f.notification_id, f.recorded_at into head, last_clock
            from facts f order by f.notification_id desc limit 1;
        head := coalesce(head, 0);
        clock := greatest(clock_timestamp(), last_clock);
        n := -1;
        for request in select r.value from jsonb_array_elements(requests) r loop
            n := n + 1;
            select c.* into answered from commands c
                where c.client = request->>'client' and c.key = request->>'key';
            if found then
                status := case when answered.fingerprint = request->>'fingerprint'
                               then 'repeat' else 'reused' end;
            elsif exists (
                select from jsonb_array_elements(request->'guards') g
                where g.value->>0 = any(not_written)
                    or (g.value->>1)::bigint <> coalesce((select max(f.originator_version)
                        from facts f where f.originator_id = g.value->>0), 0)
            ) then
                status := 'conflict';
            else
                insert into facts
                    select f.value->>0, (f.value->>1)::bigint, f.value->>2,
                        convert_to(f.value->>3, 'UTF8'), head + f.ordinality, gen_random_uuid(),
                        convert_to(request->>'metadata', 'UTF8'),
                        coalesce((request->>'effective_at')::timestamptz, clock), clock
                    from jsonb_array_elements(request->'facts') with ordinality f;
                get diagnostics added = row_count;
                head := head + added;
                insert into commands
                    select request->>'client', request->>'key', request->>'fingerprint',
                        request->>'actor', request->>'command', request->>'subject',
                        request->>'outcome', (request->>'version')::bigint,
                        array(select f.value->>2 from jsonb_array_elements(request->'facts')
                              with ordinality f order by f.ordinality),
                        head, request->>'code', request->>'en', request->>'zh',
                        request->>'body', clock
                    returning * into answered;
                status := 'done';
            end if;
            if status <> 'done' then
                -- A version alone does not tell: somebody else may have brought it there.
                not_written := not_written || array(
                    select f.value->>0 from jsonb_array_elements(request->'facts') f);
            end if;
            outcome := answered.outcome;
            version := answered.version;
            events := answered.events;
            "position" := answered.position;
            code := answered.code;
            en := answered.en;
            zh := answered.zh;
            return next;
        end loop;
        perform pg_notify(current_schema() || '.facts', head::text);
    end $$;
    """

GROUPED_APPEND = ""

SNAPSHOTS = ""

PARKING = ""

REBUILDING = ""

SEAL = ""

STEPS = (LOG, APPEND, GROUPED_APPEND, SNAPSHOTS, PARKING, REBUILDING, SEAL)
"""Never changed once released: what is to be different is a further step."""


def prepare(url: str, company: str) -> None:
    """Creates or upgrades the company's schema; harmless when it is up to date or done at once by
    two processes. Raises DatabaseUnavailable with one sentence."""
    schema = sql.Identifier(schema_of(company))
    with connect(url) as conn:
        conn.execute("select pg_advisory_xact_lock(%s, %s)", PREPARING)
        conn.execute(sql.SQL("create schema if not exists {}").format(schema))
        conn.execute(sql.SQL("set local search_path to {}").format(schema))
        conn.execute(
            "create table if not exists schema_steps"
            " (step int primary key, taken_at timestamptz not null default now())"
        )
        for step, statements in enumerate(STEPS[steps_taken(conn) :], start=steps_taken(conn) + 1):
            conn.execute(statements)
            conn.execute("insert into schema_steps (step) values (%s)", (step,))


def steps_taken(conn: Connection[DictRow]) -> int:
    row = conn.execute("select count(*) as taken from schema_steps").fetchone()
    assert row is not None
    return int(row["taken"])


def companies(url: str) -> list[str]:
    """The short names of all companies in this database."""
    with connect(url) as conn:
        rows = conn.execute(
            "select substr(nspname, 9) as company from pg_namespace n"
            " where nspname like 'company\\_%' and exists (select from pg_class"
            " where relnamespace = n.oid and relname = 'schema_steps') order by 1"
        ).fetchall()
    return [row["company"] for row in rows]
