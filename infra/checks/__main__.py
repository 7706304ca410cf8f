"""Checks what the service is deployed with. Run by infra/check-manifests, which installs what this needs."""

import sys
import time
from pathlib import Path

import containers
import kubernetes
import observability
import sabotage
from report import Failed, Report

CHECKS = {
    "dockerfiles": containers.check_dockerfiles,
    "compose": containers.check_compose,
    "front-door": containers.check_front_door,
    "scripts": containers.check_scripts,
    "kubernetes": kubernetes.check,
    "observability": observability.check,
}


def perform(name, root, twice=True):
    report = Report(twice)
    try:
        CHECKS[name](root, report)
    except Failed as error:
        report.fault(name, str(error))
    return report


def main():
    root = Path(__file__).resolve().parents[2]
    faults, skipped = 0, []
    for name in CHECKS:
        began = time.monotonic()
        report = perform(name, root)
        verdict = f"{len(report.faults)} faults" if report.faults else "ok"
        print(f"{name:14} {verdict} ({time.monotonic() - began:.1f} s)")
        for note in report.notes:
            print(f"    {note}")
        for fault in report.faults:
            print(f"    FAULT {fault}")
        faults += len(report.faults)
        skipped += report.skipped
    # The checks themselves: each must notice what it is there for.
    began = time.monotonic()
    unnoticed = sabotage.unnoticed(root, perform) if not faults else []
    if not faults:
        print(f"{'sabotage':14} {len(sabotage.ACTS) - len(unnoticed)} of {len(sabotage.ACTS)} faults on purpose are noticed "
              f"({time.monotonic() - began:.1f} s)")
    for act in unnoticed:
        print(f"    FAULT no check notices: {act}")
    for text in skipped:
        print(f"SKIPPED {text}")
    return 1 if faults or unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
