"""The Dockerfiles, the compose file, the front door's configuration and the scripts."""

import importlib.resources
import json
import os
import re
import shutil
import tempfile
import tomllib
from pathlib import Path

import crossplane

from common import documents, read, run, stand_in, tool, validate

COMPOSE = "infra/local/docker-compose.yml"
SECRET = re.compile(r"PASSWORD|_KEY$|_URL$|REDISCLI_AUTH")
SCRIPTS = ["check-manifests", "images/front-door", "local/compose-secrets", "tf", "tf-mirror"]


def check_dockerfiles(root, report):
    rust = tomllib.loads(read(root, "rust-toolchain.toml"))["toolchain"]["channel"]
    for path in sorted((root / "infra/images").glob("*.Dockerfile")):
        where, text = str(path.relative_to(root)), path.read_text(encoding="utf-8")
        linted = run([tool("hadolint"), "--no-color", str(path)])
        report.lines(where, linted.stdout + linted.stderr)
        for version in re.findall(r"^ARG RUST_VERSION=(\S+)$", text, re.M):
            if version != rust:
                report.fault(where, f"Rust {version}, but rust-toolchain.toml has {rust}")
        if not re.search(r"^USER [1-9]\d*:[1-9]\d*$", text.split("\nFROM ")[-1], re.M):
            report.fault(where, "the last stage has no numeric user other than root")
        for source in re.findall(r"^COPY (?!--from)(?:--\S+ )*(\S+) \S+$", text, re.M):
            if source != "." and not (root / source).is_file():
                report.fault(where, f"copies {source}, which is not there")
    spin = re.findall(r"^ARG SPIN_VERSION=(\S+)$", read(root, "infra/images/api.Dockerfile"), re.M)
    executor = read(root, "infra/kubernetes/spinapp/executor.yaml")
    if spin != re.findall(r"^ *spinImage: ghcr.io/spinframework/spin:(\S+)$", executor, re.M):
        report.fault("infra/images/api.Dockerfile", "another Spin than in infra/kubernetes/spinapp/executor.yaml")
    if tomllib.loads(read(root, "infra/images/runtime-config.toml")) != {"state_dir": "", "log_dir": ""}:
        report.fault("infra/images/runtime-config.toml", "the state and log folders are not off")
    # The .dockerignore lets in what a build needs, and no secrets.
    lines = read(root, ".dockerignore").split()
    members = tomllib.loads(read(root, "Cargo.toml"))["workspace"]["members"]
    needed = {"Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "spin.toml", "migrations", "wit", "infra/images",
              "infra/local/nginx.conf"} | {member.split("/")[0] for member in members}
    allowed = {line[1:] for line in lines if line.startswith("!")}
    if "*" not in lines or needed != allowed:
        report.fault(".dockerignore", f"must leave out everything but what is built from: {sorted(needed ^ allowed)}")


def check_compose(root, report):
    text = read(root, COMPOSE)
    (compose,) = documents(text)
    vendored = importlib.resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    validate(COMPOSE, json.loads(vendored.read_text(encoding="utf-8")), compose, report)
    services = compose["services"]
    built = {service["image"]: service["build"] for service in services.values() if "build" in service}
    script = read(root, "infra/images/front-door")
    for name, service in services.items():
        where, image = f"{COMPOSE}: {name}", service["image"]
        for other in service.get("depends_on", {}):
            if other not in services:
                report.fault(where, f"depends on {other}, which is not there")
        if image in built:
            if not (root / built[image]["dockerfile"]).is_file():
                report.fault(where, "its Dockerfile is not there")
        elif not re.search(r":\d+\.\d+", image):
            report.fault(where, f"nothing builds {image}, and it has no version")
        if not service.get("read_only") or service.get("cap_drop") != ["ALL"]:
            report.fault(where, "is not confined")
        if service.get("restart") == "unless-stopped" and "healthcheck" not in service:
            report.fault(where, "has no health check")
        for port in service.get("ports", []):
            if not port.startswith("127.0.0.1:"):
                report.fault(where, f"{port} can be reached from other machines")
        for variable, value in service.get("environment", {}).items():
            if variable.startswith("FRONT_DOOR_") and variable not in script:
                report.fault(where, f"front-door knows no {variable}")
            if SECRET.search(variable) and "${" not in str(value):
                report.fault(where, f"{variable} is written down here")
    check_interpolation(root / COMPOSE, text, report)


def check_interpolation(path, text, report):
    """An implementation of Compose fills in the variables; and it refuses when the secrets have not been made."""
    secrets = set(re.findall(r"\$\{([A-Z]+_[A-Z_]*(?:PASSWORD|KEY))\b", text))
    with tempfile.TemporaryDirectory() as folder:
        # It asks podman for its version before anything else.
        stand_in(folder, "podman", "echo podman version 5.0.0")
        bare = {name: value for name, value in os.environ.items() if name not in secrets}
        bare["PATH"] = f"{folder}:{bare['PATH']}"
        command = [tool("podman-compose"), "--in-pod", "false", "-f", str(path), "config"]
        filled = run(command, env=bare | dict.fromkeys(secrets, "filled-in"), cwd=folder)
        if filled.returncode != 0 or "filled-in" not in filled.stdout or "${" in filled.stdout:
            report.fault(COMPOSE, f"podman-compose config: {filled.stderr.strip() or 'leaves variables open'}")
        if run(command, env=bare, cwd=folder).returncode == 0 or not all(f"${{{name}:?" in text for name in secrets):
            report.fault(COMPOSE, "starts without the secrets that infra/local/compose-secrets makes")


def check_front_door(root, report):
    """Renders the configuration as the container does, and lets nginx, or a parser of its language, judge it."""
    script, template = "infra/images/front-door", "infra/local/nginx.conf"
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        stand_in(folder, "nginx", f"pwd -P >{folder}/started-in")
        environment = {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "FRONT_DOOR_TEMPLATE": str(root / template), "FRONT_DOOR_HOME": str(home),
            "FRONT_DOOR_UPSTREAM": "127.0.0.1:8000", "FRONT_DOOR_TRUSTED": "10.0.0.0/8,fd00::/8",
        }

        def start(*arguments, **changes):
            return run([str(root / script), *arguments], env=environment | changes)

        started = start()
        if started.returncode != 0:
            report.fault(script, started.stderr.strip())
            return
        # nginx looks for a relative unix: path in the folder that it is started in, whatever -p says.
        if Path((Path(folder) / "started-in").read_text(encoding="utf-8").strip()) != home.resolve():
            report.fault(script, "starts nginx in another folder than FRONT_DOOR_HOME")
        text = (home / "nginx.conf").read_text(encoding="utf-8")
        trusted = ("set_real_ip_from fd00::/8;", "real_ip_header X-Forwarded-For;")
        for wanted in (*trusted, "listen 0.0.0.0:8080 ", "zone=create "):
            if wanted not in text:
                report.fault(script, f"leaves no `{wanted}` in the configuration")
        # A value that is no word of nginx' language must be refused, not written down.
        if start(FRONT_DOOR_UPSTREAM="a:1; evil on").returncode == 0:
            report.fault(script, "takes any value for FRONT_DOOR_UPSTREAM")
        # What stands in a map is no directive, which crossplane does not know.
        parsed = home / "parsed.conf"
        parsed.write_text(re.sub(r"^( *map [^{\n]*\{)[^}]*\}", r"\1}", text, flags=re.M), encoding="utf-8")
        for error in crossplane.parse(str(parsed), strict=True, single=True)["errors"]:
            report.fault(template, error["error"])
        path = "/usr/sbin:/usr/local/sbin:" + os.environ["PATH"]
        if shutil.which("nginx", path=path):
            report.lines(template, start("-t", "-q", PATH=path).stderr)
        else:
            report.notes.append("SKIPPED nginx -t: there is no nginx here; its configuration was parsed by crossplane")


def check_scripts(root, report):
    linted = run([tool("shellcheck"), "--format=gcc", *SCRIPTS], cwd=root / "infra")
    report.lines("shellcheck", linted.stdout + linted.stderr)
