-- What the batch needs before it can migrate: the three roles and the database. Again is harmless. For psql, as a superuser:
-- the passwords come from its environment. docker-compose.yml runs it.
\set ON_ERROR_STOP on
\getenv app_password SHORTLINK_APP_PASSWORD
\getenv manage_password SHORTLINK_MANAGE_PASSWORD
\getenv batch_password SHORTLINK_BATCH_PASSWORD

select format('create role %I login', name)
from unnest(array['shortlink_batch', 'shortlink_app', 'shortlink_manage']) name
where not exists (select from pg_roles where rolname = name) \gexec

alter role shortlink_batch password :'batch_password';
alter role shortlink_app password :'app_password';
alter role shortlink_app set statement_timeout = '2s';
alter role shortlink_app set idle_in_transaction_session_timeout = '5s';
alter role shortlink_manage password :'manage_password';
alter role shortlink_manage set statement_timeout = '2s';
alter role shortlink_manage set idle_in_transaction_session_timeout = '5s';

select 'create database short_link owner shortlink_batch'
where not exists (select from pg_database where datname = 'short_link') \gexec
