"""Heads: the layout of the BIWI database, and heads at the positions of their labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from demo.drawn import content
from onecycle.demo import heads
from onecycle.demo.heads import Person, draw_head, make_biwi, rotation, scaled_camera
from onecycle.vision.biwi import Pose, head_centre, head_pose

SIZE = (240, 320)
PLAIN = Person(skin=(220, 40, 40), hair=(220, 40, 40), clothes=(40, 40, 220))


@pytest.fixture(scope="module")
def biwi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_biwi(tmp_path_factory.mktemp("biwi"), people=3, frames=2)


def test_the_published_layout(biwi: Path) -> None:
    assert sorted(entry.name for entry in biwi.iterdir()) == ["01", "02", "03"]
    for person in biwi.iterdir():
        assert sorted(path.name for path in person.iterdir()) == [
            "frame_00003_pose.txt", "frame_00003_rgb.jpg", "frame_00004_pose.txt", "frame_00004_rgb.jpg", "rgb.cal",
        ]  # fmt: skip


def test_the_code_of_the_lesson_can_read_it(biwi: Path) -> None:
    # fast.ai's lesson 3 reads a camera and a centre with these two lines.
    camera = np.genfromtxt(biwi / "01" / "rgb.cal", skip_footer=6)
    centre = np.genfromtxt(biwi / "01" / "frame_00003_pose.txt", skip_header=3)
    assert camera.shape == (3, 3)
    assert centre.shape == (3,)
    assert head_centre(biwi / "01" / "frame_00003_rgb.jpg")[0] == pytest.approx((camera @ centre)[:2] / centre[2])


def test_a_calibration_has_all_its_parts(biwi: Path) -> None:
    parts = (biwi / "02" / "rgb.cal").read_text().split("\n\n")
    assert [np.array([line.split() for line in part.split("\n") if line]).shape for part in parts] == [
        (3, 3), (1, 4), (3, 3), (1, 3), (1, 2),
    ]  # fmt: skip
    assert parts[-1].split() == ["320", "240"]


def test_a_pose_has_a_rotation_and_a_centre(biwi: Path) -> None:
    turn, centre = (biwi / "03" / "frame_00004_pose.txt").read_text().split("\n\n")
    matrix = np.array([line.split() for line in turn.split("\n")], dtype=float)
    assert matrix @ matrix.T == pytest.approx(np.eye(3), abs=1e-5)
    assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-5)
    assert len(centre.split()) == 3


def test_the_camera_is_the_published_one_scaled_to_the_size() -> None:
    published = np.array([[517.679, 0, 320], [0, 517.679, 240.5], [0, 0, 1]])
    assert scaled_camera((480, 640)).tolist() == published.tolist()
    assert scaled_camera((240, 320)).tolist() == (published * [[0.5], [0.5], [1]]).tolist()


def test_images_are_rgb_jpegs_of_the_requested_size(tmp_path: Path) -> None:
    make_biwi(tmp_path, people=1, frames=1, size=(96, 128))
    with Image.open(tmp_path / "01" / "frame_00003_rgb.jpg") as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (128, 96))
    assert (tmp_path / "01" / "rgb.cal").read_text().split()[-2:] == ["128", "96"]


def test_the_same_seed_draws_the_same_and_another_seed_does_not(biwi: Path, tmp_path: Path) -> None:
    assert content(make_biwi(tmp_path / "again", people=3, frames=2)) == content(biwi)
    other = content(make_biwi(tmp_path / "other", people=1, frames=1, seed=9))
    assert other["01/frame_00003_rgb.jpg"] != content(biwi)["01/frame_00003_rgb.jpg"]


def test_labels_are_the_numbers_used_for_drawing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[Any, Any, Any]] = []

    def spy(person: Person, room: Any, turn: Any, centre: Any, camera: Any, rng: Any) -> Image.Image:
        drawn.append((turn, centre, camera))
        return Image.new("RGB", SIZE[::-1])

    monkeypatch.setattr(heads, "draw_head", spy)
    make_biwi(tmp_path, people=2, frames=3)
    for path, (turn, centre, camera) in zip(sorted(tmp_path.rglob("*.jpg")), drawn, strict=True):
        x, y, z = camera @ centre
        assert head_centre(path)[0] == pytest.approx((x / z, y / z), abs=0.01)
        assert 0.2 * SIZE[1] < x / z < 0.8 * SIZE[1]
        assert 0.2 * SIZE[0] < y / z < 0.7 * SIZE[0]
        assert head_pose(path).rotation == pytest.approx(turn, abs=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_the_head_is_drawn_at_the_projected_centre(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    body = heads._body
    monkeypatch.setattr(heads, "_body", lambda person: [part for part in body(person) if not part.fixed])  # no neck
    rng = np.random.default_rng(seed)
    camera, centre = (
        scaled_camera(SIZE),
        np.array([rng.uniform(-200, 200), rng.uniform(-120, 60), rng.uniform(780, 1150)]),
    )
    turn = rotation(yaw=rng.uniform(-50, 50), pitch=rng.uniform(-30, 30), roll=rng.uniform(-20, 20))
    rows, columns = np.nonzero(redness(draw(turn, centre)) > 30)
    assert len(rows) > 1000
    x, y = (camera @ centre)[:2] / centre[2]
    assert columns.mean() == pytest.approx(x, abs=4)
    assert rows.mean() == pytest.approx(y, abs=4)


def test_a_head_at_twice_the_distance_is_half_as_wide() -> None:
    near, far = (redness(draw(np.eye(3), np.array([0.0, -40.0, away]))) > 30 for away in (700.0, 1400.0))
    assert near.any(0).sum() == pytest.approx(2 * far.any(0).sum(), rel=0.1)


def test_the_face_turns_by_the_angles() -> None:
    def face(**angles: float) -> Any:
        """Position of the face relative to the centre of the hair, (x, y) in pixels."""
        person = Person(skin=(220, 40, 40), hair=(40, 220, 40), clothes=(40, 40, 220))
        turn = rotation(**({"yaw": 0.0, "pitch": 0.0, "roll": 0.0} | angles))
        pixels = np.asarray(draw(turn, np.array([0.0, 0.0, 800.0]), person), dtype=float)[:145]
        red, green = (np.argwhere(pixels[..., c] > pixels[..., 1 - c] + 30).mean(0)[::-1] for c in (0, 1))
        return red - green

    straight = face()
    assert face(yaw=40)[0] < straight[0] - 8 < straight[0] + 8 < face(yaw=-40)[0]
    assert face(pitch=-30)[1] > straight[1]  # looking down shows more hair above
    assert face(roll=25)[0] < straight[0] - 8 < straight[0] + 8 < face(roll=-25)[0]  # clockwise: the hair goes right


@pytest.mark.parametrize("angles", [(35, 0, 0), (0, -20, 0), (0, 0, 15), (-48, 27, -19)])
def test_a_rotation_has_the_angles_it_was_made_from(angles: tuple[float, float, float]) -> None:
    yaw, pitch, roll = angles
    pose = Pose(rotation(yaw=yaw, pitch=pitch, roll=roll), np.zeros(3))
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx(angles, abs=1e-9)


def draw(turn: Any, centre: Any, person: Person = PLAIN) -> Image.Image:
    return draw_head(person, np.full((*SIZE, 3), 128.0), turn, centre, scaled_camera(SIZE), np.random.default_rng(0))


def redness(image: Image.Image) -> Any:
    pixels = np.asarray(image, dtype=float)
    return pixels[..., 0] - pixels[..., 1:].max(-1)
