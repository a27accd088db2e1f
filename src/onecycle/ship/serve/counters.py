"""What a server has done, as Prometheus reads it."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping

_METRICS = {
    "onecycle_requests_total": ("counter", "Requests by path and status."),
    "onecycle_request_seconds": ("histogram", "Time from the inputs of a request to their answers."),
    "onecycle_predictions_total": ("counter", "Inputs that were predicted."),
    "onecycle_batches_total": ("counter", "Batches that they were computed in."),
    "onecycle_judgements_total": ("counter", "What people said about predictions, by verdict."),
    "onecycle_reloads_total": ("counter", "Times that the model's file was replaced, by result."),
    "onecycle_waiting": ("gauge", "Inputs that are accepted and not yet answered."),
    "onecycle_model_info": ("gauge", "The model that answers, by its SHA-256."),
}
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class Counters:
    """Numbers that only grow, from any thread.

    Example:
        >>> counters = Counters()
        >>> counters.add("onecycle_judgements_total", verdict="right")
        >>> print(counters.as_text())
        # HELP onecycle_judgements_total What people said about predictions, by verdict.
        # TYPE onecycle_judgements_total counter
        onecycle_judgements_total{verdict="right"} 1
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def add(self, name: str, count: float = 1, **labels: str) -> None:
        """Count something."""
        with self._lock:
            self._series[name][_series(name, labels)] += count

    def observe(self, name: str, value: float) -> None:
        """Count a value in a histogram."""
        with self._lock:
            series = self._series[name]
            for bound in _BUCKETS:
                series[f'{name}_bucket{{le="{bound}"}}'] += value <= bound
            series[f'{name}_bucket{{le="+Inf"}}'] += 1
            series[f"{name}_sum"] += value
            series[f"{name}_count"] += 1

    def as_text(self, **gauges: tuple[float, Mapping[str, str]]) -> str:
        """Return all of it in Prometheus's text format.

        Args:
            gauges: What is true now, by name: a value, and labels.
        """
        with self._lock:
            series = {name: dict(values) for name, values in self._series.items()}
        series |= {name: {_series(name, labels): value} for name, (value, labels) in gauges.items()}
        lines = []
        for name, (kind, about) in _METRICS.items():
            if name in series:
                lines += [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
                lines += [f"{one} {value:.10g}" for one, value in series[name].items()]
        return "\n".join(lines)


def _series(name: str, labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{key}="{value.translate(_ESCAPED)}"' for key, value in labels.items())
    return f"{name}{{{inside}}}" if inside else name
