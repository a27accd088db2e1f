"""Bundles that someone made to do harm: kinds of attacks times variations, each written on demand.

To let the corpus grow, add a generator below; it yields `Crafted` for the attack's variations.
"""

from __future__ import annotations

import copy
import hashlib
import io
import itertools
import json
import os
import pickle
import shutil
import socket
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from onecycle.bundle.layout import CONFIG, TENSORS, config_checksum, weights_name
from ship.tiny_bundles import MODELS, Content

Write = Callable[[Path], Any]


class Crafted(NamedTuple):
    """One bundle of the corpus.

    Attributes:
        name: The attack, a colon, and its variation.
        write: Writes it at a path.
        harmless: Whether it may load; otherwise it must be refused.
        suffix: ".onecycle" for a file, "" for a folder.
    """

    name: str
    write: Write
    harmless: bool = False
    suffix: str = ".onecycle"


def crafted() -> Iterator[Crafted]:
    """Yield the whole corpus, always in the same order."""
    yield from zips()
    yield from folders()
    yield from texts_for_config()
    yield from headers()
    yield from named_attacks()
    yield from wrong_weights()
    yield from wrong_values()


@cache
def content(kind: str) -> Content:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MODELS[kind]()


@cache
def members(kind: str) -> dict[str, bytes]:
    """The two files of a valid bundle."""
    path = Path("/dev/shm" if Path("/dev/shm").is_dir() else "/tmp") / f"crafted-{os.getpid()}.onecycle"
    try:
        content(kind).write(path)
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    finally:
        path.unlink(missing_ok=True)


def seal(config: dict[str, Any], weights: bytes, *, dump: Callable[[Any], str] = json.dumps) -> bytes:
    """Return a config with checksums that fit, as someone with our code can write it."""
    full = {**config, "schema": config.get("schema", 1), "checksums": {TENSORS: hashlib.sha256(weights).hexdigest()}}
    full["checksums"][CONFIG] = config_checksum(full)
    return dump(full).encode()


def pack(path: Path | io.BytesIO, files: list[tuple[str, bytes]], **options: Any) -> None:
    with zipfile.ZipFile(path, "w", **options) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile does not like a name twice either
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=options.get("compression"))


def valid_zip(kind: str = "photos") -> bytes:
    buffer = io.BytesIO()
    pack(buffer, list(members(kind).items()))
    return buffer.getvalue()


# --- the zip ---


class Runs:
    """Unpickled, it runs a command."""

    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/it-ran",)


def zips() -> Iterator[Crafted]:
    whole, files = partial(valid_zip), partial(lambda: list(members("photos").items()))
    code = pickle.dumps(Runs())
    for name, extra in {"byte": b"x", "pickle": code, "script": b"#!/bin/sh\n", "much": bytes(10**6)}.items():
        yield Crafted(f"data before the zip: {name}", lambda p, e=extra: p.write_bytes(e + whole()))
        yield Crafted(f"data after the zip: {name}", lambda p, e=extra: p.write_bytes(whole() + e))
        yield Crafted(f"comment of the zip: {name}", lambda p, e=extra[:60000]: _with_comment(p, e))
        yield Crafted(f"gap in the zip: {name}", lambda p, e=extra: p.write_bytes(_with_gap(whole(), e)))
    yield Crafted("data before the zip: another bundle", lambda p: p.write_bytes(whole() + whole()))
    for name in (CONFIG, TENSORS):
        doubled = lambda p, n=name: pack(p, [*files(), (n, members("photos")[n])])
        yield Crafted(f"twice: {name}", doubled)
        yield Crafted(f"absent: {name}", lambda p, n=name: pack(p, [one for one in files() if one[0] != n]))
        for kind in ("S_IFLNK", "S_IFIFO", "S_IFDIR", "S_IFCHR", "S_IFSOCK"):
            yield Crafted(f"{kind}: {name}", lambda p, n=name, k=kind: p.write_bytes(_with_mode(n, getattr(stat, k))))
        yield Crafted(f"encrypted: {name}", lambda p, n=name: p.write_bytes(_patched(whole(), n, 8, b"\1\0")))
        for compression in (8, 12, 14, 93, 99, 65535):
            patch = struct.pack("<H", compression)
            write = lambda p, n=name, d=patch: p.write_bytes(_patched(whole(), n, 10, d))
            yield Crafted(f"says compressed by {compression}: {name}", write)
        for size in (0, 1, 2**31, 2**32 - 2, 2**32 - 1):
            for field in (20, 24):
                data = struct.pack("<I", size)
                write = lambda p, n=name, f=field, d=data: p.write_bytes(_patched(whole(), n, f, d))
                yield Crafted(f"size {size} at {field}: {name}", write)
        for offset in (1, 30, 2**31, 2**32 - 1):
            data = struct.pack("<I", offset)
            write = lambda p, n=name, d=data: p.write_bytes(_patched(whole(), n, 42, d))
            yield Crafted(f"offset {offset}: {name}", write)
        yield Crafted(
            f"other checksum: {name}", lambda p, n=name: p.write_bytes(_patched(whole(), n, 16, bytes(4))), True
        )
        yield Crafted(f"other date: {name}", lambda p, n=name: p.write_bytes(_patched(whole(), n, 12, bytes(4))), True)
        yield Crafted(f"header of another name: {name}", lambda p, n=name: p.write_bytes(_renamed(whole(), n)))
    for compression in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        yield Crafted(f"compressed by {compression}", lambda p, c=compression: pack(p, files(), compression=c))
        bomb = lambda p, c=compression: pack(p, [(CONFIG, bytes(10**7)), (TENSORS, bytes(10**8))], compression=c)
        yield Crafted(f"bomb by {compression}", bomb)
    names = (
        "setup.py",
        "../evil.py",
        "/etc/cron.d/evil",
        "a/b.json",
        "data.pkl",
        "x.pth",
        "config.json/",
        "CONFIG.JSON",
        "model.safetensors.bak",
        "tokenizer.json",
        "\x1b[2J",
        "two\nlines",
        "é",
        "x" * 60000,
        "",
        ".",
        "__init__.py",
    )
    for name in names:
        yield Crafted(f"another file: {name[:20]!r}", lambda p, n=name: pack(p, [*files(), (n, code)]))
    yield Crafted("many files", lambda p: pack(p, [*files(), *((f"f{number}", b"") for number in range(30000))]))
    for length in (0, 1, 4, 21, 22, 23, 100, 5000, -1, -22, -23, -60):
        yield Crafted(f"cut at {length}", lambda p, n=length: p.write_bytes(whole()[:n]))
    others = {
        "zeros": bytes(1000),
        "pickle": code,
        "end only": b"PK\5\6" + bytes(18),
        "gzip": b"\x1f\x8b" + bytes(50),
        "text": b"hello " * 100,
        "end64": b"PK\6\6" + bytes(52) + b"PK\6\7" + bytes(16) + b"PK\5\6" + b"\xff" * 16 + bytes(2),
        "end with many": b"PK\5\6" + bytes(4) + b"\xff" * 12 + bytes(2),
        "html": b"<html>",
    }
    for name, data in others.items():
        yield Crafted(f"no zip: {name}", lambda p, d=data: p.write_bytes(d))
    yield Crafted("no zip: torch.save", lambda p: torch.save({"a": torch.zeros(3)}, p))
    yield Crafted("no zip: old torch.save", lambda p: torch.save({}, p, _use_new_zipfile_serialization=False))


def _with_comment(path: Path, comment: bytes) -> None:
    path.write_bytes(valid_zip())
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = comment


def _with_gap(whole: bytes, gap: bytes) -> bytes:
    """Put data between the last file and the zip's directory, and correct the directory's offset."""
    start = whole.index(b"PK\1\2")
    end = bytearray(whole[-22:])
    end[16:20] = struct.pack("<I", start + len(gap))
    return whole[:start] + gap + whole[start:-22] + bytes(end)


def _patched(whole: bytes, name: str, field: int, data: bytes) -> bytes:
    """Change a field of a file's entry in the zip's directory."""
    entry = whole.index(b"PK\1\2")
    while whole[entry + 46 : entry + 46 + len(name)] != name.encode():
        entry = whole.index(b"PK\1\2", entry + 1)
    return whole[: entry + field] + data + whole[entry + field + len(data) :]


def _with_mode(name: str, mode: int) -> bytes:
    return _patched(valid_zip(), name, 38, struct.pack("<I", (mode | 0o777) << 16))


def _renamed(whole: bytes, name: str) -> bytes:
    place = whole.index(name.encode())
    return whole[:place] + b"X" + whole[place + 1 :]


# --- the file system ---


def folders() -> Iterator[Crafted]:
    file, folder = partial(Crafted, suffix=".onecycle"), partial(Crafted, suffix="")
    yield file("a pipe", lambda p: os.mkfifo(p))
    yield file("a socket", lambda p: _socket(p))
    for device in ("/dev/zero", "/dev/null", "/dev/urandom", "/dev/stdin", "/proc/self/mem", "/proc/kmsg"):
        yield file(f"a link to {device}", lambda p, d=device: p.symlink_to(d))
    yield file("a link to itself", lambda p: p.symlink_to(p))
    yield file("a link to nothing", lambda p: p.symlink_to(p.with_name("none")))
    yield file("a sparse file", lambda p: _sparse(p, 2**40))
    yield folder("an empty folder", lambda p: p.mkdir())
    yield folder("a folder of the first edition", lambda p: _folder(p, TENSORS), harmless=True)
    for name in (CONFIG, TENSORS, "new name"):
        for what, make in _NOT_FILES.items():
            yield folder(f"{what} as {name}", lambda p, n=name, m=make: _folder(p, replaced=(n, m)))
        yield folder(f"none as {name}", lambda p, n=name: _folder(p, replaced=(n, lambda place: None)))
    for name in (
        "setup.py",
        "weights.pkl",
        ".hidden",
        "model-0.safetensors",
        "tokenizer.json",
        "Config.json",
        "x.part",
    ):
        yield folder(f"another file: {name}", lambda p, n=name: (_folder(p), (p / n).write_bytes(b"x")))
    yield folder("a folder in it", lambda p: (_folder(p), (p / "more").mkdir()))
    yield folder("a leftover in it", lambda p: (_folder(p), (p / f".weights.{'0' * 16}.part").touch()), harmless=True)
    other = f"model-{'0' * 16}.safetensors"
    yield folder("other weights in it", lambda p: (_folder(p), (p / other).write_bytes(b"x")), harmless=True)
    yield folder("a pipe beside it", lambda p: (_folder(p), os.mkfifo(p / other)), harmless=True)


def _folder(path: Path, weights: str | None = None, replaced: tuple[str, Write] | None = None) -> None:
    files = members("photos")
    new = weights_name(hashlib.sha256(files[TENSORS]).hexdigest())
    path.mkdir()
    (path / CONFIG).write_bytes(files[CONFIG])
    (path / (weights or (TENSORS if replaced and replaced[0] == TENSORS else new))).write_bytes(files[TENSORS])
    if replaced:
        place = path / (new if replaced[0] == "new name" else replaced[0])
        place.rename(path.parent / f"{path.name}-moved")
        replaced[1](place)


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def _socket(path: Path) -> None:
    """Bind in the folder, since the name of a socket must be short."""
    here = os.open(".", os.O_RDONLY)
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.fchdir(here)
        os.close(here)


_NOT_FILES: dict[str, Write] = {
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a folder": lambda place: place.mkdir(),
    "a link to /dev/zero": lambda place: place.symlink_to("/dev/zero"),
    "a link to the file": lambda place: place.symlink_to(place.parent.parent / f"{place.parent.name}-moved"),
    "a link to /etc/passwd": lambda place: place.symlink_to("/etc/passwd"),
    "a sparse file of a TB": lambda place: _sparse(place, 2**40),
    "an empty file": lambda place: place.touch(),
}


# --- the text of the config ---


def texts_for_config() -> Iterator[Crafted]:
    deep, digits = 100_000, "9" * 100_000
    raw = {
        "empty": "",
        "cut": '{"schema": 1',
        "list": "[]",
        "number": "3",
        "text": '"x"',
        "null": "null",
        "nan": "NaN",
        "deep lists": "[" * deep + "]" * deep,
        "deep objects": '{"a":' * deep + "1" + "}" * deep,
        "deep, unclosed": '{"a":[' * deep,
        "digits": f'{{"schema": {digits}}}',
        "minus digits": f"[-{digits}]",
        "digits in a float": f'{{"schema": 1.{digits}}}',
        "large float": '{"schema": 1e400}',
        "large exponent": '{"schema": 1e' + digits + "}",
        "infinity": '{"schema": Infinity, "checksums": {}}',
        "twice": '{"schema": 1, "schema": 1}',
        "many lists": "[" + "[]," * 6_000_000 + "[]]",
        "many objects": "[" + "{}," * 6_000_000 + "{}]",
        "many numbers": "[" + "1," * 12_000_000 + "1]",
        "comment": '{"schema": 1 /* */}',
        "python": "__import__('os').system('touch /tmp/it-ran')",
        "yaml": "!!python/object/apply:os.system ['touch /tmp/it-ran']",
        "zero byte": '{"schema": "\0"}',
        "surrogate": '{"schema": "\\ud800", "checksums": {"model.safetensors": "\\ud800"}}',
    }
    for name, text in raw.items():
        yield _with_config_text(name, text.encode())
    for encoding in ("utf-16", "utf-32", "utf-8-sig", "utf-7"):
        yield _with_config_text(f"in {encoding}", json.dumps({"schema": 1}).encode(encoding))
    yield _with_config_text("not UTF-8", b'{"schema": "\xff\xfe\xfd"}')
    yield _with_config_text("much too long", b" " * (130 * 2**20))
    for schema in (0, -1, 2, 10**30, 1.5, 1e300, True, None, "1", "x", [1], {"a": 1}):
        yield _with_description(f"schema {schema!r}"[:40], "photos", lambda config, s=schema: config.update(schema=s))
    for value in (None, 3, "x", [], {}, {TENSORS: 3}, {TENSORS: "../../../../etc/passwd"}, {TENSORS: "0" * 64}):
        text = json.dumps({**content("photos").config, "schema": 1, "checksums": value})
        yield _with_config_text(f"checksums {value!r}"[:60], text.encode())
    without = {key: value for key, value in content("photos").config.items() if key != "card"}
    yield _with_config_text("edited after it was sealed", seal(without, b"").replace(b"blue", b"blow"))


def _with_config_text(name: str, text: bytes) -> Crafted:
    return Crafted(f"config: {name}", lambda p: pack(p, [(CONFIG, text), (TENSORS, members("photos")[TENSORS])]))


def _with_description(name: str, kind: str, change: Callable[[dict[str, Any]], Any], harmless: bool = False) -> Crafted:
    """A valid bundle whose description was changed, and sealed again."""

    def write(path: Path) -> None:
        config = copy.deepcopy(content(kind).config)
        change(config)
        weights = members(kind)[TENSORS]
        pack(path, [(TENSORS, weights), (CONFIG, seal(config, weights))])

    return Crafted(f"{kind}: {name}", write, harmless)


# --- the header of the tensors ---


def headers() -> Iterator[Crafted]:
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    lies: dict[str, Any] = {
        "no object": [],
        "more than the file": {"a": {**entry, "shape": [2**40], "data_offsets": [0, 2**42]}},
        "a shape that overflows": {"a": {**entry, "shape": [2**32, 2**32], "data_offsets": [0, 2**66]}},
        "a size of 10**40": {"a": {**entry, "shape": [10**39, 0], "data_offsets": [0, 0]}},
        "negative": {"a": {**entry, "shape": [-2], "data_offsets": [0, -8]}},
        "offsets swapped": {"a": {**entry, "data_offsets": [8, 0]}},
        "offsets that are texts": {"a": {**entry, "data_offsets": ["0", "8"]}},
        "one offset": {"a": {**entry, "data_offsets": [0]}},
        "fractions": {"a": {**entry, "shape": [2.0]}},
        "true as size": {"a": {**entry, "shape": [True, 2]}},
        "unknown type": {"a": {**entry, "dtype": "F33"}},
        "a type that is a list": {"a": {**entry, "dtype": ["F32"]}},
        "overlap": {"a": entry, "b": entry},
        "a gap": {"a": {**entry, "shape": [1], "data_offsets": [4, 8]}},
        "half described": {"a": {**entry, "shape": [1], "data_offsets": [0, 4]}},
        "not described": {},
        "no shape": {"a": {"dtype": "F32", "data_offsets": [0, 8]}},
        "an entry too many": {"a": {**entry, "code": "import os"}},
        "an entry that is null": {"a": None},
        "a thousand dimensions": {"a": {**entry, "shape": [1] * 1000 + [2]}},
        "true bytes of 7": {"a": {**entry, "dtype": "BOOL", "shape": [8]}},
        "another tensor": {"a": entry},
        "many empty ones": {f"t{number}": {**entry, "shape": [0], "data_offsets": [0, 0]} for number in range(200_000)},
    }
    for name, header in lies.items():
        yield _with_weights(f"header: {name}", json.dumps(header).encode())
    deep = b"[" * 100_000
    yield _with_weights("header: deep", deep)
    yield _with_weights(
        "header: twice", b'{"a":' + json.dumps(entry).encode() + b',"a":' + json.dumps(entry).encode() + b"}"
    )
    yield _with_weights("header: not JSON", b"import os")
    for length in (0, 1, 8, 9, 2**24, 2**31, 2**63, 2**64 - 1):
        yield _with_weights(f"header: length {length}", json.dumps({"a": entry}).encode(), length)


def _with_weights(name: str, header: bytes, length: int | None = None) -> Crafted:
    weights = (len(header) if length is None else length).to_bytes(8, "little") + header + b"\7" * 8
    config = content("photos").config
    return Crafted(name, lambda p: pack(p, [(TENSORS, weights), (CONFIG, seal(config, weights))]))


# --- what has been tried before, or names files, code and networks ---

_HUBS = ("hf-hub:evil/model", "hf_hub:evil/model", "local-dir:/tmp/evil", "timm/resnet18", "/etc/passwd", "../evil")


def named_attacks() -> Iterator[Crafted]:
    encoder = lambda config: config["model"]["encoder"]
    yield _with_description(
        "timm_wrapper with a checkpoint",
        "texts",
        lambda config: config["model"].update(
            encoder={
                "model_type": "timm_wrapper",
                "architecture": "resnet18",
                "model_args": {"checkpoint_path": "/tmp/evil.pth"},
            }
        ),
    )
    for kind in (
        "timm_backbone",
        "vision-encoder-decoder",
        "encoder-decoder",
        "rag",
        "clip",
        "gpt2",
        "detr",
        "esm",
        "",
        "BERT",
    ):
        change = lambda config, k=kind: encoder(config).update(model_type=k, backbone="hf-hub:evil/model")
        yield _with_description(f"encoder of the kind {kind!r}", "texts", change)
    ignored = {
        "auto_map": {"AutoModel": "evil/code--model.Model", "AutoConfig": "config.Config"},
        "_name_or_path": "evil/model",
        "name_or_path": "/tmp/evil",
        "backbone": "hf-hub:evil/model",
        "use_timm_backbone": True,
        "use_pretrained_backbone": True,
        "backbone_kwargs": {"checkpoint_path": "/tmp/evil.pth"},
        "model_args": {"checkpoint_path": "/tmp/evil.pth"},
        "quantization_config": {"quant_method": "gptq"},
        "trust_remote_code": True,
        "attn_implementation": "evil/kernel",
        "_attn_implementation": "evil/kernel:attention",
        "_attn_implementation_internal": "evil/kernel",
        "_experts_implementation": "evil/kernel",
        "checkpoint_path": "/tmp/evil.pth",
        "pretrained": True,
        "code_revision": "main",
        "custom_pipelines": {"x": {"impl": "evil.Pipeline"}},
        "transformers_weights": "/tmp/evil.bin",
        "torchscript": True,
        "architectures": ["os.system"],
        "adapter_kwargs": {"_adapter_model_path": "evil/adapter"},
        "pruned_heads": {"0": [0, 1]},
        "dtype": None,
        "sub_configs": {"text_config": {}},
        "text_config": {"model_type": "timm_wrapper"},
        "id2label": {"0": "x"},
        "num_labels": 10**9,
        "base_model_tp_plan": {"*": "evil"},
        "is_encoder_decoder": True,
        "sinusoidal_pos_embds": True,
    }
    for name, value in ignored.items():
        change = lambda config, n=name, v=value: encoder(config).update({n: v})
        yield _with_description(f"encoder with {name}", "texts", change, True)
    for name in (
        "num_hidden_layers",
        "hidden_size",
        "vocab_size",
        "intermediate_size",
        "num_attention_heads",
        "type_vocab_size",
        "max_position_embeddings",
    ):
        for number in (2_000_000, 10**12, 10**30, -1, 0, 1.5, "2", None):
            change = lambda config, n=name, v=number: encoder(config).update({n: v})
            yield _with_description(f"encoder with {name}={number!r}", "texts", change)
    for name in ("hidden_act", "dtype", "position_embedding_type"):
        for value in ("os.system", "evil/kernel", 7, ["gelu"], {"a": 1}):
            change = lambda config, n=name, v=value: encoder(config).update({n: v})
            yield _with_description(
                f"encoder with {name}={value!r}", "texts", change, name == "position_embedding_type"
            )
    for name in ("vocabulary", "width", "hidden", "layers", "pad"):
        for number in (2_000_000, 10**9, 10**30, -7, 1.5, "2", None):
            change = lambda config, n=name, v=number: encoder(config).update({n: v})
            yield _with_description(f"LSTM with {name}={number!r}", "language", change)
    for kind in ("photos", "masks", "points"):
        for name in (
            *_HUBS,
            "resnet18.hf-hub:evil/model",
            "resnet18\n",
            "",
            "vit_giant_patch14_dinov2",
            "os.system",
            7,
            ["resnet18"],
        ):
            yield _with_description(
                f"backbone {name!r}", kind, lambda config, n=name: config["model"].update(backbone=n)
            )
        for name in (
            "pretrained",
            "checkpoint_path",
            "pretrained_cfg",
            "pretrained_cfg_overlay",
            "cache_dir",
            "file",
            "name",
        ):
            for value in (True, "/tmp/evil.pth", {"file": "/tmp/evil.pth"}):
                change = lambda config, n=name, v=value: config["model"].update({n: v})
                yield _with_description(f"{name}={value!r}", kind, change)
        for number in (2_000_000, 10**12, 10**30, -1, "3", None):
            name = "points" if kind == "points" else "outputs"
            change = lambda config, n=name, v=number: config["model"].update({n: v})
            yield _with_description(f"{name}={number!r}", kind, change)
    for decoder in ("unet", "Unet", "os", "__class__", "", 7, None, ["light"], "fpn"):
        yield _with_description(
            f"decoder {decoder!r}", "masks", lambda config, d=decoder: config["model"].update(decoder=d)
        )
    for size in (
        [6000, 6000],
        [10**9, 1],
        [2**40, 2**40],
        [0, 32],
        [-32, 32],
        [32],
        [32, 32, 3],
        "32",
        [32.5, 32],
        ["32", "32"],
        None,
    ):
        yield _with_description(f"size {size!r}", "photos", lambda config, s=size: config["modality"].update(size=s))
    for part in ("model", "target", "modality"):
        for kind in ("os.system", "builtins.eval", "evil", "", None, 7, ["category"], {"a": 1}, "__class__"):
            yield _with_description(
                f"{part} of the kind {kind!r}", "photos", lambda config, p=part, k=kind: config[p].update(kind=k)
            )
        for module in ("os; import evil", "evil\nimport evil", 7, ["evil"], "antigravity"):
            change = lambda config, p=part, m=module: (config[p].update(kind="mine"), config.update(modules={p: m}))
            yield _with_description(f"{part} of the module {module!r}", "photos", change)
    for modules in ("evil", ["evil"], 7, {"model": "antigravity"}):
        yield _with_description(
            f"modules {modules!r}",
            "photos",
            lambda config, m=modules: config.update(modules=m),
            isinstance(modules, dict),
        )
    for version in ("1'; touch /tmp/it-ran; '", "\x1b[2J", "x" * 10**5, "1\n2"):
        yield _with_description(
            "newer, by a version that is a command",
            "photos",
            lambda config, v=version: config.update(schema=2, onecycle=v),
        )
    for classes in (
        ["blue"],
        ["blue", "green"],
        ["a", "b", "c", "d"],
        ["a", "a", "b"],
        "abc",
        [1, 2, 3],
        [None] * 3,
        {"a": 1},
        [],
        None,
    ):
        yield _with_description(
            f"classes {classes!r}", "photos", lambda config, c=classes: config["target"].update(classes=c)
        )
    for core in ("", "{}", "[" * 10**5, '{"model": {"type": "BPE"}}', "null", 7, None, ["x"], "\ud800", *_tokenizers()):
        change = lambda config, c=core: config["modality"]["tokenizer"].update(tokenizer=c)
        yield _with_description(f"tokenizer {str(core)[:40]!r}", "texts", change)
    yield _with_description(
        "tokenizer by a name", "texts", lambda config: config["modality"].update(tokenizer={"name": "evil/model"})
    )


def _tokenizers() -> Iterator[str]:
    """Tokenizers with parts that are built from tables and patterns."""
    core = json.loads(content("texts").config["modality"]["tokenizer"]["tokenizer"])
    for pattern in ("(", "(a{1000}){1000}{1000}", "(?<n>a)\\k<n>" * 1000, "[", "(?R)"):
        yield json.dumps(
            {
                **core,
                "pre_tokenizer": {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "X", "invert": False},
            }
        )
    for table in ("AAAA", "", "////" * 1000, "!", "AAAAAAAAAAAA"):
        yield json.dumps({**core, "normalizer": {"type": "Precompiled", "precompiled_charsmap": table}, "model": {}})
    yield json.dumps({**core, "model": {"type": "Unigram", "vocab": [["a", -1e400]], "unk_id": 5}})
    yield json.dumps({**core, "model": {"type": "BPE", "vocab": {"a": 2**32 - 1}, "merges": [["a", "b"]]}})
    yield json.dumps({**core, "model": {"type": "WordLevel", "vocab": {"a": 2**32 - 1}, "unk_token": "a"}})
    yield json.dumps({**core, "model": {"type": "WordLevel", "vocab": {}, "unk_token": "a"}})


# --- weights that are none ---


def wrong_weights() -> Iterator[Crafted]:
    for kind in MODELS:
        names = [name for name, tensor in content(kind).tensors.items() if tensor.is_floating_point()]
        for name, value in itertools.product((names[0], names[-1]), (float("nan"), float("inf"), -float("inf"))):
            yield _with_tensors(
                f"{value} in {name}", kind, lambda tensors, n=name, v=value: tensors[n].view(-1)[:1].fill_(v)
            )
        yield _with_tensors("one absent", kind, lambda tensors: tensors.pop(next(iter(tensors))))
        yield _with_tensors("one too many", kind, lambda tensors: tensors.update(more=torch.zeros(1)))
        yield _with_tensors(
            "a shape", kind, lambda tensors, n=names[-1]: tensors.update({n: tensors[n][..., None].clone()})
        )
        yield _with_tensors("none at all", kind, lambda tensors: tensors.clear())
    complex_ones = lambda tensors: tensors.update({n: t.to(torch.complex64) for n, t in tensors.items()})
    yield _with_tensors("complex numbers", "ages", complex_ones, True)


def _with_tensors(name: str, kind: str, change: Callable[[dict[str, Any]], Any], harmless: bool = False) -> Crafted:
    def write(path: Path) -> None:
        tensors = {key: tensor.clone() for key, tensor in content(kind).tensors.items()}
        change(tensors)
        Content(tensors, content(kind).config).write(path)

    return Crafted(f"{kind}, weights: {name}", write, harmless)


# --- a wrong value in each place of each description ---

_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**62,
    10**39,
    1e308,
    float("nan"),
    "",
    "x",
    "../../etc/passwd",
    [],
    [[]],
    {},
    {"a": 1},
    ["x"] * 9,
)


def wrong_values() -> Iterator[Crafted]:
    for kind in MODELS:
        for place in places(content(kind).config):
            for value in _VALUES:
                yield _with_description(
                    f"{'.'.join(map(str, place))}={value!r}"[:90], kind, partial(_set, place, value), True
                )
            yield _with_description(f"{'.'.join(map(str, place))} absent", kind, partial(_remove, place), True)


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where values are in a nested one; of a list only the first and the whole."""
    items: list[tuple[Any, Any]] = list(value.items()) if isinstance(value, dict) else []
    items = list(enumerate(value))[:1] if isinstance(value, list) else items
    for key, one in items:
        yield (*before, key)
        yield from places(one, (*before, key))


def _set(place: tuple[Any, ...], value: Any, config: Any) -> None:
    for key in place[:-1]:
        config = config[key]
    config[place[-1]] = value


def _remove(place: tuple[Any, ...], config: Any) -> None:
    for key in place[:-1]:
        config = config[key]
    del config[place[-1]]


def write_all(folder: Path, chosen: list[Crafted]) -> dict[str, Crafted]:
    """Write bundles below a folder; return each by its path."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    written = {}
    for number, one in enumerate(chosen):
        path = folder / f"{number}{one.suffix}"
        one.write(path)
        written[str(path)] = one
    return written
