"""Generates images of heads in many poses, each with the position of its centre in millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageFilter

from onecycle.demo.ellipsoids import Array, Scene
from onecycle.demo.texture import smooth_noise, to_image

FIRST_FRAME = 3  # the number of the first frame in the published folders
SKINS = ((236, 190, 160), (222, 170, 135), (198, 145, 110), (150, 102, 72), (98, 66, 48))
HAIRS = ((28, 22, 20), (62, 42, 28), (110, 76, 44), (176, 140, 88), (140, 138, 136))


@dataclass(frozen=True)
class Person:
    """Appearance of a person. Colours are (red, green, blue), 0 to 255."""

    skin: tuple[float, ...]
    hair: tuple[float, ...]
    clothes: tuple[float, ...]
    long_hair: bool = False
    scale: float = 1.0


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid: its centre and radii in mm, in the axes of the head or, if `fixed`, of the camera."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    colour: tuple[float, ...]
    fixed: bool = False


def make_biwi(
    folder: str | Path, *, people: int = 8, frames: int = 12, size: tuple[int, int] = (240, 320), seed: int = 0
) -> Path:
    """Draw heads in the layout of the BIWI Kinect head pose database.

    Writes one folder for each person, `01` and so on. Each contains frames such as `frame_00003_rgb.jpg`, their poses
    such as `frame_00003_pose.txt` (the head's rotation matrix, a blank line, its centre in mm), and the camera,
    `rgb.cal`.

    Args:
        folder: Where to write.
        people: Number of people.
        frames: Number of frames of each person.
        size: (height, width) in pixels; the published images have (480, 640), and the camera is scaled from that.
        seed: The same seed draws the same images.
    Source: Fanelli et al. 2013, "Random forests for real time 3D face analysis", IJCV 101(3), for the original data.
    Example:
        >>> from tempfile import mkdtemp
        >>> folder = make_biwi(Path(mkdtemp()), people=2, frames=1, size=(60, 80))
        >>> sorted(path.name for path in (folder / "01").iterdir())
        ['frame_00003_pose.txt', 'frame_00003_rgb.jpg', 'rgb.cal']
    """
    folder = Path(folder)
    rng = np.random.default_rng(seed)
    # One room for all: with a few rooms, a network would memorise each instead of looking at heads.
    camera, room = scaled_camera(size), _room(size, rng)
    for number in range(1, people + 1):
        person_folder = folder / f"{number:02d}"
        person_folder.mkdir(parents=True, exist_ok=True)
        (person_folder / "rgb.cal").write_text(_calibration(camera, size), encoding="utf-8")
        person = _person(rng)
        for frame in range(FIRST_FRAME, FIRST_FRAME + frames):
            pose = rotation(yaw=rng.uniform(-50, 50), pitch=rng.uniform(-30, 30), roll=rng.uniform(-20, 20))
            centre = _centre(camera, size, rng)
            image = draw_head(person, room, pose, centre, camera, rng)
            image.save(person_folder / f"frame_{frame:05d}_rgb.jpg", quality=92)
            lines = f"{_rows(pose)}\n{_rows(centre[None])}"
            (person_folder / f"frame_{frame:05d}_pose.txt").write_text(lines, encoding="utf-8")
    return folder


def scaled_camera(size: tuple[int, int]) -> Array:
    """Return the database's intrinsic matrix, (3, 3), scaled from 480 by 640 to `size` (height, width)."""
    y_scale, x_scale = size[0] / 480, size[1] / 640
    # One focal length for both directions, so that heads are not stretched.
    return np.array([[517.679 * x_scale, 0, 320 * x_scale], [0, 517.679 * x_scale, 240.5 * y_scale], [0, 0, 1]])


def rotation(*, yaw: float, pitch: float, roll: float) -> Array:
    """Return the rotation matrix, (3, 3), of a head that looks into the camera at angles of 0; angles are in degrees.

    Positive yaw turns it to the left of the picture, positive pitch upwards, and positive roll clockwise.
    """
    (cos_x, cos_y, cos_z), (sin_x, sin_y, sin_z) = (f(np.radians([-pitch, yaw, roll])) for f in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cos_x, -sin_x], [0, sin_x, cos_x]])
    about_y = np.array([[cos_y, 0, sin_y], [0, 1, 0], [-sin_y, 0, cos_y]])
    about_z = np.array([[cos_z, -sin_z, 0], [sin_z, cos_z, 0], [0, 0, 1]])
    matrix: Array = about_x @ about_y @ about_z
    return matrix


def draw_head(
    person: Person, room: Array, pose: Array, centre: Array, camera: Array, rng: np.random.Generator
) -> Image.Image:
    """Draw one frame.

    Args:
        person: Appearance of the person.
        room: Background, 0 to 255, (height, width, 3).
        pose: Rotation from the head's axes to the camera's: x to the right, y down, z away from the camera. (3, 3).
        centre: Centre of the head in mm, in the camera's axes. (3,).
        camera: Intrinsic matrix, (3, 3).
        rng: Source of randomness for light and noise.
    Returns:
        The frame, RGB, of the room's size.
    """
    light = np.array([rng.uniform(-0.7, 0.7), -0.6, -1.0])  # slightly from above, left or right
    scene = Scene(room.copy(), camera, light)
    for part in _body(person):
        axes = np.eye(3) if part.fixed else pose
        offset, radii = (person.scale * np.array(values) for values in (part.centre, part.radii))
        scene.draw(centre + axes @ offset, axes, radii, part.colour)
    pixels = scene.pixels * rng.uniform(0.75, 1.15) + rng.normal(0, 5, room.shape)
    return to_image(pixels).filter(ImageFilter.GaussianBlur(0.6))


def _body(person: Person) -> list[Ellipsoid]:
    """Return the ellipsoids of a person; the centre of the head is (0, 0, 0), the face looks along negative z."""
    dark, lips = (30, 24, 22), tuple(0.62 * np.array(person.skin) * (1.15, 0.75, 0.75))
    brows = tuple(0.7 * np.array(person.hair))
    body = [
        Ellipsoid((0, 520, 45), (165, 350, 100), person.clothes, fixed=True),
        Ellipsoid((0, 255, 45), (185, 75, 85), person.clothes, fixed=True),
        Ellipsoid((0, 135, 25), (50, 80, 50), person.skin, fixed=True),
        Ellipsoid((0, 0, 0), (75, 110, 95), person.skin),
        Ellipsoid((0, -24, 20), (83, 98, 96), person.hair),
        Ellipsoid((0, 14, -96), (13, 26, 21), person.skin),
        Ellipsoid((0, 58, -79), (24, 7, 8), lips),
    ]
    if person.long_hair:
        body.append(Ellipsoid((0, 45, 45), (88, 125, 62), person.hair))
    for side in (-1, 1):
        body += [
            Ellipsoid((side * 165, 480, 45), (52, 270, 65), person.clothes, fixed=True),
            Ellipsoid((side * 77, 5, 5), (9, 28, 17), person.skin),
            Ellipsoid((side * 30, -17, -81), (15, 9, 8), (238, 236, 232)),
            Ellipsoid((side * 30, -17, -87), (7, 7, 4), dark),
            Ellipsoid((side * 31, -37, -80), (19, 5, 7), brows),
        ]
    return body


def _person(rng: np.random.Generator) -> Person:
    skin, hair = np.array(rng.choice(SKINS)) * rng.uniform(0.92, 1.05), np.array(rng.choice(HAIRS))
    clothes = tuple(_muted(25, 200, rng))
    return Person(tuple(skin), tuple(hair), clothes, bool(rng.random() < 0.4), rng.uniform(0.93, 1.07))


def _room(size: tuple[int, int], rng: np.random.Generator) -> Array:
    """Return a slightly blurred room: a wall, a window or a board, shelves with books, a table."""
    height, width = size
    room = np.ones((height, width, 3)) * _muted(115, 215, rng) * np.linspace(1.05, 0.8, width)[:, None]

    def fill(left: float, top: float, right: float, bottom: float, colour: ArrayLike) -> None:
        """Fill a rectangle given in fractions of the picture."""
        room[int(top * height) : int(bottom * height), int(left * width) : int(right * width)] = np.asarray(colour)

    halves = [0.03, 0.53] if rng.random() < 0.5 else [0.53, 0.03]
    left, start = np.array(halves) + rng.uniform(0, 0.06, 2)
    top, shelf = rng.uniform(0, 0.2), rng.uniform(0.1, 0.35)
    fill(left, top, left + 0.36, top + 0.42, _muted(40, 110, rng))
    fill(left + 0.015, top + 0.02, left + 0.345, top + 0.4, rng.uniform(170, 250))
    for board in (shelf, shelf + 0.24, shelf + 0.48):
        for book in np.arange(start, start + 0.4, 0.022):
            fill(book, board + rng.uniform(0, 0.08), book + 0.019, board + 0.2, _muted(30, 200, rng))
        fill(start - 0.01, board + 0.2, start + 0.42, board + 0.225, (95, 70, 50))
    fill(0, rng.uniform(0.82, 0.95), 1, 1, rng.uniform(60, 150) * np.array([1, 0.85, 0.7]))
    stains = 18 * (smooth_noise(size, 12, rng) - 0.5)
    return np.asarray(to_image(room + stains[..., None]).filter(ImageFilter.GaussianBlur(1.2)), dtype=np.float64)


def _muted(darkest: float, lightest: float, rng: np.random.Generator) -> Array:
    """Return a random colour close to grey."""
    return np.clip(rng.uniform(darkest, lightest) + rng.normal(0, 22, 3), 5, 250)


def _centre(camera: Array, size: tuple[int, int], rng: np.random.Generator) -> Array:
    """Return a random position of a head, in mm, well inside the picture."""
    depth = rng.uniform(780, 1150)
    pixel = np.array([size[1] * rng.uniform(0.22, 0.78), size[0] * rng.uniform(0.3, 0.62), 1])
    centre: Array = depth * (np.linalg.inv(camera) @ pixel)
    return centre


def _calibration(camera: Array, size: tuple[int, int]) -> str:
    """Return the content of `rgb.cal`: camera, distortion, rotation and translation to the depth camera, size."""
    parts = (camera, np.zeros((1, 4)), np.eye(3), np.zeros((1, 3)), np.array([[size[1], size[0]]]))
    return "\n".join(_rows(part) for part in parts)


def _rows(values: Array) -> str:
    """Return a matrix as text, one row a line, each number followed by a space as in the published files."""
    return "".join("".join(f"{value:.6g} " for value in row) + "\n" for row in values)
