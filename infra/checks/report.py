"""What a check finds, and what it could not look at."""

import subprocess


class Failed(Exception):
    """A check cannot go on: a file is missing or cannot be read."""


class Report:
    def __init__(self, twice=True):
        # Whether what can be done in two ways is done in both, and compared.
        self.twice = twice
        self.faults = []
        self.skipped = []
        self.notes = []

    def fault(self, where, what):
        self.faults.append(f"{where}: {what}")

    def skip(self, what, why):
        self.skipped.append(f"{what}: {why}")

    def note(self, text):
        self.notes.append(text)


def run(command, **options):
    """Runs a program; its output, both streams, belongs to the error."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, **options)
    return done.returncode, done.stdout, done.stderr
