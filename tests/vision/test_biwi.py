"""The labels of the BIWI database, compared with the output of fast.ai's lesson 3 and rotations calculated by hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from onecycle.errors import DataError
from onecycle.vision.biwi import Pose, head_centre, head_pose

# As published: every number is followed by a space, and matrices are separated by blank lines.
CALIBRATION = (
    """517.679 0 320 \n0 517.679 240.5 \n0 0 1 \n\n0 0 0 0 \n\n1 0 0 \n0 1 0 \n0 0 1 \n\n0 0 0 \n\n640 480 \n"""
)
POSE = """1 0 0 \n0 1 0 \n0 0 1 \n\n187.332 40.3892 893.135 \n"""


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    (tmp_path / "rgb.cal").write_text(CALIBRATION)
    (tmp_path / "frame_00667_pose.txt").write_text(POSE)
    return tmp_path / "frame_00667_rgb.jpg"


def test_the_centre_equals_the_lessons_output(frame: Path) -> None:
    # https://github.com/fastai/course-v3 lesson3-head-pose: get_ctr("09/frame_00667_rgb.jpg"), y before x there.
    assert head_centre(frame) == [pytest.approx((428.5814, 263.9104), abs=1e-4)]


def test_a_png_has_the_same_label(frame: Path) -> None:
    assert head_centre(frame.with_suffix(".png")) == head_centre(frame)


def test_blank_lines_and_windows_line_ends_are_accepted(frame: Path) -> None:
    expected = head_centre(frame)
    for name, text in (("rgb.cal", CALIBRATION), ("frame_00667_pose.txt", POSE)):
        frame.with_name(name).write_text("\n  \n" + text.replace("\n", "\r\n") + "\n\n", newline="")
    assert head_centre(frame) == expected


def test_a_modified_calibration_is_read_again(frame: Path) -> None:
    head_centre(frame)
    path = frame.with_name("rgb.cal")
    path.write_text(CALIBRATION.replace("320", "420"))
    os.utime(path, ns=(1, 1))
    assert head_centre(frame)[0][0] == pytest.approx(528.5814, abs=1e-4)


def test_a_pose_has_the_numbers_in_its_file(frame: Path) -> None:
    frame.with_name("frame_00667_pose.txt").write_text("1 2 3\n4 5 6\n7 8 9\n\n10 11 12\n")
    assert head_pose(frame).rotation.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert head_pose(frame).centre.tolist() == [10, 11, 12]


HALF, ROOT = 0.5, 3**0.5 / 2  # sine and cosine of 30 degrees


@pytest.mark.parametrize(
    ("turn", "angles", "face"),
    [
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], (0, 0, 0), (0, 0, -1)),
        ([[ROOT, 0, HALF], [0, 1, 0], [-HALF, 0, ROOT]], (30, 0, 0), (-HALF, 0, -ROOT)),  # to the left
        ([[1, 0, 0], [0, ROOT, HALF], [0, -HALF, ROOT]], (0, 30, 0), (0, -HALF, -ROOT)),  # up
        ([[ROOT, -HALF, 0], [HALF, ROOT, 0], [0, 0, 1]], (0, 0, 30), (0, 0, -1)),  # x turns towards y: clockwise
    ],
)
def test_angles_of_known_rotations(turn: list[list[float]], angles: tuple[float, ...], face: tuple[float, ...]) -> None:
    pose = Pose(np.array(turn, dtype=float), np.zeros(3))
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx(angles)
    assert pose.rotation @ [0, 0, -1] == pytest.approx(face)


def test_a_missing_calibration_is_reported(frame: Path) -> None:
    frame.with_name("rgb.cal").unlink()
    with pytest.raises(DataError) as caught:
        head_centre(frame)
    assert str(caught.value).splitlines() == [
        f"There is no rgb.cal in {frame.parent}.",
        "Expected the camera's calibration in each folder of frames.",
        "Fix: copy it from the BIWI database: it comes with each folder.",
    ]


@pytest.mark.parametrize("name", ["frame_00668_rgb.jpg", "holiday.jpg"])
def test_a_missing_pose_is_reported(frame: Path, name: str) -> None:
    image = frame.with_name(name)
    with pytest.raises(DataError) as caught:
        head_centre(image)
    pose = frame.with_name(f"{name.removesuffix('.jpg').removesuffix('_rgb')}_pose.txt")
    assert str(caught.value).splitlines() == [
        f"{image} has no pose: {pose} does not exist.",
        "Expected a file of that name next to each frame, as in the BIWI database.",
        "Fix: keep the database's file names, and leave out images that are not frames of it.",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it has 0 of 4 rows"),
        ("1 0 0\n0 1 0\n0 0 1\n\n", "it has 3 of 4 rows"),
        ("1 0 0\n0 1\n0 0 1\n\n1 2 3\n", "the row '0 1' has 2 numbers"),
        ("1 0 0\n0 1 0\n0 0 1\n\n1 2 away\n", "could not convert string to float: 'away'"),
        ("1 0 0\n0 1 0\n0 0 1\n\n1 2 nan\n", "not all of its numbers are finite"),
    ],
)
def test_a_damaged_pose_is_reported(frame: Path, text: str, reason: str) -> None:
    path = frame.with_name("frame_00667_pose.txt")
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        head_pose(frame)
    assert str(caught.value).splitlines() == [
        f"{path} is not a pose: {reason}.",
        "Expected four rows of three numbers: the head's rotation matrix, then its centre in mm.",
        "Fix: download the file again from the BIWI database, or leave the frame out.",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("517.679 0 320\n", "it has 1 of 3 rows"), ("640 480\n0 1 0\n0 0 1\n", "the row '640 480' has 2 numbers")],
)
def test_a_damaged_calibration_is_reported(frame: Path, text: str, reason: str) -> None:
    path = frame.with_name("rgb.cal")
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        head_centre(frame)
    assert str(caught.value).splitlines() == [
        f"{path} is not a calibration: {reason}.",
        "Expected three rows of three numbers at its start: the camera's intrinsic matrix.",
        "Fix: download the file again from the BIWI database.",
    ]


def test_a_file_that_is_not_text_is_reported(frame: Path) -> None:
    frame.with_name("rgb.cal").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DataError, match="is not a calibration: 'utf-8' codec"):
        head_centre(frame)


@pytest.mark.parametrize("away", ["0", "-893.135"])
def test_a_head_behind_the_camera_is_reported(frame: Path, away: str) -> None:
    path = frame.with_name("frame_00667_pose.txt")
    path.write_text(POSE.replace("893.135", away))
    with pytest.raises(DataError) as caught:
        head_centre(frame)
    assert str(caught.value).splitlines() == [
        f"{path} puts the head {away} mm in front of the camera.",
        "Expected more than 0 mm.",
        "Fix: leave the frame out, or download its pose again.",
    ]
