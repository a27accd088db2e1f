from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from onecycle.cli.command_options import flag_of, read_options, shell_fields, takes_shell_options
from onecycle.errors import DataError, ModelError
from onecycle.recipes.options import FineTuneOptions

FIELDS = shell_fields(FineTuneOptions)
DATA_FIELDS = shell_fields(FineTuneOptions, ("Data",))


def help_of(shell: Any, command: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The help of a command as one line of words."""
    monkeypatch.setenv("COLUMNS", "400")
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", shell(command, "--help").out).split())


class TestHelp:
    def test_train_shows_every_option_with_its_text(self, shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        text = help_of(shell, "train", monkeypatch)
        for field in FIELDS:
            turned_off = field.default is True
            assert re.search(rf"(^| ){flag_of(f'no_{field.name}' if turned_off else field.name)} ", text), field.name
            assert field.metadata["help"][turned_off:] in text
        for panel in ("Data", "Model", "Training", "Memory"):
            assert f" {panel} " in text

    def test_check_shows_the_options_of_the_data(self, shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        text = help_of(shell, "check", monkeypatch)
        assert all(field.metadata["help"][field.default is True :] in text for field in DATA_FIELDS)
        assert "--epochs" not in text
        assert {field.name for field in DATA_FIELDS} == {
            "task", "labels", "column", "image_column", "text_column", "suffix", "separator", "encoding", "header",
            "include", "valid", "test", "delimiter", "masks", "codes", "ignore", "colours", "values", "group",
            "missing", "corrections", "seed", "range", "page", "orientation", "folder_level",
        }  # fmt: skip

    def test_defaults_and_forms_of_values_are_shown(self, shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        text = help_of(shell, "train", monkeypatch)
        assert "--weight-decay <float> " in text
        assert "[default: 0.01]" in text
        assert "--precision fp32|bf16|fp16 " in text
        assert "--sizes N|HxW,... " in text
        assert "--lr RATE|auto " in text

    def test_old_names_are_hidden(self, shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "first-tuned" not in help_of(shell, "train", monkeypatch)

    def test_options_for_python_alone_are_not_options_of_the_command_line(self) -> None:
        names = {field.name for field in FIELDS}
        assert names.isdisjoint({"loss", "optimizer", "mix", "callbacks", "accelerator", "metrics"})
        assert {"clip", "ema", "label_smoothing", "weight_decay", "accumulate", "seed"} <= names


class TestValues:
    def read(self, *arguments: str) -> FineTuneOptions:
        """The options that a command with these arguments gets."""
        found: list[FineTuneOptions] = []
        app = typer.Typer()

        @app.command()
        @takes_shell_options(FineTuneOptions)
        def command(**options: Any) -> None:
            found.append(read_options(FineTuneOptions, options))

        result = CliRunner().invoke(app, list(arguments))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return found[0]

    def test_without_arguments_all_are_the_defaults(self) -> None:
        assert self.read() == FineTuneOptions()

    @pytest.mark.parametrize(
        ("arguments", "options"),
        [
            (["--sizes", "64,128"], {"sizes": [64, 128]}),
            (["--sizes", "90x120"], {"sizes": [(90, 120)]}),
            (["--epochs", "3,2"], {"epochs": [3, 2]}),
            (["--epochs", "3"], {"epochs": 3}),
            (["--column", "a,b"], {"column": ["a", "b"]}),
            (["--column", "a"], {"column": "a"}),
            (["--lr", "0.01"], {"lr": 0.01}),
            (["--batch-size", "auto"], {"batch_size": "auto"}),
            (["--batch-size", "8"], {"batch_size": 8}),
            (["--precision", "bf16"], {"precision": "bf16"}),
            (["--labels", "a/b.csv"], {"labels": Path("a/b.csv")}),
            (["--delimiter", " "], {"delimiter": " "}),
            (["--include", "a,b"], {"include": ["a", "b"]}),
            (["--valid", "0.3"], {"valid": 0.3}),
            (["--valid", "valid.txt"], {"valid": "valid.txt"}),
            (["--test", "a/test"], {"test": Path("a/test")}),
            (["--colours", "0,0,0;1,2,3"], {"colours": [(0, 0, 0), (1, 2, 3)]}),
            (["--values", "0,255"], {"values": [0, 255]}),
            (["--colours", "colours.txt"], {"colours": "colours.txt"}),
            (["--image-column", "a", "--text-column", "b"], {"image_column": "a", "text_column": "b"}),
            (["--separator", ";", "--encoding", "cp1252"], {"separator": ";", "encoding": "cp1252"}),
            (["--no-cache-features"], {"cache_features": False}),
            (["--checkpoint-activations"], {"checkpoint_activations": True}),
            (["--clip", "0.5", "--accumulate", "4"], {"clip": 0.5, "accumulate": 4}),
            (["--freeze-to", "0"], {"freeze_to": 0}),
            (["--seed", "7"], {"seed": 7}),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_each_is_read_by_its_type(self, arguments: list[str], options: dict[str, Any]) -> None:
        assert self.read(*arguments) == FineTuneOptions(**options)

    def test_every_option_reaches_the_dataclass(self) -> None:
        arguments = [*(f"--no-{field.name}".replace("_", "-") for field in FIELDS if field.default is True)]
        assert arguments == ["--no-header", "--no-tf32", "--no-cache-features", "--no-progress"]
        options = FineTuneOptions(header=False, tf32=False, cache_features=False, progress=False)
        assert options == self.read(*arguments)

    def test_an_old_name_is_read_with_a_note(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert read_options(FineTuneOptions, {"freeze_to": None, "first_tuned": 0}) == FineTuneOptions(freeze_to=0)
        assert capsys.readouterr().err == "Note: --first-tuned is now called --freeze-to.\n"

    def test_an_invalid_value_is_an_error(self) -> None:
        with pytest.raises(ModelError, match=r"^clip=0\.0\."):
            self.read("--clip", "0")
        with pytest.raises(DataError, match=r"^--missing keep\.\nExpected one of: raise, drop\.\nFix: pass --missing"):
            self.read("--missing", "keep")
