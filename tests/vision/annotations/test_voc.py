from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import onecycle as oc
import published
from onecycle.errors import DataError
from published import COUNT, expected_mask, voc_annotation, voc_folder, voc_object, write_xml
from vision.annotations.test_coco import reasons


def test_objects_are_tags_in_the_published_split(tmp_path: Path) -> None:
    voc_folder(tmp_path / "VOCdevkit/VOC2012")
    for place in (tmp_path, tmp_path / "VOCdevkit/VOC2012"):
        images = oc.ImageList.from_voc(place)
        labelled = images.split_as_published().label_tags()
        assert (len(labelled.train), len(labelled.valid), labelled.target.classes) == (6, 2, ("cat", "dog"))
        assert [label for _, label in labelled.valid] == [["cat", "dog"], ["cat"]]
        assert images.counts() == {"classify": 0, "tag": COUNT, "segment": 0, "points": 0}


def test_masks_with_voc_s_palette_and_the_edge_ignored(tmp_path: Path) -> None:
    voc_folder(tmp_path, masks=True)
    (tmp_path / "SegmentationClass/3.png").unlink()
    with pytest.warns(UserWarning, match="None of the training masks"):  # VOC has 21 classes
        labelled = oc.ImageList.from_voc(tmp_path).split_as_published().label_masks()
    assert (len(labelled.train), len(labelled.valid)) == (5, 2)
    assert (labelled.target.classes[:2], len(labelled.target.classes)) == (("background", "aeroplane"), 21)
    expected = np.array([0, 8, 12], np.uint8)[expected_mask(0)]
    expected[2, 2:10] = 255
    assert (labelled.target.encode(labelled.train[0][1]).numpy() == expected).all()


def test_masks_of_other_classes_need_their_names(tmp_path: Path) -> None:
    voc_folder(tmp_path, ("kitten", "puppy"), masks=True)
    split = oc.ImageList.from_voc(tmp_path).split_as_published()
    with pytest.raises(DataError, match=r"What are the classes of the masks in .*: kitten, puppy\.[^$]*pass classes="):
        split.label_masks()
    names = [f"class {number}" for number in range(13)]
    with pytest.warns(UserWarning, match="None of the training masks"):
        assert split.label_masks(classes=names).target.classes == tuple(names)


def test_masks_in_the_colours_of_cvat_s_labelmap(tmp_path: Path) -> None:
    voc_folder(tmp_path, ("kitten", "puppy"))
    colours = np.array([(0, 0, 0), (128, 64, 0), (0, 0, 64), (224, 224, 192)], np.uint8)
    for number in range(COUNT):
        mask = expected_mask(number)
        mask[0] = 3
        (tmp_path / "SegmentationClass").mkdir(exist_ok=True)
        Image.fromarray(colours[mask]).save(tmp_path / f"SegmentationClass/{number}.png")
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::", "kitten:128,64,0::", "puppy:0,0,64::"]
    (tmp_path / "labelmap.txt").write_text("\n".join(lines))
    labelled = oc.ImageList.from_voc(tmp_path).split_as_published().label_masks()
    assert labelled.target.classes == ("background", "kitten", "puppy")
    expected = expected_mask(0)
    expected[0] = 255
    assert (labelled.target.encode(labelled.train[0][1]).numpy() == expected).all()


def test_files_beside_the_images_as_labelimg_writes_them(tmp_path: Path) -> None:
    for number in range(COUNT):
        published.picture(tmp_path / f"photos/{number}.png", number)
        text = voc_annotation("elsewhere.jpg", voc_object(("cat", "dog")[number % 2], (1, 1, 5, 5)))
        write_xml(tmp_path / f"photos/{number}.xml", text)
    write_xml(tmp_path / "photos/gone.xml", voc_annotation("gone.jpg", voc_object("cat", (1, 1, 5, 5))))
    write_xml(tmp_path / "photos/7.xml", voc_annotation("7.png", ""))
    images = oc.ImageList.from_voc(tmp_path)
    assert images.items.table["tags"].to_pylist() == [["cat"], ["dog"]] * 3 + [["cat"], []]
    assert reasons(images) == {"images that the annotations name and the folder lacks": 1}


def test_images_of_no_list_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voc_folder(tmp_path)
    (tmp_path / "ImageSets/Main/train.txt").write_text("0 1\n1 -1\n2  1\n")  # as the lists of a class are
    split = oc.ImageList.from_voc(tmp_path).split_as_published()
    assert (len(split.train), len(split.valid)) == (3, 2)
    assert "Left out: 3 images of no split." in capsys.readouterr().out


def test_the_lists_of_segmentation_are_splits_of_their_own(tmp_path: Path) -> None:
    voc_folder(tmp_path, masks=True)
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir()
    (lists / "train.txt").write_text("4\n5\n6\n")
    (lists / "val.txt").write_text("0\n1\n")
    split = oc.ImageList.from_voc(tmp_path, image_sets="Segmentation").split_as_published()
    assert [int(path.stem) for path in (*split.train.paths, *split.valid.paths)] == [4, 5, 6, 0, 1]
    assert len(oc.ImageList.from_voc(tmp_path).split_as_published().train) == 6
    with pytest.raises(DataError, match=r"has no lists in ImageSets/Segmentations\.[^$]*Did you mean 'Segmentation'"):
        oc.ImageList.from_voc(tmp_path, image_sets="Segmentations")


def test_an_image_without_a_file_can_be_kept(tmp_path: Path) -> None:
    voc_folder(tmp_path)
    (tmp_path / "Annotations/3.xml").unlink()
    assert (len(oc.ImageList.from_voc(tmp_path)), len(oc.ImageList.from_voc(tmp_path, empty="keep"))) == (7, 8)
    assert list(reasons(oc.ImageList.from_voc(tmp_path)).values()) == [1]


def test_what_is_no_voc_is_refused(tmp_path: Path) -> None:
    published.pictures(tmp_path)
    with pytest.raises(DataError, match=r"has no XML file of objects, and no SegmentationClass"):
        oc.ImageList.from_voc(tmp_path)
    with pytest.raises(DataError, match=r"No such folder"):
        oc.ImageList.from_voc(tmp_path / "VOC2012")
    write_xml(tmp_path / "0.xml", voc_annotation("0.png", "<object></object>"))
    with pytest.raises(DataError, match=r"An object of .*0\.xml has no name"):
        oc.ImageList.from_voc(tmp_path)
    write_xml(tmp_path / "0.xml", voc_annotation("0.png", voc_object("cat", (1, 1, 5, 5))))
    assert len(oc.ImageList.from_voc(tmp_path)) == 1
