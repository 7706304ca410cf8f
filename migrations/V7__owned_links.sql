-- Links that belong to an API key and can be listed, changed, disabled and deleted; blocked targets; repeated creates. Every
-- new column has a default, so that components of the version before go on storing links.

-- Only a moment each: without a rewrite and without a scan. The registry first, as every function that writes does: a transaction
-- that holds one table and waits for the other would be a deadlock otherwise.
alter table shortlink.short_code add column key_id int not null default 0;
alter table shortlink.short_link
    add column key_id int not null default 0, -- 0: nobody's
    add column updated_at timestamptz,
    add column disabled_at timestamptz,
    add column deleted_at timestamptz; -- expires_at is the same instant then

-- For lists, newest first. On the parent alone: `shortlink-batch migrate` adds it to the partitions that are there one by
-- one, concurrently; those to come get it when they are created.
create index short_link_by_key on only shortlink.short_link (key_id, created_at, short_code);

create table shortlink.api_key (
    key_id int generated always as identity primary key,
    key_name text collate "C" not null unique,
    key_hash bytea not null unique, -- SHA-256
    scopes text[] not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null default 'infinity',
    revoked_at timestamptz,
    last_used_on date
);
comment on table shortlink.api_key is 'Who may create and manage links; a key itself is nowhere';

create table shortlink.blocked_host (
    host text collate "C" primary key,
    created_at timestamptz not null default now()
);
comment on table shortlink.blocked_host is 'Hosts that no new link may lead to, each with its subdomains';

create table shortlink.link_change (
    change_id bigint generated always as identity primary key,
    short_code text collate "C" not null,
    changed_at timestamptz not null default clock_timestamp()
);
comment on table shortlink.link_change is
    'Links whose entry in the redirect cache the batch has to write once more';

create table shortlink.idempotency_key (
    key_id int not null,
    idempotency_key text collate "C" not null,
    request_hash bytea not null,
    results text[] not null,
    created_at timestamptz not null default now(),
    primary key (key_id, idempotency_key)
);
create index idempotency_key_by_age on shortlink.idempotency_key (created_at);
comment on table shortlink.idempotency_key is 'What creates with an Idempotency-Key were answered, for 24 hours';

revoke all on all tables in schema shortlink from public;

-- Whether the URL's host, or a domain that it is part of, is blocked. The host of a stored URL is in lower case and
-- punycode.
create function shortlink.is_blocked(p_url text) returns boolean
language sql stable security definer
set search_path = shortlink, pg_temp
as $$
    select exists (
        with recursive host (name) as (
            select rtrim(substring(p_url from '^https?://(\[[^]]*\]|[^/:?#]*)'), '.')
            union all
            select substr(name, strpos(name, '.') + 1) from host where strpos(name, '.') > 0
        )
        select 1 from host join blocked_host on blocked_host.host = host.name
    )
$$;

-- One row when the link was created, none when a link holds the code: a live one, or one that ended less than
-- p_quarantine_days ago and was another key's. 22023: the expiry is not in the future. SL001: not a code. SL002: a URL of a
-- wrong length. SL003: its host is blocked. 23514: the month has no partition. Nothing is stored then.
create function shortlink.create_short_link(
    p_code text, p_url text, p_expires_at timestamptz, p_is_custom boolean, p_quarantine_days int, p_key_id int
) returns table (short_code text, created_at timestamptz)
language plpgsql volatile security definer
set search_path = shortlink, pg_temp
as $$
#variable_conflict use_column
declare
    -- The instant of the call, not of its transaction, so that a link is never stored in a month that ended long ago. It
    -- is read before any waiting: a holder that has expired by then has expired, whoever else wanted the code meanwhile.
    v_now constant timestamptz := clock_timestamp();
    -- Codes whose link expired until then are free, also to others than its owner.
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
        -- that is not immutable: Citus refuses it. To ask for blocked hosts in a statement of its own would cost a tenth.
        insert into short_code as held (short_code, created_at, expires_at, key_id)
        select p_code, v_created_at, p_expires_at, p_key_id
        where not exists (select 1 from blocked_host) or not is_blocked(p_url)
        on conflict (short_code) do update
            set created_at = excluded.created_at, expires_at = excluded.expires_at, key_id = excluded.key_id
            where (held.expires_at <= v_free or held.expires_at <= v_now and held.key_id = p_key_id and p_key_id > 0)
                and held.created_at < excluded.created_at;
        exit when found;
        if is_blocked(p_url) then
            raise exception using errcode = 'SL003', message = 'the host is blocked';
        end if;
        -- The code is taken, unless the clock was set back after its expired holder was created. Then created_at goes on
        -- from there, so that the code's earlier link never has the key of the new one.
        select held.created_at + interval '1 microsecond' into v_created_at
        from short_code held
        where held.short_code = p_code
            and (held.expires_at <= v_free or held.expires_at <= v_now and held.key_id = p_key_id and p_key_id > 0);
        if not found then
            return;
        end if;
    end loop;
    insert into short_link (short_code, url, created_at, expires_at, is_custom, key_id)
    values (p_code, p_url, v_created_at, p_expires_at, coalesce(p_is_custom, false), p_key_id);
    short_code := p_code;
    created_at := v_created_at;
    return next;
end
$$;

-- For components that know no keys yet, and no quarantine.
create or replace function shortlink.create_short_link(
    p_code text, p_url text, p_expires_at timestamptz, p_is_custom boolean, p_quarantine_days int
) returns table (short_code text, created_at timestamptz)
language sql volatile security definer
set search_path = shortlink, pg_temp
as $$
    select * from create_short_link(p_code, p_url, p_expires_at, p_is_custom, p_quarantine_days, 0)
$$;

create or replace function shortlink.create_short_link(
    p_code text, p_url text, p_expires_at timestamptz, p_is_custom boolean
) returns table (short_code text, created_at timestamptz)
language sql volatile security definer
set search_path = shortlink, pg_temp
as $$
    select * from create_short_link(p_code, p_url, p_expires_at, p_is_custom, 0, 0)
$$;

-- All of the links or none; an expiry of null is no end. 23505: a link holds one of the codes, as for create_short_link, or
-- one was given twice. 22023: the arrays differ in length or hold more than 100 items, or an expiry is not in the future.
-- SL001, SL002, SL003, 23514: as create_short_link. Whoever gets one of these but the last creates each link alone. Callers
-- pass the codes in ascending order: two calls that wait for each other's codes would be a deadlock.
create function shortlink.create_all_short_links(
    p_codes text[], p_urls text[], p_expire_at_millis bigint[], p_custom int[], p_quarantine_days int, p_key_ids int[]
) returns void
language plpgsql volatile security definer
set search_path = shortlink, pg_temp
as $$
declare
    v_now constant timestamptz := clock_timestamp();
    v_free constant timestamptz := v_now - make_interval(days => greatest(p_quarantine_days, 0));
    v_links constant int := cardinality(p_codes);
    v_has_blocks constant boolean := exists (select 1 from blocked_host);
    v_expires_at timestamptz;
begin
    if v_links is null or v_links > 100 or cardinality(p_urls) is distinct from v_links
        or cardinality(p_expire_at_millis) is distinct from v_links or cardinality(p_custom) is distinct from v_links
        or cardinality(p_key_ids) is distinct from v_links
    then
        raise exception using errcode = '22023', message = 'five arrays of one length, at most 100, are needed';
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
        if v_has_blocks and is_blocked(p_urls[i]) then
            raise exception using errcode = 'SL003', message = 'the host is blocked';
        end if;
        insert into short_code as held (short_code, created_at, expires_at, key_id)
        values (p_codes[i], v_now, v_expires_at, p_key_ids[i])
        on conflict (short_code) do update
            set created_at = excluded.created_at, expires_at = excluded.expires_at, key_id = excluded.key_id
            where (
                    held.expires_at <= v_free
                    or held.expires_at <= v_now and held.key_id = excluded.key_id and excluded.key_id > 0
                )
                and held.created_at < excluded.created_at;
        if not found then
            raise exception using errcode = '23505', message = 'a link holds one of the codes';
        end if;
        insert into short_link (short_code, url, created_at, expires_at, is_custom, key_id)
        values (p_codes[i], p_urls[i], v_now, v_expires_at, coalesce(p_custom[i], 0) <> 0, p_key_ids[i]);
    end loop;
end
$$;

create or replace function shortlink.create_all_short_links(
    p_codes text[], p_urls text[], p_expire_at_millis bigint[], p_custom int[], p_quarantine_days int
) returns void
language sql volatile security definer
set search_path = shortlink, pg_temp
as $$
    select create_all_short_links(
        p_codes, p_urls, p_expire_at_millis, p_custom, p_quarantine_days,
        array_fill(0, array[coalesce(cardinality(p_codes), 0)])
    )
$$;

-- Claims an idempotency key until the transaction ends. Null: the request is a new one. {busy}: another transaction has
-- claimed it. {differs}: it was used for another request. Else "repeated" and the results of the first time.
create function shortlink.claim_idempotency_key(p_key_id int, p_idempotency_key text, p_request_hash bytea)
returns text[]
language plpgsql volatile security definer
set search_path = shortlink, pg_temp
as $$
declare
    v_known record;
begin
    if not pg_try_advisory_xact_lock(hashtextextended(p_key_id || ' ' || p_idempotency_key, 7391)) then
        return '{busy}';
    end if;
    select known.request_hash, known.results into v_known
    from idempotency_key known
    where known.key_id = p_key_id and known.idempotency_key = p_idempotency_key
        and known.created_at > now() - interval '24 hours';
    if not found then
        return null;
    end if;
    return case when v_known.request_hash = p_request_hash then array_prepend('repeated', v_known.results) else '{differs}' end;
end
$$;

-- Up to 100 links, each stored or not; with an idempotency key, all of it once. What came of each, in the order given:
-- "created <code>", "taken", "no code" (both of an item are in use), "expired" (by this server's clock), "blocked", or its problem as it was given, for an item that
-- is none. {busy}, {differs}, or "repeated" before the results: see claim_idempotency_key. p_codes: each item's code. p_spare_codes: another one for an item
-- whose code is generated, else null. SL001, SL002, 23514: as create_short_link; 22023: the arrays differ in length. Then
-- nothing is stored.
create function shortlink.create_short_links_each(
    p_codes text[], p_spare_codes text[], p_urls text[], p_expire_at_millis bigint[], p_problems text[],
    p_quarantine_days int, p_key_id int, p_idempotency_key text, p_request_hash bytea
) returns text[]
language plpgsql volatile security definer
set search_path = shortlink, pg_temp
as $$
declare
    v_items constant int := cardinality(p_codes);
    v_has_blocks constant boolean := exists (select 1 from blocked_host);
    v_results text[];
    v_expires_at timestamptz;
    v_code text;
    i int;
begin
    if v_items is null or v_items > 100 or cardinality(p_spare_codes) is distinct from v_items
        or cardinality(p_urls) is distinct from v_items or cardinality(p_expire_at_millis) is distinct from v_items
        or cardinality(p_problems) is distinct from v_items
    then
        raise exception using errcode = '22023', message = 'five arrays of one length, at most 100, are needed';
    end if;
    if p_idempotency_key is not null then
        v_results := claim_idempotency_key(p_key_id, p_idempotency_key, p_request_hash);
        if v_results is not null then
            return v_results;
        end if;
    end if;
    v_results := p_problems;
    -- In one order everywhere: two calls that wait for each other's codes would be a deadlock. Of equal codes the first item
    -- gets it.
    for i in
        select item.i::int from unnest(p_codes, p_problems) with ordinality item (code, problem, i)
        where item.problem is null order by item.code collate "C", item.i
    loop
        v_expires_at := coalesce(timestamptz 'epoch' + p_expire_at_millis[i] * interval '1 millisecond', 'infinity');
        if v_expires_at <= clock_timestamp() then
            v_results[i] := 'expired';
            continue;
        end if;
        if v_has_blocks and is_blocked(p_urls[i]) then
            v_results[i] := 'blocked';
            continue;
        end if;
        select created.short_code into v_code
        from create_short_link(
            p_codes[i], p_urls[i], v_expires_at, p_spare_codes[i] is null, p_quarantine_days, p_key_id
        ) created;
        if not found and p_spare_codes[i] is not null then
            select created.short_code into v_code
            from create_short_link(p_spare_codes[i], p_urls[i], v_expires_at, false, p_quarantine_days, p_key_id) created;
        end if;
        v_results[i] := coalesce('created ' || v_code, case when p_spare_codes[i] is null then 'taken' else 'no code' end);
    end loop;
    if p_idempotency_key is not null and exists (select 1 from unnest(v_results) result where result ~ '^created ') then
        insert into idempotency_key (key_id, idempotency_key, request_hash, results)
        values (p_key_id, p_idempotency_key, p_request_hash, v_results)
        on conflict (key_id, idempotency_key) do update
            set request_hash = excluded.request_hash, results = excluded.results, created_at = excluded.created_at;
    end if;
    return v_results;
end
$$;

-- The key with this hash: its number, name and scopes (separated by commas), and when it expires, in Unix ms or "never". Null
-- for none, and for one that is expired or revoked. Notes the day of its use.
create function shortlink.check_api_key(p_key_hash bytea) returns text[]
language plpgsql volatile security definer
set search_path = shortlink, pg_temp
as $$
declare
    v_key record;
begin
    select key.* into v_key from api_key key
    where key.key_hash = p_key_hash and key.revoked_at is null and key.expires_at > now();
    if not found then
        return null;
    end if;
    if v_key.last_used_on is distinct from current_date then
        -- Somebody else who notes the same is not waited for.
        perform from api_key key where key.key_id = v_key.key_id for update skip locked;
        if found then
            update api_key key set last_used_on = current_date where key.key_id = v_key.key_id;
        end if;
    end if;
    return array[
        v_key.key_id::text, v_key.key_name, array_to_string(v_key.scopes, ','),
        case
            when v_key.expires_at = 'infinity' then 'never'
            else (extract(epoch from v_key.expires_at) * 1000)::bigint::text
        end
    ];
end
$$;

-- A link as its owner sees it: code, URL, created, last changed, expiry (null: never), is_custom (true or false), state
-- (live, disabled, expired or deleted), name of its key (null: nobody's), and created_at in Unix microseconds, from which the
-- next page goes on. Times are in RFC 3339.
create function shortlink.link_record(p_link shortlink.short_link) returns text[]
language plpgsql stable security definer
set search_path = shortlink, pg_temp
as $$
declare
    c_format constant text := 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"';
begin
    return array[
        p_link.short_code,
        p_link.url,
        to_char(p_link.created_at at time zone 'UTC', c_format),
        to_char(coalesce(p_link.updated_at, p_link.created_at) at time zone 'UTC', c_format),
        case when p_link.expires_at < 'infinity' then to_char(p_link.expires_at at time zone 'UTC', c_format) end,
        p_link.is_custom::text,
        case
            when p_link.deleted_at is not null then 'deleted'
            when p_link.expires_at <= now() then 'expired'
            when p_link.disabled_at is not null then 'disabled'
            else 'live'
        end,
        (select key_name from api_key where api_key.key_id = p_link.key_id),
        (extract(epoch from p_link.created_at) * 1000000)::bigint::text
    ];
end
$$;

-- The link of a code, if it is this key's; 0 is every key. Null for none.
create function shortlink.find_link(p_key_id int, p_code text) returns text[]
language plpgsql stable security definer
set search_path = shortlink, pg_temp
as $$
declare
    v_created_at timestamptz;
    v_link short_link;
begin
    select held.created_at into v_created_at from short_code held where held.short_code = p_code;
    select link.* into v_link from short_link link
    where link.short_code = p_code and link.created_at = v_created_at and p_key_id in (0, link.key_id);
    return case when found then link_record(v_link) end;
end
$$;

-- The links of a key (0: of every key), newest first: at most p_limit of those after the one that was created at
-- p_after_micros (Unix microseconds) under p_after_code. p_state: live, disabled, expired, deleted, all; null: all but
-- deleted ones. p_search: what the code or the URL holds, in upper or lower case, where the index short_link_search is there;
-- else what the code begins with. The first element says which, "text" or "prefix"; the elements of link_record of each link
-- follow.
create function shortlink.list_links(
    p_key_id int, p_state text, p_search text, p_after_micros bigint, p_after_code text, p_limit int
) returns text[]
language plpgsql stable security definer
set search_path = shortlink, pg_temp
as $$
declare
    v_after constant timestamptz := timestamptz 'epoch' + p_after_micros * interval '1 microsecond';
    v_escaped constant text := regexp_replace(p_search, '([\\%_])', '\\\1', 'g');
    v_is_text constant boolean := char_length(p_search) >= 3 -- the index knows no shorter texts
        and exists (
            select 1 from pg_catalog.pg_index
            where indexrelid = to_regclass('shortlink.short_link_search') and indisvalid
        );
    v_filter text := '';
    v_links text;
    v_fields text[];
begin
    if p_after_micros is not null then
        v_filter := v_filter || ' and (link.created_at, link.short_code) < ($2, $3)';
    end if;
    v_filter := v_filter || case p_state
        when 'live' then ' and link.expires_at > now() and link.disabled_at is null'
        when 'disabled' then ' and link.expires_at > now() and link.disabled_at is not null'
        when 'expired' then ' and link.expires_at <= now() and link.deleted_at is null'
        when 'deleted' then ' and link.deleted_at is not null'
        when 'all' then ''
        else ' and link.deleted_at is null'
    end;
    if v_is_text then
        v_filter := v_filter || ' and link.short_code || '' '' || link.url ilike ''%'' || $4 || ''%''';
    elsif p_search is not null then
        v_filter := v_filter || ' and link.short_code like $4 || ''%''';
    end if;
    -- What a code led to before it was taken again is in no list. OFFSET keeps the planner from joining by a hash of all
    -- links, as it would by its estimate of how many match on both columns.
    v_links := '
        select link.* from shortlink.short_link link
        cross join lateral (
            select 1 from shortlink.short_code held
            where held.short_code = link.short_code and held.created_at = link.created_at offset 0
        ) held
        where link.key_id = ' || case when p_key_id = 0 then 'owner.key_id' else '$1' end || v_filter || '
        order by link.created_at desc, link.short_code desc limit $5';
    if p_key_id = 0 then
        -- A page of each key, of which the newest are taken: an index over all links would cost every create.
        v_links := '
            select link.* from (select 0 as key_id union all select key_id from shortlink.api_key) owner
            cross join lateral (' || v_links || ') link
            order by link.created_at desc, link.short_code desc limit $5';
    end if;
    execute '
        with page as materialized (' || v_links || '),
        record as (
            select row_number() over (order by created_at desc, short_code desc) as position,
                shortlink.link_record(page::shortlink.short_link) as fields
            from page
        )
        select array_agg(field order by position, place)
        from record cross join unnest(fields) with ordinality as field (field, place)'
    into v_fields using p_key_id, v_after, p_after_code, v_escaped, p_limit;
    return array[case when v_is_text then 'text' else 'prefix' end] || coalesce(v_fields, '{}');
end
$$;

-- What follows from a change of a link, in its transaction: the registry has its new expiry, the batch writes its cache entry
-- once more, and reads again when the links of a month expire, if this one was the last.
create function shortlink.link_changed(p_link shortlink.short_link, p_expired_at timestamptz) returns void
language plpgsql volatile security definer
set search_path = shortlink, pg_temp
as $$
begin
    if p_link.expires_at <> p_expired_at then
        update short_code held set expires_at = p_link.expires_at where held.short_code = p_link.short_code;
        delete from closed_partition closed
        where closed.partition_name = 'short_link_' || to_char(p_link.created_at at time zone 'UTC', 'YYYYMM')
            and closed.last_expiry = p_expired_at and closed.drop_started_at is null;
    end if;
    insert into link_change (short_code) values (p_link.short_code);
end
$$;

-- Changes a link of this key (0: of any), and returns it as it is then; what is null stays as it is. Null: there is no such
-- link, or it is deleted. p_expires_at: infinity is never. 22023: it is not in the future. SL002, SL003: as
-- create_short_link; SL003 also when a link that leads nowhere would lead to a blocked host again.
create function shortlink.change_link(
    p_key_id int, p_code text, p_url text, p_expires_at timestamptz, p_disabled boolean
) returns text[]
language plpgsql volatile security definer
set search_path = shortlink, pg_temp
as $$
declare
    -- Read first, as a create does: a block that is being added is waited for, and then seen.
    v_has_blocks constant boolean := exists (select 1 from blocked_host);
    v_now timestamptz;
    v_held record;
    v_link short_link;
begin
    -- Whoever else changes the link, or takes its code, waits here.
    select held.created_at, held.expires_at into v_held
    from short_code held where held.short_code = p_code for update;
    select link.* into v_link from short_link link
    where link.short_code = p_code and link.created_at = v_held.created_at and p_key_id in (0, link.key_id)
        and link.deleted_at is null;
    if not found then
        return null;
    end if;
    v_now := clock_timestamp();
    if p_expires_at <= v_now then
        raise exception using errcode = '22023', message = 'a link must expire in the future';
    end if;
    if octet_length(p_url) not between 1 and 8192 then
        raise exception using errcode = 'SL002', message = 'a URL must have 1 to 8192 bytes';
    end if;
    if v_has_blocks
        and (p_url is not null or p_disabled is false or p_expires_at is not null and v_link.expires_at <= v_now)
        and is_blocked(coalesce(p_url, v_link.url))
    then
        raise exception using errcode = 'SL003', message = 'the host is blocked';
    end if;
    update short_link link
    set url = coalesce(p_url, link.url),
        expires_at = coalesce(p_expires_at, link.expires_at),
        disabled_at = case
            when p_disabled then coalesce(link.disabled_at, v_now)
            when p_disabled is null then link.disabled_at
        end,
        updated_at = v_now
    where link.short_code = p_code and link.created_at = v_held.created_at
    returning link.* into v_link;
    if not found then
        return null; -- its partition is being dropped
    end if;
    perform link_changed(v_link, v_held.expires_at);
    return link_record(v_link);
end
$$;

-- Deletes a link of this key (0: of any): it has ended, and its code is in quarantine. Whether there was one.
create function shortlink.delete_link(p_key_id int, p_code text) returns boolean
language plpgsql volatile security definer
set search_path = shortlink, pg_temp
as $$
declare
    v_now timestamptz;
    v_held record;
    v_link short_link;
begin
    select held.created_at, held.expires_at into v_held
    from short_code held where held.short_code = p_code for update;
    if not found then
        return false;
    end if;
    v_now := clock_timestamp();
    update short_link link
    set expires_at = least(link.expires_at, v_now), deleted_at = v_now, updated_at = v_now
    where link.short_code = p_code and link.created_at = v_held.created_at and p_key_id in (0, link.key_id)
        and link.deleted_at is null
    returning link.* into v_link;
    if not found then
        return false;
    end if;
    perform link_changed(v_link, v_held.expires_at);
    return true;
end
$$;

-- As before, and a disabled link is answered like an expired one.
create or replace function shortlink.resolve_short_link(p_code text)
returns table (url text, expires_at timestamptz, expired boolean)
language plpgsql stable security definer
set search_path = shortlink, pg_temp
as $$
#variable_conflict use_column
declare
    v_created_at timestamptz;
begin
    select held.created_at into v_created_at from short_code held where held.short_code = p_code;
    if not found then
        return;
    end if;
    -- With values for both columns the planner finds the one partition. A generic plan would be kept for all of them and
    -- lock each on every call; its cost, the sum over the partitions, keeps Postgres from choosing it.
    return query
    select link.url, link.expires_at, link.expires_at <= now() or link.disabled_at is not null
    from short_link link
    where link.short_code = p_code and link.created_at = v_created_at;
end
$$;

create or replace function shortlink.preview_short_link(p_code text) returns text[]
language plpgsql stable security definer
set search_path = shortlink, pg_temp
as $$
declare
    v_created_at timestamptz;
    v_link record;
    c_format constant text := 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"';
begin
    select held.created_at into v_created_at from short_code held where held.short_code = p_code;
    select link.url, link.expires_at, link.disabled_at into v_link
    from short_link link where link.short_code = p_code and link.created_at = v_created_at;
    if not found then
        return null;
    end if;
    if v_link.expires_at <= now() or v_link.disabled_at is not null then
        return '{}';
    end if;
    return array[
        v_link.url,
        to_char(v_created_at at time zone 'UTC', c_format),
        case when v_link.expires_at < 'infinity' then to_char(v_link.expires_at at time zone 'UTC', c_format) end
    ];
end
$$;

comment on function shortlink.create_short_link(text, text, timestamptz, boolean, int, int) is
    'Claims the code and stores the link, or does neither';
comment on function shortlink.create_all_short_links(text[], text[], bigint[], int[], int, int[]) is
    'Stores all of the links or none; fails with unique_violation when a link holds one of the codes';
comment on function shortlink.create_short_links_each is
    'Stores up to 100 links, each or not, once for each idempotency key';
comment on function shortlink.claim_idempotency_key is 'What a create with this key was answered before';
comment on function shortlink.is_blocked is 'Whether a URL leads to a blocked host';
comment on function shortlink.check_api_key is 'Who a key is, by its SHA-256, unless it is expired or revoked';
comment on function shortlink.link_record is 'A link as its owner sees it';
comment on function shortlink.find_link is 'The link of a code, as its owner sees it';
comment on function shortlink.list_links is 'A page of the links of a key, newest first';
comment on function shortlink.change_link is 'Changes a link, and notes that its cache entry has to follow';
comment on function shortlink.delete_link is 'Ends a link for good, and notes that its cache entry has to follow';
comment on function shortlink.link_changed is 'What follows from a change of a link';

revoke all on all functions in schema shortlink from public;
grant execute on function
    shortlink.create_short_link(text, text, timestamptz, boolean, int, int),
    shortlink.create_all_short_links(text[], text[], bigint[], int[], int, int[])
to shortlink_app;
grant execute on function
    shortlink.create_short_links_each(text[], text[], text[], bigint[], text[], int, int, text, bytea),
    shortlink.claim_idempotency_key(int, text, bytea),
    shortlink.check_api_key(bytea)
to shortlink_app, shortlink_manage;
grant usage on schema shortlink to shortlink_manage;
grant execute on function
    shortlink.create_current_partition(),
    shortlink.resolve_short_links(text[]),
    shortlink.find_link(int, text),
    shortlink.list_links(int, text, text, bigint, text, int),
    shortlink.change_link(int, text, text, timestamptz, boolean),
    shortlink.delete_link(int, text)
to shortlink_manage;
