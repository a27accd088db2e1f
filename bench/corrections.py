"""What the correction loop promises, on real data. argv: folder of the data sets [section ...].

A section is a function in `SECTIONS` that takes the folder and gives its rows, each a measured value beside what was
promised. They are printed as they come, and kept in results/corrections_SECTION.json.

The rankings, with their public calls, each of which returns an `oc.Ranking`:

    oc.doubtful_labels(learner, *, all_items=False)            labels that may be wrong
    oc.near_duplicates(learner or bunch)                       near-copies; `.leaks`, `.metrics`, `.similar`
    oc.next_to_label(learner, pool, count=20)                  new items whose labels would teach most
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

import corrections_rankings as rankings
from common import save
from corrections_rows import Row

SECTIONS: dict[str, Callable[[Path], Iterable[Row]]] = {
    "labels": rankings.labels,
    "duplicates": rankings.duplicates,
    "next": rankings.next_to_label,
}


def main(data: Path, *names: str) -> None:
    for name in names or SECTIONS:
        print(f"## {name}", flush=True)
        rows = []
        for row in SECTIONS[name](data):
            print(row, flush=True)
            rows.append(row)
        save(
            f"corrections_{name}",
            {"rows": [{**asdict(row), "met": bool(row.met)} for row in rows]},
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
