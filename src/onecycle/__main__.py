"""Runs the command line: `python -m onecycle`."""

from onecycle.cli import main

main()
