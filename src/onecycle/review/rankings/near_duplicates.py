"""Near-copies of images: their groups, those in two splits and what they do to the metric, and a better split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from onecycle.calls import explained, explains_calls
from onecycle.data.bunch import DataBunch, check_bunch
from onecycle.errors import DataError
from onecycle.inference.precision import Precision
from onecycle.review.rankings.copies import Copies, find_copies
from onecycle.review.rankings.copy_tables import table_of_copies, table_of_leaks, table_of_pairs
from onecycle.review.rankings.features import ItemFeatures, body_features
from onecycle.review.rankings.group_pattern import group_pattern
from onecycle.review.rankings.leaks import Pairs, leaking, metrics_without, very_similar
from onecycle.review.rankings.ranking import Ranking
from onecycle.train.learner import Learner
from onecycle.vision.images import Images
from onecycle.vision.learner import image_statistics
from onecycle.vision.model import ImageModel
from onecycle.vision.weights import DEFAULT_BACKBONE, create_backbone

# Where more of the validation items than this are very similar to a training item, frames of one clip, or pictures of
# one person, are probably on both sides of the split.
MANY = 0.10
SIMILAR = "Frames of one clip, or pictures of one person, belong on one side of a split."


@explains_calls
@dataclass(frozen=True, repr=False)
class NearDuplicates(Ranking):
    """Near-copies, those in two splits first; each row is an item with the one that it is most like in its group.

    Attributes:
        table: The columns of a `Ranking`, and group (its number), other (the item that it resembles), other_split, and
            similarity (the cosine of their features).
        leaks: Validation and test items of which training has a near-copy.
        metrics: The metrics on all validation items, and on those of which training has no near-copy, by name.
        similar: Validation items without a near-copy in training, of which a training item is very similar.
        share_similar: How many of the validation items they are, 0 to 1.
        group_pattern: A pattern for `split_by_group(pattern=...)` that keeps copies together; None where none fits.

    Example:
        >>> found = oc.near_duplicates(bunch)
        >>> found.table.column_names[-4:]
        ['group', 'other', 'other_split', 'similarity']
    """

    leaks: Ranking = field(kw_only=True)
    metrics: Mapping[str, tuple[float, float]] = field(kw_only=True)
    similar: Ranking = field(kw_only=True)
    share_similar: float = field(kw_only=True)
    group_pattern: str | None = field(kw_only=True)


@explained
def near_duplicates(data: Learner | DataBunch) -> NearDuplicates:
    """Find near-copies among images: smaller, darker, compressed anew, slightly cropped.

    Two images are near-copies where at most 10 of the 64 bits of their perceptual hashes differ and the features of
    the default backbone have a cosine of at least 0.8, or at most 14 bits and 0.9. Copies of copies are one group.

    Args:
        data: A learner, which is validated with and without the copies; or a bunch, whose classes a head on the
            features is fitted to for that.
    Returns:
        A ranking with what follows for the split.
    Raises:
        DataError: The items are no images.
    Example:
        >>> oc.near_duplicates(learner).title
        'Near-duplicates'
    """
    bunch = data.data if isinstance(data, Learner) else data
    check_bunch(bunch, "near_duplicates")
    if not isinstance(bunch.modality, Images):
        raise DataError(
            f"near_duplicates() of {bunch.modality.kind}.", "images.",
            "pass a learner or a bunch of images; check() finds items of any kind that are the same byte for byte.",
        )  # fmt: skip
    features = backbone_features(data)
    copies = find_copies(features)
    places = leaking(features, copies)
    similar = very_similar(features, places)
    share = len(similar) / max(len(features.of("valid")), 1)
    pattern = _pattern(features, copies, similar if share > MANY else None)
    leaks, metrics = table_of_leaks(features, copies, places, bunch.target), metrics_without(data, features, places)
    made = bunch.target, features.datasets
    return NearDuplicates(
        table_of_copies(features, copies, bunch.target), "Near-duplicates",
        _note(features, leaks, metrics, share, pattern), *made, metrics=metrics, share_similar=share,
        group_pattern=pattern, leaks=Ranking(leaks, "Leaks", "Training has a near-copy of each.", *made),
        similar=Ranking(table_of_pairs(features, similar, bunch.target), "Very similar", SIMILAR, *made),
    )  # fmt: skip


def backbone_features(data: Learner | DataBunch) -> ItemFeatures:
    """Return the features that the default backbone gives, as it was pretrained: what is alike to it is known."""
    bunch = data.data if isinstance(data, Learner) else data
    mean, std = image_statistics(DEFAULT_BACKBONE)
    network = create_backbone(DEFAULT_BACKBONE, num_classes=0)
    model = ImageModel(network, 1, mean=mean, std=std, hidden=0, name=DEFAULT_BACKBONE)
    device = data.state.device if isinstance(data, Learner) else None
    precision = Precision("fp32", device or torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    splits = [split for split in ("train", "valid", "test") if split != "test" or bunch.test is not None]
    return body_features(model.to(precision.device).eval(), bunch, precision, splits)


def _pattern(features: ItemFeatures, copies: Copies, similar: Pairs | None) -> str | None:
    """Return the pattern that keeps copies together, and where they are too many to be chance, what is very similar."""
    first, second = copies.first, copies.second
    if similar is not None:
        first, second = np.concatenate([first, similar.places]), np.concatenate([second, similar.others])
    return group_pattern(features.names, features.labels, first, second)


def _note(
    features: ItemFeatures,
    leaks: pa.Table,
    metrics: Mapping[str, tuple[float, float]],
    share: float,
    pattern: str | None,
) -> str:
    lines = ["Each is shown with the one that it is most like."]
    valid, leaked = len(features.of("valid")), leaks.filter(pc.equal(leaks["split"], "valid")).num_rows
    if leaked:
        told = "; ".join(
            f"{name} {everything:.3f}, {rest:.3f} without them" for name, (everything, rest) in metrics.items()
        )
        lines.append(
            f"Training has near-copies of {leaked:,} of {valid:,} validation items" + (f": {told}." if told else ".")
        )
    if share > MANY:
        lines.append(
            f"{share:.0%} of the validation items are very similar to a training item, as frames of one clip are: "
            "the metric may tell how well those are known again."
        )
    if (leaked or share > MANY) and pattern:
        lines.append(f"Split by group to keep them on one side: split_by_group(pattern={pattern!r}).")
    return "\n".join(lines)
