"""Trackers of other projects, a small class each: `loggers=["tensorboard", "mlflow", "wandb", "trackio"]`.

All get the same numbers under the same names, see `Tracker`. The fits of one learner are one run.
"""

from __future__ import annotations

import importlib
import json
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onecycle.errors import ModelError
from onecycle.registry import register

PROJECT = "onecycle"


@register("tracker", "tensorboard")
class TensorBoardTracker:
    """Writes event files for TensorBoard: `tensorboard --logdir runs/tensorboard`.

    Args:
        folder: Of this run; None makes a new one below runs/tensorboard.
    Example:
        >>> learner = oc.vision_learner(bunch, loggers=["tensorboard"], pretrained=False)  # doctest: +SKIP
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        _require("tensorboard")
        self._writer_of = _require("torch.utils.tensorboard", "tensorboard").SummaryWriter
        self.folder = Path(folder) if folder is not None else Path("runs/tensorboard") / new_name()
        self._writer: Any = None
        self._steps = 0

    def log_config(self, config: Mapping[str, Any]) -> None:
        self._open().add_text("config", f"```\n{json.dumps(dict(config), indent=1)}\n```", self._steps)

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self._steps = step
        for name, value in metrics.items():
            self._open().add_scalar(name, value, step)

    def finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self) -> Any:
        if self._writer is None:
            self._writer = self._writer_of(str(self.folder))
        return self._writer


@register("tracker", "mlflow")
class MlflowTracker:
    """Logs a run of MLflow, to where MLFLOW_TRACKING_URI or `mlflow.set_tracking_uri` says.

    Args:
        experiment: Its name.
        name: Of the run; None makes one.
    Example:
        >>> learner = oc.vision_learner(bunch, loggers=["mlflow"], pretrained=False)  # doctest: +SKIP
    """

    def __init__(self, experiment: str = PROJECT, name: str | None = None) -> None:
        self._mlflow = _require("mlflow")
        self.experiment, self.name = experiment, name or new_name()
        self.run_id: str | None = None
        self._fits = 0

    def log_config(self, config: Mapping[str, Any]) -> None:
        if self.run_id is None:
            self._mlflow.set_experiment(self.experiment)
            self.run_id = self._mlflow.start_run(run_name=self.name).info.run_id
        else:
            self._mlflow.start_run(run_id=self.run_id)
        self._fits += 1
        # What a run is described by cannot change, so that each later fit has names of its own.
        before = "" if self._fits == 1 else f"fit {self._fits}/"
        self._mlflow.log_params({f"{before}{name}": value for name, value in config.items()})

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self._mlflow.log_metrics(dict(metrics), step=step)

    def finish(self) -> None:
        self._mlflow.end_run()


class _Initialised:
    """What wandb and trackio have in common: a module with init, log and finish."""

    package: str

    def __init__(self, project: str = PROJECT, name: str | None = None, **options: Any) -> None:
        self._module = _require(self.package)
        self.project, self.name, self.options = project, name or new_name(), options

    def log_config(self, config: Mapping[str, Any]) -> None:
        self._begin(dict(config))

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self._module.log(dict(metrics), step=step)

    def finish(self) -> None:
        self._module.finish()

    def _begin(self, config: dict[str, Any]) -> None:
        raise NotImplementedError


@register("tracker", "wandb")
class WandbTracker(_Initialised):
    """Logs a run of Weights & Biases; WANDB_MODE=offline keeps it on this machine.

    Args:
        project: Its project.
        name: Of the run; None makes one.
        options: More arguments of `wandb.init`.
    Example:
        >>> learner = oc.vision_learner(bunch, loggers=["wandb"], pretrained=False)  # doctest: +SKIP
    """

    package = "wandb"

    def _begin(self, config: dict[str, Any]) -> None:
        options = {"id": self.name, "name": self.name, "resume": "allow", **self.options}
        run = self._module.init(project=self.project, **options)
        run.config.update(config, allow_val_change=True)


@register("tracker", "trackio")
class TrackioTracker(_Initialised):
    """Logs a run of Trackio, on this machine unless `space_id=` names a Space: `trackio show` opens it.

    Args:
        project: Its project.
        name: Of the run; None makes one.
        options: More arguments of `trackio.init`.
    Example:
        >>> learner = oc.vision_learner(bunch, loggers=["trackio"], pretrained=False)  # doctest: +SKIP
    """

    package = "trackio"

    def _begin(self, config: dict[str, Any]) -> None:
        self._module.init(project=self.project, name=self.name, config=config, resume="allow", **self.options)


def new_name() -> str:
    """Return a name for a run: the time, and something that no other run of this second has.

    Example:
        >>> len(new_name())
        20
    """
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{random.SystemRandom().randrange(2**16):04x}"


def _require(module: str, package: str | None = None) -> Any:
    """Return a module that is imported only when its tracker is made.

    Raises:
        ModelError: Its package is not installed.
    """
    name = package or module
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ModelError(
            f"{name} is not installed.",
            f"{name}, for loggers=[{name!r}].",
            f'pip install {name}, or "onecycle[track]".',
        ) from error
