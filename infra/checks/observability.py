"""infra/observability: the collector, Prometheus, the alerts and the dashboard."""

import json
import re

import jsonschema
import promql_parser

import kustomize
from report import Failed

FOLDER = "infra/observability"
DURATION = re.compile(r"^([0-9]+(ms|s|m|h|d))+$")
# What Grafana puts in before Prometheus sees it.
GRAFANA = {"$__rate_interval": "5m", "$__range": "1h", "$__interval": "1m"}


def known_metrics(root):
    """Every name that exists: those of the batch are read from its source."""
    source = (root / "native-batch/src/metrics.rs").read_text(encoding="utf-8").split("#[cfg(test)]")[0]
    batch = set(re.findall(r'"(shortlink_[a-z_]+)"', source))
    if len(batch) < 5:
        raise Failed("native-batch/src/metrics.rs: its metrics are not found; has it changed its form?")
    lists = json.loads((root / FOLDER / "metrics.json").read_text(encoding="utf-8"))
    return batch, set(lists["spin"]) | set(lists["spanmetrics"])


def check(root, report):
    batch, others = known_metrics(root)
    used = check_alerts(root, batch | others, report)
    used |= check_dashboard(root, batch | others, report)
    for name in sorted(batch - used):
        report.fault(FOLDER, f"neither an alert nor the dashboard shows {name}")
    text = (root / "docs/observability.md").read_text(encoding="utf-8")
    for name in sorted(batch | {re.sub(r"_(bucket|sum|count)$", "", name) for name in others}):
        if name not in text:
            report.fault("docs/observability.md", f"does not tell of {name}")
    check_prometheus(root, report)
    check_collector(root, report)
    for path in sorted((root / FOLDER / "grafana/provisioning").glob("*.yml")):
        (document,) = kustomize.load(path)
        if document.get("apiVersion") != 1 or not ({"providers", "datasources"} & set(document)):
            report.fault(str(path.relative_to(root)), "is no provisioning file of Grafana")


def query(where, text, known, report):
    """The metrics of an expression; a fault if it is not PromQL, or asks for what there is not."""
    for name, value in GRAFANA.items():
        text = text.replace(name, value)
    try:
        expression = promql_parser.parse(text)
    except ValueError as error:
        report.fault(where, f"{error}: {text}")
        return set()
    names = set()

    def visit(node):
        if isinstance(node, promql_parser.VectorSelector):
            names.add(node.name)

    promql_parser.walk(expression, visit)
    for name in sorted(names - known, key=str):
        report.fault(where, f"there is no metric {name}")
    return names


def check_alerts(root, known, report):
    path = root / FOLDER / "alerts.yml"
    where, used, names = str(path.relative_to(root)), set(), set()
    (document,) = kustomize.load(path)
    for group in document["groups"]:
        extra = set(group) - {"name", "interval", "rules"}
        if extra or not group.get("rules"):
            report.fault(f"{where}: {group.get('name')}", f"not a group of rules: {extra or 'no rules'}")
        for rule in group.get("rules", []):
            inside = f"{where}: {rule.get('alert')}"
            if rule.get("alert") in names:
                report.fault(inside, "is there twice")
            names.add(rule.get("alert"))
            if set(rule) - {"alert", "expr", "for", "keep_firing_for", "labels", "annotations"} or "alert" not in rule:
                report.fault(inside, f"fields {sorted(rule)}")
            if not DURATION.match(rule.get("for", "0s")):
                report.fault(inside, f"for: {rule['for']}")
            if rule.get("labels", {}).get("severity") not in ("page", "ticket"):
                report.fault(inside, "severity is neither page nor ticket")
            if set(rule.get("annotations", {})) != {"summary", "description", "runbook"}:
                report.fault(inside, "needs a summary, a description and a runbook")
            else:
                runbook(inside, rule["annotations"]["runbook"], root, report)
            used |= query(inside, rule.get("expr", ""), known, report)
    return used


def runbook(where, target, root, report):
    name, _, anchor = target.partition("#")
    path = root / name
    if not path.is_file():
        report.fault(where, f"there is no {name}")
        return
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    if anchor and anchor not in anchors:
        report.fault(where, f"{name} has no section #{anchor}")


def check_dashboard(root, known, report):
    path = root / FOLDER / "grafana/short-link.json"
    where, used = str(path.relative_to(root)), set()
    try:
        dashboard = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        report.fault(where, str(error))
        return used
    for field in ("uid", "title", "schemaVersion", "panels", "templating"):
        if not dashboard.get(field):
            report.fault(where, f"no {field}")
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    ids, taken = set(), {}
    for panel in dashboard["panels"]:
        inside = f"{where}: {panel.get('title')}"
        if panel["id"] in ids:
            report.fault(inside, f"panel {panel['id']} is there twice")
        ids.add(panel["id"])
        grid = panel["gridPos"]
        if grid["x"] + grid["w"] > 24:
            report.fault(inside, "is wider than the dashboard")
        for x in range(grid["x"], grid["x"] + grid["w"]):
            for y in range(grid["y"], grid["y"] + grid["h"]):
                if taken.setdefault((x, y), panel["id"]) != panel["id"]:
                    report.fault(inside, f"lies on panel {taken[x, y]}")
                    break
        if panel["type"] == "row":
            continue
        if not panel.get("targets"):
            report.fault(inside, "asks for nothing")
        for target in panel.get("targets", []):
            if target["datasource"]["uid"].strip("${}") not in variables:
                report.fault(inside, f"datasource {target['datasource']['uid']} is no variable of the dashboard")
            used |= query(inside, target["expr"], known, report)
    return used


PROMETHEUS = {
    "type": "object", "additionalProperties": False, "required": ["scrape_configs", "rule_files"],
    "properties": {
        "global": {"type": "object", "additionalProperties": False, "properties": {
            "scrape_interval": {"pattern": DURATION.pattern}, "evaluation_interval": {"pattern": DURATION.pattern}}},
        "rule_files": {"type": "array", "items": {"type": "string"}},
        "scrape_configs": {"type": "array", "minItems": 1, "items": {
            "type": "object", "additionalProperties": False, "required": ["job_name", "dns_sd_configs"],
            "properties": {
                "job_name": {"type": "string"}, "honor_labels": {"type": "boolean"},
                "dns_sd_configs": {"type": "array", "minItems": 1, "items": {
                    "type": "object", "additionalProperties": False, "required": ["names", "type", "port"],
                    "properties": {"names": {"type": "array", "items": {"type": "string"}}, "type": {"enum": ["A", "AAAA"]},
                                   "port": {"type": "integer"}}}}}}},
    },
}


def check_prometheus(root, report):
    path = root / FOLDER / "prometheus.yml"
    where = str(path.relative_to(root))
    (document,) = kustomize.load(path)
    for error in jsonschema.Draft202012Validator(PROMETHEUS).iter_errors(document):
        report.fault(where, f"{error.json_path}: {error.message}")
    for name in document.get("rule_files", []):
        if not (path.parent / name).is_file():
            report.fault(where, f"there is no {name}")


def check_collector(root, report):
    path = root / FOLDER / "collector.yaml"
    where = str(path.relative_to(root))
    (document,) = kustomize.load(path)
    schema = json.loads((root / FOLDER / "collector.schema.json").read_text(encoding="utf-8"))
    for error in jsonschema.Draft202012Validator(schema).iter_errors(document):
        report.fault(where, f"{error.json_path}: {error.message}")
    service, connectors = document["service"], set(document.get("connectors", {}))
    used = {"extensions": set(service.get("extensions", []))}
    for name, pipeline in service["pipelines"].items():
        for part in ("receivers", "processors", "exporters"):
            used.setdefault(part, set()).update(pipeline.get(part, []))
        if pipeline.get("processors", [None])[0] != "memory_limiter":
            report.fault(where, f"{name}: the memory limiter is not the first processor")
        if pipeline.get("processors", [None])[-1] != "batch":
            report.fault(where, f"{name}: batch is not the last processor")
    for part, names in used.items():
        ends = connectors if part in ("receivers", "exporters") else set()
        for name in sorted(names - set(document.get(part, {})) - ends):
            report.fault(where, f"a pipeline uses {name}, which {part} does not define")
        for name in sorted(set(document.get(part, {})) - names):
            report.fault(where, f"{part}: {name} is in no pipeline")
    for name in sorted(connectors):
        if name not in used["receivers"] or name not in used["exporters"]:
            report.fault(where, f"{name} does not connect two pipelines")
    spans = document.get("connectors", {}).get("spanmetrics", {})
    if (spans.get("namespace"), spans.get("histogram", {}).get("unit")) != ("traces.span.metrics", "s"):
        report.fault(where, "spanmetrics names its metrics otherwise than metrics.json has them")
