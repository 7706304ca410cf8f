"""Breaks a copy of the files in one way after the other, and tells which of these no check notices."""

import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

# The check that must fail, the file, what stands in it, and what stands there instead.
ACTS = [
    ("dockerfiles", "infra/images/api.Dockerfile", "USER 65532:65532\n", ""),
    ("dockerfiles", "infra/images/api.Dockerfile", "RUST_VERSION=1.", "RUST_VERSION=0."),
    ("dockerfiles", "infra/images/api.Dockerfile", "SPIN_VERSION=v4", "SPIN_VERSION=v3"),
    ("dockerfiles", "infra/images/batch.Dockerfile", "WORKDIR /src", "WORKDIR src"),
    ("dockerfiles", "infra/images/edge.Dockerfile", "infra/images/front-door", "infra/images/back-door"),
    ("dockerfiles", "infra/images/runtime-config.toml", 'log_dir = ""\n', ""),
    ("dockerfiles", ".dockerignore", "!migrations\n", ""),
    ("dockerfiles", ".dockerignore", "!wit\n", "!wit\n!.compose\n"),
    ("compose", "infra/local/docker-compose.yml", "stop_grace_period", "stop_grace"),
    ("compose", "infra/local/docker-compose.yml", "cache: { condition", "cash: { condition"),
    ("consistency", "infra/local/docker-compose.yml", "SPIN_VARIABLE_REDIS_CACHE_HOST", "SPIN_VARIABLE_CACHE_HOST"),
    ("compose", "infra/local/docker-compose.yml", "FRONT_DOOR_UPSTREAM", "FRONT_DOOR_BACKEND"),
    ("compose", "infra/local/docker-compose.yml", 'PGPASSWORD: "${POSTGRES_PASSWORD}"', "PGPASSWORD: secret"),
    ("compose", "infra/local/docker-compose.yml", "127.0.0.1:${SHORT_LINK_API_PORT", "0.0.0.0:${SHORT_LINK_API_PORT"),
    ("compose", "infra/local/docker-compose.yml", "${SHORT_LINK_METRICS_PORT:-9187}", "${SHORT_LINK_METRICS_PORT:-9187"),
    ("compose", "infra/local/docker-compose.yml", "${SHORTLINK_APP_PASSWORD:?run infra/local/compose-secrets}", "${SHORTLINK_APP_PASSWORD}"),
    ("compose", "infra/local/docker-compose.yml", "<<: *redis-health", "<<: *redis-healthy"),
    ("front-door", "infra/local/nginx.conf", "proxy_cache_lock on;", "proxy_cache_locks on;"),
    ("front-door", "infra/local/nginx.conf", "{{ miss_zone }}", "{{ missing_zone }}"),
    ("front-door", "infra/images/front-door", "word FRONT_DOOR_UPSTREAM", ": FRONT_DOOR_UPSTREAM"),
    ("front-door", "infra/images/front-door", 'cd "$home"\nexec', "exec"),
    ("scripts", "infra/local/compose-secrets", '"$out/$1"', "$out/$1"),
    ("kubernetes", "infra/kubernetes/api/deployment.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"),
    ("kubernetes", "infra/kubernetes/api/deployment.yaml", "runAsNonRoot: true", "runAsNonRoot: false"),
    ("kubernetes", "infra/kubernetes/api/deployment.yaml", "seccompProfile: { type: RuntimeDefault }", "seccompProfile: { type: Unconfined }"),
    ("kubernetes", "infra/kubernetes/api/deployment.yaml", "preStop: { sleep: { seconds: 20 } }", "preStop: { sleep: { seconds: 30 } }"),
    ("kubernetes", "infra/kubernetes/api/deployment.yaml", "/v1/health/ready", "/v1/health/now"),
    ("kubernetes", "infra/kubernetes/api/deployment.yaml", "limits: { cpu: \"2\", memory: 1Gi }", "limits: { cpu: \"2\" }"),
    ("kubernetes", "infra/kubernetes/api/deployment.yaml", "periodSeconds: 3", "periodSecond: 3"),
    ("kubernetes", "infra/kubernetes/api/deployment.yaml", "valueFrom: { secretKeyRef: { name: short-link-api, key: postgres-password } }", "value: hunter2"),
    ("kubernetes", "infra/kubernetes/api/deployment.yaml", "key: redis-codes-password", "key: codes-password"),
    ("kubernetes", "infra/kubernetes/api/deployment.yaml", "key: manage-postgres-password", "key: postgres-manage-password"),
    ("kubernetes", "infra/kubernetes/batch/cronjob.yaml", "key: redis-cache-url", "key: cache-url"),
    ("kubernetes", "infra/kubernetes/api/scaling.yaml", "name: short-link-api }", "name: short-link-apis }"),
    ("kubernetes", "infra/kubernetes/api/service.yaml", "selector: { app.kubernetes.io/name: short-link,", "selector: { app.kubernetes.io/name: long-link,"),
    ("kubernetes", "infra/kubernetes/edge/ingress.yaml", "name: short-link-edge", "name: short-link-front"),
    ("kubernetes", "infra/kubernetes/edge/policy.yaml", "app.kubernetes.io/component: edge }\n  policyTypes", "app.kubernetes.io/component: ledge }\n  policyTypes"),
    ("kubernetes", "infra/kubernetes/network/policies.yaml", "policyTypes: [Ingress, Egress]", "policyTypes: [Ingress]"),
    ("kubernetes", "infra/kubernetes/batch/cronjob.yaml", "concurrencyPolicy: Forbid", "concurrencyPolicy: Allow"),
    ("kubernetes", "infra/kubernetes/migrate/job.yaml", "ttlSecondsAfterFinished", "ttlSecondsAfterwards"),
    ("consistency", "infra/kubernetes/overlays/staging/settings.env", "SPIN_VARIABLE_PUBLIC_HOSTS", "SPIN_VARIABLE_PUBLIC_HOST"),
    ("kubernetes", "infra/kubernetes/overlays/staging/settings.env", "SPIN_VARIABLE_POSTGRES_SSLMODE", "SPIN_VARIABLE_POSTGRES_PASSWORD"),
    ("kubernetes", "infra/kubernetes/overlays/production/kustomization.yaml", "value: 10.30.0.0/16", "value: 192.0.2.0/24"),
    ("kubernetes", "infra/kubernetes/overlays/production/kustomization.yaml", "newTag: 0.1.0", "newTag: latest"),
    ("kubernetes", "infra/kubernetes/overlays/production/kustomization.yaml", "kind: CronJob", "kind: CronJobs"),
    ("kubernetes", "infra/kubernetes/overlays/production/kustomization.yaml", "configMapGenerator", "nameSuffix: x\nconfigMapGenerator"),
    ("kubernetes", "infra/kubernetes/spinapp/spinapp.yaml", "enableAutoscaling: true", "enableAutoscaling: true\n  replicas: 2"),
    ("consistency", "infra/kubernetes/spinapp/spinapp.yaml", "name: postgres_sslmode", "name: postgres_tls"),
    ("consistency", "infra/kubernetes/spinapp/spinapp.yaml", '    - { name: redis_codes_port, value: "6379" }\n', ""),
    ("kubernetes", "infra/kubernetes/spinapp/executor.yaml", "spinImage:", "runtimeClassName: wasmtime-spin-v2\n    spinImage:"),
    ("observability", "infra/observability/alerts.yml", "max(shortlink_codes_available) == 0", "max(shortlink_codes_available == 0"),
    ("observability", "infra/observability/alerts.yml", "absent(shortlink_batch_last_run_timestamp_seconds)", "absent(shortlink_batch_last_run)"),
    ("observability", "infra/observability/alerts.yml", "#the-pool-is-empty", "#the-pool-is-full"),
    ("observability", "infra/observability/alerts.yml", "for: 2m", "for: 2 minutes"),
    ("observability", "infra/observability/alerts.yml", "severity: page", "severity: urgent"),
    ("observability", "infra/observability/prometheus.yml", "honor_labels", "honour_labels"),
    ("observability", "infra/observability/prometheus.yml", "rule_files: [alerts.yml]", "rule_files: [rules.yml]"),
    ("observability", "infra/observability/collector.yaml", "limit_percentage: 75", "limit_percent: 75"),
    ("observability", "infra/observability/collector.yaml", "exporters: [prometheus]", "exporters: [prometheus/spin]"),
    ("observability", "infra/observability/collector.yaml", "[memory_limiter, filter/blank, batch]", "[batch, filter/blank, memory_limiter]"),
    ("observability", "infra/observability/collector.yaml", "unit: s\n", "unit: ms\n"),
    ("observability", "infra/observability/grafana/short-link.json", "shortlink_codes_target", "shortlink_codes_wanted"),
    ("observability", "infra/observability/grafana/short-link.json", '"schemaVersion": 39,', '"schemaVersion": 39'),
    ("observability", "infra/observability/grafana/provisioning/dashboards.yml", "providers:", "provider:"),
    ("observability", "native-batch/src/metrics.rs", '"shortlink_codes_target"', '"shortlink_codes_wanted"'),
    ("observability", "docs/observability.md", "| `spin_request_count_total` |", "| `spin_requests_total` |"),
    ("consistency", "spin.toml", 'default_ttl_days = { default = "14" }', 'default_ttl_days = { default = "15" }'),
    ("consistency", "spin.toml", 'max_ttl_days = {', 'most_ttl_days = {'),
    ("consistency", "spin.toml", 'redis_codes_user = { default = "shortlink_app" }', 'redis_codes_user = { default = "shortlink_reader" }'),
    ("consistency", "spin.toml", '"{{ manage_postgres_user }}"', '"{{ postgres_user }}"'),
    ("consistency", "spin.toml", 'redis_codes_password = "{{ redis_codes_password }}"', 'redis_codes_password = "{{ manage_redis_codes_password }}"'),
    ("consistency", "spin.toml", '[component.health]', '[component.report]\nsource = ""\nvariables = {}\nbuild = { command = "" }\n\n[component.health]'),
    ("consistency", "spin.toml", 'route = "/v1/health/ready"', 'route = "/v1/ready"'),
    ("consistency", "docs/configuration.md", "SPIN_VARIABLE_POSTGRES_SSLMODE", "SPIN_VARIABLE_POSTGRES_TLS"),
    ("consistency", "docs/developing.md", "| `components/create`, `resolve`, `manage`, `health`", "| `components/create`, `resolve`"),
    ("consistency", "docs/api.md", "| `POST /v1/shortlink` |", "| `POST /v1/link` |"),
    ("consistency", "infra/local/nginx.conf", "location = /v1/shortlink {", "location = /v1/link {"),
    ("consistency", "infra/local/nginx.conf", "(v1/shortlink/|", "(v1/link/|"),
    ("consistency", "infra/local/nginx.conf", '"^/v1/links/" {', '"^/v1/link/" {'),
    ("consistency", "infra/local/docker-compose.yml", "SPIN_VARIABLE_MANAGE_POSTGRES_PASSWORD", "SPIN_VARIABLE_MANAGE_PASSWORD"),
    ("consistency", "infra/local/docker-compose.yml", "REDIS_CACHE_URL", "REDIS_LINKS_URL"),
    ("consistency", "infra/kubernetes/api/deployment.yaml", "SPIN_VARIABLE_REDIS_CODES_PASSWORD", "SPIN_VARIABLE_CODES_PASSWORD"),
    ("consistency", "infra/kubernetes/overlays/production/settings.env", "SPIN_VARIABLE_POSTGRES_HOST=", "# "),
    ("consistency", "infra/deploy/service.tf", "SPIN_VARIABLE_PUBLIC_HOSTS", "SPIN_VARIABLE_HOSTS"),
    ("consistency", "infra/deploy/variables.tf", '"redirect_max_age", "allowed_origins"', '"allowed_origins"'),
    ("consistency", "infra/deploy/main.tf", "tasks_max * 4 * 64", "tasks_max * 3 * 64"),
    ("consistency", "infra/deploy/load_balancer.tf", '"/v1/health"', '"/v1/status"'),
    ("consistency", "infra/deploy/redis.tf", "+lpop +llen", "+lpop +rpush +llen"),
    ("consistency", "infra/deploy/redis.tf", 'of = "cache", name = "shortlink_batch"', 'of = "cache", name = "shortlink_reader"'),
    ("consistency", "infra/deploy/batch.tf", "REDIS_CACHE_CA_FILE ", "REDIS_LINKS_CA_FILE "),
    ("consistency", "infra/deploy/one_path.js", "|admin", ""),
    ("consistency", "infra/deploy/service.tf", "SPIN_VARIABLE_MANAGE_POSTGRES_USER ", "SPIN_VARIABLE_MANAGE_USER "),
    ("consistency", "infra/deploy/roles.tf", '"batch", "batch_b"', '"batch"'),
    ("consistency", "infra/deploy/roles.sql", "array['shortlink_batch', 'shortlink_app', 'shortlink_manage']", "array['shortlink_batch', 'shortlink_app']"),
    ("consistency", "infra/deploy/secrets.tf", '"redis_codes_manage", ', ''),
    ("consistency", "infra/setup/registry.tf", '"edge"', '"front"'),
    ("consistency", "infra/local/roles.sql", "'shortlink_manage']", "'shortlink_manage', 'shortlink_reader']"),
    ("consistency", "infra/local/redis-cache.acl", "user shortlink_batch", "user shortlink_reader on >{{ reader_password }} ~link:* -@all +get\nuser shortlink_batch"),
    ("consistency", "crates/local-stack/src/redis.rs", '"operator_password"', '"admin_password"'),
    ("consistency", "migrations/V4__grants.sql", "to shortlink_app;", "to shortlink_api;"),
    ("consistency", "migrations/V7__owned_links.sql", "to shortlink_manage;", "to shortlink_manager;"),
    ("consistency", "wit/world.wit", "world resolve", "world redirect"),
    ("consistency", "Makefile", " -p shortlink-health", ""),
    ("consistency", "infra/images/api.Dockerfile", " -p shortlink-manage", ""),
    ("consistency", "components/create/Cargo.toml", "shortlink-create", "shortlink-make"),
]
COPIED = [
    "infra", "spin.toml", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".dockerignore", "native-batch/src/metrics.rs", "docs",
    "README.md", "Makefile", "wit", "components", "migrations", "fuzz/Cargo.toml", "crates/local-stack/src",
    "crates/core/src/alias.rs",
]


def unnoticed(root, perform):
    """The acts that the named check lets pass, or that cannot be done any more."""
    # A process for each check: that of Kubernetes takes as long as all others.
    with ProcessPoolExecutor() as pool:
        checks = list(dict.fromkeys(act[0] for act in ACTS))
        return [act for found in pool.map(unnoticed_by, checks, repeat(root), repeat(perform)) for act in found]


def unnoticed_by(check, root, perform):
    found = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            source, target = root / name, copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns(".terraform", "__pycache__", "target"))
            else:
                shutil.copy2(source, target)
        if perform(check, copy).faults:
            return [f"{check}: what it needs is not in COPIED"]
        for name, before, after in (act[1:] for act in ACTS if act[0] == check):
            path = copy / name
            text = path.read_text(encoding="utf-8")
            act = f"{check}: {name}: {before.strip()} -> {after.strip()}"
            if before not in text:
                found.append(f"{act} (the former is not there any more)")
                continue
            path.write_text(text.replace(before, after, 1), encoding="utf-8")
            if not perform(check, copy).faults:
                found.append(act)
            path.write_text(text, encoding="utf-8")
    return found
