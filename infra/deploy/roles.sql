-- The roles and the database of short-link, as migrations/README.md has them, each role with a second one for the time in
-- which its password changes (docs/credentials.md). Run by the master user of RDS, who is no superuser; again is harmless.
select format('create role %I login', name)
from unnest(array['shortlink_batch', 'shortlink_app', 'shortlink_manage']) name
where not exists (select from pg_roles where rolname = name)
\gexec
select format('create role %I login in role %I', name || '_b', name)
from unnest(array['shortlink_batch', 'shortlink_app', 'shortlink_manage']) name
where not exists (select from pg_roles where rolname = name || '_b')
\gexec

-- psql asks for each password twice and sends what SCRAM makes of it, so that no log of statements ever holds one.
\password shortlink_app
\password shortlink_app_b
\password shortlink_manage
\password shortlink_manage_b
\password shortlink_batch
\password shortlink_batch_b

select format('alter role %I set statement_timeout = ''2s''', name),
       format('alter role %I set idle_in_transaction_session_timeout = ''5s''', name)
from unnest(array['shortlink_app', 'shortlink_app_b', 'shortlink_manage', 'shortlink_manage_b']) name
\gexec
-- Whatever the second one makes belongs to the first.
alter role shortlink_batch_b set role = 'shortlink_batch';

-- To give a database to a role one has to be a member of it.
select format('grant shortlink_batch to %I', current_user)
where not pg_has_role(current_user, 'shortlink_batch', 'usage')
\gexec
select 'create database short_link owner shortlink_batch'
where not exists (select from pg_database where datname = 'short_link')
\gexec
revoke connect on database short_link from public;
grant connect on database short_link to shortlink_app, shortlink_manage, shortlink_batch;
