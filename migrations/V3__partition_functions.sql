-- Adding the partition of a month; dropping one takes several transactions and is the batch's work.

create function shortlink.short_link_partition_exists(p_at timestamptz) returns boolean
language plpgsql stable security definer
set search_path = shortlink, pg_temp
as $$
begin
    return exists (
        select
        from pg_catalog.pg_inherits i
        join pg_catalog.pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'shortlink.short_link'::regclass
            and not i.inhdetachpending
            and c.relname = 'short_link_' || to_char(p_at at time zone 'UTC', 'YYYYMM')
    );
end
$$;

-- Makes the partition of the UTC month that p_start lies in, unless there is one, and returns its name.
-- Reads and writes go on: the parent is locked only against other changes of its structure. The new table is empty
-- while it is attached, so the scan for misplaced rows reads nothing and no CHECK constraint has to spare it.
-- 22023: a month that makes no sense. 55000: the table is there but detached. 55P03: waited 2 s for a lock.
create function shortlink.create_short_link_partition(p_start timestamptz) returns text
language plpgsql volatile security definer
set search_path = shortlink, pg_temp
set lock_timeout = '2s'
as $$
declare
    v_month constant timestamp := date_trunc('month', p_start at time zone 'UTC');
    v_name constant text := 'short_link_' || to_char(v_month, 'YYYYMM');
begin
    -- A bound on what a caller gone astray can do: a few hundred empty tables.
    if p_start is null or p_start < timestamptz '2000-01-01 00:00+00' or p_start > now() + interval '10 years' then
        raise exception using errcode = '22023', message = 'no partition is made for that month';
    end if;
    if short_link_partition_exists(p_start) then
        return v_name;
    end if;
    perform pg_advisory_xact_lock(7391, 4);
    if short_link_partition_exists(p_start) then
        return v_name;
    end if;
    if to_regclass('shortlink.' || v_name) is not null then
        raise exception using errcode = '55000', message = format('%s is detached or being dropped', v_name);
    end if;
    execute format('create table shortlink.%I (like shortlink.short_link including all)', v_name);
    execute format(
        'alter table shortlink.short_link attach partition shortlink.%I for values from (%L) to (%L)',
        v_name, v_month at time zone 'UTC', (v_month + interval '1 month') at time zone 'UTC'
    );
    return v_name;
end
$$;

comment on function shortlink.create_short_link_partition is 'Adds the partition of a UTC month; harmless to repeat';
comment on function shortlink.short_link_partition_exists is 'Whether a link created at that instant has a partition';
