-- A statement that an instance runs for several requests at once. Spin prepares every statement anew, which costs more
-- than what these do for one link; they run with the caller's rights, and call what the caller may call.

create function shortlink.create_short_links(
    p_codes text[], p_urls text[], p_expire_at_millis bigint[], p_custom int[]
) returns int[]
language plpgsql volatile
as $$
declare
    v_created int[] := '{}';
begin
    for i in 1 .. cardinality(p_codes) loop
        perform from shortlink.create_short_link(
            p_codes[i], p_urls[i],
            timestamptz 'epoch' + p_expire_at_millis[i] * interval '1 millisecond', p_custom[i] <> 0
        );
        if found then
            v_created := v_created || i;
        end if;
    end loop;
    return v_created;
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
    'create_short_link for each; returns the positions of those created. Callers pass codes in ascending order: two '
    'calls that wait for each other''s codes would never end';
comment on function shortlink.resolve_short_links is
    'resolve_short_link for each: null for no link, '''' for an expired one, else when it expires, in Unix ms, and its URL';

revoke all on function shortlink.create_short_links(text[], text[], bigint[], int[]) from public;
revoke all on function shortlink.resolve_short_links(text[]) from public;
grant execute on function shortlink.create_short_links(text[], text[], bigint[], int[]) to shortlink_app;
grant execute on function shortlink.resolve_short_links(text[]) to shortlink_app;
