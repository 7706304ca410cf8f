"""infra/kubernetes: every overlay is rendered, held against Kubernetes' schemas, and against what this project promises."""

import json
import re

import jsonschema
import kubernetes_validate

import kustomize
import variables
from report import Failed

# The oldest and the newest version that the manifests are for.
VERSIONS = ("1.33", "1.37")
# Objects that have been found valid before: most of an overlay is as in the others.
VALID = set()
POD_OWNERS = {
    "Deployment": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
# What the operator makes by hand; see infra/kubernetes/README.md.
BY_HAND = {
    "secret": {
        "short-link-api": {"postgres-password", "redis-cache-password", "redis-codes-password"},
        "short-link-batch": {"database-url", "redis-codes-url", "codes-key"},
    },
    "config map": {"short-link-ca"},
}
SECRET = re.compile(r"PASSWORD|_KEY$|DATABASE_URL|REDIS_CODES_URL|TOKEN|(?i:password)")


def check(root, report):
    base = root / "infra/kubernetes"
    overlays = sorted(path.parent for path in base.glob("overlays/**/kustomization.yaml"))
    if not overlays:
        raise Failed(f"{base}: no overlays")
    schemas = {}
    for path in sorted((base / "schemas").glob("*.json")):
        schemas[path.stem] = json.loads(path.read_text(encoding="utf-8"))
    for overlay in overlays:
        name = str(overlay.relative_to(root))
        objects = kustomize.render(overlay)
        real = kustomize.render_by_tool(overlay) if report.twice else None
        if not report.twice:
            pass
        elif real is None:
            report.note(f"{name}: rendered by infra/checks alone: neither kubectl nor kustomize is on the PATH")
        else:
            compare(name, kustomize.comparable(objects), kustomize.comparable(real), report)
        for item in objects:
            schema(f"{name}: {item['kind']} {item['metadata']['name']}", item, schemas, report)
        promises(name, objects, root, report)
    report.note(f"{len(overlays)} kustomizations, against the schemas of Kubernetes {' and '.join(VERSIONS)}")


def compare(name, ours, theirs, report):
    for key in sorted(set(ours) | set(theirs)):
        if ours.get(key) != theirs.get(key):
            report.fault(name, f"{' '.join(key)}: infra/checks/kustomize.py renders it otherwise than kustomize")


def schema(where, item, schemas, report):
    if item["kind"] in schemas:
        errors = jsonschema.Draft202012Validator(schemas[item["kind"]]).iter_errors(item)
        for error in errors:
            report.fault(where, f"{error.json_path}: {error.message}")
        return
    content = json.dumps(item, sort_keys=True)
    if content in VALID:
        return
    before = len(report.faults)
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(item, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            report.fault(where, f"Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError:
            report.fault(where, f"Kubernetes {version} has no {item['apiVersion']} {item['kind']}")
    if len(report.faults) == before:
        VALID.add(content)


def template(item):
    value = item
    for key in POD_OWNERS[item["kind"]]:
        value = value[key]
    return value


def promises(name, objects, root, report):
    """What no schema asks for, and this project does."""
    def of(kind):
        return [item for item in objects if item["kind"] == kind]

    owners = [item for kind in POD_OWNERS for item in of(kind)]
    names = {kind: {item["metadata"]["name"] for item in of(kind)} for kind in {item["kind"] for item in objects}}
    pods = [(item, template(item)["metadata"]["labels"]) for item in owners]
    pods += [(item, item["spec"]["podLabels"]) for item in of("SpinApp")]

    for item in objects:
        where = f"{name}: {item['kind']} {item['metadata']['name']}"
        if item["kind"] not in kustomize.CLUSTER_WIDE and "namespace" not in item["metadata"]:
            report.fault(where, "has no namespace")
        if item["kind"] == "Secret":
            report.fault(where, "secrets are made by hand, not written here")
    for item in owners:
        pod(f"{name}: {item['kind']} {item['metadata']['name']}", item, names, report)
    for item in of("CronJob"):
        if item["spec"].get("concurrencyPolicy") != "Forbid":
            report.fault(f"{name}: {item['metadata']['name']}", "concurrencyPolicy is not Forbid")
    for item in of("ConfigMap"):
        for key in item["data"]:
            if SECRET.search(key):
                report.fault(f"{name}: {item['metadata']['name']}", f"{key} belongs in a secret")
            variables.check(f"{name}: {item['metadata']['name']}", key, root, report)
    for item in of("SpinApp"):
        spin_app(f"{name}: SpinApp", item, names, root, report)

    serving = names.get("Deployment", set()) | names.get("SpinApp", set())
    for item in of("HorizontalPodAutoscaler"):
        if item["spec"]["scaleTargetRef"]["name"] not in serving:
            report.fault(f"{name}: {item['metadata']['name']}", "scales what is not there")
    services = names.get("Service", set()) | names.get("SpinApp", set())
    for item in of("Service"):
        selects(name, item, item["spec"]["selector"], pods, report)
    for item in of("PodDisruptionBudget"):
        selects(name, item, item["spec"]["selector"]["matchLabels"], pods, report)
    for item in of("Ingress"):
        for mapping in kustomize.walk(item["spec"]["rules"]):
            if "service" in mapping and mapping["service"]["name"] not in services:
                report.fault(f"{name}: Ingress", f"there is no service {mapping['service']['name']}")
    if owners and not name.endswith("migrate"):
        network(name, of("NetworkPolicy"), pods, report)


def selects(name, item, labels, pods, report):
    if not any(labels.items() <= there.items() for _, there in pods):
        report.fault(f"{name}: {item['kind']} {item['metadata']['name']}", "selects no pod")


def network(name, policies, pods, report):
    if not any(policy["spec"]["podSelector"] == {} and set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
               and "ingress" not in policy["spec"] and "egress" not in policy["spec"] for policy in policies):
        report.fault(name, "nothing denies what is not allowed")
    for item, labels in pods:
        chosen = [policy for policy in policies if policy["spec"]["podSelector"].get("matchLabels")
                  and policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()]
        if not chosen:
            report.fault(f"{name}: {item['metadata']['name']}", "no network policy of its own")
    for policy in policies:
        for mapping in kustomize.walk(policy["spec"]):
            if mapping.get("cidr", "").startswith("192.0.2."):
                report.fault(f"{name}: {policy['metadata']['name']}", "the overlay does not say where Postgres and Redis are")


def pod(where, item, names, report):
    spec = template(item)["spec"]
    context = spec.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        report.fault(where, "may run as root")
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        report.fault(where, "no seccomp profile")
    if spec.get("automountServiceAccountToken") is not False:
        report.fault(where, "gets a token of the cluster")
    containers = spec["containers"] + spec.get("initContainers", [])
    for container in containers:
        inside = f"{where}: {container['name']}"
        context = container.get("securityContext", {})
        if context.get("readOnlyRootFilesystem") is not True:
            report.fault(inside, "may write to its root file system")
        if context.get("allowPrivilegeEscalation") is not False:
            report.fault(inside, "may gain privileges")
        if context.get("capabilities", {}).get("drop") != ["ALL"]:
            report.fault(inside, "keeps capabilities")
        if context.get("privileged") or "add" in context.get("capabilities", {}):
            report.fault(inside, "is given privileges")
        resources = container.get("resources", {})
        for kind in ("requests", "limits"):
            if set(resources.get(kind, {})) != {"cpu", "memory"}:
                report.fault(inside, f"resources.{kind} are not complete")
        image, _, tag = container["image"].rpartition(":")
        if "/" not in image or tag in ("", "latest"):
            report.fault(inside, f"image {container['image']}: the overlay sets no registry, or no version")
        if not container.get("resources"):
            report.fault(inside, "no resources")
        environment(inside, container, names, report)
    if item["kind"] == "Deployment":
        main = spec["containers"][0]
        for probe in ("readinessProbe", "livenessProbe"):
            if probe not in main:
                report.fault(where, f"no {probe}")
        if item["metadata"]["name"] == "short-link-api":
            paths = {main[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
            if paths != {"/v1/health", "/v1/health/ready"}:
                report.fault(where, f"its probes ask for {sorted(paths)}")
            sleep = main.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            if not 0 < sleep < spec.get("terminationGracePeriodSeconds", 30) - 15:
                report.fault(where, "Spin does not drain: it needs a sleep before its end, and 15 s after that")
            if not spec.get("topologySpreadConstraints"):
                report.fault(where, "its instances may all be on one node")
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    for volume in spec.get("volumes", []):
        config_map = volume.get("configMap", {}).get("name")
        if config_map and config_map not in BY_HAND["config map"] | names.get("ConfigMap", set()):
            report.fault(where, f"there is no config map {config_map}")
    for container in containers:
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                report.fault(where, f"there is no volume {mount['name']}")


def environment(where, container, names, report):
    for entry in container.get("env", []):
        reference = entry.get("valueFrom", {}).get("secretKeyRef")
        if SECRET.search(entry["name"]) and not reference:
            report.fault(where, f"{entry['name']} does not come from a secret")
        if reference:
            secret_key(where, reference, report)
    for entry in container.get("envFrom", []):
        name = entry.get("configMapRef", {}).get("name")
        if name not in names.get("ConfigMap", set()):
            report.fault(where, f"there is no config map {name}")


def secret_key(where, reference, report):
    if reference["key"] not in BY_HAND["secret"].get(reference["name"], ()):
        report.fault(where, f"README.md names no secret {reference['name']} with {reference['key']}")


def spin_app(where, item, names, root, report):
    if item["spec"]["executor"] not in names.get("SpinAppExecutor", set()):
        report.fault(where, f"there is no executor {item['spec']['executor']}")
    given = {variable["name"] for variable in item["spec"].get("variables", [])}
    # What every other cluster has to be told, this one has to be told too.
    for path in sorted((root / "infra/kubernetes/overlays").glob("*/settings.env")):
        told = re.findall(r"^SPIN_VARIABLE_(\w+)=", path.read_text(encoding="utf-8"), re.M)
        for name in sorted({name.lower() for name in told} - given):
            report.fault(where, f"leaves {name} to its default, which {path.relative_to(root)} does not")
    for variable in item["spec"].get("variables", []):
        variables.check(where, "SPIN_VARIABLE_" + variable["name"].upper(), root, report)
        reference = variable.get("valueFrom", {}).get("secretKeyRef")
        if SECRET.search(variable["name"]) and not reference:
            report.fault(where, f"{variable['name']} does not come from a secret")
        if reference:
            secret_key(where, reference, report)
