-- The tables. They hold no CHECK constraint on a link: a broken one has SQLSTATE 23514, and so has a row without a
-- partition, which is what tells the create path to make the month's partition. create_short_link checks instead.

create schema if not exists shortlink;
revoke all on schema shortlink from public;
-- Only a warning where the database owner does not own this schema, as in databases that began before Postgres 15.
revoke create on schema public from public;

-- No default partition: it would stop partitions from being detached concurrently, and be scanned for each new one.
create table shortlink.short_link (
    short_code text collate "C" not null,
    url text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    is_custom boolean not null,
    primary key (short_code, created_at)
) partition by range (created_at);
comment on table shortlink.short_link is 'Links, one partition a UTC month; what a code leads to now is in short_code';

create table shortlink.short_code (
    short_code text collate "C" primary key,
    created_at timestamptz not null,
    expires_at timestamptz not null
);
comment on table shortlink.short_code is
    'Registry: who holds a code, and by created_at in which partition of short_link; makes a code unique';

create table shortlink.code_counter (
    singleton boolean primary key default true check (singleton),
    next_number bigint not null default 0 check (next_number between 0 and 3521614606208), -- 62^7: past the last code
    key_fingerprint text
);
comment on table shortlink.code_counter is
    'One row: the next number to encrypt to a code, and under which key; never set back, or codes come twice';
insert into shortlink.code_counter default values;

-- What the batch knows of months that are over, so that it need not read a whole partition each time it looks.
create table shortlink.closed_partition (
    partition_name text collate "C" primary key,
    last_expiry timestamptz not null, -- -infinity: the partition is empty
    drop_started_at timestamptz
);
comment on table shortlink.closed_partition is
    'Partitions whose month is over: when their last link expires, and whether the batch has begun to drop them';
