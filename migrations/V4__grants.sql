-- The app calls functions and nothing else.
revoke all on all tables in schema shortlink from public;
revoke all on all functions in schema shortlink from public;

grant usage on schema shortlink to shortlink_app;
grant execute on function shortlink.create_short_link(text, text, timestamptz, boolean) to shortlink_app;
grant execute on function shortlink.resolve_short_link(text) to shortlink_app;
grant execute on function shortlink.create_short_link_partition(timestamptz) to shortlink_app;
grant execute on function shortlink.short_link_partition_exists(timestamptz) to shortlink_app;
