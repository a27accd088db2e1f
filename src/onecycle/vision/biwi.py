"""Labels of the BIWI Kinect head pose database: where the head is, and how it is turned.

Beside each `frame_00003_rgb.jpg` lies `frame_00003_pose.txt`: a 3 by 3 rotation matrix, then the head's centre in mm.
In each folder lies `rgb.cal`, which starts with the camera's intrinsic matrix. Axes are the camera's: x to the right,
y down, z away from it.

Source: Fanelli et al. 2013, "Random forests for real time 3D face analysis", IJCV 101(3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onecycle.errors import DataError


@dataclass(frozen=True, eq=False)
class Pose:
    """Where a head is and how it is turned.

    Angles are in degrees, as in Ruiz et al. 2018 (arXiv:1710.00925); all are 0 when the face looks towards the camera,
    straight along its axis.

    Attributes:
        rotation: Turns the head's axes into the camera's, (3, 3).
        centre: Middle of the head in mm, (3,).
    """

    rotation: NDArray[np.float64]
    centre: NDArray[np.float64]

    @property
    def yaw(self) -> float:
        """How far the face is turned to the left of the picture."""
        x, y, z = self.rotation[:, 2]
        return math.degrees(math.atan2(x, math.hypot(y, z)))

    @property
    def pitch(self) -> float:
        """How far the face looks up."""
        return math.degrees(math.atan2(self.rotation[1, 2], self.rotation[2, 2]))

    @property
    def roll(self) -> float:
        """How far the head is tilted clockwise, as seen in the picture."""
        return math.degrees(-math.atan2(self.rotation[0, 1], self.rotation[0, 0]))


def head_centre(image: Path) -> list[tuple[float, float]]:
    """Return where the head's centre is seen, in pixels of the published image, as a list of one (x, y).

    The label of fast.ai's lesson 3: `x = cx + fx * X / Z` and `y = cy + fy * Y / Z`. As there, what follows the matrix
    in `rgb.cal` is left out: the distortion, and the small shift from the depth to the colour camera.

    Args:
        image: A frame, such as `01/frame_00003_rgb.jpg`. Only its name is looked at: if it was resized on disk, scale
            its `rgb.cal` too.
    Raises:
        DataError: `rgb.cal` or the frame's `_pose.txt` is missing or damaged, or the head is not before the camera.
    """
    image = Path(image)
    x, y, z = head_pose(image).centre.tolist()
    if z <= 0:
        raise DataError(
            f"{pose_file(image)} puts the head {z:g} mm in front of the camera.",
            "more than 0 mm: what is behind a camera is not seen.",
            "leave the frame out, or get its pose again.",
        )
    camera = _camera(image.parent)
    return [(camera[0, 2] + camera[0, 0] * x / z, camera[1, 2] + camera[1, 1] * y / z)]


def head_pose(image: Path) -> Pose:
    """Return the pose that belongs to a frame.

    Raises:
        DataError: The frame's `_pose.txt` is missing or damaged.
    """
    path = pose_file(Path(image))
    try:
        values = _matrix(path.read_text(encoding="utf-8"), rows=4)
    except FileNotFoundError as error:
        raise DataError(
            f"{image} has no pose: there is no {path}.",
            "a file of that name beside each frame, as in the BIWI database.",
            "keep the database's names, and leave images out that are no frames of it.",
        ) from error
    except ValueError as error:
        raise DataError(
            f"{path} is no pose: {error}.",
            "four rows of three numbers: the head's rotation matrix, then its centre in mm.",
            "get the file again from the BIWI database, or leave the frame out.",
        ) from error
    return Pose(rotation=values[:3], centre=values[3])


def pose_file(image: Path) -> Path:
    """Return the name of a frame's pose: `frame_00003_pose.txt` for `frame_00003_rgb.jpg` (or .png)."""
    return image.with_name(f"{image.stem.removesuffix('_rgb')}_pose.txt")


def _camera(folder: Path) -> NDArray[np.float64]:
    """Return the intrinsic matrix of the camera that took a folder's frames, (3, 3)."""
    path = folder / "rgb.cal"
    try:
        return _read_camera(path, path.stat().st_mtime_ns)
    except FileNotFoundError as error:
        raise DataError(
            f"There is no rgb.cal in {folder}.",
            "the file that says how the camera sees, in each folder of frames.",
            "copy it from the BIWI database: it comes with each folder.",
        ) from error
    except ValueError as error:
        raise DataError(
            f"{path} is no calibration: {error}.",
            "three rows of three numbers first: the camera's intrinsic matrix.",
            "get the file again from the BIWI database.",
        ) from error


@lru_cache(maxsize=64)
def _read_camera(path: Path, changed: int) -> NDArray[np.float64]:
    """Read `path` once until it changes; frames of a folder share it."""
    return _matrix(path.read_text(encoding="utf-8"), rows=3)


def _matrix(text: str, rows: int) -> NDArray[np.float64]:
    """Return the first `rows` lines that are not blank, each of three numbers, (rows, 3)."""
    lines = [line.split() for line in text.splitlines() if line.strip()][:rows]
    if len(lines) < rows:
        raise ValueError(f"it has {len(lines)} of {rows} rows")
    for line in lines:
        if len(line) != 3:
            raise ValueError(f"the row '{' '.join(line)}' has {len(line)} numbers")
    values = np.array([[float(number) for number in line] for line in lines])
    if not np.isfinite(values).all():
        raise ValueError("not all of its numbers are finite")
    return values
