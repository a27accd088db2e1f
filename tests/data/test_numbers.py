"""Numbers as labels: read from columns, standardised on the training items, predicted in their own units."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import onecycle as oc
from learners import tiny
from onecycle.data.numbers import Numbers
from onecycle.data.target import Target
from onecycle.errors import DataError

finite = st.floats(-1e6, 1e6)


def table(folder: Path, *rows: str, header: str = "file,age,weight") -> Path:
    for number in range(len(rows)):
        Image.new("RGB", (16, 16), (number * 8 % 256, 90, 90)).save(folder / f"{number:02}.png")
    path = folder / "numbers.csv"
    path.write_text("\n".join([header, *(f"{number:02}.png,{row}" for number, row in enumerate(rows))]) + "\n")
    return path


def split(path: Path, valid: Any = (0,)) -> Any:
    return oc.ImageList.from_csv(path, folder=path.parent).split_by_index(list(valid))


def test_it_is_a_target() -> None:
    assert isinstance(Numbers(("a",), (0.0,), (1.0,)), Target)


def test_only_training_items_decide_mean_and_deviation(tmp_path: Path) -> None:
    labelled = split(table(tmp_path, "1000,7", "1,10", "3,20", "5,30")).label_numbers(["age", "weight"])
    assert labelled.target.mean == (3, 20)
    assert labelled.target.std == pytest.approx((np.std([1, 3, 5]), np.std([10, 20, 30])))
    assert repr(labelled).endswith("Numbers, 2: age (3 ± 1.633), weight (20 ± 8.165)")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(finite, finite), min_size=2, max_size=9))
def test_numbers_come_back_as_they_were(rows: list[tuple[float, float]]) -> None:
    values = np.array(rows)
    if (values.std(axis=0) < 1e-3).any():
        return
    target = Numbers.standardised(("a", "b"), rows)
    assert Numbers.from_config(target.to_config()) == target
    encoded = torch.stack([target.encode(row) for row in rows])
    assert encoded.mean(0).abs().max() < 1e-4
    scale = np.abs(values).max(axis=0)
    for row, one in zip(rows, encoded, strict=True):
        np.testing.assert_allclose(list(target.decode(one).values()), row, atol=float(scale.max()) * 1e-5)
    predictions, truths = target.metric_inputs(encoded, encoded, None)
    np.testing.assert_allclose(truths.numpy(), values, atol=float(scale.max()) * 1e-5)
    assert torch.equal(predictions, truths)


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (["1,2", "x,3", "4,y"], "age", r"Not numbers in column 'age': 1 value, 'x' \(01.png\).\nExpected numbers"),
        (["1,2", ",3", "4,5"], "age", r"1 row has no number in column 'age': 01.png.\nExpected a finite number"),
        (["1,2", "inf,3", "4,5"], "age", r"1 row has no number in column 'age': 01.png.\nExpected a finite number"),
        (["1,2", "3,3", "3,5"], "age", r"All training rows hold the same number in column age.\nExpected numbers that"),
        (["1,2", "3,3", "4,5"], "agee", r"There is no column 'agee'.\nExpected one of: .*\nFix: .*Did you mean"),
    ],
)
def test_columns_without_numbers_are_refused(rows: list[str], columns: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        split(table(tmp_path, *rows)).label_numbers(columns)


def test_there_is_nothing_to_balance(tmp_path: Path) -> None:
    labelled = split(table(tmp_path, "1,2", "3,4", "5,6")).label_numbers("age").transform(16)
    for balance in ("sampling", "loss"):
        with pytest.raises(
            DataError, match=r"balance= does not fit numbers.\nExpected a category or tags.\nFix: leave"
        ):
            labelled.databunch(2, balance=balance)


def test_they_are_learned_and_predicted_in_their_own_units(tmp_path: Path) -> None:
    """The red of an image is its age: from 0 to 31 in steps of 8 of red."""
    path = table(tmp_path, *(f"{20 + number * 2},{number % 3}" for number in range(32)))
    bunch = split(path, range(0, 32, 4)).label_numbers("age").transform(16, augment=oc.augment.none()).databunch(8)
    learner = tiny(bunch, frozen=False, metrics=["mae", "r2", "rmse"])
    learner.fit_one_cycle(8, lr=1e-2)
    predictions = learner.predict_all()
    labels = np.array(predictions.table["label"].to_pylist())[:, 0]
    predicted = np.array(predictions.table["prediction"].to_pylist())[:, 0]
    values = learner.validate()
    assert values["mae"] == pytest.approx(np.abs(predicted - labels).mean(), rel=1e-4)
    assert values["rmse"] == pytest.approx(np.sqrt(((predicted - labels) ** 2).mean()), rel=1e-4)
    assert values["r2"] == pytest.approx(
        1 - ((predicted - labels) ** 2).sum() / ((labels - labels.mean()) ** 2).sum(), rel=1e-3
    )
    label, probabilities = learner.predict(str(tmp_path / "04.png"))
    assert list(label) == ["age"]
    assert probabilities == {}
    learner.show_results(4)
    assert bunch.show_batch(2, split="valid").axes[0].get_title() == "age 20"
    predictions.to_csv(tmp_path / "predictions.csv")
    assert (tmp_path / "predictions.csv").read_text().splitlines()[0] == "image_name,age"
    learner.export(tmp_path / "age.onecycle")
    again = oc.load_model(tmp_path / "age.onecycle").predict(str(tmp_path / "04.png")).label
    assert again["age"] == pytest.approx(label["age"], rel=1e-3)
    assert oc.load_model(tmp_path / "age.onecycle").target.caption(again).startswith("age ")


def test_another_scale_is_another_problem(tmp_path: Path) -> None:
    one, other = (
        split(table(tmp_path, *rows)).label_numbers("age").transform(16).databunch(2)
        for rows in (("1,2", "3,4", "5,6"), ("1,2", "30,4", "50,6"))
    )
    learner = tiny(one)
    with pytest.raises(
        oc.ModelError, match=r"other labels or classes: Numbers, 1: age \(40 ± 10\).*\nExpected the lea"
    ):
        learner.data = other
