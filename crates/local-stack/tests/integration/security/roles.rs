//! What the roles of Postgres and the users of both Redis may do: all of it is listed, so that a right more than these is
//! found, whatever it is.

use std::collections::BTreeSet;

use redis::{Connection, FromRedisValue, Value, cmd};

use crate::app::App;

/// What a superuser reads, a line a row.
fn listed(sql: &str) -> Vec<String> {
    App::shared().sql(sql).lines().map(str::to_owned).collect()
}

#[test]
fn no_role_is_more_than_a_role_that_may_log_in() {
    let attributes =
        "select rolname, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls
        from pg_roles where rolname !~ '^pg_' order by 1";
    assert_eq!(
        listed(attributes),
        [
            "postgres|t|t|t|t|t|t",
            "shortlink_app|t|f|f|f|f|f",
            "shortlink_batch|t|f|f|f|f|f",
            "shortlink_manage|t|f|f|f|f|f"
        ]
    );
    let none: [String; 0] = [];
    let memberships = "select member::regrole, roleid::regrole from pg_auth_members
        where member::regrole::text !~ '^pg_'";
    assert_eq!(listed(memberships), none, "a role that is a member of another");
    assert_eq!(listed("select parname from pg_parameter_acl"), none, "a setting somebody may change");
    let limits = "select setrole::regrole, unnest(setconfig) from pg_db_role_setting where setdatabase = 0 order by 1, 2";
    assert_eq!(
        listed(limits),
        [
            "shortlink_app|idle_in_transaction_session_timeout=5s",
            "shortlink_app|statement_timeout=2s",
            "shortlink_manage|idle_in_transaction_session_timeout=5s",
            "shortlink_manage|statement_timeout=2s"
        ]
    );
}

/// Every object of the database that is not Postgres's own, with every right that the role has on it.
fn rights_of(role: &str) -> Vec<String> {
    let rights = format!(
        "
        with mine as (select oid, nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema')
        select 'relation ' || c.oid::regclass || ': ' || p from pg_class c join mine on mine.oid = relnamespace,
            unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
            where relkind in ('r', 'p', 'v', 'm', 'f') and has_table_privilege('{role}', c.oid, p)
        union all
        select 'columns of ' || c.oid::regclass || ': ' || p from pg_class c join mine on mine.oid = relnamespace,
            unnest(array['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) p
            where relkind in ('r', 'p', 'v', 'm', 'f') and has_any_column_privilege('{role}', c.oid, p)
        union all
        select 'sequence ' || c.oid::regclass || ': ' || p from pg_class c join mine on mine.oid = relnamespace,
            unnest(array['USAGE', 'SELECT', 'UPDATE']) p
            where relkind = 'S' and has_sequence_privilege('{role}', c.oid, p)
        union all
        select 'function ' || f.oid::regprocedure from pg_proc f join mine on mine.oid = pronamespace
            where has_function_privilege('{role}', f.oid, 'EXECUTE')
        union all
        select 'schema ' || nspname || ': ' || p from mine, unnest(array['USAGE', 'CREATE']) p
            where has_schema_privilege('{role}', oid, p)
        union all
        select 'language ' || lanname from pg_language
            where lanpltrusted and has_language_privilege('{role}', oid, 'USAGE')
        union all
        select 'tablespace ' || spcname from pg_tablespace
            where spcname <> 'pg_default' and has_tablespace_privilege('{role}', oid, 'CREATE')
        union all
        select 'foreign server ' || srvname from pg_foreign_server
        union all
        select 'large object ' || oid from pg_largeobject_metadata
        union all
        select 'database: ' || p from unnest(array['CREATE', 'CONNECT', 'TEMPORARY']) p
            where has_database_privilege('{role}', current_database(), p)
        union all
        select 'owner of ' || objid from pg_shdepend where refobjid = '{role}'::regrole and deptype = 'o'
        order by 1"
    );
    listed(&rights)
}

#[test]
fn the_app_role_may_execute_its_functions_and_nothing_else() {
    assert_eq!(
        rights_of("shortlink_app"),
        [
            // Postgres gives every role these two on every database, and every role the languages and the use of `public`.
            "database: CONNECT",
            "database: TEMPORARY",
            "function shortlink.check_api_key(bytea)",
            "function shortlink.claim_idempotency_key(integer,text,bytea)",
            "function shortlink.create_all_short_links(text[],text[],bigint[],integer[],integer)",
            "function shortlink.create_all_short_links(text[],text[],bigint[],integer[],integer,integer[])",
            "function shortlink.create_current_partition()",
            "function shortlink.create_short_link(text,text,timestamp with time zone,boolean)",
            "function shortlink.create_short_link(text,text,timestamp with time zone,boolean,integer)",
            "function shortlink.create_short_link(text,text,timestamp with time zone,boolean,integer,integer)",
            "function shortlink.create_short_link_partition(timestamp with time zone)",
            "function shortlink.create_short_links(text[],text[],bigint[],integer[])",
            "function shortlink.create_short_links_each(text[],text[],text[],bigint[],text[],integer,integer,text,bytea)",
            "function shortlink.preview_short_link(text)",
            "function shortlink.resolve_short_link(text)",
            "function shortlink.resolve_short_links(text[])",
            "function shortlink.short_link_partition_exists(timestamp with time zone)",
            "language plpgsql",
            "language sql",
            "schema public: USAGE",
            "schema shortlink: USAGE",
        ]
    );
}

#[test]
fn the_manage_role_may_execute_its_functions_and_nothing_else() {
    assert_eq!(
        rights_of("shortlink_manage"),
        [
            "database: CONNECT",
            "database: TEMPORARY",
            "function shortlink.change_link(integer,text,text,timestamp with time zone,boolean)",
            "function shortlink.check_api_key(bytea)",
            "function shortlink.claim_idempotency_key(integer,text,bytea)",
            "function shortlink.create_current_partition()",
            "function shortlink.create_short_links_each(text[],text[],text[],bigint[],text[],integer,integer,text,bytea)",
            "function shortlink.delete_link(integer,text)",
            "function shortlink.find_link(integer,text)",
            "function shortlink.list_links(integer,text,text,bigint,text,integer)",
            "function shortlink.resolve_short_links(text[])",
            "language plpgsql",
            "language sql",
            "schema public: USAGE",
            "schema shortlink: USAGE",
        ]
    );
}

#[test]
fn what_postgres_brings_along_is_as_postgres_brings_it() {
    let none: [String; 0] = [];
    let changed = "
        select 'relation', c.oid::regclass::text from pg_class c
            left join pg_init_privs i on i.objoid = c.oid and i.classoid = 'pg_class'::regclass and i.objsubid = 0
            where relnamespace = 'pg_catalog'::regnamespace and c.relacl is distinct from i.initprivs
        union all
        select 'function', f.oid::regprocedure::text from pg_proc f
            left join pg_init_privs i on i.objoid = f.oid and i.classoid = 'pg_proc'::regclass
            where pronamespace = 'pg_catalog'::regnamespace and f.proacl is distinct from i.initprivs
        union all
        select 'column', a.attrelid::regclass || '.' || a.attname from pg_attribute a
            join pg_class c on c.oid = a.attrelid and relnamespace = 'pg_catalog'::regnamespace
            left join pg_init_privs i on i.objoid = a.attrelid and i.classoid = 'pg_class'::regclass and i.objsubid = a.attnum
            where a.attacl is distinct from i.initprivs
        union all
        select 'schema', n.nspname from pg_namespace n
            left join pg_init_privs i on i.objoid = n.oid and i.classoid = 'pg_namespace'::regclass
            where n.nspname = 'pg_catalog' and n.nspacl is distinct from i.initprivs
        union all
        select 'information_schema', c.oid::regclass || ' ' || p from pg_class c,
            unnest(array['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
            where relnamespace = 'information_schema'::regnamespace and has_table_privilege('shortlink_app', c.oid, p)
        union all
        select 'language', lanname from pg_language l
            left join pg_init_privs i on i.objoid = l.oid and i.classoid = 'pg_language'::regclass
            where l.lanacl is distinct from i.initprivs";
    assert_eq!(listed(changed), none, "its rights are not those of a new cluster");
    let added = "select extname from pg_extension union all select lanname from pg_language
        where lanname not in ('internal', 'c', 'sql') order by 1";
    assert_eq!(listed(added), ["plpgsql", "plpgsql"], "an extension or a language");
}

#[test]
fn everybody_else_has_no_right_on_what_the_migrations_made() {
    let none: [String; 0] = [];
    let public = "
        with mine as (select oid, nspname, nspacl, nspowner from pg_namespace where nspname = 'shortlink'),
        rights as (
            select c.oid::regclass::text what, (aclexplode(coalesce(relacl, acldefault('r', relowner)))).*
                from pg_class c join mine on mine.oid = relnamespace where relkind in ('r', 'p', 'v', 'm', 'f', 'S')
            union all
            select f.oid::regprocedure::text, (aclexplode(coalesce(proacl, acldefault('f', proowner)))).*
                from pg_proc f join mine on mine.oid = pronamespace
            union all
            select nspname, (aclexplode(coalesce(nspacl, acldefault('n', nspowner)))).* from mine
            union all
            select attrelid::regclass || '.' || attname, (aclexplode(attacl)).*
                from pg_attribute join pg_class c on c.oid = attrelid join mine on mine.oid = relnamespace
        )
        select what, privilege_type, case grantee when 0 then 'public' else grantee::regrole::text end
        from rights where grantee not in
            ('shortlink_batch'::regrole, 'shortlink_app'::regrole, 'shortlink_manage'::regrole) or is_grantable";
    let grants_of_others = listed(public);
    assert_eq!(grants_of_others, none);
    let owners = "select distinct 'relation', relowner::regrole from pg_class where relnamespace = 'shortlink'::regnamespace
        union select 'function', proowner::regrole from pg_proc where pronamespace = 'shortlink'::regnamespace
        union select 'schema', nspowner::regrole from pg_namespace where nspname = 'shortlink'
        union select 'database', datdba::regrole from pg_database where datname = current_database() order by 1, 2";
    assert_eq!(
        listed(owners),
        [
            "database|shortlink_batch",
            "function|shortlink_batch",
            "relation|shortlink_batch",
            "schema|shortlink_batch"
        ]
    );
    let in_public = "select 'CREATE on public' where has_schema_privilege('public', 'public', 'CREATE')
        union all select relname from pg_class where relnamespace = 'public'::regnamespace
        union all select proname from pg_proc where pronamespace = 'public'::regnamespace";
    assert_eq!(listed(in_public), none, "the schema `public` is used");
    // What the next migration creates is closed to everybody as well.
    let defaults = "select defaclrole::regrole, defaclobjtype, defaclacl from pg_default_acl";
    assert_eq!(listed(defaults), ["shortlink_batch|f|{shortlink_batch=X/shortlink_batch}"]);
}

#[test]
fn a_function_that_runs_as_its_owner_cannot_be_led_elsewhere() {
    let settings = "select proname, prosecdef, proconfig from pg_proc where pronamespace = 'shortlink'::regnamespace order by 1";
    assert_eq!(
        listed(settings),
        [
            "change_link|t|{\"search_path=shortlink, pg_temp\"}",
            "check_api_key|t|{\"search_path=shortlink, pg_temp\"}",
            "claim_idempotency_key|t|{\"search_path=shortlink, pg_temp\"}",
            "create_all_short_links|t|{\"search_path=shortlink, pg_temp\"}",
            "create_all_short_links|t|{\"search_path=shortlink, pg_temp\"}",
            "create_current_partition|t|{\"search_path=shortlink, pg_temp\"}",
            "create_short_link|t|{\"search_path=shortlink, pg_temp\"}",
            "create_short_link|t|{\"search_path=shortlink, pg_temp\"}",
            "create_short_link|t|{\"search_path=shortlink, pg_temp\"}",
            "create_short_link_partition|t|{\"search_path=shortlink, pg_temp\",lock_timeout=2s,TimeZone=UTC,\"DateStyle=ISO, YMD\"}",
            "create_short_links|t|{\"search_path=shortlink, pg_temp\"}",
            "create_short_links_each|t|{\"search_path=shortlink, pg_temp\"}",
            "delete_link|t|{\"search_path=shortlink, pg_temp\"}",
            "find_link|t|{\"search_path=shortlink, pg_temp\"}",
            "is_blocked|t|{\"search_path=shortlink, pg_temp\"}",
            "link_changed|t|{\"search_path=shortlink, pg_temp\"}",
            "link_record|t|{\"search_path=shortlink, pg_temp\"}",
            "list_links|t|{\"search_path=shortlink, pg_temp\"}",
            "preview_short_link|t|{\"search_path=shortlink, pg_temp\"}",
            "resolve_short_link|t|{\"search_path=shortlink, pg_temp\"}",
            "resolve_short_links|t|{\"search_path=shortlink, pg_temp\"}",
            "short_link_partition_exists|t|{\"search_path=shortlink, pg_temp\"}",
            "short_link_partitions|t|{\"search_path=shortlink, pg_temp\",TimeZone=UTC,\"DateStyle=ISO, YMD\"}",
        ]
    );
    // The one place where the app may put a table: its own temporary schema, in front of which stands the real one.
    let mut postgres = App::shared().postgres_as_app();
    postgres
        .batch_execute(
            "create temp table short_code (short_code text, created_at timestamptz, expires_at timestamptz);
             insert into short_code values ('led-elsewhere', now(), now() + interval '1 day');
             create temp table short_link (short_code text, url text, created_at timestamptz, expires_at timestamptz);
             insert into short_link select short_code, 'https://evil.example/', created_at, expires_at from short_code;
             set search_path = pg_temp, shortlink",
        )
        .unwrap();
    let rows = postgres.query("select * from shortlink.resolve_short_link('led-elsewhere')", &[]).unwrap();
    assert!(rows.is_empty(), "it reads the caller's tables");
}

/// A user of a Redis, and all it may do there.
#[derive(Clone, Copy)]
struct User {
    name: &'static str,
    flags: &'static [&'static str],
    commands: &'static [&'static str],
    keys: &'static str,
    /// A command on a key that is its own, and keys that are not.
    own: &'static [&'static str],
    foreign: &'static [&'static [&'static str]],
}

/// Redis lets everybody run these, even without a login.
const EVERYBODY: [&str; 4] = ["auth", "hello", "quit", "reset"];

#[test]
fn the_users_of_the_cache_may_run_four_commands() {
    let app = User {
        name: "shortlink_app",
        flags: &["on"],
        commands: &["get", "ping", "select", "set"],
        keys: "~link:*",
        own: &["SET", "link:a", "x"],
        foreign: &[
            &["GET", "link"],
            &["GET", "Link:a"],
            &["GET", "xlink:a"],
            &["GET", ""],
            &["SET", "shortlink:codes", "x"],
            &["SET", "*", "x"],
        ],
    };
    let batch = User {
        name: "shortlink_batch",
        flags: &["on"],
        commands: &["ping", "select", "set"],
        keys: "~link:*",
        own: &["SET", "link:a", "x"],
        foreign: &[&["SET", "shortlink:codes", "x"]],
    };
    let manage = User { name: "shortlink_manage", ..batch };
    assert_users(&mut App::shared().cache(), &[app, batch, manage]);
}

#[test]
fn the_users_of_the_codes_may_run_four_commands() {
    let app = User {
        name: "shortlink_app",
        flags: &["on"],
        commands: &["llen", "lpop", "ping", "select"],
        keys: "~shortlink:codes",
        own: &["LPOP", "shortlink:codes", "5"],
        foreign: &[
            &["LPOP", "shortlink:codes2"],
            &["LPOP", "shortlink:code"],
            &["LPOP", "link:a"],
            &["LLEN", "*"],
            &["LLEN", ""],
        ],
    };
    let batch = User {
        name: "shortlink_batch",
        flags: &["on"],
        commands: &["llen", "ping", "rpush", "select"],
        keys: "~shortlink:codes",
        own: &["RPUSH", "shortlink:codes", "AAAAAAA"],
        foreign: &[&["RPUSH", "shortlink:codes2", "x"], &["RPUSH", "link:a", "x"], &["LLEN", "other"]],
    };
    let manage = User {
        name: "shortlink_manage",
        commands: &["lpop", "ping", "select"],
        foreign: &[&["LPOP", "shortlink:codes2"], &["LPOP", "link:a"]],
        ..app
    };
    assert_users(&mut App::shared().codes(), &[app, batch, manage]);
}

fn assert_users(redis: &mut Connection, users: &[User]) {
    let mut names: Vec<String> = cmd("ACL").arg("USERS").query(redis).unwrap();
    names.sort();
    assert_eq!(
        names,
        ["default", "shortlink_app", "shortlink_batch", "shortlink_manage", "shortlink_operator"]
    );
    assert!(field(redis, "default", "flags").contains(&"off".to_owned()), "anybody may come in as `default`");
    let commands = every_command(redis);
    assert!(commands.len() > 300, "only {} commands", commands.len());
    for User { name, flags, commands: allowed, keys, own, foreign } in users {
        assert_eq!(field(redis, name, "flags"), *flags, "{name}");
        assert_eq!(field(redis, name, "keys").join(" "), *keys, "{name}");
        assert_eq!(field(redis, name, "channels").join(" "), "", "{name}");
        assert_eq!(field(redis, name, "passwords").len(), 1, "{name}");
        assert!(field(redis, name, "selectors").is_empty(), "{name}");
        let expected: BTreeSet<&str> = allowed.iter().copied().chain(EVERYBODY).collect();
        let found: BTreeSet<&str> = commands
            .iter()
            .filter(|(_, arguments)| !dry_run(redis, name, arguments).contains("no permissions to run"))
            .map(|(command, _)| command.as_str())
            .collect();
        assert_eq!(found, expected, "{name}");
        assert_eq!(dry_run(redis, name, own), "OK", "{name} {own:?}");
        for arguments in *foreign {
            let said = dry_run(redis, name, arguments);
            assert!(said.contains("no permissions to access"), "{name} {arguments:?}: {said}");
        }
    }
}

/// What Redis would say to that user.
fn dry_run<T: AsRef<str>>(redis: &mut Connection, user: &str, command: &[T]) -> String {
    let mut request = cmd("ACL");
    request.arg("DRYRUN").arg(user);
    for argument in command {
        request.arg(argument.as_ref());
    }
    request.query(redis).unwrap_or_else(|error| panic!("{user}: {error}"))
}

/// A part of what `ACL GETUSER` tells: a list, or the words of a text.
fn field(redis: &mut Connection, user: &str, name: &str) -> Vec<String> {
    let told: Vec<Value> = cmd("ACL").arg("GETUSER").arg(user).query(redis).unwrap();
    let mut pairs = told.chunks(2);
    let value = pairs.find(|pair| String::from_redis_value_ref(&pair[0]).as_deref() == Ok(name));
    match &value.unwrap_or_else(|| panic!("ACL GETUSER tells no {name}"))[1] {
        Value::Array(items) => items.iter().map(text).collect(),
        text_value => text(text_value).split_whitespace().map(str::to_owned).collect(),
    }
}

/// Every command and every subcommand that this Redis knows, with as many arguments as it takes at least.
fn every_command(redis: &mut Connection) -> Vec<(String, Vec<String>)> {
    let names: Vec<String> = cmd("COMMAND").arg("LIST").query(redis).unwrap();
    let described: Vec<Vec<Value>> = cmd("COMMAND").arg("INFO").arg(&names).query(redis).unwrap();
    assert_eq!(described.len(), names.len());
    let mut commands = Vec::new();
    for command in &described {
        let Some(Value::Array(inner)) = command.get(9) else { panic!("no subcommands: {command:?}") };
        if inner.is_empty() {
            commands.push(shortest(command));
        }
        for subcommand in inner {
            let Value::Array(subcommand) = subcommand else { panic!("{subcommand:?}") };
            commands.push(shortest(subcommand));
        }
    }
    commands
}

fn shortest(command: &[Value]) -> (String, Vec<String>) {
    let (name, Value::Int(arity)) = (text(&command[0]), &command[1]) else { panic!("{command:?}") };
    let mut arguments: Vec<String> = name.split('|').map(str::to_owned).collect();
    let length = usize::try_from(arity.abs()).unwrap();
    while arguments.len() < length {
        arguments.push("1".to_owned());
    }
    (name, arguments)
}

fn text(value: &Value) -> String {
    String::from_redis_value_ref(value).unwrap_or_else(|error| panic!("{value:?}: {error}"))
}
