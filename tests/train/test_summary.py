from __future__ import annotations

from pathlib import Path

import onecycle as oc
from learners import photo_bunch, tiny


def test_layers_have_their_shapes_parameters_and_whether_they_learn(photos: Path) -> None:
    learner = tiny(photo_bunch(photos))
    summary = learner.summary()
    layers = {layer.name: layer for layer in summary.layers}
    stem = layers["body.1.conv_stem"]
    assert (stem.kind, stem.shape, stem.parameters, stem.learns) == ("Conv2d", (24, 16, 16), 24 * 3 * 9, "no")
    assert next(reversed(layers.values())).learns == "yes"
    assert next(reversed(layers.values())).shape == (3,)
    assert summary.parameters == sum(parameter.numel() for parameter in learner.model.parameters())
    assert 0 < summary.learning < summary.parameters
    assert repr(summary).splitlines()[0].split() == ["layer", "kind", "output", "parameters", "learns"]
    assert repr(summary).endswith(f"{summary.parameters:,} parameters, of which {summary.learning:,} learn")
    assert summary._repr_html_().count("<tr>") == len(summary.layers) + 1


def test_modules_at_the_depth_are_not_taken_apart(photos: Path) -> None:
    learner = tiny(photo_bunch(photos))
    assert [layer.name for layer in learner.summary(depth=1).layers] == ["body", "head"]
    learner.unfreeze()
    assert all(layer.learns == "yes" for layer in learner.summary(depth=1).layers)


def test_texts_and_models_in_training_mode_stay_as_they_are(photos: Path) -> None:
    split = oc.TextList.from_texts(["a good film", "a bad film"] * 8, ["pos", "neg"] * 8).split_by_index([0, 1])
    learner = oc.text_learner(split.label_from_column("label").databunch(4), progress=False)
    assert learner.summary(depth=1).layers[-1].shape == (2,)
