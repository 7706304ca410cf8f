"""Checks what the service is deployed with. Run by infra/check-manifests, which installs what this needs."""

import sys
import time
from pathlib import Path

import consistency
import containers
import kubernetes
import observability
import sabotage
from common import UNREADABLE, Report

CHECKS = {
    "dockerfiles": containers.check_dockerfiles,
    "compose": containers.check_compose,
    "front-door": containers.check_front_door,
    "scripts": containers.check_scripts,
    "kubernetes": kubernetes.check,
    "observability": observability.check,
    "consistency": consistency.check,
}


def perform(name, root):
    report = Report()
    try:
        CHECKS[name](root, report)
    except UNREADABLE as error:
        report.fault(name, error)
    return report


def show(name, began, verdict, lines):
    print(f"{name:14} {verdict} ({time.monotonic() - began:.1f} s)")
    for line in lines:
        print(f"    {line}")


def main():
    root = Path(__file__).resolve().parents[2]
    faults = []
    for name in CHECKS:
        began, report = time.monotonic(), perform(name, root)
        faults += report.faults
        verdict = f"{len(report.faults)} faults" if report.faults else "ok"
        show(name, began, verdict, report.notes + [f"FAULT {fault}" for fault in report.faults])
    # The checks themselves: each must notice what it is there for.
    if not faults:
        began, faults = time.monotonic(), sabotage.unnoticed(root, perform)
        count = len(sabotage.ACTS)
        show("sabotage", began, f"{count - len(faults)} of {count} faults on purpose are noticed",
             [f"FAULT no check notices: {act}" for act in faults])
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
