"""The command line. Nothing heavy is imported before a command runs, so that --help is instant."""

from onecycle.cli.app import app as app
from onecycle.cli.app import main as main
