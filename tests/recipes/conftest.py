from __future__ import annotations

from task_data import _tiny_models as _tiny_models
from task_data import _tiny_unfrozen_models as _tiny_unfrozen_models
from task_data import biwi as biwi
from task_data import camvid as camvid
from task_data import dots as dots
from task_data import reviews as reviews
from task_data import reviews_csv as reviews_csv
from task_data import segnet as segnet
