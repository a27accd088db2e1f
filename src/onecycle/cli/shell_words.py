"""Advice in the words of the shell: an option of Python becomes the one of the command line."""

from __future__ import annotations

import re
import shlex
from functools import cache

from onecycle.cli.command_options import can_be_turned_off, flag_of, shell_fields
from onecycle.errors import OnecycleError, with_skipping

# An option and its value, if there is one: missing='drop', suffix=, sizes=128, values=[0, 255].
_OPTION = re.compile(r"""\b([a-z_]+)=('[^']*'|"[^"]*"|\[[-\d., ]*\]|[\w.+-]*\w)?(?![(\[])""")
# Arguments of the data block that have another name in the recipes.
QUOTES = "'\""
_OTHER_NAMES = {"classes": "codes", "folder": "include"}


def shell_advice(error: OnecycleError, *, is_training: bool = True) -> str:
    """Return an error's three lines, with its fix as one types it in a shell.

    Args:
        error: The error.
        is_training: Whether the command can be told to leave an item out; predicting always goes on without it.
    """
    fix = error.shell_fix or error.fix
    fix = in_shell_words(with_skipping(fix) if error.can_skip and is_training else fix)
    return f"{in_shell_words(error.what)}\nExpected {in_shell_words(error.expected)}\nFix: {fix}"


def in_shell_words(text: str) -> str:
    """Return a text with the options of Python written as those of the shell; what the shell lacks stays.

    Example:
        >>> in_shell_words("pass missing='drop' or suffix=.")
        'pass --missing drop or --suffix.'
    """

    def in_shell(found: re.Match[str]) -> str:
        name, value = _OTHER_NAMES.get(found[1], found[1]), found[2]
        if name not in _flags():
            return found[0]
        if value is None or value in ("True", "False"):
            return _flags()[name]
        plain = value[1:-1].replace(" ", "") if value.startswith("[") else value.strip(QUOTES)
        return f"{_flags()[name]} {shlex.quote(plain)}"

    return _OPTION.sub(in_shell, text)


@cache
def _flags() -> dict[str, str]:
    from onecycle.recipes.options import FineTuneOptions

    fields = shell_fields(FineTuneOptions)
    own = {name: flag_of(name) for name in ("sets", "scale", "items")}  # of predict and export
    return own | {
        field.name: flag_of(f"no_{field.name}" if can_be_turned_off(field) else field.name) for field in fields
    }
