"""The Dockerfiles, the compose file, the front door's configuration and the scripts."""

import importlib.resources
import json
import os
import re
import shutil
import stat
import tempfile
import tomllib
from pathlib import Path

import crossplane
import jsonschema

import kustomize
import variables
from report import Failed, run

SECRET = re.compile(r"PASSWORD|_KEY$|_URL$|REDISCLI_AUTH")
SCRIPTS = ("infra/check-manifests", "infra/images/front-door", "infra/local/compose-secrets")


def tool(name):
    """A program of the virtual environment."""
    return str(Path(os.environ["VIRTUAL_ENV"]) / "bin" / name)


def check_dockerfiles(root, report):
    files = sorted((root / "infra/images").glob("*.Dockerfile"))
    if not files:
        raise Failed("infra/images: no Dockerfiles")
    with open(root / "rust-toolchain.toml", "rb") as file:
        rust = tomllib.load(file)["toolchain"]["channel"]
    for path in files:
        where = str(path.relative_to(root))
        _, out, err = run([tool("hadolint"), "--no-color", str(path)])
        for line in (out + err).splitlines():
            report.fault(where, line)
        text = path.read_text(encoding="utf-8")
        for version in re.findall(r"^ARG RUST_VERSION=(\S+)$", text, re.M):
            if version != rust:
                report.fault(where, f"Rust {version}, but rust-toolchain.toml has {rust}")
        if not re.search(r"^USER [1-9]\d*:[1-9]\d*$", text.split("\nFROM ")[-1], re.M):
            report.fault(where, "the last stage has no numeric user other than root")
        for source in re.findall(r"^COPY (?!--from)(?:--\S+ )*(\S+) \S+$", text, re.M):
            if source != "." and not (root / source).is_file():
                report.fault(where, f"copies {source}, which is not there")
    spin = re.search(r"^ARG SPIN_VERSION=(\S+)$", (root / "infra/images/api.Dockerfile").read_text(encoding="utf-8"), re.M)
    executor = (root / "infra/kubernetes/spinapp/executor.yaml").read_text(encoding="utf-8")
    if not spin or f"spinImage: ghcr.io/spinframework/spin:{spin.group(1)}\n" not in executor:
        report.fault("infra/images/api.Dockerfile", "another Spin than in infra/kubernetes/spinapp/executor.yaml")
    with open(root / "infra/images/runtime-config.toml", "rb") as file:
        if tomllib.load(file) != {"state_dir": "", "log_dir": ""}:
            report.fault("infra/images/runtime-config.toml", "the state and log folders are not off")
    ignored(root, report)


def ignored(root, report):
    """The .dockerignore lets in what a build needs, and no secrets."""
    lines = (root / ".dockerignore").read_text(encoding="utf-8").split()
    if "*" not in lines:
        report.fault(".dockerignore", "does not begin by leaving everything out")
    allowed = {line[1:] for line in lines if line.startswith("!")}
    with open(root / "Cargo.toml", "rb") as file:
        workspace = tomllib.load(file)["workspace"]["members"]
    needed = {member.split("/")[0] for member in workspace}
    needed |= {"Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "spin.toml", "migrations", "wit", "infra/images",
               "infra/local/nginx.conf"}
    for name in sorted(needed - allowed):
        report.fault(".dockerignore", f"leaves out {name}, which an image is built from")
    for name in sorted(allowed - needed):
        report.fault(".dockerignore", f"lets in {name}, which no image needs")


def check_compose(root, report):
    path = root / "infra/local/docker-compose.yml"
    where = str(path.relative_to(root))
    (compose,) = kustomize.load(path)
    vendored = importlib.resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    schema = json.loads(vendored.read_text(encoding="utf-8"))
    for error in jsonschema.validators.validator_for(schema)(schema).iter_errors(compose):
        report.fault(where, f"{error.json_path}: {error.message}")
    services = compose["services"]
    script = (root / "infra/images/front-door").read_text(encoding="utf-8")
    for name, service in services.items():
        inside = f"{where}: {name}"
        for other in service.get("depends_on", {}):
            if other not in services:
                report.fault(inside, f"depends on {other}, which is not there")
        if "build" in service:
            if not (path.parent / service["build"]["context"] / service["build"]["dockerfile"]).is_file():
                report.fault(inside, "its Dockerfile is not there")
        elif service["image"].startswith("short-link-"):
            if not any("build" in other and other["image"] == service["image"] for other in services.values()):
                report.fault(inside, f"nothing builds {service['image']}")
        elif not re.search(r":\d+\.\d+", service["image"]):
            report.fault(inside, f"{service['image']} has no version")
        if not service.get("read_only") or service.get("cap_drop") != ["ALL"]:
            report.fault(inside, "is not confined")
        if service.get("restart") == "unless-stopped" and "healthcheck" not in service:
            report.fault(inside, "has no health check")
        for port in service.get("ports", []):
            if not port.startswith("127.0.0.1:"):
                report.fault(inside, f"{port} can be reached from other machines")
        for variable, value in service.get("environment", {}).items():
            variables.check(inside, variable, root, report)
            if variable.startswith("FRONT_DOOR_") and variable not in script:
                report.fault(inside, f"front-door knows no {variable}")
            if SECRET.search(variable) and "${" not in str(value):
                report.fault(inside, f"{variable} is written down here")
    resolved(where, path, report)


def resolved(where, path, report):
    """An implementation of Compose fills in the variables; and it refuses when the secrets have not been made."""
    text = path.read_text(encoding="utf-8")
    secrets = set(re.findall(r"\$\{([A-Z]+_[A-Z_]*(?:PASSWORD|KEY))\b", text))
    with tempfile.TemporaryDirectory() as folder:
        # It asks podman for its version before anything else.
        podman = Path(folder) / "podman"
        podman.write_text("#!/bin/sh\necho podman version 5.0.0\n", encoding="utf-8")
        podman.chmod(podman.stat().st_mode | stat.S_IXUSR)
        bare = {name: value for name, value in os.environ.items() if name not in secrets}
        bare["PATH"] = f"{folder}:{bare['PATH']}"
        command = [tool("podman-compose"), "--in-pod", "false", "-f", str(path), "config"]
        code, out, err = run(command, env=bare | dict.fromkeys(secrets, "filled-in"), cwd=folder)
        if code != 0 or "filled-in" not in out or "${" in out:
            report.fault(where, f"podman-compose config: {err.strip().splitlines()[-1:] or 'leaves variables open'}")
        code, _, _ = run(command, env=bare, cwd=folder)
        if code == 0 or not all(f"${{{name}:?" in text for name in secrets):
            report.fault(where, "starts without the secrets that infra/local/compose-secrets makes")
    code, _, _ = run(["docker", "compose", "version"]) if shutil.which("docker") else (1, "", "")
    if code != 0:
        report.note("no docker compose here: resolved by podman-compose alone")
        return
    environment = os.environ | dict.fromkeys(secrets, "filled-in")
    code, _, err = run(["docker", "compose", "-f", str(path), "config", "--quiet"], env=environment)
    if code != 0:
        report.fault(where, err.strip())


def check_front_door(root, report):
    """Renders the configuration as the container does, and lets nginx, or a parser of its language, judge it."""
    with tempfile.TemporaryDirectory() as folder:
        stub = Path(folder) / "nginx"
        stub.write_text('#!/bin/sh\npwd -P >"$0.folder"\n', encoding="utf-8")
        stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
        home = Path(folder) / "home"
        environment = {
            "FRONT_DOOR_TEMPLATE": str(root / "infra/local/nginx.conf"), "FRONT_DOOR_HOME": str(home),
            "FRONT_DOOR_UPSTREAM": "127.0.0.1:8000", "FRONT_DOOR_TRUSTED": "10.0.0.0/8,fd00::/8",
        }
        script = str(root / "infra/images/front-door")
        path = f"{folder}:{os.environ['PATH']}"
        code, _, err = run([script], env=environment | {"PATH": path})
        if code != 0:
            report.fault("infra/images/front-door", err.strip())
            return
        # nginx looks for a relative unix: path in the folder that it is started in, whatever -p says.
        folder_of_nginx = Path(f"{stub}.folder").read_text(encoding="utf-8").strip()
        if Path(folder_of_nginx) != home.resolve():
            report.fault("infra/images/front-door", f"starts nginx in {folder_of_nginx}")
        text = (home / "nginx.conf").read_text(encoding="utf-8")
        parsed = home / "parsed.conf"
        # What stands in a map is no directive, which crossplane does not know.
        maps = re.compile(r"^( *map [^{\n]*\{)([^}]*)\}", re.M)
        parsed.write_text(maps.sub(lambda m: m[1] + "\n" * m[2].count("\n") + "}", text), encoding="utf-8")
        for error in crossplane.parse(str(parsed), strict=True, single=True)["errors"]:
            report.fault("infra/local/nginx.conf", str(error["error"]).replace(str(parsed), "line "))
        for wanted in ("set_real_ip_from fd00::/8;", "real_ip_header X-Forwarded-For;", "listen 0.0.0.0:8080 ", "zone=create "):
            if wanted not in text:
                report.fault("infra/images/front-door", f"leaves no `{wanted}` in the configuration")
        # A value that is no word of nginx' language must be refused, not written down.
        code, _, _ = run([script], env=environment | {"PATH": path, "FRONT_DOOR_UPSTREAM": "a:1; evil on"})
        if code == 0:
            report.fault("infra/images/front-door", "takes any value for FRONT_DOOR_UPSTREAM")
        path = "/usr/sbin:/usr/local/sbin:" + os.environ["PATH"]
        if not shutil.which("nginx", path=path):
            report.skip("nginx -t", "there is no nginx here; its configuration was parsed by crossplane")
            return
        code, _, err = run([script, "-t", "-q"], env=environment | {"PATH": path})
        if code != 0:
            report.fault("infra/local/nginx.conf", err.strip())


def check_scripts(root, report):
    for name in SCRIPTS:
        _, out, err = run([tool("shellcheck"), "--format=gcc", str(root / name)])
        for line in (out + err).splitlines():
            report.fault(name, line.removeprefix(str(root) + "/"))
