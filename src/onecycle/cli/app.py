"""The commands put together, and what happens when one of them fails."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from typing import Annotated, Any

import typer

from onecycle.cli.check import check
from onecycle.cli.compare import compare
from onecycle.cli.demo import demo
from onecycle.cli.doctor import doctor
from onecycle.cli.export import export
from onecycle.cli.info import info
from onecycle.cli.launched import rank
from onecycle.cli.learn import learn
from onecycle.cli.predict import predict
from onecycle.cli.push import push
from onecycle.cli.report import report
from onecycle.cli.review import review
from onecycle.cli.serve import serve
from onecycle.cli.shell_words import in_shell_words, shell_advice
from onecycle.cli.train import train
from onecycle.errors import OnecycleError, SkippedItemWarning

app = typer.Typer(
    help="Train models on folders of images or texts, and predict with them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _command in (train, predict, serve, review, learn, export, push, report, compare, check, info, doctor, demo):
    app.command()(_command)


@app.callback()
def _global_options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    context.obj = debug


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    The exit code is 0 after success, 2 for wrong use or bad data, 1 for an internal error, 130 after Ctrl-C and
    143 after SIGTERM.

    Args:
        arguments: None takes those of this process.
    """
    given = sys.argv[1:] if arguments is None else arguments
    _printed.clear()
    _let_threads_rest()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _print_warning  # type: ignore[assignment]
            app(given, prog_name="onecycle", standalone_mode=True)
    except OnecycleError as error:
        if not _told_by_main_process(error):
            _print_error(shell_advice(error), "--debug" in given)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if not _told_by_main_process(error):
            _print_error(
                f"Internal error in onecycle: {type(error).__name__}: {error}\n"
                "Run onecycle --debug ... to see the traceback.",
                "--debug" in given,
            )
        sys.exit(1)


def _let_threads_rest() -> None:
    """Let threads of OpenMP that wait for others sleep soon, unless the user has said how they wait.

    Beside other programs, a step takes half its time or less then; alone, as long as before (bench/README.md). GNU's
    OpenMP, which PyTorch uses on Linux, reads this when torch is imported, and would have them spin for milliseconds.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def _told_by_main_process(error: Exception) -> bool:
    """Return whether this is one of several processes that all raise the error."""
    return rank() > 0 and bool(error.__dict__.get("in_all_processes"))


_printed: set[str] = set()


def _print_warning(message: Warning | str, *_: Any) -> None:
    """Print a warning as one line, without the place in the source code, and the same one once.

    Of several processes each skips items of its own; everything else the main process says for all.
    """
    note = f"Note: {in_shell_words(str(message))}"
    if note not in _printed and (rank() == 0 or isinstance(message, SkippedItemWarning)):
        _printed.add(note)
        typer.echo(note, err=True)


def _print_error(message: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    typer.echo(message, err=True)
