-- A statement that an instance runs for several requests at once. Spin prepares every statement anew, which costs more
-- than what these do for one link; they run with the caller's rights, and call what the caller may call.

create function shortlink.create_short_links(
    p_codes text[], p_urls text[], p_expire_at_millis bigint[], p_custom int[]
) returns setof int
language plpgsql volatile rows 1
as $$
declare
    v_taken int := 0;
begin
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

create function shortlink.resolve_short_links(p_codes text[]) returns text[]
language plpgsql stable
as $$
declare
    v_found text[] := '{}';
    v_link record;
begin
    for i in 1 .. cardinality(p_codes) loop
        select link.url, link.expires_at, link.expired into v_link
        from shortlink.resolve_short_link(p_codes[i]) link;
        v_found := v_found || case
            when not found then null
            when v_link.expired then ''
            else (extract(epoch from v_link.expires_at) * 1000)::bigint || ' ' || v_link.url
        end;
    end loop;
    return v_found;
end
$$;

comment on function shortlink.create_short_links is
    'create_short_link for each; returns one row, and 2^n rows more for each link n, from 0, whose code was taken: the '
    'number of rows is all that a caller has to look at. Callers pass few codes, in ascending order: two calls that wait '
    'for each other''s codes would never end';
comment on function shortlink.resolve_short_links is
    'resolve_short_link for each: null for no link, '''' for an expired one, else when it expires, in Unix ms, and its URL';

revoke all on function shortlink.create_short_links(text[], text[], bigint[], int[]) from public;
revoke all on function shortlink.resolve_short_links(text[]) from public;
grant execute on function shortlink.create_short_links(text[], text[], bigint[], int[]) to shortlink_app;
grant execute on function shortlink.resolve_short_links(text[]) to shortlink_app;
