"""A script that starts itself again in every worker."""

from __future__ import annotations

import multiprocessing

from onecycle.errors import DataError


def check_main_guard() -> None:
    """Refuse to start workers while a worker reads the script that started it.

    Workers that are spawned (macOS, Windows, Python 3.14) run the script once more, up to `if __name__ == "__main__":`.

    Raises:
        DataError: This process is such a worker.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise DataError(
            "A worker process ran the whole script again, and was about to start workers itself.",
            'a script whose training is below `if __name__ == "__main__":`.',
            'put the training into a function main(), and write `if __name__ == "__main__": main()` below it; or pass '
            "workers=0 to databunch().",
        )
