"""``python -m tocsin``: the same as the command."""

from tocsin.cli import main

main()
