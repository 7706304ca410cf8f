-- Creating and resolving a link. Both run as the schema's owner, so the app needs no right on any table.
-- From here on new functions are closed to everybody until they are granted.
alter default privileges revoke execute on functions from public;

-- One row when the link was created, none when a live link holds the code.
-- 22023: an argument that no link can have. 23514: the month has no partition; nothing was claimed then.
create function shortlink.create_short_link(
    p_code text, p_url text, p_expires_at timestamptz, p_is_custom boolean
) returns table (short_code text, created_at timestamptz)
language plpgsql volatile security definer
set search_path = shortlink, pg_temp
as $$
#variable_conflict use_column
declare
    -- The instant of the call, not of its transaction, so that a link never lands in a month long over. It is read
    -- before any waiting: a holder that has expired by then has expired, whoever else wanted the code meanwhile.
    v_now constant timestamptz := clock_timestamp();
begin
    if p_expires_at is null or p_expires_at <= v_now then
        raise exception using errcode = '22023', message = 'a link must expire in the future';
    end if;
    if p_code is null or p_code collate "C" !~ '^[0-9A-Za-z]([0-9A-Za-z-]{0,30}[0-9A-Za-z])?$' then
        raise exception using errcode = '22023', message = 'not a code';
    end if;
    if p_url is null or octet_length(p_url) not between 1 and 8192 then
        raise exception using errcode = '22023', message = 'a URL must have 1 to 8192 bytes';
    end if;
    -- created_at leads from the registry to the link, so both get the same; it also moves forward for each code,
    -- even when the clock was set back, so that a code's earlier link never stands in the way of the next.
    return query
    with claimed as (
        insert into short_code as held (short_code, created_at, expires_at)
        values (p_code, v_now, p_expires_at)
        on conflict (short_code) do update
            set created_at = greatest(excluded.created_at, held.created_at + interval '1 microsecond'),
                expires_at = excluded.expires_at
            where held.expires_at <= v_now
        returning held.short_code, held.created_at, held.expires_at
    )
    insert into short_link as made (short_code, url, created_at, expires_at, is_custom)
    select claimed.short_code, p_url, claimed.created_at, claimed.expires_at, coalesce(p_is_custom, false)
    from claimed
    returning made.short_code, made.created_at;
end
$$;

-- The link that a code leads to, or led to and is still on record; no row when the code is unknown.
create function shortlink.resolve_short_link(p_code text)
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
    select link.url, link.expires_at, link.expires_at <= now()
    from short_link link
    where link.short_code = p_code and link.created_at = v_created_at;
end
$$;

comment on function shortlink.create_short_link is 'Claims the code and stores the link in one statement';
comment on function shortlink.resolve_short_link is 'Looks a code up in the one partition that holds its link';
