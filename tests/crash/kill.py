"""Kill trainings at random moments, resume them, and compare their ends with those of uninterrupted trainings.

    python tests/crash/kill.py --kills 200 --seed 0

prints a table, and exits with 1 if a training ended otherwise than it would have without the kills. `--only TEXT` takes
the cases whose name contains the text; `--list` names them.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

# For this process, those it forks, and the workers that those spawn.
os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
HERE = Path(__file__).resolve().parent
sys.path[1:1] = [str(HERE.parent), str(HERE.parent / "text")]

from processes import Ended, Kill, run_forked

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# An exit by the signal itself is one before training began, when there was nothing to save.
EXPECTED = {
    signal.SIGKILL: {-signal.SIGKILL}, signal.SIGTERM: {143, -signal.SIGTERM}, signal.SIGINT: {130, -signal.SIGINT},
}  # fmt: skip

SHELL_WEIGHT = 0.3  # a command takes seconds to start

Start = Callable[[Path, Kill | None], Ended]
Compare = Callable[[Path, Path], list[str]]


@dataclass
class Tally:
    """What became of a case."""

    kills: int = 0
    resumed: int = 0
    anew: int = 0
    same: int = 0
    differing: int = 0
    faults: list[str] = field(default_factory=list)
    killed_in: Counter[str] = field(default_factory=Counter)
    signals: Counter[str] = field(default_factory=Counter)


@dataclass
class Victim:
    """A case while it is killed again and again.

    Attributes:
        name: Of the case.
        start: Trains in a folder, from the checkpoint in it if there is one.
        compare: Returns what differs between the ends in two folders.
        checkpoint: Name of the checkpoint in the folder.
        weight: How many of the kills it gets, beside the others.
    """

    name: str
    start: Start
    compare: Compare
    folder: Path
    checkpoint: str = "last.ckpt"
    weight: float = 1.0
    tally: Tally = field(default_factory=Tally)
    straight: Ended | None = None
    number: int = 0

    def train_straight(self) -> Ended:
        """Train without a kill, once."""
        if self.straight is None:
            (self.folder / "straight").mkdir(parents=True)
            self.straight = self.start(self.folder / "straight", None)
            if self.straight.code != 0:
                self.tally.faults.append(
                    f"exit {self.straight.code} without a kill: {_last_lines(self.folder / 'straight')}"
                )
        return self.straight

    def kill_some(self, most: int, chance: random.Random) -> None:
        """Train once, killed up to `most` times on the way, and compare the end."""
        straight = self.train_straight()
        if straight.code != 0:
            return
        self.number += 1
        run = self.folder / str(self.number)
        run.mkdir()
        told: list[str] = []
        for _ in range(most):
            ended = self._start(run, aim(straight, chance), told)
            if ended.code == 0 or not _known(ended, told):
                break
        else:
            ended = self._start(run, None, told)
        self._judge(run, ended, told)

    def _start(self, run: Path, kill: Kill | None, told: list[str]) -> Ended:
        if told:
            if (run / self.checkpoint).exists():
                self.tally.resumed += 1
            else:
                self.tally.anew += 1
        ended = self.start(run, kill)
        if kill is not None and ended.killed_in is not None:
            self.tally.kills += 1
            self.tally.killed_in[ended.killed_in] += 1
            self.tally.signals[kill.number.name] += 1
            told.append(f"{kill} during {ended.killed_in}")
            if ended.code != 0 and ended.code not in EXPECTED[kill.number]:
                told.append(f"which exited with {ended.code}")
        return ended

    def _judge(self, run: Path, ended: Ended, told: list[str]) -> None:
        found = self.compare(run, self.folder / "straight") if ended.code == 0 else [f"exit {ended.code}"]
        found += ["it hung"] * ended.hung + [line for line in told if line.startswith("which exited")]
        if found:
            self.tally.differing += 1
            last = "" if ended.code == 0 else f"\n      {_last_lines(run)}"
            self.tally.faults.append(f"run {self.number} in {run}: {'; '.join(found)}; after {', '.join(told)}{last}")
            return
        self.tally.same += 1
        shutil.rmtree(run)


def _known(ended: Ended, told: list[str]) -> bool:
    return not ended.hung and not (told and told[-1].startswith("which exited"))


def _last_lines(run: Path) -> str:
    log = run / "log.txt"
    return " | ".join(log.read_text().splitlines()[-3:]) if log.exists() else ""


def aim(straight: Ended, chance: random.Random) -> Kill:
    """Choose what to kill in, one of its times, a moment in it, and the signal."""
    kinds = sorted({mark for mark, _ in straight.marks})
    mark = chance.choice(kinds)
    times = [place for place, (one, _) in enumerate(straight.marks) if one == mark]
    which = chance.randrange(len(times))
    begin = straight.marks[times[which]][1]
    after = straight.marks[times[which] + 1][1] if times[which] + 1 < len(straight.marks) else straight.seconds
    number = chance.choice(SIGNALS)
    group = number == signal.SIGINT or chance.random() < 0.3
    again = chance.random() * 0.02 if chance.random() < 0.2 else None
    return Kill(mark, which + 1, chance.random() * (after - begin), number, group, again)


def write_data(folder: Path) -> Path:
    """Write the data of all cases, in another process, so that this one stays as it is."""
    import cases

    data = folder / "data"
    if run_forked(lambda pipe: cases.write_data(data), folder / "log.txt").code != 0:
        raise SystemExit(f"The data could not be written: {(folder / 'log.txt').read_text()}")
    return data


def python_victims(data: Path, folder: Path) -> list[Victim]:
    """Return the cases that train in Python."""
    import training
    from cases import CASES

    def start_of(name: str) -> Start:
        return lambda run, kill: run_forked(
            lambda pipe: training.train(CASES[name], data, run, pipe), run / "log.txt", kill
        )

    return [
        Victim(name, start_of(name), training.differences, folder / f"case{number}", weight=case.weight)
        for number, (name, case) in enumerate(CASES.items())
    ]


def shell_victims(data: Path, folder: Path) -> list[Victim]:
    """Return the cases that run the command."""
    import shell

    def start_of(command: tuple[str, ...]) -> Start:
        return lambda run, kill: shell.train(command, data, run, kill)

    return [
        Victim(name, start_of(command), shell.differences, folder / f"shell{number}", "run/last.ckpt", SHELL_WEIGHT)
        for number, (name, command) in enumerate(shell.COMMANDS.items())
    ]


def kill_all(victims: list[Victim], kills: int, chance: random.Random, seconds: float) -> None:
    """Kill until there are so many kills, or the time is over."""
    victims = chance.sample(victims, len(victims))  # a short form takes others with each seed
    end = time.monotonic() + seconds
    while time.monotonic() < end and (left := kills - sum(victim.tally.kills for victim in victims)) > 0:
        able = [victim for victim in victims if victim.straight is None or victim.straight.code == 0]
        if not able:
            return
        # The one that is furthest behind its share.
        victim = min(able, key=lambda each: (each.tally.kills + 0.01 * each.number) / each.weight)
        before, began = len(victim.tally.faults), time.monotonic()
        victim.kill_some(min(chance.randint(1, 4), left), chance)
        outcome = "differs" if len(victim.tally.faults) > before else "same"
        print(
            f"{victim.name}: {victim.tally.kills} kills, {outcome}, {time.monotonic() - began:.1f} s",
            file=sys.stderr,
            flush=True,
        )


def print_table(victims: list[Victim]) -> None:
    columns = ("case", "kills", "resumed", "begun anew", "identical ends", "differing")
    rows = [
        (v.name, *map(str, (v.tally.kills, v.tally.resumed, v.tally.anew, v.tally.same, v.tally.differing)))
        for v in victims if v.straight is not None
    ]  # fmt: skip
    totals = [str(sum(int(row[column]) for row in rows)) for column in range(1, len(columns))]
    table = [columns, tuple("---" for _ in columns), *rows, ("all", *totals)]
    widths = [max(len(row[column]) for row in table) for column in range(len(columns))]
    for row in table:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
    for title, counts in (("Killed during", "killed_in"), ("Signals", "signals")):
        total: Counter[str] = sum((getattr(victim.tally, counts) for victim in victims), Counter())
        print(f"\n{title}: {', '.join(f'{name} {count}' for name, count in total.most_common())}.")
    faults = [f"{victim.name}: {fault}" for victim in victims for fault in victim.tally.faults]
    print("\n".join(["", *(f"- {fault}" for fault in faults)]) if faults else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="part of the names of the cases to take")
    parser.add_argument("--seconds", type=float, default=3600, help="begin no training after so long")
    parser.add_argument(
        "--keep", type=Path, help="a folder for all files, kept; by default those of differing ends are"
    )
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # commands inherit it, and a background job ignores Ctrl-C
    folder = options.keep or Path(tempfile.mkdtemp(prefix="onecycle-kill-"))
    folder.mkdir(parents=True, exist_ok=True)
    data = write_data(folder)
    victims = [*python_victims(data, folder), *shell_victims(data, folder)]
    victims = [each for each in victims if options.only in each.name]
    if options.list:
        print("\n".join(victim.name for victim in victims))
    else:
        kill_all(victims, options.kills, random.Random(options.seed), options.seconds)
        print_table(victims)
    faults = any(victim.tally.faults for victim in victims)
    if not faults and not options.keep:
        shutil.rmtree(folder)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
