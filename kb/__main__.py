"""`python -m kb`: the same as the installed command."""

from kb.cli.entry import run

run()
