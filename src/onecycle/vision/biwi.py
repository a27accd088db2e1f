"""Labels of the BIWI Kinect head pose database: position and orientation of heads.

Next to each `frame_00003_rgb.jpg` is `frame_00003_pose.txt`: a 3 by 3 rotation matrix, then the head's centre in mm.
Each folder contains `rgb.cal`, which starts with the camera's intrinsic matrix. Axes are the camera's: x to the right,
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
    """Position and orientation of a head.

    Angles are in degrees, as in Ruiz et al. 2018 (arXiv:1710.00925); all are 0 when the face looks straight along the
    camera's axis.

    Attributes:
        rotation: Matrix from the head's axes to the camera's, (3, 3).
        centre: Centre of the head in mm, (3,).
    """

    rotation: NDArray[np.float64]
    centre: NDArray[np.float64]

    @property
    def yaw(self) -> float:
        """Rotation of the face towards the left of the picture, in degrees."""
        x, y, z = self.rotation[:, 2]
        return math.degrees(math.atan2(x, math.hypot(y, z)))

    @property
    def pitch(self) -> float:
        """Rotation of the face upwards, in degrees."""
        return math.degrees(math.atan2(self.rotation[1, 2], self.rotation[2, 2]))

    @property
    def roll(self) -> float:
        """Rotation of the head clockwise in the picture, in degrees."""
        return math.degrees(-math.atan2(self.rotation[0, 1], self.rotation[0, 0]))


def head_centre(image: Path) -> list[tuple[float, float]]:
    """Return the position of the head's centre in pixels of the published image, as a list of one (x, y).

    This is the label of fast.ai's lesson 3: `x = cx + fx * X / Z` and `y = cy + fy * Y / Z`. As there, distortion and
    the small shift between depth and colour camera, which follow the matrix in `rgb.cal`, are ignored.

    Args:
        image: Path of a frame, such as `01/frame_00003_rgb.jpg`. The file is not opened: if it was resized on disk,
            scale its `rgb.cal` too.
    Raises:
        DataError: `rgb.cal` or the frame's `_pose.txt` is missing or damaged, or the head is behind the camera.
    """
    image = Path(image)
    x, y, z = head_pose(image).centre.tolist()
    if z <= 0:
        raise DataError(
            f"{pose_file(image)} puts the head {z:g} mm in front of the camera.",
            "more than 0 mm.",
            "leave the frame out, or download its pose again.",
        )
    camera = _camera(image.parent)
    return [(camera[0, 2] + camera[0, 0] * x / z, camera[1, 2] + camera[1, 1] * y / z)]


def head_pose(image: Path) -> Pose:
    """Return the pose of the head in a frame.

    Raises:
        DataError: The frame's `_pose.txt` is missing or damaged.
    """
    path = pose_file(Path(image))
    try:
        values = _parse_matrix(path.read_text(encoding="utf-8"), rows=4)
    except FileNotFoundError as error:
        raise DataError(
            f"{image} has no pose: {path} does not exist.",
            "a file of that name next to each frame, as in the BIWI database.",
            "keep the database's file names, and leave out images that are not frames of it.",
        ) from error
    except ValueError as error:
        raise DataError(
            f"{path} is not a pose: {error}.",
            "four rows of three numbers: the head's rotation matrix, then its centre in mm.",
            "download the file again from the BIWI database, or leave the frame out.",
        ) from error
    return Pose(rotation=values[:3], centre=values[3])


def pose_file(image: Path) -> Path:
    """Return the path of a frame's pose.

    Example:
        >>> pose_file(Path("01/frame_00003_rgb.jpg")).name
        'frame_00003_pose.txt'
    """
    return image.with_name(f"{image.stem.removesuffix('_rgb')}_pose.txt")


def _camera(folder: Path) -> NDArray[np.float64]:
    """Return the intrinsic matrix of the camera that took a folder's frames, (3, 3)."""
    path = folder / "rgb.cal"
    try:
        return _read_camera(path, path.stat().st_mtime_ns)
    except FileNotFoundError as error:
        raise DataError(
            f"There is no rgb.cal in {folder}.",
            "the camera's calibration in each folder of frames.",
            "copy it from the BIWI database: it comes with each folder.",
        ) from error
    except ValueError as error:
        raise DataError(
            f"{path} is not a calibration: {error}.",
            "three rows of three numbers at its start: the camera's intrinsic matrix.",
            "download the file again from the BIWI database.",
        ) from error


@lru_cache(maxsize=64)
def _read_camera(path: Path, modified_ns: int) -> NDArray[np.float64]:
    """Read `path` once until it is modified; all frames of a folder share the result."""
    return _parse_matrix(path.read_text(encoding="utf-8"), rows=3)


def _parse_matrix(text: str, rows: int) -> NDArray[np.float64]:
    """Return the first `rows` lines that are not blank, three numbers each, as (rows, 3)."""
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
