//! Nobody may do more than the work needs.

use serde_json::json;

use crate::app::App;

#[test]
fn the_app_role_cannot_touch_a_table() {
    let app = App::shared();
    let mut postgres = app.postgres_as_app();
    for statement in [
        "select * from shortlink.short_link",
        "select * from shortlink.short_code",
        "select * from shortlink.code_counter",
        "insert into shortlink.short_code values ('aaaaaaa', now(), now())",
        "update shortlink.short_link set url = 'https://evil.example/'",
        "delete from shortlink.short_code",
        "truncate shortlink.short_link",
        "drop table shortlink.short_link",
        "alter function shortlink.resolve_short_link(text) owner to shortlink_app",
        "create table shortlink.mine (id int)",
        "create table public.mine (id int)",
        "create function public.f() returns int language sql as 'select 1'",
        "set role shortlink_batch",
    ] {
        let error = postgres.batch_execute(statement).expect_err(statement);
        let code = error.code().map_or("", |code| code.code());
        assert_eq!(code, "42501", "{statement}: {error}");
    }
}

#[test]
fn the_app_role_can_do_its_work() {
    let mut postgres = App::shared().postgres_as_app();
    let rows = postgres.query("select * from shortlink.resolve_short_link('no-such-code')", &[]).unwrap();
    assert_eq!(rows.len(), 0);
}

#[test]
fn the_app_user_of_the_cache_can_get_and_set_links_and_nothing_else() {
    let mut cache = App::shared().cache_as_app();
    let allowed: redis::RedisResult<()> =
        redis::cmd("SET").arg("link:permission").arg("-").arg("PX").arg(5).query(&mut cache);
    assert_eq!(allowed, Ok(()));
    for command in [
        "GET other",
        "SET other x",
        "DEL link:permission",
        "KEYS *",
        "FLUSHALL",
        "CONFIG GET *",
        "ACL LIST",
        "LPOP link:x",
    ] {
        assert_refused(&mut cache, command);
    }
}

#[test]
fn the_app_user_of_the_codes_can_take_and_count_and_nothing_else() {
    let mut codes = App::shared().codes_as_app();
    for command in [
        "RPUSH shortlink:codes AAAAAAA",
        "DEL shortlink:codes",
        "LRANGE shortlink:codes 0 -1",
        "GET x",
        "LPOP other",
        "FLUSHALL",
    ] {
        assert_refused(&mut codes, command);
    }
}

#[test]
fn the_batch_user_of_the_codes_can_add_and_count_and_nothing_else() {
    let mut codes = App::shared().codes_as_batch();
    for command in
        ["LPOP shortlink:codes", "DEL shortlink:codes", "RPUSH other x", "FLUSHALL", "CONFIG GET *"]
    {
        assert_refused(&mut codes, command);
    }
}

fn assert_refused(connection: &mut redis::Connection, command: &str) {
    let mut words = command.split(' ');
    let mut request = redis::cmd(words.next().unwrap());
    for word in words {
        request.arg(word);
    }
    let error = request.query::<redis::Value>(connection).expect_err(command);
    assert_eq!(error.code(), Some("NOPERM"), "{command}: {error}");
}

#[test]
fn a_component_reaches_no_host_that_its_manifest_does_not_name() {
    let app = App::with(
        |manifest| {
            let codes = "{{ redis_codes_host }}:{{ redis_codes_port }}";
            let without = manifest.replace(&format!("\"redis://{codes}\","), "");
            without.replace(&format!("\"rediss://{codes}\","), "")
        },
        &[],
    );
    app.push_codes(&["AAAAAAA"]);
    let code = app.create(&json!({ "url": "https://example.com" })).code();
    assert_ne!(code, "AAAAAAA", "the pool is out of reach, and the create goes on without it");
    assert_eq!(app.pool_length(), 1);

    let app = App::with(
        |manifest| manifest.replace("\"postgres://{{ postgres_host }}:{{ postgres_port }}\",", ""),
        &[],
    );
    let reply = app.create(&json!({ "url": "https://example.com" }));
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    assert_eq!(app.get("/v1/shortlink/anything").status, 503);
    assert_eq!(app.get("/v1/health").status, 200);
}

#[test]
fn resolve_gets_no_setting_of_the_codes_redis() {
    let manifest = crate::app::manifest();
    let resolve = manifest.split("[component.").filter(|part| part.starts_with("resolve"));
    assert!(resolve.clone().count() >= 2);
    assert!(resolve.into_iter().all(|part| !part.contains("redis_codes")));
}
