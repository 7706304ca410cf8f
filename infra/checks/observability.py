"""infra/observability: the collector, Prometheus, the alerts and the dashboard."""

import json
import re

import promql_parser

from common import documents, read, shape_of, validate

FOLDER = "infra/observability"
# What Grafana puts in before Prometheus sees it.
GRAFANA = {"$__rate_interval": "5m", "$__range": "1h", "$__interval": "1m"}


def check(root, report):
    batch, described = metrics(root)
    for name in sorted(batch ^ {name for name in described if name.startswith("shortlink_")}):
        report.fault("docs/observability.md", f"its tables and native-batch/src/metrics.rs differ: {name}")
    files = {}
    for path in sorted([*(root / FOLDER).glob("*.y*ml"), *(root / FOLDER).glob("grafana/provisioning/*.yml")]):
        name = str(path.relative_to(root))
        (files[path.name],) = documents(read(root, name))
        validate(name, shape_of(name), files[path.name], report)
    if report.faults:
        return
    for name in files["prometheus.yml"]["rule_files"]:
        read(root / FOLDER, name)
    rules = [rule for group in files["alerts.yml"]["groups"] for rule in group["rules"]]
    expressions = [(f"{FOLDER}/alerts.yml: {rule['alert']}", rule["expr"]) for rule in rules]
    for rule in rules:
        check_runbook(f"{FOLDER}/alerts.yml: {rule['alert']}", rule["annotations"]["runbook"], root, report)
    for panel in json.loads(read(root, f"{FOLDER}/grafana/short-link.json"))["panels"]:
        expressions += [(f"{FOLDER}/grafana: {panel['title']}", target["expr"]) for target in panel.get("targets", [])]
    used = set()
    for where, expression in expressions:
        used |= check_query(where, expression, described, report)
    for name in sorted(batch - used):
        report.fault(FOLDER, f"neither an alert nor the dashboard shows {name}")
    check_pipelines(files["collector.yaml"], report)


def metrics(root):
    """The names that the batch has in its source, and those in the first column of docs/observability.md's tables."""
    source = read(root, "native-batch/src/metrics.rs").split("#[cfg(test)]")[0]
    batch = set(re.findall(r'"(shortlink_[a-z_]+)"', source))
    if len(batch) < 5:
        raise ValueError("native-batch/src/metrics.rs: its metrics are not found; has it changed its form?")
    cells = re.findall(r"^\| (`.*?) \|", read(root, "docs/observability.md"), re.M)
    return batch, {name for cell in cells for name in re.findall(r"`([a-z_]+)[`{]", cell)}


def check_query(where, text, known, report):
    """The metrics of an expression; a fault if it is not PromQL, or asks for what there is not."""
    for name, value in GRAFANA.items():
        text = text.replace(name, value)
    names = set()

    def visit(node):
        if isinstance(node, promql_parser.VectorSelector):
            names.add(node.name)

    try:
        promql_parser.walk(promql_parser.parse(text), visit)
    except ValueError as error:
        report.fault(where, f"{error}: {text}")
    for name in sorted(names, key=str):
        if not {name, re.sub(r"_(bucket|sum|count)$", "", str(name))} & known:
            report.fault(where, f"docs/observability.md has no metric {name}")
    return names


def check_runbook(where, target, root, report):
    name, _, anchor = target.partition("#")
    headings = re.findall(r"^#+ (.*)$", read(root, name), re.M)
    if anchor and anchor not in {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}:
        report.fault(where, f"{name} has no section #{anchor}")


def check_pipelines(document, report):
    where, pipelines = f"{FOLDER}/collector.yaml", document["service"]["pipelines"]
    for name, pipeline in pipelines.items():
        if (pipeline["processors"][0], pipeline["processors"][-1]) != ("memory_limiter", "batch"):
            report.fault(where, f"{name}: the memory limiter must come first, and batch last")
    for part in ("receivers", "processors", "exporters"):
        used = {name for pipeline in pipelines.values() for name in pipeline[part]}
        # A connector is an exporter of one pipeline and a receiver of another.
        defined = set(document[part]) | set(document["connectors"] if part != "processors" else ())
        for name in sorted(used ^ defined):
            report.fault(where, f"{part}: {name} is not both defined and in a pipeline")
    if set(document["service"]["extensions"]) != set(document["extensions"]):
        report.fault(where, "the extensions that are defined and those of the service differ")
