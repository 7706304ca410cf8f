"""What spin.toml names, and nothing else, may be set as SPIN_VARIABLE_..."""

import tomllib

PREFIX = "SPIN_VARIABLE_"


def declared(root):
    with open(root / "spin.toml", "rb") as file:
        return tomllib.load(file)["variables"]


def check(where, name, root, report):
    if name.startswith(PREFIX) and name.removeprefix(PREFIX).lower() not in declared(root):
        report.fault(where, f"spin.toml has no variable for {name}")
