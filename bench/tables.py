"""The tables of bench/README.md, from results/*.json: each between `<!-- NAME -->` and `<!-- end -->`. No arguments."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable
from typing import Any

import rates
from choices import QUESTIONS
from common import BENCH, RESULTS, time_to
from growth import LONG_BATCHES

PEERS = {"fastai": "fastai", "huggingface": "the Trainer"}
RACES = {"photos": 0.1, "tags": 0.2, "camvid": 0.2, "points": 0.333, "sentiment": 0.333}
Found = dict[str, Any]


def write_tables() -> None:
    """Replace every table of README.md by what was measured last."""
    found: Found = {path.stem: json.loads(path.read_text()) for path in RESULTS.glob("*.json")}
    readme = BENCH / "README.md"
    text = readme.read_text()
    for name, table in TABLES.items():
        lines = "\n".join(table(found))
        text, count = re.subn(rf"(<!-- {name} -->).*?(<!-- end -->)", rf"\1\n\n{lines}\n\n\2", text, flags=re.DOTALL)
        assert count == 1, f"README.md has {count} places for the table {name}"
    readme.write_text(text)


def budgets(found: Found) -> list[str]:
    """Every budget, and what was measured."""
    lines = ["| what | budget | measured | |", "|---|---|---|---|"]

    def row(what: str, budget: str, measured: str, met: bool) -> None:
        lines.append(f"| {what} | {budget} | {measured} | {'met' if met else '**missed**'} |")

    for task, limit in RACES.items():
        one = found[task]
        what = f"{task}: time to {PEERS[one['peer']]}'s final {one['metric']}, as a share of its time"
        what += "" if one["machine"] == found["run"]["machine"] else f" (on {one['machine']}; see below)"
        row(what, f"{limit:g}", f"{one['time_ratio']:.3f}", one["time_ratio"] <= limit)
    held = [best_within(one, one["fastai"]["curve"][-1][0]) for one in found["camvid"]["runs"]]
    row("camvid: mean IoU in fastai's own time, every seed", "0.6", f"{min(held):.3f}", min(held) >= 0.6)
    for task in RACES:
        ratio = found[task]["memory_ratio"]
        row(f"{task}: peak memory against {PEERS[found[task]['peer']]}", "1", f"{ratio:.2f}", ratio <= 1)
    for case in found["overhead"]["cases"]:
        what = f"a training step against a bare loop ({case['backbone']}, {case['step_ms']:.0f} ms)"
        row(what, "1.03", f"{case['ratio']:.3f}", case["ratio"] <= 1.03)

    ten_million = found["growth"]["items"]["onecycle"]["10000000"]
    for key, what, limit, unit in (
        ("build_seconds", "to build a bunch", 30, "s"),
        ("main_mb", "peak memory of the main process", 2000, "MB"),
        ("worker_growth_mb", f"growth of a worker over {LONG_BATCHES:,} batches", 1, "MB"),
    ):
        value = ten_million[key]
        row(f"ten million items: {what}", f"{limit:,} {unit}", f"{value:,.1f} {unit}", value <= limit)
    for size, case in found["inference"]["cases"].items():
        threads = list(case["latency_ratio"])[-1]
        ratio = case["latency_ratio"][threads]["onecycle, path / bare forward, decoded"]
        row(f"`predict` of a file at {size} px against the bare forward pass", "1.3", f"{ratio:.2f}", ratio <= 1.3)
    seconds = found["startup"]["medians"]["onecycle --help"]["seconds"]
    row("`onecycle --help`", "0.3 s", f"{seconds:.2f} s", seconds <= 0.3)
    return lines


def best_within(run: Found, seconds: float) -> float:
    """Return onecycle's best value within so many seconds."""
    return max((row[1] for row in run["onecycle"]["curve"] if row[0] <= seconds), default=0.0)


def races(found: Found) -> list[str]:
    """Every run of every race."""
    lines = ["| race | seed | peer ends with | after | onecycle is there after | ratio | ends with | after |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for task in RACES:
        one = found[task]
        for run in one["runs"]:
            theirs, ours = run[one["peer"]]["curve"][-1], run["onecycle"]["curve"][-1]
            lines.append(
                f"| {task} ({one['metric']}) | {run['seed']} | {theirs[1]:.4g} | {theirs[0]:.1f} s | "
                f"{run['reached_seconds']:.1f} s | {run['time_ratio']:.3f} | {ours[1]:.4g} | {ours[0]:.1f} s |"
            )
    return lines


def tuned(found: Found) -> list[str]:
    """Every run against a tuned peer."""
    lines = [
        "| race | budget | | seed | peer ends with | after | onecycle is there after | ratio | ends with | after |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for task, one in found["tuned"]["races"].items():
        ratio, budget = one["time_ratio"], one["budget"]
        met = "no budget" if budget is None else "met" if ratio <= budget else "**missed**"
        for number, run in enumerate(one["runs"]):
            theirs, ours = run[one["peer"]]["curve"][-1], run["onecycle"]["curve"][-1]
            head = f"{task} | {'' if budget is None else budget} | {ratio:.3f}, {met}" if not number else " | | "
            lines.append(
                f"| {head} | {run['seed']} | {theirs[1]:.4g} | {theirs[0]:.1f} s | {run['reached_seconds']:.1f} s "
                f"| {run['time_ratio']:.3f} | {ours[1]:.4g} | {ours[0]:.1f} s |"
            )
    return lines


def hard(found: Found) -> list[str]:
    """Photos that are hard to tell apart, and easy ones: medians over the seeds."""
    lines = [
        "| photos | | seeds | fastai ends with | after | onecycle is there | ratio | of its work | ends with | after |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, case in found["hard"]["cases"].items():
        kind = "easy" if case["easy"] else "hard, rules chosen on it" if case["chosen_on"] else "hard"

        def middle(value: Callable[[Found], float], runs: list[Found] = case["runs"]) -> float:
            return statistics.median(value(one) for one in runs)

        theirs, there = middle(lambda one: one["fastai"]["curve"][-1][0]), middle(there_after)
        lines.append(
            f"| {name} | {kind} | {len(case['runs'])} | {middle(lambda one: one['fastai']['curve'][-1][1]):.4f} "
            f"| {theirs:.0f} s | {there:.0f} s | {middle(lambda one: one['time_ratio']):.3f} "
            f"| {middle(lambda one: one['cpu_ratio']):.3f} | {middle(lambda one: one['onecycle']['curve'][-1][1]):.4f} "
            f"| {middle(lambda one: one['onecycle']['curve'][-1][0]):.0f} s |"
        )
    return lines


def there_after(one: Found) -> float:
    """Return the seconds after which onecycle had fastai's final accuracy."""
    return time_to(one["fastai"]["curve"][-1][1:], one["onecycle"])


def limit(found: Found) -> list[str]:
    """The first trained answer on photos against the least that it can take."""
    lines = ["| seed | scikit-learn: accuracy | after | onecycle: accuracy | after | ratio | of its work |"]
    lines.append("|---|---|---|---|---|---|---|")
    for one in found["limit"]["runs"]:
        (least, score), (seconds, ours) = one["limit"]["curve"][-1], one["onecycle"]["curve"][-1]
        lines.append(
            f"| {one['seed']} | {score:.4f} | {least:.1f} s | {ours:.4f} | {seconds:.1f} s "
            f"| {one['wall_ratio']:.3f} | {one['cpu_ratio']:.3f} |"
        )
    return lines


def growth(found: Found) -> list[str]:
    """What a bunch costs, by its number of items."""
    lines = ["| items | | build | first batch | main process | largest worker, first batch and end | its growth |"]
    lines.append("|---|---|---|---|---|---|---|")
    for side, counts in found["growth"]["items"].items():
        for count, one in counts.items():
            if "stopped" in one:
                lines.append(
                    f"| {int(count):,} | {side} | stopped: {one['stopped']} | | {one['main_mb']:,.0f} MB | | |"
                )
                continue
            lines.append(
                f"| {int(count):,} | {side} | {one['build_seconds']:.2f} s | {one['first_batch_seconds']:.2f} s | "
                f"{one['main_mb']:,.0f} MB | {one['worker_start_mb']:.1f} and {one['worker_end_mb']:.1f} MB | "
                f"{one['worker_growth_mb']:.2f} MB |"
            )
    return lines


def growth_stages(found: Found) -> list[str]:
    """Seconds of each stage of the data block, and the most memory held until its end."""
    counts = found["growth"]["stages"]
    lines = ["| stage | " + " | ".join(f"{int(count):,} items" for count in counts) + " |"]
    lines.append("|---|" + "---|" * len(counts))
    for stage in [key for key, held in next(iter(counts.values())).items() if isinstance(held, dict)]:
        cells = []
        for one in counts.values():
            held = one[stage]
            seconds = f"{held['seconds']:.2f} s, " if "seconds" in held else ""
            cells.append(f"{seconds}{held['mb']:,.0f} MB")
        lines.append(f"| {stage} | {' | '.join(cells)} |")
    return lines


def inference(found: Found) -> list[str]:
    """Latency and throughput of a loaded model."""
    lines = ["| one image, or batches of 32 | 128 px, 1 thread | 2 threads | 224 px, 1 thread | 2 threads |"]
    lines.append("|---|---|---|---|---|")
    columns = [(case, threads) for case in found["inference"]["cases"].values() for threads in case["latency_ms"]]
    case, threads = columns[0]
    for name in case["latency_ms"][threads]:
        cells = [c["latency_ms"][t][name] for c, t in columns]
        values = " | ".join(f"{one['p50']:.1f} ms, p99 {one['p99']:.1f}" for one in cells)
        lines.append(f"| {name} | {values} |")
    for name in case["images_per_second"][threads]:
        values = " | ".join(f"{c['images_per_second'][t][name]:.0f} images a second" for c, t in columns)
        lines.append(f"| {name}, batches | {values} |")
    for side, one in found["inference"]["start"]["medians"].items():
        lines.append(
            f"| {side}: a fresh process has predicted after {one['seconds']:.1f} s, the loading call takes "
            f"{one['load']:.2f} s, peak {one['peak_mb']:,.0f} MB | | | | |"
        )
    return lines


def startup(found: Found) -> list[str]:
    """Imports, help, and the way to the first training step."""
    lines = ["| in a fresh process | seconds | peak MB |", "|---|---|---|"]
    for name, one in found["startup"]["medians"].items():
        lines.append(f"| {name} | {one['seconds']:.2f} | {one['peak_mb']:,.0f} |")
    return lines


def decoding(found: Found) -> list[str]:
    """Decoding of large photos."""
    lines = ["| 12-megapixel photos to 224 px | images a second |", "|---|---|"]
    lines += [f"| {name} | {rate:.1f} |" for name, rate in found["decode"]["images_per_second"].items()]
    return lines


def lstm(found: Found) -> list[str]:
    """An AWD-LSTM's tokens a second against a bare loop."""
    lines = ["| AWD-LSTM | tokens a second | of a bare loop's |", "|---|---|---|"]
    for case in found["awd_lstm"]["cases"]:
        name = f"{case['layers']} layers of {case['hidden']}"
        lines.append(f"| {name} | {case['tokens_per_second']:,.0f} | {case['ratio']:.3f} |")
    return lines


def choices(found: Found) -> list[str]:
    """What was tried: plans side by side, medians of their seeds."""
    lines = ["| question | plan | seeds | ends with | after | best epoch | peak MB |", "|---|---|---|---|---|---|---|"]
    for question in (one for one in QUESTIONS if one in found):
        for plan, one in found[question]["plans"].items():
            lines.append(
                f"| {question} | {plan} | {len(one['runs'])} | {one['metric_value']:.4f} {one['metric']} | "
                f"{one['seconds']:.0f} s | {one['best']:.4f} | {one['peak_mb']:,.0f} |"
            )
    return lines


def full_size(found: Found) -> list[str]:
    """What CamVid at its full size ends with, each class by itself."""
    one = found["camvid_full_size"]
    lines = ["| intersection over union | plain | averaged with the mirrored image |", "|---|---|---|"]
    ways = (one["plain"], one["mirrored"])
    for name in ways[0]["iou"]:
        lines.append(f"| {name} | " + " | ".join(f"{way['iou'][name]:.3f}" for way in ways) + " |")
    lines.append("| **mean** | " + " | ".join(f"**{way['mean_iou']:.4f}**" for way in ways) + " |")
    lines.append("| pixels that are right | " + " | ".join(f"{way['pixel_accuracy']:.4f}" for way in ways) + " |")
    return lines


def tricks(found: Found) -> list[str]:
    """What each trick saves of memory."""
    memory = found["memory"]
    about = f"{memory['backbone']}, {memory['size']} px, {memory['batch_size']} items a step"
    lines = [f"| {about} | MB measured | MB predicted | seconds a step |", "|---|---|---|---|"]
    for name, case in memory["cases"].items():
        lines.append(f"| {name} | {case['measured_mb']:,.0f} | {case['report_mb']:,.0f} | {case['step_seconds']:.2f} |")
    return lines


def steps(found: Found) -> list[str]:
    """What microbatches and fast gradients save of a training step."""
    about = found["steps"]
    names = list(about["cases"][0]["seconds"])
    lines = [f"| a step of {about['batch']} photos, {about['backbone']} | {' | '.join(names)} |"]
    lines.append("|---" * (len(names) + 1) + "|")
    for case in about["cases"]:
        values = " | ".join(f"{case['seconds'][name] * 1000:,.0f} ms" for name in names)
        lines.append(f"| {case['size']} px, {case['stage']} | {values} |")
    return lines


def minutes(found: Found) -> list[str]:
    """How long the last run of everything took, and where; and what ran again since then."""
    about = found["run"]
    lines = [
        f"The run of {about['date']} ({about['machine']}): {sum(about['minutes'].values()):.0f} minutes, "
        f"{listed(about['minutes'])}."
    ]
    return lines + ([f"Since then, by themselves: {listed(about['since'])}."] if about["since"] else [])


def listed(minutes: dict[str, float]) -> str:
    """Name each part beside its minutes."""
    return ", ".join(f"{name} {took:.1f}" for name, took in minutes.items())


def core(found: Found) -> list[str]:
    """How far parts of a batch are from the whole, and ways to a prediction from each other."""
    about = found["core"]
    lines = ["| gradients against one large batch, relative | accumulated | microbatches | averages of the parts |"]
    lines.append("|---|---|---|---|")
    for name, one in about["gradients"].items():
        lines.append(f"| {name} | {' | '.join('-' if one[key] is None else f'{one[key]:.1e}' for key in one)} |")
    modes = about["predictions"]
    lines += ["", f"| probabilities against `predict_all` | {' | '.join(modes)} |", "|---|---|---|"]
    for name in modes["fp32"]["differences"]:
        values = " | ".join(f"{one['differences'][name]:.1e}" for one in modes.values())
        lines.append(f"| {name} | {values} |")
    sizes = ", ".join(f"{name} {value:.1e}" for name, value in about["batch_sizes"].items())
    lines += ["", f"`validate` at batch sizes 1, 7 and 64, relative: {sizes}.", ""]
    lines += [f"| losses of {about['items']} items | one call | one call an item |", "|---|---|---|"]
    for name, one in about["item_losses"].items():
        lines.append(f"| {name} | {one['vectorised_ms']:.2f} ms | {one['each_ms']:.1f} ms |")
    return lines


def processes(found: Found) -> list[str]:
    """Two processes against one."""
    about = found["processes"]
    lines = ["| two processes against one, relative | weights | validation loss |", "|---|---|---|"]
    lines += [f"| {name} | {one['weights']:.1e} | {one['valid_loss']:.1e} |" for name, one in about["weights"].items()]
    if "images_per_second" not in about:
        return [*lines, "", "Images a second are not measured yet: the machine did other work."]
    lines += ["", "| training ResNet-18 at 64 px, batches of 64 | images a second | of the first |", "|---|---|---|"]
    for name, speeds in about["images_per_second"].items():
        lines.append(f"| {name} | {statistics.median(speeds):,.0f} | {about['ratios'][name]:.2f} |")
    lines += ["", f"Medians of {about['repeats']}; load average of the machine then: {about['load']:.1f}."]
    return lines


def shards(found: Found) -> list[str]:
    """Images from shards against the same files in folders."""
    return shard_rows(found["shards"])


def parquet(found: Found) -> list[str]:
    """Images from mapped Parquet files against the same files in folders."""
    return shard_rows(found["parquet"])


def shard_rows(about: Found) -> list[str]:
    """Compare ways to read the same images."""
    lines = [
        "| | images/s | to folders | processor, ms an image | to folders | main process, and its growth |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in about["medians"].items():
        lines.append(
            f"| {name} | {one['images_per_second']:.0f} | {one['images_per_second_to_folders']:.2f} "
            f"| {one['processor_ms']:.2f} | {one['processor_ms_to_folders']:.2f} "
            f"| {one['held_mb']:.0f} MB, {one['grown_mb']:.0f} MB |"
        )
    return lines


def exports_real(found: Found) -> list[str]:
    """Exported models against their bundles on real files."""
    lines = ["| model | files | same label | largest difference | in the proof |", "|---|---|---|---|---|"]
    for kind, one in found["exports_real"]["rows"].items():
        same = str(one.get("labels_equal", "no labels"))
        if "pixels" in one:
            same += f" ({one['pixels_other']:,} of {one['pixels']:,} pixels differ)"
        difference = f"{one['difference']:.1g}{one['unit']}"
        lines.append(f"| {kind} | {one['files']} | {same} | {difference} | {one['proved']:.1g} |")
    return lines


def exports(found: Found) -> list[str]:
    """Exported models against bundles, on one thread."""
    about = found["exports"]
    lines = [
        "| model | one item: bundle, ms | ONNX, ms | ratio | 32 at a time | export and proof, s |",
        "|---|---|---|---|---|---|",
    ]
    for model, ways in about["milliseconds"].items():
        one, batch = ways["one"], ways["batch"]
        lines.append(
            f"| {model} | {one['bundle']:.1f} | {one['onnx']:.1f} | {one['ratio']:.2f} | {batch['ratio']:.2f} "
            f"| {about['export_seconds'][model]:.1f} |"
        )
    told = (f"{side} {row['seconds']:.2f} s, {row['peak_mb']:.0f} MB" for side, row in about["start"].items())
    return [*lines, "", f"A fresh process up to its first answer, median of five: {'; '.join(told)}."]


def exports_precision(found: Found) -> list[str]:
    """Exported files in fewer bits."""
    lines = [
        "| model | file | MB | ms an image | the same labels | metrics, in 32 bits before |",
        "|---|---|---|---|---|---|",
    ]
    for model, files in found.get("exports_precision", {"rows": {}})["rows"].items():
        for kind, one in files.items():
            if not isinstance(one, dict):
                continue  # of the process
            proof = one["proof"]
            same = f"{proof['same_labels']:.1%}" if "same_labels" in proof else "all that are sure"
            metrics = ", ".join(
                f"{name} {each['after']:.4f} ({each['before']:.4f})" for name, each in proof.get("metrics", {}).items()
            )
            lines.append(
                f"| {model} | {kind} | {one['megabytes']:.1f} | {one['milliseconds']:.2f} | {same} | {metrics or '-'} |"
            )
    return lines


TABLES = {
    "exports": exports,
    "exports_precision": exports_precision,
    "processes": processes,
    "core": core,
    "minutes": minutes,
    "budgets": budgets,
    "races": races,
    "tuned": tuned,
    "hard": hard,
    "limit": limit,
    "rates": lambda found: rates.rows(found["rates"]),
    "growth": growth,
    "growth_stages": growth_stages,
    "inference": inference,
    "startup": startup,
    "decoding": decoding,
    "lstm": lstm,
    "choices": choices,
    "full_size": full_size,
    "tricks": tricks,
    "steps": steps,
    "shards": shards,
    "parquet": parquet,
    "exports_real": exports_real,
}

if __name__ == "__main__":
    write_tables()
