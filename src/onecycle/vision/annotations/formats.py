"""The doors for annotation files, which `ImageList` has; each reader is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from onecycle.errors import DataError

if TYPE_CHECKING:
    from onecycle.vision.annotations.stages import AnnotatedImages

Empty = Literal["drop", "keep"]


class AnnotationFormats:
    """Images with annotations in the formats of other tools.

    Each method returns a list with a column `tags` of what is in the images, and on which after a split
    `label_tags()`, `label_masks()` and `label_points()` work. What is left out is in `skipped`.
    """

    @staticmethod
    def from_coco(
        files: str | Path | Mapping[str, str | Path], *, folder: str | Path | None = None, empty: Empty = "drop"
    ) -> AnnotatedImages:
        """Use the images of COCO annotations: tags, masks from polygons and runs, and key points.

        Args:
            files: The JSON file; or one for each split, as {"train": ..., "valid": ..., "test": ...}.
            folder: Where the images are, or folders of them; None takes the folder of the file.
            empty: "drop" leaves out images without annotation, "keep" takes them for images with nothing in them.
        Raises:
            DataError: A file is not in the format, names a category that it does not define, or no image is found.
        """
        from onecycle.vision.annotations.coco import read_coco

        return _listed("COCO's annotations", files, lambda: read_coco(files, folder, empty))

    @staticmethod
    def from_yolo(path: str | Path, *, empty: Empty = "drop") -> AnnotatedImages:
        """Use the images of YOLO labels: tags, masks from polygons, and the points of poses.

        Args:
            path: `data.yaml`; or a folder with it or with `classes.txt`.
            empty: As for `from_coco`, for images without a file; an empty file says that nothing is in the image.
        Raises:
            DataError: Names or images are not found, or a label is not in the format.
        """
        from onecycle.vision.annotations.yolo import read_yolo

        return _listed("YOLO's labels", path, lambda: read_yolo(path, empty))

    @staticmethod
    def from_voc(folder: str | Path, *, image_sets: str | None = None, empty: Empty = "drop") -> AnnotatedImages:
        """Use the images of Pascal VOC annotations: tags from the XML files, masks from SegmentationClass.

        Args:
            folder: Such as VOCdevkit/VOC2012, or any folder with an XML file for each image.
            image_sets: The folder in ImageSets whose lists are the published splits, such as "Segmentation" for masks;
                None takes "Main" where it is there.
            empty: As for `from_coco`, for images without a file.
        Raises:
            DataError: There are no annotations, or one is not in the format.
        """
        from onecycle.vision.annotations.voc import read_voc

        return _listed("Pascal VOC's annotations", folder, lambda: read_voc(folder, image_sets, empty))

    @staticmethod
    def from_label_studio(
        file: str | Path, *, folder: str | Path | None = None, choice: str | None = None, empty: Empty = "drop"
    ) -> AnnotatedImages:
        """Use the images of an export of Label Studio: choices, masks from polygons and brush strokes, key points.

        Args:
            file: The export as JSON, JSON-MIN or CSV.
            folder: Where the images are, or folders of them; None takes the folder of the file.
            choice: The control whose choices are classes, where there are several.
            empty: As for `from_coco`, for images that nobody annotated.
        Raises:
            DataError: It is no such export, or no image is found.
        """
        from onecycle.vision.annotations.label_studio import read_label_studio

        return _listed("Label Studio's export", file, lambda: read_label_studio(file, folder, choice, empty))

    @staticmethod
    def from_cvat(file: str | Path, *, folder: str | Path | None = None, empty: Empty = "drop") -> AnnotatedImages:
        """Use the images of an export of CVAT, "CVAT for images": tags, masks from polygons and brush, points.

        Args:
            file: annotations.xml.
            folder: Where the images are, or folders of them; None takes the folder of the file.
            empty: As for `from_coco`.
        Raises:
            DataError: It is not in the format, or no image is found.
        """
        from onecycle.vision.annotations.cvat import read_cvat

        return _listed("CVAT's annotations", file, lambda: read_cvat(file, folder, empty))


def _listed(what: str, source: Any, read: Callable[[], tuple[Any, Any, Any]]) -> AnnotatedImages:
    """Return the list of what a reader finds.

    Raises:
        DataError: Also where the content is of another type than the format has at some place.
    """
    from onecycle.vision.annotations.stages import AnnotatedImages
    from onecycle.vision.images import Images

    try:
        rows, facts, found = read()
    except DataError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, pa.ArrowException) as error:
        raise DataError(
            f"{source} cannot be read as {what}: {type(error).__name__}: {error}.", f"{what} as the format says.",
            "export them again, or check which file is read.",
        ) from error  # fmt: skip
    return AnnotatedImages(rows, Images(), tuple(found.skipped), facts)
