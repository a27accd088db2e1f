"""Loads bundles in a process where a network, foreign code, another process or a written file is an alarm.

Called with a file of paths, a line each. It prints a JSON object a line: the path, and how the load ended.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import sys
import sysconfig
from pathlib import Path
from typing import Any

import torch

import onecycle as oc

SECONDS = 60
ALARMS = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.startfile",
    "ctypes.", "urllib.", "http.client", "ftplib.", "smtplib.", "webbrowser.", "pickle.find_class",
    "pty.spawn", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate",
    "shutil.",
)  # fmt: skip
LIBRARIES = tuple(
    {sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")} | {str(Path(oc.__file__).parent)}
)


class Alarm(BaseException):
    """Nothing that loads a bundle may catch this and go on."""


class Trap:
    """An audit hook that is on while a bundle loads."""

    def __init__(self) -> None:
        self.on, self.seen = False, ""
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and self._is_foreign(event, arguments):
            self.on, self.seen = False, f"{event} {str(arguments)[:200]}"
            raise Alarm(self.seen)

    def _is_foreign(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            _, mode, flags = arguments
            return bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or any(c in (mode or "") for c in "wax+")
        if event == "exec":
            return not _is_of_a_library(getattr(arguments[0], "co_filename", ""))
        if event == "compile":
            return not _is_of_a_library(str(arguments[1]))
        if event == "marshal.loads":
            return not _is_importing()
        if event == "ctypes.dlopen":
            return bool(arguments[0] != "libnvidia-ml.so.1")  # torch looks for a GPU
        return event.startswith(ALARMS)


def _is_of_a_library(name: str) -> bool:
    # Dataclasses and named tuples are made of a text, while the module that has them is imported.
    return name.startswith((*LIBRARIES, "<frozen ")) or (name in ("<string>", "<unknown>") and _is_importing())


def _is_importing() -> bool:
    frame: Any = sys._getframe()
    while frame and frame.f_code.co_name != "_find_and_load":
        frame = frame.f_back
    return frame is not None


def load(path: str, trap: Trap) -> dict[str, Any]:
    """Return how a load ended: "loaded" with a checksum of the weights, "refused", or what went wrong."""
    signal.alarm(SECONDS)
    trap.on, trap.seen = True, ""
    try:
        model = oc.load_model(path, device="cpu")
    except oc.BundleError as error:
        lines = str(error).split("\n")
        well_told = len(lines) == 3 and lines[1].startswith("Expected ") and lines[2].startswith("Fix: ")
        ended = {
            "end": "refused" if well_told and all(map(str.isprintable, lines)) else "badly told",
            "message": str(error),
        }
    except Alarm as alarm:
        ended = {"end": "alarm", "message": str(alarm)}
    except BaseException as error:
        ended = {"end": "escaped", "message": f"{type(error).__name__}: {error}"[:300]}
    else:
        ended = {"end": "loaded", "message": checksum(model.model.state_dict())}
    finally:
        trap.on = False
        signal.alarm(0)
    if trap.seen:
        ended = {"end": "alarm", "message": trap.seen}
    return ended


def checksum(tensors: dict[str, torch.Tensor]) -> str:
    """Return a checksum of the names and values of tensors, whatever their memory format."""
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(name.encode() + str(tuple(tensor.shape)).encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def raise_hang(*arguments: Any) -> None:
    raise Alarm(f"not done after {SECONDS} seconds")


def main(listed: str, warm: list[str]) -> None:
    signal.signal(signal.SIGALRM, raise_hang)
    trap = Trap()
    for path in warm:  # valid ones, so that most libraries are imported
        oc.load_model(path, device="cpu")
    before = peak_megabytes()
    for path in Path(listed).read_text().splitlines():
        print(json.dumps({"path": path, **load(path, trap), "more_megabytes": peak_megabytes() - before}), flush=True)


def peak_megabytes() -> int:
    """Return the most memory that this process has had at once."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    # `ru_maxrss` begins with what the parent had.
    return next(int(line.split()[1]) // 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
