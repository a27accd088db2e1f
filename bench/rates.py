"""Can `lr="auto"` be trusted? Against a grid of fixed rates, on every data set. argv: folder [seeds] [name ...].

Each data set is trained in the stages that `fine_tune` has for it:

- frozen: the head alone, on cached features;
- unfrozen: all layers, from the head that the frozen stage at `lr="auto"` gave, the same one for all rates of a seed;
- whole: where there is no frozen stage (masks, points, texts), what `fine_tune` does from the beginning.

`fine_tune(lr="auto")` takes the same rates as `fit_one_cycle(lr="auto")` in each stage. Cases run in processes of their
own, with one thread each, as many at a time as there are processors.

A rate of the grid is what a user would pass as `lr=` to `fine_tune`, so it is spread over the layers as there. Auto is
judged by its median over the seeds against the best median of the grid. The best of several medians is lucky by choice,
which counts against auto. With names, such as "faces" or "landuse, frozen", only those cases run, and replace their own
rows in results/rates.json.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch

import onecycle as oc
from common import RESULTS, run, save
from onecycle.errors import TrainingError
from onecycle.train.fine_tuning import unfrozen_lrs
from onecycle.train.layer_groups import fine_tuning_of
from onecycle.train.lr_find import features_for
from onecycle.train.options import LearningRate
from onecycle.vision.decode import original_size
from rates_cases import CASES, HEADS, Case

TOLERANCE = 0.01


def main(data: Path, seeds: int = 3, *names: str) -> dict[str, Any]:
    held = RESULTS / "rates.json"
    found = json.loads(held.read_text())["cases"] if names and held.is_file() else {}
    chosen = {
        name: [stage for stage in case.stages if not names or {name, f"{name}, {stage}"} & set(names)]
        for name, case in CASES.items()
    }
    order = [f"{name}, {stage}" for name, case in CASES.items() for stage in case.stages]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [
            pool.submit(run, "rates.py", "case", data, seeds, name, *stages, threads=1)
            for name, stages in chosen.items()
            if stages
        ]
        for job in as_completed(jobs):  # saved each time: an interrupted run loses the cases under way alone
            found |= job.result()
            found = {name: found[name] for name in order if name in found}
            result = {**summary(found), "cases": found}
            save("rates", result)
    draw(found)
    print("\n".join(rows(result)), flush=True)
    return result


def compare(name: str, case: Case, stages: Sequence[str], data: Path, seeds: int) -> dict[str, Any]:
    """Run some stages of one case: for every seed the grid, then auto."""
    with tempfile.TemporaryDirectory() as empty:
        bunch = case.bunch(Path(empty) if case.drawn else data)
        learner = case.learner(bunch, 0)
        start = time.perf_counter()
        features = features_for(learner.state, 1) if "frozen" in case.stages else None
        features_seconds = time.perf_counter() - start
        found: dict[str, Any] = {}
        for stage in stages:
            warm_up(case, bunch, stage, features)
            grid, auto = [], []
            for seed in range(seeds):
                # Unfrozen, all begin with the same weights.
                head = trained_head(case, bunch, features, seed) if stage == "unfrozen" else None
                for rate in HEADS if stage == "frozen" else case.rates:
                    lr = unfrozen_lrs(rate) if head else rate
                    grid.append({"seed": seed, "rate": rate, **one(case, bunch, stage, seed, features, head, lr)})
                auto.append({"seed": seed, **one(case, bunch, stage, seed, features, head, "auto")})
            found[f"{name}, {stage}"] = {
                "date": time.strftime("%Y-%m-%d"), "seeds": seeds, "chosen_on": case.chosen_on,
                "metric": learner.metrics[0].name, "higher_is_better": learner.metrics[0].higher_is_better,
                "image_pixels": image_pixels(bunch) if learner.target.kind == "points" else None,
                "items": [len(bunch), len(bunch.valid.dataset)], "steps_an_epoch": len(bunch.train),
                "epochs": 1 if stage == "frozen" else case.epochs,
                "features_seconds": features_seconds if stage == "frozen" else 0.0, "grid": grid, "auto": auto,
            }  # fmt: skip
            found[f"{name}, {stage}"]["verdict"] = verdict(found[f"{name}, {stage}"])
    return found


def warm_up(case: Case, bunch: oc.DataBunch, stage: str, features: Any) -> None:
    """The first steps in a process, and of a shape, are several times slower."""
    learner = case.learner(bunch, 0)
    learner.state.cached_features = features
    if stage != "frozen":
        learner.freeze_to(fine_tuning_of(learner.model).freeze_to)
    learner.lr_find(steps=8, sweeps=1)


def trained_head(case: Case, bunch: oc.DataBunch, features: Any, seed: int) -> tuple[dict[str, torch.Tensor], float]:
    """Return the weights after the frozen stage at "auto", and the rate it found."""
    learner = case.learner(bunch, seed)
    learner.state.cached_features = features
    learner.fit_one_cycle(1, "auto")
    assert learner.frozen_lr is not None
    return learner.copy_weights(), learner.frozen_lr


def one(
    case: Case, bunch: oc.DataBunch, stage: str, seed: int, features: Any,
    head: tuple[dict[str, torch.Tensor], float] | None, lr: LearningRate,
) -> dict[str, Any]:  # fmt: skip
    """Train once; return the final metric, the rates that were taken, and what finding them cost."""
    learner = case.learner(bunch, seed)
    epochs = 1 if stage == "frozen" else case.epochs
    if head:
        learner.load_weights(head[0])
        learner.state.frozen_lr = head[1]
    if stage == "frozen":
        learner.state.cached_features = features
    else:
        learner.freeze_to(fine_tuning_of(learner.model).freeze_to)
    start, diverged = time.perf_counter(), False
    try:
        learner.fit_one_cycle(epochs, lr)
    except TrainingError:
        diverged = True
    seconds = time.perf_counter() - start
    history = learner.history
    name = learner.metrics[0].name
    return {
        "metric": learner.validate()[name] if diverged else history[-1].metrics[name],
        "last_rate": None if diverged else history[-1].lr,
        "lr": lr_text(lr, learner),
        "epoch_seconds": [record.seconds for record in history],
        "other_seconds": 0.0 if diverged else seconds - sum(record.seconds for record in history),
        "diverged": diverged,
        "swept": bool(learner.lr_finder_results),
    }


def lr_text(lr: LearningRate, learner: oc.Learner) -> str:
    """Return the rate in words, and for "auto" what it found."""
    return "; ".join(learner.history.notes) if lr == "auto" else str(lr)


def image_pixels(bunch: oc.DataBunch) -> float:
    """Return the mean of height and width over the validation images, which errors in pixels are a share of."""
    dataset = bunch.valid.dataset
    return statistics.mean(statistics.mean(original_size(dataset.item(row))) for row in range(len(dataset)))


def verdict(case: dict[str, Any]) -> dict[str, Any]:
    """Judge auto by medians over the seeds.

    `behind` is how much worse auto is than the best fixed rate: for errors in pixels a share of the image's size, else
    absolute. `behind_relative` is the same as a share of the best. `finding_epochs` is the time of the finding in
    epochs of that stage; in the frozen stage an epoch begins with a pass of the body, which caches its features.
    """
    sign = 1 if case["higher_is_better"] else -1
    by_rate: dict[float, list[float]] = {}
    for each in case["grid"]:
        by_rate.setdefault(each["rate"], []).append(each["metric"])
    medians = {rate: statistics.median(values) for rate, values in by_rate.items()}
    best_rate = max(medians, key=lambda rate: sign * medians[rate])
    best = medians[best_rate]
    fixed = [each for each in case["grid"] if not each["diverged"]]
    epoch = case["features_seconds"] + statistics.median(seconds for each in fixed for seconds in each["epoch_seconds"])
    auto = statistics.median(each["metric"] for each in case["auto"])
    # What any fit does besides its epochs is no finding.
    finding = statistics.median(each["other_seconds"] for each in case["auto"]) - statistics.median(
        each["other_seconds"] for each in fixed
    )
    behind = sign * (best - auto)
    return {
        "best_rate": best_rate, "best": best, "auto": auto, "behind": behind / (case["image_pixels"] or 1.0),
        "behind_relative": behind / abs(best), "good": behind / (case["image_pixels"] or 1.0) <= TOLERANCE,
        "good_relative": behind / abs(best) <= TOLERANCE, "epoch_seconds": epoch, "finding_seconds": finding,
        "finding_epochs": finding / epoch, "swept": any(each["swept"] for each in case["auto"]),
    }  # fmt: skip


def summary(cases: dict[str, Any]) -> dict[str, Any]:
    """Count the verdicts, also without the data that the rules were chosen on."""

    def count(chosen: list[dict[str, Any]]) -> dict[str, int]:
        return {
            "of": len(chosen),
            "good": sum(one["good"] for one in chosen),
            "good_relative": sum(one["good_relative"] for one in chosen),
            "swept": sum(one["swept"] for one in chosen),
            "swept_within_an_epoch": sum(one["swept"] and one["finding_epochs"] < 1 for one in chosen),
        }

    everything = [(case["chosen_on"], case["verdict"]) for case in cases.values()]
    return {
        "all": count([one for _, one in everything]),
        "not_chosen_on": count([one for chosen_on, one in everything if not chosen_on]),
    }


def rows(result: dict[str, Any]) -> list[str]:
    """Return the lines of a table in markdown: a case a line, and the counts."""
    lines = ["| case (median of the seeds) | metric | best fixed (at) | auto | behind | found in epochs |"]
    lines.append("|---|---|---|---|---|---|")
    for name, case in result["cases"].items():
        unit = " of the image" if case["image_pixels"] else ""
        one = case["verdict"]
        mark = "" if one["good"] else ", **missed**"
        lines.append(
            f"| {name}{' (rules chosen on it)' if case['chosen_on'] else ''} | {case['metric']} | "
            f"{one['best']:.4g} ({one['best_rate']:g}) | {one['auto']:.4g} | "
            f"{max(one['behind'], 0):.2%}{unit}, {max(one['behind_relative'], 0):.1%} relative{mark} | "
            f"{format(one['finding_epochs'], '.2f') if one['swept'] else 'no sweep'} |"
        )
    for name, key in (("all", "all"), ("on data that no rule was chosen on", "not_chosen_on")):
        count = result[key]
        lines.append(
            f"| {name} | | | | {count['good']} of {count['of']} within 0.01, {count['good_relative']} within 1% "
            f"relative | {count['swept_within_an_epoch']} of {count['swept']} below 1 |"
        )
    return lines


def draw(cases: dict[str, Any]) -> None:
    """Draw a panel a case: the metric against the rate of the last layers; dots are seeds, auto has its own marks."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    columns = min(4, len(cases))
    lines = -(-len(cases) // columns)
    figure, panels = plt.subplots(
        lines, columns, figsize=(3 * columns, 2.4 * lines), squeeze=False, layout="constrained"
    )
    for axes in panels.flat[len(cases) :]:
        axes.set_visible(False)
    for axes, (name, case) in zip(panels.flat, cases.items(), strict=False):
        grid = [each for each in case["grid"] if not each["diverged"]]
        axes.plot(
            [each["last_rate"] for each in grid], [each["metric"] for each in grid], "o", color="0.6", markersize=3
        )
        rates = sorted({each["last_rate"] for each in grid})
        medians = [statistics.median(each["metric"] for each in grid if each["last_rate"] == rate) for rate in rates]
        axes.plot(rates, medians, color="0.6", linewidth=1, label="fixed rates")
        runs = [each for each in case["auto"] if not each["diverged"]]
        x, y = [each["last_rate"] for each in runs], [each["metric"] for each in runs]
        axes.plot(x, y, "v", color="tab:blue", markersize=5, alpha=0.8, label='lr="auto"')
        axes.set_title(name + ("" if case["verdict"]["good"] else "\nmissed"), fontsize=9)
        axes.set(xscale="log", ylabel=f"{case['metric']}{' (pixels)' if case['image_pixels'] else ''}")
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
    figure.supxlabel("learning rate of the last layers", fontsize=9)
    handles = {text: mark for axes in panels.flat for mark, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    figure.savefig(RESULTS / "rates.png", dpi=90)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=FutureWarning)
    if sys.argv[1] == "case":
        data, seeds, name, *stages = sys.argv[2:]
        print(json.dumps(compare(name, CASES[name], stages, Path(data), int(seeds))))
    else:
        main(Path(sys.argv[1]), *map(int, sys.argv[2:3]), *sys.argv[3:])
