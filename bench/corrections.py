"""What the correction loop promises, on real data. argv: folder of the data sets [section ...].

A section is a function in `SECTIONS` that takes the folder and returns its rows, each a measured value beside what was
promised. They are printed as they come, and kept in results/corrections_SECTION.json.

The rankings, with their public calls, each of which returns an `oc.Ranking`:

    oc.doubtful_labels(learner, *, all_items=False)            labels that may be wrong
    oc.near_duplicates(data, *, learner=None)                  copies; `.leaks`, `.metrics`, `.group_pattern`
    oc.next_to_label(learner, pool, count=20)                  new items whose labels would teach most
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from common import save


@dataclass(frozen=True)
class Row:
    """One measured value beside its promise.

    Attributes:
        what: What was measured, and on what.
        value: The value.
        promised: The limit; None where nothing was promised.
        at_most: The value must not be above the limit; otherwise, not below it.
    """

    what: str
    value: float
    promised: float | None = None
    at_most: bool = False

    @property
    def met(self) -> bool:
        if self.promised is None:
            return True
        return self.value <= self.promised if self.at_most else self.value >= self.promised

    def __str__(self) -> str:
        sign = "<=" if self.at_most else ">="
        promise = "" if self.promised is None else f" ({sign} {self.promised:g}: {'met' if self.met else 'MISSED'})"
        return f"{self.what}: {self.value:.3f}{promise}"


SECTIONS: dict[str, Callable[[Path], list[Row]]] = {}


def main(data: Path, *names: str) -> None:
    for name in names or SECTIONS:
        print(f"## {name}", flush=True)
        rows = SECTIONS[name](data)
        for row in rows:
            print(row, flush=True)
        save(f"corrections_{name}", {"rows": [{**asdict(row), "met": row.met} for row in rows]})


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
