-- Empties the tables, and fills {{ partitions }} of them, this month's and earlier ones, with {{ links }} links.
truncate shortlink.short_code, shortlink.short_link;
do $$
declare
    v_month timestamptz := date_trunc('month', now() at time zone 'UTC') at time zone 'UTC';
    v_name name;
begin
    for v_name in select inhrelid::regclass::text from pg_inherits
        where inhparent = 'shortlink.short_link'::regclass loop
        execute 'drop table ' || v_name;
    end loop;
    for number in 0 .. {{ partitions }} - 1 loop
        perform shortlink.create_short_link_partition(v_month - number * interval '1 month');
    end loop;
end $$;
create temporary table link as
    select 'g' || lpad(to_hex(number), 6, '0') as code,
        date_trunc('month', now() at time zone 'UTC') at time zone 'UTC'
            - (number % {{ partitions }}) * interval '1 month' + number * interval '1 microsecond' as at
    from generate_series(0, {{ links }} - 1) as number;
insert into shortlink.short_code select code, at, now() + interval '14 days' from link;
insert into shortlink.short_link
    select code, 'https://example.com/articles/2024/a-heading-of-some-words-' || code, at,
        now() + interval '14 days', false
    from link;
vacuum analyze shortlink.short_code;
vacuum analyze shortlink.short_link;
checkpoint;
