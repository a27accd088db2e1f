"""onecycle: from a pile of files to a trained, explained and shippable model.

The names below are all there is; each is imported when it is first used, so `import onecycle` costs milliseconds.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

from onecycle.foreign_names import missing_function
from onecycle.imports import without_collecting
from onecycle.notebook import silence_widget_hint

if TYPE_CHECKING:
    from onecycle import losses as losses
    from onecycle import metrics as metrics
    from onecycle.data.batch import Batch as Batch
    from onecycle.data.batch import Reading as Reading
    from onecycle.data.bunch import DataBunch as DataBunch
    from onecycle.data.categories import Category as Category
    from onecycle.data.categories import MultiCategory as MultiCategory
    from onecycle.data.corrections import Corrections as Corrections
    from onecycle.data.dataset import Dataset as Dataset
    from onecycle.data.generic_list import GenericList as GenericList
    from onecycle.data.modality import Modality as Modality
    from onecycle.data.numbers import Numbers as Numbers
    from onecycle.data.target import Target as Target
    from onecycle.errors import BundleError as BundleError
    from onecycle.errors import CallError as CallError
    from onecycle.errors import DataError as DataError
    from onecycle.errors import ModelError as ModelError
    from onecycle.errors import OnecycleError as OnecycleError
    from onecycle.errors import StopTraining as StopTraining
    from onecycle.errors import TrainingError as TrainingError
    from onecycle.errors import WorkerError as WorkerError
    from onecycle.inference.prediction import Prediction as Prediction
    from onecycle.inference.predictions import Predictions as Predictions
    from onecycle.recipes.task import fine_tune as fine_tune
    from onecycle.registry import list_registered as list_registered
    from onecycle.registry import register as register
    from onecycle.review.journal import Journal as Journal
    from onecycle.review.rankings.doubtful_labels import doubtful_labels as doubtful_labels
    from onecycle.review.rankings.near_duplicates import NearDuplicates as NearDuplicates
    from onecycle.review.rankings.near_duplicates import near_duplicates as near_duplicates
    from onecycle.review.rankings.next_to_label import next_to_label as next_to_label
    from onecycle.review.rankings.ranking import Ranking as Ranking
    from onecycle.ship.attribution import attribute as attribute
    from onecycle.ship.bulk_prediction import predict_on_cluster as predict_on_cluster
    from onecycle.ship.compare import compare as compare
    from onecycle.ship.hub.load import from_hub as from_hub
    from onecycle.ship.model import load_model as load_model
    from onecycle.ship.review_page.server import serve_review as serve_review
    from onecycle.ship.serve.server import serve as serve
    from onecycle.text.language_model_learner import language_model_learner as language_model_learner
    from onecycle.text.learner import text_learner as text_learner
    from onecycle.text.text_list import TextList as TextList
    from onecycle.text.tokenizer import Tokenizer as Tokenizer
    from onecycle.train.callbacks import Checkpoint as Checkpoint
    from onecycle.train.callbacks import EarlyStopping as EarlyStopping
    from onecycle.train.callbacks import KeepBest as KeepBest
    from onecycle.train.events import Callback as Callback
    from onecycle.train.layer_groups import FineTuning as FineTuning
    from onecycle.train.layer_groups import GroupedModel as GroupedModel
    from onecycle.train.learner import Learner as Learner
    from onecycle.train.loggers import CsvTracker as CsvTracker
    from onecycle.train.loggers import Track as Track
    from onecycle.train.mix import Mixup as Mixup
    from onecycle.train.options import TrainOptions as TrainOptions
    from onecycle.train.schedule import Constant as Constant
    from onecycle.train.schedule import Cosine as Cosine
    from onecycle.train.schedule import OneCycle as OneCycle
    from onecycle.train.trackers import MlflowTracker as MlflowTracker
    from onecycle.train.trackers import TensorBoardTracker as TensorBoardTracker
    from onecycle.train.trackers import TrackioTracker as TrackioTracker
    from onecycle.train.trackers import WandbTracker as WandbTracker
    from onecycle.vision import augment as augment
    from onecycle.vision import biwi as biwi
    from onecycle.vision.cutmix import CutMix as CutMix
    from onecycle.vision.image_list import ImageList as ImageList
    from onecycle.vision.learner import unet_learner as unet_learner
    from onecycle.vision.learner import vision_learner as vision_learner
    from onecycle.vision.masks import Mask as Mask
    from onecycle.vision.normalize import Normalize as Normalize
    from onecycle.vision.points import Points as Points
    from onecycle.vision.tiles import predict_tiled as predict_tiled

# Name to module; a module's own name means the module itself.
_HOMES = {
    "Batch": "onecycle.data.batch",
    "BundleError": "onecycle.errors",
    "Callback": "onecycle.train.events",
    "CallError": "onecycle.errors",
    "Category": "onecycle.data.categories",
    "Checkpoint": "onecycle.train.callbacks",
    "Constant": "onecycle.train.schedule",
    "Corrections": "onecycle.data.corrections",
    "Cosine": "onecycle.train.schedule",
    "CsvTracker": "onecycle.train.loggers",
    "CutMix": "onecycle.vision.cutmix",
    "DataBunch": "onecycle.data.bunch",
    "DataError": "onecycle.errors",
    "Dataset": "onecycle.data.dataset",
    "EarlyStopping": "onecycle.train.callbacks",
    "FineTuning": "onecycle.train.layer_groups",
    "GroupedModel": "onecycle.train.layer_groups",
    "GenericList": "onecycle.data.generic_list",
    "ImageList": "onecycle.vision.image_list",
    "Journal": "onecycle.review.journal",
    "KeepBest": "onecycle.train.callbacks",
    "Learner": "onecycle.train.learner",
    "Mask": "onecycle.vision.masks",
    "Mixup": "onecycle.train.mix",
    "MlflowTracker": "onecycle.train.trackers",
    "Modality": "onecycle.data.modality",
    "ModelError": "onecycle.errors",
    "MultiCategory": "onecycle.data.categories",
    "NearDuplicates": "onecycle.review.rankings.near_duplicates",
    "Normalize": "onecycle.vision.normalize",
    "Numbers": "onecycle.data.numbers",
    "OneCycle": "onecycle.train.schedule",
    "OnecycleError": "onecycle.errors",
    "Points": "onecycle.vision.points",
    "Prediction": "onecycle.inference.prediction",
    "Predictions": "onecycle.inference.predictions",
    "Ranking": "onecycle.review.rankings.ranking",
    "Reading": "onecycle.data.batch",
    "StopTraining": "onecycle.errors",
    "Target": "onecycle.data.target",
    "TensorBoardTracker": "onecycle.train.trackers",
    "TextList": "onecycle.text.text_list",
    "Tokenizer": "onecycle.text.tokenizer",
    "Track": "onecycle.train.loggers",
    "TrackioTracker": "onecycle.train.trackers",
    "TrainOptions": "onecycle.train.options",
    "TrainingError": "onecycle.errors",
    "WandbTracker": "onecycle.train.trackers",
    "WorkerError": "onecycle.errors",
    "attribute": "onecycle.ship.attribution",
    "augment": "onecycle.vision.augment",
    "biwi": "onecycle.vision.biwi",
    "compare": "onecycle.ship.compare",
    "doubtful_labels": "onecycle.review.rankings.doubtful_labels",
    "fine_tune": "onecycle.recipes.task",
    "from_hub": "onecycle.ship.hub.load",
    "language_model_learner": "onecycle.text.language_model_learner",
    "list_registered": "onecycle.registry",
    "load_model": "onecycle.ship.model",
    "losses": "onecycle.losses",
    "metrics": "onecycle.metrics",
    "near_duplicates": "onecycle.review.rankings.near_duplicates",
    "next_to_label": "onecycle.review.rankings.next_to_label",
    "predict_on_cluster": "onecycle.ship.bulk_prediction",
    "predict_tiled": "onecycle.vision.tiles",
    "register": "onecycle.registry",
    "serve": "onecycle.ship.serve.server",
    "serve_review": "onecycle.ship.review_page.server",
    "text_learner": "onecycle.text.learner",
    "unet_learner": "onecycle.vision.learner",
    "vision_learner": "onecycle.vision.learner",
}

__all__ = [*sorted(_HOMES), "__version__"]

silence_widget_hint()


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("onecycle")
    if name not in _HOMES:
        raise missing_function(name, __all__)
    with without_collecting():
        module = importlib.import_module(_HOMES[name])
    value = module if _HOMES[name].endswith(f".{name}") and not hasattr(module, name) else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
