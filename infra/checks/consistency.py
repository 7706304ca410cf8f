"""Variables, components, routes, roles, users, images and migrations are known in every place that has to know them.

spin.toml declares variables, components and routes, infra/local the roles of Postgres and the users of Redis, and the
Dockerfiles the images. Below, a place is one file or more, an expression that finds names, and possibly one for the part
to look at.
"""

import re
import tomllib

from common import read

API = "infra/kubernetes/api/deployment.yaml"
# Each must set what has no default, or has this machine for its default.
RUNS_COMPONENTS = [
    "infra/local/docker-compose.yml", "infra/images/README.md",
    f"infra/kubernetes/overlays/staging/settings.env {API}", f"infra/kubernetes/overlays/production/settings.env {API}",
]
SPIN_VARIABLE = r"SPIN_VARIABLE_([A-Z_]*[A-Z])\b"
SETTINGS_OF_TERRAFORM = [
    ("infra/deploy/variables.tf", r"\b([a-z]+_\w+)", r"Settings of the components.*"),
    ("infra/deploy/variables.tf", r'"(\w+)"', r"keys\(var\.settings\), \[[^]]*"),
    ("infra/deploy/variables.tf", r"\b([a-z]+_\w+)", r'"settings knows [^;]*'),
]
COMPONENTS = [
    ("wit/world.wit", r"^world (?!built-|service |standard-library )(\w+)"),
    ("wit/world.wit", r"^world built-(\w+)"),
    ("Makefile", r"-p shortlink-(\w+)", r"^GUESTS := .*"),
    ("infra/images/api.Dockerfile", r"-p shortlink-(\w+)"),
    ("fuzz/Cargo.toml", r'^name = "http_(\w+)"'),
    ("docs/developing.md", r"`(?:components/)?(\w+)`", r"^\| `components/[^|]*"),
]
CONNECTIONS = [    # a component of an instance may hold 64 to Postgres
    ("infra/kubernetes/README.md", r"(\d+) times `maxReplicas`"),
    ("infra/kubernetes/api/scaling.yaml", r"(\d+) times maxReplicas"),
    ("infra/kubernetes/spinapp/scaling.yaml", r"(\d+) times maxReplicas"),
]
ROLES = [
    ("infra/deploy/roles.sql", r"'shortlink_(\w+)'", r"create role %I login'[^]]*"),
    ("infra/deploy/roles.sql", r"'shortlink_(\w+)'", r"create role %I login in role[^]]*"),
    ("infra/deploy/secrets.tf", r'"postgres_(\w+)"', r"^  users = \[[^]]*"),
    ("infra/local/docker-compose.yml", r"SHORTLINK_(\w+)_PASSWORD:", r"^  roles:\n(?:    .*\n)+"),
    ("crates/local-stack/src/postgres.rs", r"'shortlink_(\w+)'", r"array\[[^]]*"),
    ("migrations/README.md", r"create role shortlink_(\w+)"),
    ("docs/running.md", r"create role shortlink_(\w+)"),
    ("docs/credentials.md", r"create role shortlink_(\w+?)_b"),
]
ROLES_AND_SECOND_ROLES = [
    ("infra/deploy/roles.sql", r"shortlink_(\w+)", r"^.password .*"),
    ("infra/deploy/roles.sh", r'"\$SHORTLINK_(\w+)"', r"^for password in .*"),
    ("infra/deploy/roles.tf", r'"(\w+)"', r"for name in \[[^]]*"),
]
REDIS_PASSWORDS = [
    ("infra/local/compose-secrets", r"\{\{ (\w+)_password \}\}"),
    ("infra/local/compose-secrets", r"SHORTLINK_(\w+)_PASSWORD", r"for name in .*"),
    ("crates/local-stack/src/redis.rs", r'"(\w+)_password"'),
    ("docs/running.md", r"`(\w+)_password`"),
]
BATCH = "infra/kubernetes/batch/cronjob.yaml infra/kubernetes/batch-loop/deployment.yaml infra/deploy/batch.tf crates/local-stack/src/connect.rs"
SERVERS_OF_THE_BATCH = [
    (file, rf"\b(DATABASE|REDIS_[A-Z]+)_{what}\b") for what, more in (
        ("URL", "infra/local/docker-compose.yml docs/running.md"),
        ("CA_FILE", "infra/images/README.md docs/configuration.md docs/credentials.md"),
    ) for file in f"{BATCH} {more}".split()
]
IMAGES = [
    ("infra/images/README.md", r"-t short-link-(\w+) \.$"),
    ("infra/local/docker-compose.yml", r"image: short-link-(\w+):local"),
    ("infra/kubernetes/README.md", r"\b([a-z]+)", r"(?<=for part in )[^;]*"),
    ("infra/kubernetes/overlays/staging/kustomization.yaml", r"name: short-link-(\w+), newName"),
    ("infra/kubernetes/overlays/production/kustomization.yaml", r"name: short-link-(\w+), newName"),
    ("infra/setup/registry.tf", r'"(?!psql)(\w+)"', r"^  images = .*"),
    ("infra/deploy/service.tf infra/deploy/batch.tf", r"image += var\.images\.(?!psql)(\w+)"),
]


def names(root, files, expression, part=r"(?s:.*)"):
    parts = [text for file in files.split() for text in re.findall(part, read(root, file), re.M)]
    return {name.lower() for text in parts for name in re.findall(expression, text, re.M)}


def same(where, what, found, wanted, report):
    for name in sorted(wanted - found):
        report.fault(where, f"lacks the {what} {name}")
    for name in sorted(found - wanted):
        report.fault(where, f"has the {what} {name}, which nothing declares")


def everywhere(root, places, what, wanted, report):
    for place in places:
        same(place[0], what, names(root, *place), wanted, report)


def check(root, report):
    manifest = tomllib.loads(read(root, "spin.toml"))
    check_variables(root, manifest, report)
    check_components(root, manifest, report)
    check_routes(root, manifest, report)
    check_users(root, manifest["variables"], report)
    images = {path.stem for path in (root / "infra/images").glob("*.Dockerfile")}
    everywhere(root, IMAGES, "image", images, report)
    numbers = sorted(int(path.name[1:].split("__")[0]) for path in (root / "migrations").glob("V*.sql"))
    if numbers != list(range(1, len(numbers) + 1)):
        report.fault("migrations", f"the numbers have a gap, or one is there twice: {numbers}")


def check_variables(root, manifest, report):
    defaults = {name: variable.get("default") for name, variable in manifest["variables"].items()}
    declared, needed = set(defaults), {name for name, default in defaults.items() if default in (None, "127.0.0.1")}
    documented = re.findall(r"^\| `(\w+)` \| `?(.*?)`? \|", read(root, "docs/configuration.md"), re.M)
    shown = {(name, "required" if default is None else default or "none") for name, default in defaults.items()}
    same("docs/configuration.md", "variable with its default", set(documented), shown, report)
    check_used(manifest, declared, report)

    def check_given(where, given, needed):
        same(where, "variable", given & needed | given - declared, needed, report)

    for files in RUNS_COMPONENTS:
        check_given(files, names(root, files, SPIN_VARIABLE), needed)
    # What the other clusters have to be told, SpinKube's has to be told too.
    told = names(root, "infra/kubernetes/overlays/production/settings.env", r"^SPIN_VARIABLE_(\w+)=")
    spinapp = names(root, "infra/kubernetes/spinapp/spinapp.yaml", r"- (?:\{ )?name: (\w+)", r"(?s)^  variables:.*")
    check_given("infra/kubernetes/spinapp/spinapp.yaml", spinapp, needed | told)
    # Terraform sets where the servers are and as whom to use them; the rest can be set. ElastiCache has one database.
    given = names(root, "infra/deploy/service.tf", SPIN_VARIABLE)
    own = needed | {name for name in declared if name.endswith("_user")}
    check_given("infra/deploy/service.tf", given, own)
    databases = {name for name in declared if re.fullmatch(r"redis_\w+_database", name)}
    everywhere(root, SETTINGS_OF_TERRAFORM, "setting", declared - given - own - databases, report)
    for path in [root / "README.md", *sorted((root / "docs").glob("*.md")), *sorted((root / "infra").rglob("*.md"))]:
        where = str(path.relative_to(root))
        check_given(where, names(root, where, SPIN_VARIABLE), set())


def check_used(manifest, declared, report):
    """A component gets a variable under its own name, or, where there is one for it alone, that one without its prefix."""
    used = set()
    for component, settings in manifest["component"].items():
        for name, value in settings.get("variables", {}).items():
            variables = re.findall(r"\{\{ *(\w+) *\}\}", value)
            used |= set(variables)
            own = f"{component}_{name}"
            wanted = own if own in declared else name
            if variables != [wanted]:
                report.fault(f"spin.toml: {component}", f"{name} must be {wanted}, and not {value}")
    same("spin.toml: the components", "variable", used, declared, report)


def check_components(root, manifest, report):
    components = set(manifest["component"])
    everywhere(root, COMPONENTS, "component", components, report)
    packages = " ".join(str(path.relative_to(root)) for path in (root / "components").glob("*/Cargo.toml"))
    routed = {trigger["component"] for trigger in manifest["trigger"]["http"] if "component" in trigger}
    same("components", "component", names(root, packages, r'^name = "shortlink-(\w+)"'), components, report)
    same("spin.toml: the routes", "component", routed, components, report)
    for name, component in manifest["component"].items():
        command = component.get("build", {}).get("command", "")
        if f"shortlink_{name}.wasm" not in component["source"] or f"-p shortlink-{name}" not in command:
            report.fault("spin.toml", f"builds another component as {name}")
    everywhere(root, CONNECTIONS, "number of connections", {str(64 * len(components))}, report)
    found = names(root, "infra/deploy/main.tf", r"tasks_max \* (\d+) \* 64")
    same("infra/deploy/main.tf", "number of components", found, {str(len(components))}, report)


def check_routes(root, manifest, report):
    routes = {trigger["route"] for trigger in manifest["trigger"]["http"]} - {"/..."}
    documented = names(root, "docs/api.md", r"`(?:[A-Z]+ )?(/[\w/{}-]+)`", r"^\|.*")
    same("docs/api.md", "route", {re.sub(r"\{(\w+)\}", r":\1", path) for path in documented}, routes, report)
    locations = names(root, "infra/local/nginx.conf", r"location = (/v1/\S*) \{")
    same("infra/local/nginx.conf", "location", locations, {route for route in routes if ":" not in route}, report)
    links = re.findall(r'location ~ "([^"]*)" \{', read(root, "infra/local/nginx.conf"))
    for route in sorted(route for route in routes if ":" in route):
        if not any(re.search(link, route.replace(":code", "Ab3-_")) for link in links):
            report.fault("infra/local/nginx.conf", f"lacks a location for {route}")
    reserved = names(root, "crates/core/src/alias.rs", r'"(\w+)"', r"const RESERVED[^;]*;[^;]*;")
    found = names(root, "infra/local/nginx.conf", r"(\w+)", r"~\^/\((v1\|[^)]*)")
    same("infra/local/nginx.conf", "reserved word", found, reserved, report)
    found = names(root, "infra/deploy/one_path.js", r"(\w+)", r"RESERVED = /\^\(\?:([^)]*)")
    same("infra/deploy/one_path.js", "reserved word", found, reserved, report)
    # Probes, health checks and what the collector leaves out.
    for path in sorted([*(root / "infra").rglob("*.tf"), *(root / "infra").rglob("*.y*ml")]):
        where = str(path.relative_to(root))
        same(where, "route", names(root, where, r"(/v1/[\w/-]+)") - routes, set(), report)


def check_users(root, variables, report):
    roles = names(root, "infra/local/roles.sql", r"'shortlink_(\w+)'", r"array\[[^]]*")
    everywhere(root, ROLES, "role", roles, report)
    everywhere(root, ROLES_AND_SECOND_ROLES, "role", roles | {f"{role}_b" for role in roles}, report)
    owner = names(root, "infra/local/roles.sql", r"owner shortlink_(\w+)")
    migrations = "\n".join(path.read_text(encoding="utf-8") for path in (root / "migrations").glob("V*.sql"))
    grants = " ".join(re.findall(r"^grant [^;]*\sto\s([^;]*);", migrations, re.M))
    granted = set(re.findall(r"\bshortlink_(\w+)", grants))
    same("migrations", "grant to", granted, roles - owner, report)

    users, passwords = {}, set()
    for server in ("cache", "codes"):
        text = read(root, f"infra/local/redis-{server}.acl")
        lines = re.findall(r"^user shortlink_(\w+) on >\{\{ \w+ \}\} (.*)$", text, re.M)
        users |= {(server, user): rights.replace("resetkeys ", "") for user, rights in lines}
        passwords |= {user for user, _ in lines}
    everywhere(root, REDIS_PASSWORDS, "password of a user of Redis", passwords, report)
    expression = r'of = "(\w+)", +name = "shortlink_(\w+)", +rights = "on (.*?)"'
    terraform = re.findall(expression, read(root, "infra/deploy/redis.tf"))
    found = {(server, user): rights for server, user, rights in terraform}
    for server, user in sorted(users.keys() | found.keys()):
        wanted, given = users.get((server, user)), found.get((server, user))
        if wanted != given:
            report.fault("infra/deploy/redis.tf", f"redis-{server}.acl has {user} with {wanted}, and not with {given}")
    servers = {"database"} | {f"redis_{server}" for server, user in users if user == "batch"}
    everywhere(root, SERVERS_OF_THE_BATCH, "server of the batch", servers, report)
    found = names(root, "infra/deploy/secrets.tf", r'"redis_(c\w+)"', r"^  users = \[[^]]*")
    wanted = {f"{server}_{user}" for server, user in users if user != "operator"}
    same("infra/deploy/secrets.tf", "user of Redis", found, wanted, report)

    for name in filter(lambda name: name.endswith("_user"), variables):
        user = variables[name]["default"].removeprefix("shortlink_")
        known = roles if "postgres" in name else {user for server, user in users if f"redis_{server}" in name}
        if user not in known:
            report.fault("spin.toml", f"{name}: there is no {variables[name]['default']}")
