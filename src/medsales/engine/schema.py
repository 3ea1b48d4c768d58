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

GROUPED_APPEND = """
    -- The same promises for a whole batch at once. Mostly nothing has moved: then a few statements
    -- write everything, and one line is returned, whose position is where the log stood before.
    -- Otherwise each request is looked at by itself, as before.
    create function nothing_moved(requests jsonb) returns boolean
    language plpgsql set search_path from current
    -- Some hundred lines at most, found by key: other plans only cost time.
    set jit = off set max_parallel_workers_per_gather = 0
    set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
    begin
        return not exists (
            select from jsonb_array_elements(requests) r
            join commands c on c.client = r.value->>'client' and c.key = r.value->>'key'
        ) and not exists (
            select from jsonb_array_elements(requests) r where r.value->>'key' is not null
            group by r.value->>'client', r.value->>'key' having count(*) > 1
        ) and not exists (
            -- Of every stream: what is expected, what is written, and where it stands by then.
            select from (
                select p.version, p.written,
                    coalesce(
                        max(p.version) filter (where p.written) over (
                            partition by p.subject order by p.n
                            range between unbounded preceding and 1 preceding),
                        (select max(f.originator_version) from facts f
                            where f.originator_id = p.subject),
                        0) as reached
                from (
                    select r.ordinality as n, g.value->>0 as subject,
                        (g.value->>1)::bigint as version, false as written
                    from jsonb_array_elements(requests) with ordinality r,
                        jsonb_array_elements(r.value->'guards') g
                    union all
                    select r.ordinality, f.value->>0, (f.value->>1)::bigint, true
                    from jsonb_array_elements(requests) with ordinality r,
                        jsonb_array_elements(r.value->'facts') f
                ) p
            ) stream
            where case when written then version <= reached else version <> reached end
        );
    end $$;

    create function write_all(requests jsonb, head bigint, clock timestamptz) returns bigint
    language plpgsql set search_path from current
    set jit = off set max_parallel_workers_per_gather = 0 as $$
    declare
        added bigint;
    begin
        insert into facts
            select f.value->>0, (f.value->>1)::bigint, f.value->>2,
                convert_to(f.value->>3, 'UTF8'),
                head + row_number() over (order by r.ordinality, f.ordinality),
                gen_random_uuid(), convert_to(r.value->>'metadata', 'UTF8'),
                coalesce((r.value->>'effective_at')::timestamptz, clock), clock
            from jsonb_array_elements(requests) with ordinality r,
                jsonb_array_elements(r.value->'facts') with ordinality f;
        get diagnostics added = row_count;
        insert into commands
            select r.value->>'client', r.value->>'key', r.value->>'fingerprint',
                r.value->>'actor', r.value->>'command', r.value->>'subject',
                r.value->>'outcome', (r.value->>'version')::bigint,
                array(select f.value->>2 from jsonb_array_elements(r.value->'facts')
                      with ordinality f order by f.ordinality),
                r."position", r.value->>'code', r.value->>'en', r.value->>'zh',
                r.value->>'body', clock
            from (
                select e.value, head + sum(jsonb_array_length(e.value->'facts'))
                    over (order by e.ordinality) as "position"
                from jsonb_array_elements(requests) with ordinality e
            ) r
            where r.value->>'key' is not null;
        return added;
    end $$;

    create or replace function append(requests jsonb)
    returns table (n int, status text, outcome text, version bigint, events text[],
                   "position" bigint, code text, en text, zh text)
    language plpgsql set search_path from current
    set jit = off set enable_hashjoin = off set enable_mergejoin = off
    set enable_seqscan = off as $$
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
        -- For a few the loop is quicker than the plans of the statements for all.
        if jsonb_array_length(requests) > 4 and nothing_moved(requests) then
            n := -1;
            status := 'done';
            "position" := head;
            return next;
            added := write_all(requests, head, clock);
            perform pg_notify(current_schema() || '.facts', (head + added)::text);
            return;
        end if;
        n := -1;
        for request in select r.value from jsonb_array_elements(requests) r loop
            n := n + 1;
            answered := null;
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
            ) or exists (
                select from jsonb_array_elements(request->'facts') w
                join facts f on f.originator_id = w.value->>0
                    and f.originator_version = (w.value->>1)::bigint
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
                if request->>'key' is not null then
                    insert into commands
                        select request->>'client', request->>'key', request->>'fingerprint',
                            request->>'actor', request->>'command', request->>'subject',
                            request->>'outcome', (request->>'version')::bigint,
                            array(select f.value->>2 from jsonb_array_elements(request->'facts')
                                  with ordinality f order by f.ordinality),
                            head, request->>'code', request->>'en', request->>'zh',
                            request->>'body', clock
                        returning * into answered;
                end if;
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
            "position" := coalesce(answered.position, head);
            code := answered.code;
            en := answered.en;
            zh := answered.zh;
            return next;
        end loop;
        perform pg_notify(current_schema() || '.facts', head::text);
    end $$;
    """

SNAPSHOTS = """
    -- Where long streams stand, so that reading them stays short; made anew at any time.
    create table snapshots (
        subject text primary key,
        version bigint not null,
        shape text not null,
        state bytea not null
    );
    """

PARKING = """
    -- What a read model or a process could not take in. While a fact is parked, all later ones of
    -- its stream wait behind it; once discarded, it alone is passed over, also by a rebuild.
    create table parked (
        name text not null,
        position bigint not null,
        subject text not null,
        error text not null,
        parked_at timestamptz not null default clock_timestamp(),
        discarded boolean not null default false,
        primary key (name, position)
    );
    create unique index parked_streams on parked (name, subject) where not discarded;
    """

REBUILDING = """
    -- Read models that are being made anew, in a schema of their own beside the old ones: by which
    -- code, and how far. Where the same is asked for again after a kill, it goes on from here.
    create table rebuilds (
        shadow text not null,
        name text not null,
        work uuid not null,
        fingerprint text not null,
        position bigint not null,
        primary key (shadow, name)
    );

    -- The log cut by subjects: each part is folded by one worker, and is done when its rows are.
    create table rebuild_parts (
        work uuid not null,
        part int not null,
        first text not null,
        beyond text,
        facts bigint not null default 0,
        done boolean not null default false,
        primary key (work, part)
    );
    """

SEAL = """
    -- What an auditor proves the log with: hashes of its facts, and signed heads over them.
    create table seal_log (log uuid primary key default gen_random_uuid());
    insert into seal_log default values;

    -- The Merkle tree, 256 hashes to a tile: those of facts at level 0, and at each level above
    -- the roots of the tiles below.
    create table seal_tiles (
        level int not null,
        tile bigint not null,
        hashes bytea not null check (
            octet_length(hashes) between 32 and 8192 and octet_length(hashes) % 32 = 0),
        primary key (level, tile)
    );
    -- Hashes cannot be compressed.
    alter table seal_tiles alter hashes set storage external;

    create table seal_keys (
        id text primary key,
        public bytea not null,
        made_at timestamptz not null,
        signed_by text unique references seal_keys,
        signature bytea not null
    );
    create unique index seal_keys_first on seal_keys ((true)) where signed_by is null;

    create table seal_heads (
        number bigint primary key,
        size bigint not null,
        root bytea not null,
        sealed_at timestamptz not null,
        previous bytea not null,
        key text not null references seal_keys,
        signature bytea not null
    );

    -- Who outside has been told of a head, and what he answered.
    create table seal_witnesses (
        head bigint not null references seal_heads,
        way text not null,
        told_at timestamptz not null default clock_timestamp(),
        answer bytea not null,
        primary key (head, way)
    );

    create function only_grow() returns trigger language plpgsql as $$
    begin
        if (new.level, new.tile) is distinct from (old.level, old.tile)
                or substr(new.hashes, 1, octet_length(old.hashes)) <> old.hashes then
            raise exception 'a change of % is refused: a tile only grows', tg_table_name
                using errcode = 'restrict_violation';
        end if;
        return new;
    end $$;
    create trigger seal_tiles_only_grow before update on seal_tiles
        for each row execute function only_grow();
    create trigger seal_tiles_are_kept before delete or truncate on seal_tiles
        for each statement execute function refuse_change();
    create trigger seal_log_is_immutable before update or delete or truncate on seal_log
        for each statement execute function refuse_change();
    create trigger seal_keys_are_immutable before update or delete or truncate on seal_keys
        for each statement execute function refuse_change();
    create trigger seal_heads_are_immutable before update or delete or truncate on seal_heads
        for each statement execute function refuse_change();
    create trigger seal_witnesses_are_immutable
        before update or delete or truncate on seal_witnesses
        for each statement execute function refuse_change();
    alter table seal_tiles enable always trigger seal_tiles_only_grow;
    alter table seal_tiles enable always trigger seal_tiles_are_kept;
    alter table seal_log enable always trigger seal_log_is_immutable;
    alter table seal_keys enable always trigger seal_keys_are_immutable;
    alter table seal_heads enable always trigger seal_heads_are_immutable;
    alter table seal_witnesses enable always trigger seal_witnesses_are_immutable;
    """

CREDENTIALS = """
    -- What only a password opens: private keys, encrypted. Secrets are no facts: they are replaced
    -- when a password is, never exported, and in no command. `name` is the fingerprint of the key
    -- that counts, as the log says it, or `code` for what a password is set with.
    create table credentials (
        subject text not null,
        name text not null,
        method text not null,
        salt bytea not null,
        nonce bytea not null,
        secret bytea not null,
        expires_at timestamptz,
        set_at timestamptz not null default clock_timestamp(),
        primary key (subject, name)
    );
    """

STEPS = (LOG, APPEND, GROUPED_APPEND, SNAPSHOTS, PARKING, REBUILDING, SEAL, CREDENTIALS)
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
