-- The functions of before, as a distributed Postgres (Citus) can run them and under every DateStyle and time zone;
-- several links at once by a function of its own; the app creates the partition of this month and of no other. Codes of
-- other shorteners, links without an end (infinity), and codes that stay in quarantine when their link has expired.

-- One row when the link was created, none when a link holds the code: a live one, or one that expired less than
-- p_quarantine_days ago. 22023: the expiry is not in the future. SL001: not a code. SL002: a URL of a wrong length. 23514:
-- the month has no partition. Nothing is stored then.
create function shortlink.create_short_link(
    p_code text, p_url text, p_expires_at timestamptz, p_is_custom boolean, p_quarantine_days int
) returns table (short_code text, created_at timestamptz)
language plpgsql volatile security definer
set search_path = shortlink, pg_temp
as $$
#variable_conflict use_column
declare
    -- The instant of the call, not of its transaction, so that a link is never stored in a month that ended long ago. It
    -- is read before any waiting: a holder that has expired by then has expired, whoever else wanted the code meanwhile.
    v_now constant timestamptz := clock_timestamp();
    -- Codes whose link expired until then are free.
    v_free constant timestamptz := v_now - make_interval(days => greatest(p_quarantine_days, 0));
    v_created_at timestamptz := v_now;
begin
    if p_expires_at is null or p_expires_at <= v_now then
        raise exception using errcode = '22023', message = 'a link must expire in the future';
    end if;
    if p_code is null or p_code collate "C" !~ '^[0-9A-Za-z_-]{1,64}$' then
        raise exception using errcode = 'SL001', message = 'not a code';
    end if;
    if p_url is null or octet_length(p_url) not between 1 and 8192 then
        raise exception using errcode = 'SL002', message = 'a URL must have 1 to 8192 bytes';
    end if;
    loop
        -- created_at leads from the registry to the link, so both get the same. DO UPDATE must not compute anything
        -- that is not immutable: Citus refuses it.
        insert into short_code as held (short_code, created_at, expires_at)
        values (p_code, v_created_at, p_expires_at)
        on conflict (short_code) do update
            set created_at = excluded.created_at, expires_at = excluded.expires_at
            where held.expires_at <= v_free and held.created_at < excluded.created_at;
        exit when found;
        -- The code is taken, unless the clock was set back after its expired holder was created. Then created_at goes on
        -- from there, so that the code's earlier link never has the key of the new one.
        select held.created_at + interval '1 microsecond' into v_created_at
        from short_code held where held.short_code = p_code and held.expires_at <= v_free;
        if not found then
            return;
        end if;
    end loop;
    insert into short_link (short_code, url, created_at, expires_at, is_custom)
    values (p_code, p_url, v_created_at, p_expires_at, coalesce(p_is_custom, false));
    short_code := p_code;
    created_at := v_created_at;
    return next;
end
$$;

-- For components of the version before.
create or replace function shortlink.create_short_link(
    p_code text, p_url text, p_expires_at timestamptz, p_is_custom boolean
) returns table (short_code text, created_at timestamptz)
language sql volatile security definer
set search_path = shortlink, pg_temp
as $$
    select * from create_short_link(p_code, p_url, p_expires_at, p_is_custom, 0)
$$;

-- All of the links or none; an expiry of null is no end. 23505: a link holds one of the codes, as for create_short_link, or
-- one was given twice; whoever gets that creates each link alone. 22023: the arrays differ in length or hold more than 100 items, or an expiry is not in the future.
-- SL001, SL002, 23514: as create_short_link. Callers pass the codes in ascending order: two calls that wait for each
-- other's codes would be a deadlock.
create function shortlink.create_all_short_links(
    p_codes text[], p_urls text[], p_expire_at_millis bigint[], p_custom int[], p_quarantine_days int
) returns void
language plpgsql volatile security definer
set search_path = shortlink, pg_temp
as $$
declare
    v_now constant timestamptz := clock_timestamp();
    v_free constant timestamptz := v_now - make_interval(days => greatest(p_quarantine_days, 0));
    v_links constant int := cardinality(p_codes);
    v_expires_at timestamptz;
begin
    if v_links is null or v_links > 100 or cardinality(p_urls) is distinct from v_links
        or cardinality(p_expire_at_millis) is distinct from v_links or cardinality(p_custom) is distinct from v_links
    then
        raise exception using errcode = '22023', message = 'four arrays of one length, at most 100, are needed';
    end if;
    for i in 1 .. v_links loop
        v_expires_at := coalesce(timestamptz 'epoch' + p_expire_at_millis[i] * interval '1 millisecond', 'infinity');
        if v_expires_at <= v_now then
            raise exception using errcode = '22023', message = 'a link must expire in the future';
        end if;
        if p_codes[i] is null or p_codes[i] collate "C" !~ '^[0-9A-Za-z_-]{1,64}$' then
            raise exception using errcode = 'SL001', message = 'not a code';
        end if;
        if p_urls[i] is null or octet_length(p_urls[i]) not between 1 and 8192 then
            raise exception using errcode = 'SL002', message = 'a URL must have 1 to 8192 bytes';
        end if;
        insert into short_code as held (short_code, created_at, expires_at)
        values (p_codes[i], v_now, v_expires_at)
        on conflict (short_code) do update
            set created_at = excluded.created_at, expires_at = excluded.expires_at
            where held.expires_at <= v_free and held.created_at < excluded.created_at;
        if not found then
            raise exception using errcode = '23505', message = 'a link holds one of the codes';
        end if;
        insert into short_link (short_code, url, created_at, expires_at, is_custom)
        values (p_codes[i], p_urls[i], v_now, v_expires_at, coalesce(p_custom[i], 0) <> 0);
    end loop;
end
$$;

-- For components of the version before: see V5. 2 to the power of 31 is no int, hence the limit.
create or replace function shortlink.create_short_links(
    p_codes text[], p_urls text[], p_expire_at_millis bigint[], p_custom int[]
) returns setof int
language plpgsql volatile security definer rows 1
set search_path = shortlink, pg_temp
as $$
declare
    v_taken int := 0;
begin
    if cardinality(p_codes) > 30 then
        raise exception using errcode = '22023', message = 'at most 30 links at once';
    end if;
    for i in 1 .. cardinality(p_codes) loop
        perform from shortlink.create_short_link(
            p_codes[i], p_urls[i],
            timestamptz 'epoch' + p_expire_at_millis[i] * interval '1 millisecond', p_custom[i] <> 0
        );
        if not found then
            v_taken := v_taken + (1 << (i - 1));
        end if;
    end loop;
    return next 0;
    if v_taken > 0 then
        return query select generate_series(1, v_taken);
    end if;
end
$$;

create or replace function shortlink.resolve_short_links(p_codes text[]) returns text[]
language plpgsql stable security definer
set search_path = shortlink, pg_temp
as $$
declare
    v_found text[] := '{}';
    v_link record;
begin
    for i in 1 .. cardinality(p_codes) loop
        select link.url, link.expires_at, link.expired into v_link from resolve_short_link(p_codes[i]) link;
        v_found := v_found || case
            when not found then null
            when v_link.expired then ''
            when v_link.expires_at = 'infinity' then 'never ' || v_link.url
            else (extract(epoch from v_link.expires_at) * 1000)::bigint || ' ' || v_link.url
        end;
    end loop;
    return v_found;
end
$$;

-- What may be shown of a link to everybody: its URL, when it was created and when it expires (null: never), in RFC 3339. Null
-- for no link, an empty array for an expired one.
create function shortlink.preview_short_link(p_code text) returns text[]
language plpgsql stable security definer
set search_path = shortlink, pg_temp
as $$
declare
    v_created_at timestamptz;
    v_link record;
    c_format constant text := 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"';
begin
    select held.created_at into v_created_at from short_code held where held.short_code = p_code;
    select link.url, link.expires_at into v_link
    from short_link link where link.short_code = p_code and link.created_at = v_created_at;
    if not found then
        return null;
    end if;
    if v_link.expires_at <= now() then
        return '{}';
    end if;
    return array[
        v_link.url,
        to_char(v_created_at at time zone 'UTC', c_format),
        case when v_link.expires_at < 'infinity' then to_char(v_link.expires_at at time zone 'UTC', c_format) end
    ];
end
$$;

-- The partitions with their real bounds; none for one that is being detached. Bounds can only be read as text, which
-- follows DateStyle and TimeZone: both are fixed, for printing as for reading.
create function shortlink.short_link_partitions()
returns table (partition_name text, starts_at timestamptz, ends_at timestamptz)
language sql stable security definer
set search_path = shortlink, pg_temp
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
as $$
    select c.relname::text,
        coalesce(nullif(trim(bounds[1], ''''), 'MINVALUE'), '-infinity')::timestamptz,
        coalesce(nullif(trim(bounds[2], ''''), 'MAXVALUE'), 'infinity')::timestamptz
    from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    cross join regexp_match(
        pg_catalog.pg_get_expr(c.relpartbound, c.oid), '^FOR VALUES FROM \((.*)\) TO \((.*)\)$'
    ) bounds
    where i.inhparent = 'shortlink.short_link'::regclass and not i.inhdetachpending and bounds is not null
$$;

create or replace function shortlink.short_link_partition_exists(p_at timestamptz) returns boolean
language sql stable security definer
set search_path = shortlink, pg_temp
as $$
    select exists (select from short_link_partitions() where starts_at <= p_at and p_at < ends_at)
$$;

-- Creates the partition of the UTC month that p_start lies in, unless there is one, and returns its name.
-- Reads and writes go on: the parent is locked only against other changes of its structure. The new table is empty
-- while it is attached, so the scan for misplaced rows reads nothing and no CHECK constraint has to spare it.
-- 22023: a month that is not possible. 42501: another month than this one, for another role than the owner. 55000: the table
-- is there but detached. 55P03: waited 2 s for a lock.
create or replace function shortlink.create_short_link_partition(p_start timestamptz) returns text
language plpgsql volatile security definer
set search_path = shortlink, pg_temp
set lock_timeout = '2s'
set timezone = 'UTC'
set datestyle = 'ISO, YMD'
as $$
declare
    v_first constant timestamptz := date_trunc('month', p_start);
    v_next constant timestamptz := v_first + interval '1 month';
    v_name constant text := 'short_link_' || to_char(p_start, 'YYYYMM');
    v_from timestamptz;
    v_until timestamptz;
begin
    if p_start is null or p_start < timestamptz '2000-01-01' or p_start > now() + interval '10 years' then
        raise exception using errcode = '22023', message =
            'partitions can be created for the months from 2000-01 to ' || to_char(now() + interval '10 years', 'YYYY-MM');
    end if;
    -- Components of the version before ask for this month so; they need no other.
    if v_first <> date_trunc('month', now()) and not pg_has_role(session_user, current_user, 'usage') then
        raise exception using errcode = '42501', message = 'only the owner may create the partition of another month';
    end if;
    if exists (select from short_link_partitions() where partition_name = v_name) then
        return v_name;
    end if;
    perform pg_advisory_xact_lock(7391, 4);
    if exists (select from short_link_partitions() where partition_name = v_name) then
        return v_name;
    end if;
    if to_regclass('shortlink.' || v_name) is not null then
        raise exception using errcode = '55000', message = format('%s is detached or being detached', v_name);
    end if;
    -- Bounds created before this migration may be hours off the month's, where DateStyle and TimeZone gave them another
    -- meaning. The new partition begins where the one before ends, and ends where the next begins: no gap, no overlap.
    select coalesce(max(ends_at) filter (where starts_at < v_first), v_first),
        coalesce(min(starts_at) filter (where starts_at > v_first), v_next)
    into v_from, v_until
    from short_link_partitions()
    where starts_at > v_first and starts_at between v_next - interval '1 day' and v_next + interval '1 day'
        or starts_at < v_first and ends_at between v_first - interval '1 day' and v_first + interval '1 day';
    execute format('create table shortlink.%I (like shortlink.short_link including all)', v_name);
    execute format(
        'alter table shortlink.short_link attach partition shortlink.%I for values from (%L) to (%L)',
        v_name, v_from, v_until
    );
    return v_name;
end
$$;

-- Creates the partition of this UTC month, unless there is one, and returns its name.
-- 55000: the month's partition is there, and does not hold this instant. 55P03: waited 2 s for a lock.
create function shortlink.create_current_partition() returns text
language plpgsql volatile security definer
set search_path = shortlink, pg_temp
as $$
declare
    v_name constant text := create_short_link_partition(now());
begin
    if not short_link_partition_exists(now()) then
        raise exception using errcode = '55000', message = format('the bounds of %s do not hold this instant', v_name);
    end if;
    return v_name;
end
$$;

comment on function shortlink.create_short_link(text, text, timestamptz, boolean, int) is
    'Claims the code and stores the link, or does neither';
comment on function shortlink.preview_short_link is 'URL, creation and expiry of the link that a code leads to';
comment on function shortlink.create_all_short_links is
    'Stores all of the links or none; fails with unique_violation when a link holds one of the codes';
comment on function shortlink.resolve_short_links is
    'For each code: null for no link, '''' for an expired one, else when it expires, in Unix ms or "never", and its URL';
comment on function shortlink.short_link_partitions is 'The attached partitions with their real bounds';
comment on function shortlink.create_current_partition is 'Adds the partition of this UTC month; harmless to repeat';

revoke all on function shortlink.create_short_link(text, text, timestamptz, boolean, int) from public;
revoke all on function shortlink.create_all_short_links(text[], text[], bigint[], int[], int) from public;
revoke all on function shortlink.preview_short_link(text) from public;
revoke all on function shortlink.short_link_partitions() from public;
revoke all on function shortlink.create_current_partition() from public;
grant execute on function shortlink.create_short_link(text, text, timestamptz, boolean, int) to shortlink_app;
grant execute on function shortlink.create_all_short_links(text[], text[], bigint[], int[], int) to shortlink_app;
grant execute on function shortlink.preview_short_link(text) to shortlink_app;
grant execute on function shortlink.create_current_partition() to shortlink_app;

-- Partitions to come whose bounds are not their month's, and which hold nothing: created again with the right ones. One that
-- cannot be locked at once stays as it is: links are stored all the same, and nothing queues behind the lock.
do $$
declare
    v_partition record;
    v_start timestamptz;
    v_is_empty boolean;
    v_starts timestamptz[] := '{}';
begin
    for v_partition in
        select * from shortlink.short_link_partitions()
        where partition_name ~ '^short_link_[1-9][0-9]{3}(0[1-9]|1[0-2])$' and starts_at > now()
        order by partition_name
    loop
        v_start := make_timestamptz(
            substr(v_partition.partition_name, 12, 4)::int, substr(v_partition.partition_name, 16)::int, 1, 0, 0, 0, 'UTC'
        );
        continue when v_partition.starts_at = v_start
            and v_partition.ends_at = (v_start at time zone 'UTC' + interval '1 month') at time zone 'UTC';
        execute format('select not exists (select 1 from shortlink.%I)', v_partition.partition_name) into v_is_empty;
        if v_is_empty then
            begin
                perform set_config('lock_timeout', '200ms', true);
                execute format('drop table shortlink.%I', v_partition.partition_name);
                v_starts := v_starts || v_start;
            exception when lock_not_available then
                raise notice '% keeps its bounds', v_partition.partition_name;
            end;
        end if;
    end loop;
    foreach v_start in array v_starts loop
        perform shortlink.create_short_link_partition(v_start);
    end loop;
end
$$;
