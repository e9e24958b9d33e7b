"""`python -m kb`: the same as the installed command."""

from kb.cli.app import main

main()
