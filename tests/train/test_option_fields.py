from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from onecycle.train.option_fields import option, ordered_fields, takes_options
from onecycle.train.options import TrainOptions, takes_train_options

FIELDS = dataclasses.fields(TrainOptions)


class TestSignature:
    def test_a_function_shows_its_own_parameters_and_all_options(self) -> None:
        @takes_train_options
        def make(data: list[int], *, head: str = "linear", **options: Any) -> dict[str, Any]:
            return {"data": data, "head": head, **options}

        parameters = inspect.signature(make).parameters
        assert list(parameters) == ["data", "head", *(field.name for field in FIELDS)]
        assert parameters["clip"].default is None
        assert parameters["clip"].annotation == float | None
        assert parameters["weight_decay"].kind is inspect.Parameter.KEYWORD_ONLY
        assert make([1], clip=2) == {"data": [1], "head": "linear", "clip": 2}

    def test_a_class_shows_those_of_its_constructor(self) -> None:
        class Trainer:
            @takes_train_options
            def __init__(self, data: list[int], **options: Any) -> None:
                self.data, self.options = data, options

        assert list(inspect.signature(Trainer).parameters)[:2] == ["data", "metrics"]
        assert Trainer([1], ema=0.5).options == {"ema": 0.5}

    def test_a_parameter_of_the_function_takes_the_place_of_an_option(self) -> None:
        @takes_train_options
        def make(*, loss: int = 3, **options: Any) -> None: ...

        parameters = inspect.signature(make).parameters
        assert parameters["loss"].default == 3
        assert len(parameters) == len(FIELDS)

    def test_the_docstring_lists_the_help_texts_after_options(self) -> None:
        @takes_train_options
        def make(**options: Any) -> None:
            """Make it.

            Args:
                options: See `TrainOptions`.
            Returns:
                Nothing.
            """

        lines = (make.__doc__ or "").splitlines()
        start = lines.index("    options: See `TrainOptions`.")
        assert lines[start + 1].startswith("    metrics: Metrics to report: names, functions ")
        assert max(map(len, lines)) <= 120
        assert "Returns:" in lines

    def test_a_function_without_a_docstring_stays_without(self) -> None:
        @takes_train_options
        def make(**options: Any) -> None: ...

        assert make.__doc__ is None

    def test_options_of_a_subclass_come_before_inherited_ones(self) -> None:
        @dataclasses.dataclass(frozen=True, kw_only=True)
        class More(TrainOptions):
            depth: int = option(3, "Layers.")
            seed: int = option(42, "Another default.")

        names = [field.name for field in ordered_fields(More)]
        assert names[:3] == ["depth", "seed", "metrics"]
        assert len(names) == len(FIELDS) + 1

        @takes_options(More)
        def make(**options: Any) -> None: ...

        assert next(iter(inspect.signature(make).parameters.values())).default == 3
