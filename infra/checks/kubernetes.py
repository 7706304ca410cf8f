"""infra/kubernetes: every overlay is rendered, held against Kubernetes' schemas and the rules of this project."""

import json
import re

import kubernetes_validate

from common import at, documents, expect, read, run, shape_of, tool, validate, walk

# The oldest and the newest version that the manifests are for.
VERSIONS = ("1.33", "1.37")
# Objects that have been found valid before: most of an overlay is as in the others.
VALID = set()
POD_TEMPLATES = {
    "Deployment": "spec.template",
    "Job": "spec.template",
    "CronJob": "spec.jobTemplate.spec.template",
    # Its labels are in spec.podLabels.
    "SpinApp": "",
}
SECRET = re.compile(r"PASSWORD|_KEY$|DATABASE_URL|REDIS_C\w+_URL|TOKEN|password")

POD = [
    ("securityContext.runAsNonRoot", True),
    ("securityContext.runAsUser", bool),
    ("securityContext.seccompProfile.type", "RuntimeDefault"),
    ("automountServiceAccountToken", False),
]


def complete(resources):
    return set(resources or ()) == {"cpu", "memory"}


CONTAINER = [
    ("securityContext.readOnlyRootFilesystem", True),
    ("securityContext.allowPrivilegeEscalation", False),
    ("securityContext.capabilities", {"drop": ["ALL"]}),
    ("securityContext.privileged", None),
    ("resources.requests", complete),
    ("resources.limits", complete),
    # The overlay sets a registry and a version.
    ("image", lambda image: re.fullmatch(r"[^:]+/.+:(?!latest$)[^:]+", image)),
]
SERVING = [("readinessProbe", bool), ("livenessProbe", bool)]
API = [
    ("startupProbe.httpGet.path", "/v1/health/ready"),
    ("readinessProbe.httpGet.path", "/v1/health"),
    ("livenessProbe.httpGet.path", "/v1/health"),
]


def check(root, report):
    overlays = sorted(path.parent for path in (root / "infra/kubernetes").glob("overlays/**/kustomization.yaml"))
    if not overlays:
        report.fault("infra/kubernetes", "has no overlays")
    by_hand = made_by_hand(root)
    for overlay in overlays:
        name = str(overlay.relative_to(root))
        rendered = run([tool("kubectl"), "kustomize", str(overlay)])
        if rendered.returncode != 0:
            report.fault(name, rendered.stderr.strip())
            continue
        objects = Overlay(name, documents(rendered.stdout), by_hand)
        check_overlay(objects, report)
        # kustomize passes over a patch without a target in silence.
        for patch in at(documents(read(overlay, "kustomization.yaml"))[0], "patches") or ():
            if patch["target"]["name"] not in objects.names(patch["target"]["kind"]):
                report.fault(name, f"a patch has no target: {patch['target']}")
    report.notes.append(f"{len(overlays)} kustomizations, against the schemas of Kubernetes {' and '.join(VERSIONS)}")


def made_by_hand(root):
    """The keys of the secrets and config maps that infra/kubernetes/README.md has the operator make."""
    text = read(root, "infra/kubernetes/README.md").replace("\\\n", " ")
    commands = re.findall(r"kubectl create (?:secret generic|configmap) (\S+)(.*)", text)
    return {name: set(re.findall(r"--from-(?:literal|file)=([\w.-]+)", rest)) for name, rest in commands}


class Overlay:
    def __init__(self, name, objects, by_hand):
        self.name, self.objects, self.by_hand = name, objects, by_hand

    def of(self, *kinds):
        chosen = [item for item in self.objects if item["kind"] in kinds]
        return [(f"{self.name}: {item['kind']} {item['metadata']['name']}", item) for item in chosen]

    def names(self, *kinds):
        return {item["metadata"]["name"] for _, item in self.of(*kinds)}

    def pods(self):
        """The labels of the pods of everything that has some."""
        return [(where, at(item, POD_TEMPLATES[item["kind"]] + ".metadata.labels") or at(item, "spec.podLabels"))
                for where, item in self.of(*POD_TEMPLATES)]


def check_overlay(overlay, report):
    for item in overlay.objects:
        where = f"{overlay.name}: {item['kind']} {item['metadata']['name']}"
        if shape_of(item["kind"]):
            validate(where, shape_of(item["kind"]), item, report)
        else:
            validate_builtin(where, item, report)
        if item["kind"] == "Secret":
            report.fault(where, "secrets are made by hand, not written here")
        if item["kind"] != "Namespace" and "namespace" not in item["metadata"]:
            report.fault(where, "has no namespace")
        check_references(where, item, overlay, report)
    for where, item in overlay.of("Deployment", "Job", "CronJob"):
        check_pod(where, item, at(item, POD_TEMPLATES[item["kind"]] + ".spec"), report)
    for where, item in overlay.of("CronJob"):
        expect(where, item["spec"], [("concurrencyPolicy", "Forbid")], report)
    for where, item in overlay.of("ConfigMap"):
        for key in filter(SECRET.search, item["data"]):
            report.fault(where, f"{key} belongs in a secret")
    for where, item in overlay.of("SpinApp"):
        if ("replicas" in item["spec"]) == at(item, "spec.enableAutoscaling"):
            report.fault(where, "needs replicas or enableAutoscaling, and not both")
        expect(where, item["spec"], [("executor", overlay.names("SpinAppExecutor").__contains__)], report)
    for where, item in overlay.of("SpinAppExecutor"):
        if len({"runtimeClassName", "spinImage"} & set(item["spec"]["deploymentConfig"])) != 1:
            report.fault(where, "needs a runtimeClassName or a spinImage, and not both")
    for where, item in overlay.of("Service", "PodDisruptionBudget"):
        selector = item["spec"]["selector"]
        labels = selector.get("matchLabels", selector).items()
        if not any(labels <= pod.items() for _, pod in overlay.pods()):
            report.fault(where, "selects no pod")
    if overlay.pods() and not overlay.name.endswith("migrate"):
        check_network(overlay, report)


def validate_builtin(where, item, report):
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


def check_references(where, item, overlay, report):
    """Whatever an object names has to be there, and secrets come by name alone."""
    config_maps = overlay.names("ConfigMap") | set(overlay.by_hand)
    known = {
        "configMap": config_maps, "configMapRef": config_maps, "service": overlay.names("Service", "SpinApp"),
        "scaleTargetRef": overlay.names("Deployment", "SpinApp"), "secretKeyRef": set(overlay.by_hand),
    }
    volumes = {volume["name"] for part in walk(item) for volume in part.get("volumes", [])}
    for part in walk(item):
        for field, names in known.items():
            if field in part and part[field].get("name") not in names:
                report.fault(where, f"{field}: there is no {part[field].get('name')}")
        reference = part.get("secretKeyRef")
        if reference and reference["key"] not in overlay.by_hand.get(reference["name"], ()):
            report.fault(where, f"README.md names no secret {reference['name']} with {reference['key']}")
        if "value" in part and SECRET.search(part.get("name", "")):
            report.fault(where, f"{part['name']} does not come from a secret")
        for mount in part.get("volumeMounts", []):
            if mount["name"] not in volumes:
                report.fault(where, f"there is no volume {mount['name']}")


def check_pod(where, item, spec, report):
    expect(where, spec, POD, report)
    for container in spec["containers"] + spec.get("initContainers", []):
        expect(f"{where}: {container['name']}", container, CONTAINER, report)
    if item["kind"] == "Deployment":
        expect(where, spec["containers"][0], SERVING, report)
    if item["metadata"]["name"] == "short-link-api":
        expect(where, spec["containers"][0], API, report)
        # Else its instances may all be on one node.
        expect(where, spec, [("topologySpreadConstraints", bool)], report)
        sleep = at(spec["containers"][0], "lifecycle.preStop.sleep.seconds") or 0
        if not 0 < sleep < spec.get("terminationGracePeriodSeconds", 30) - 15:
            report.fault(where, "Spin does not drain: it needs a sleep before its end, and 15 s after that")


def check_network(overlay, report):
    policies = [(where, item["spec"]) for where, item in overlay.of("NetworkPolicy")]
    if {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} not in [policy for _, policy in policies]:
        report.fault(overlay.name, "nothing denies what is not allowed")
    selectors = [at(policy, "podSelector.matchLabels") for _, policy in policies]
    for where, labels in overlay.pods():
        if not any(selector and selector.items() <= labels.items() for selector in selectors):
            report.fault(where, "no network policy of its own")
    for where, policy in policies:
        if any(part.get("cidr", "").startswith("192.0.2.") for part in walk(policy)):
            report.fault(where, "the overlay does not say where Postgres and Redis are")
