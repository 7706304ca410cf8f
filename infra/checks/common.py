"""What the checks share: where faults go, programs, YAML, and the shapes of documents."""

import os
import re
import subprocess
from pathlib import Path

import jsonschema
import yaml

# What stops a check is a fault: a file that is missing, or that is no YAML, JSON or TOML.
UNREADABLE = (OSError, ValueError, yaml.YAMLError)


class Report:
    def __init__(self):
        self.faults = []
        self.notes = []

    def fault(self, where, what):
        self.faults.append(f"{where}: {what}")

    def lines(self, where, text):
        """Every line that a linter prints is a fault."""
        for line in text.splitlines():
            self.fault(where, line)


def tool(name):
    """A program of the virtual environment."""
    return str(Path(os.environ["VIRTUAL_ENV"]) / "bin" / name)


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def stand_in(folder, name, script):
    """A program of that name, for the front of the PATH."""
    path = Path(folder) / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def read(root, name):
    return (root / name).read_text(encoding="utf-8")


def documents(text):
    """The documents of a YAML file that are not empty."""
    # The parser in C is ten times faster; PyYAML has it nearly everywhere.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [document for document in yaml.load_all(text, loader) if document is not None]


def walk(value):
    """Every mapping inside."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)


def at(value, path):
    """What stands at a.path.like.this, if anything does."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def expect(where, item, rules, report):
    """Each rule is a path, and the value that has to stand there or a test of it."""
    for path, wanted in rules:
        found = at(item, path)
        if not (wanted(found) if callable(wanted) else found == wanted):
            report.fault(where, f"{path} must not be {found!r}")


def pattern(name):
    return f"^({name[1:-1]})$" if name.startswith("/") else f"^{re.escape(name)}$"


def json_schema(shape):
    """A shape of shapes.yaml as JSON Schema."""
    if isinstance(shape, list):
        return {"type": "array", "minItems": 1, "items": json_schema(shape[0])}
    if isinstance(shape, dict):
        fields = {pattern(name.rstrip("!")): json_schema(inner) for name, inner in shape.items()}
        required = [name[:-1] for name in shape if name.endswith("!")]
        return {"type": "object", "additionalProperties": False, "patternProperties": fields, "required": required}
    if shape.startswith("/"):
        return {"type": "string", "pattern": pattern(shape)}
    return {} if shape == "any" else {"type": shape}


SHAPES = documents(read(Path(__file__).parent, "shapes.yaml"))[0]
SCHEMAS = {pattern(name): json_schema(shape) for name, shape in SHAPES.items()}


def shape_of(name):
    """The schema for what has that name, if shapes.yaml has one."""
    return next((schema for expression, schema in SCHEMAS.items() if re.search(expression, name)), None)


def validate(where, schema, document, report):
    validator = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)
    for error in validator(schema).iter_errors(document):
        report.fault(where, f"{error.json_path}: {error.message}")
