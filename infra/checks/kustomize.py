"""Renders a kustomization, for machines without kubectl.

It knows the fields that infra/kubernetes uses and refuses all others. Where there is a kubectl or a kustomize, the two results are
compared, so that this one cannot drift from the real thing.
"""

import re
import shutil

import jsonpatch
import jsonpointer
import yaml

from report import Failed, run

# The parser in C is ten times faster; PyYAML has it nearly everywhere.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
KNOWN = {"apiVersion", "kind", "namespace", "resources", "configMapGenerator", "images", "patches"}
CLUSTER_WIDE = {"Namespace"}
# Stands for the hash of its content that kustomize appends to the name of a generated ConfigMap.
SUFFIX = "-0000000000"


def load(path):
    """The documents of a YAML file."""
    try:
        with open(path, encoding="utf-8") as file:
            return [document for document in yaml.load_all(file, LOADER) if document is not None]
    except (OSError, yaml.YAMLError) as error:
        raise Failed(f"{path}: {error}") from error


def render(folder):
    """All objects of a kustomization, as kustomize would have them."""
    path = folder / "kustomization.yaml"
    (kustomization,) = load(path)
    unknown = set(kustomization) - KNOWN
    if unknown:
        raise Failed(f"{path}: {', '.join(sorted(unknown))}: not known to infra/checks/kustomize.py; teach it")
    objects = []
    for resource in kustomization.get("resources", []):
        target = folder / resource
        objects += render(target) if target.is_dir() else load(target)
    generated = [generate(folder, entry) for entry in kustomization.get("configMapGenerator", [])]
    objects += generated
    for patch in kustomization.get("patches", []):
        apply(path, patch, objects)
    for item in objects:
        for image in kustomization.get("images", []):
            set_image(item, image)
        for config_map in generated:
            rename(item, config_map["metadata"]["name"].removesuffix(SUFFIX), config_map["metadata"]["name"])
        if "namespace" in kustomization and item["kind"] not in CLUSTER_WIDE:
            item["metadata"]["namespace"] = kustomization["namespace"]
    return objects


def generate(folder, entry):
    unknown = set(entry) - {"name", "envs"}
    if unknown:
        raise Failed(f"{folder}: configMapGenerator: {', '.join(sorted(unknown))}: not known to infra/checks/kustomize.py")
    data = {}
    for name in entry.get("envs", []):
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                key, _, value = line.partition("=")
                data[key] = value
    metadata = {"name": entry["name"] + SUFFIX}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def apply(path, patch, objects):
    target = patch["target"]
    chosen = [item for item in objects if all(
        (item["kind"] if key == "kind" else item["metadata"][key]) == value for key, value in target.items())]
    if not chosen:
        raise Failed(f"{path}: a patch has no target: {target}")
    operations = yaml.safe_load(patch["patch"])
    for item in chosen:
        try:
            jsonpatch.apply_patch(item, operations, in_place=True)
        except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
            raise Failed(f"{path}: the patch of {target}: {error}") from error


def walk(value):
    """Every mapping inside."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def set_image(item, image):
    for mapping in walk(item):
        if mapping.get("image") == image["name"]:
            mapping["image"] = f"{image.get('newName', image['name'])}:{image['newTag']}"


def rename(item, old, new):
    for mapping in walk(item):
        reference = mapping.get("configMapRef") or mapping.get("configMapKeyRef") or mapping.get("configMap")
        if isinstance(reference, dict) and reference.get("name") == old:
            reference["name"] = new


def render_by_tool(folder):
    """What kubectl or kustomize makes of it; nothing where there is neither."""
    if shutil.which("kubectl"):
        command = ["kubectl", "kustomize", str(folder)]
    elif shutil.which("kustomize"):
        command = ["kustomize", "build", str(folder)]
    else:
        return None
    code, out, err = run(command)
    if code != 0:
        raise Failed(f"{folder}: {command[0]}: {err.strip()}")
    return [document for document in yaml.load_all(out, LOADER) if document is not None]


def comparable(objects):
    """By kind and name, with every generated name's hash replaced."""
    hashes = {}
    for item in objects:
        if item["kind"] == "ConfigMap":
            hashes[item["metadata"]["name"]] = re.sub(r"-[0-9a-z]{10}$", SUFFIX, item["metadata"]["name"])
    for item in objects:
        if item["kind"] == "ConfigMap":
            item["metadata"]["name"] = hashes[item["metadata"]["name"]]
        for old, new in hashes.items():
            rename(item, old, new)
    return {(item["kind"], item["metadata"]["name"]): item for item in objects}
