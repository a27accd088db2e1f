"""The inputs in a request: files of a form, a body that is a file, or JSON with texts and base64."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request

from onecycle.errors import DataError
from onecycle.ship.serve.request_errors import RequestError
from onecycle.ship.serve.served import Upload

LONGEST_NAME = 200


async def read_uploads(request: Request, most: int) -> list[Upload]:
    """Return the inputs of a request.

    Args:
        request: The request.
        most: The most inputs.
    Raises:
        DataError: There are none, or the body cannot be read.
        RequestError: There are too many.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=most + 1, max_fields=most + 1, max_part_size=2**24) as form:
            parts = [part for _, part in form.multi_items()]
            uploads = [await _of_part(part, number) for number, part in enumerate(parts)]
    elif kind == "application/json":
        uploads = list(_of_json(await read_json(request)))
    else:
        body = await request.body()
        uploads = [Upload("input", body)] if body else []
    if not uploads:
        raise DataError(
            "The request has no input.", "files in a form, a file as the body, or JSON: {\"inputs\": [...]}.",
            "send one, such as curl -F file=@photo.jpg ADDRESS/predict.",
        )  # fmt: skip
    if len(uploads) > most:
        raise RequestError(413, f"{len(uploads):,} inputs in a request.", f"at most {most}.", "send several requests.")
    return uploads


async def read_json(request: Request) -> dict[str, Any]:
    """Return the JSON object in a request's body.

    Raises:
        DataError: It is none.
    """
    try:
        value = json.loads(await request.body(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise DataError(f"The body is no JSON: {error}.", "a JSON object.", "send one.") from None
    if not isinstance(value, dict):
        raise DataError(f"The body is a JSON {type(value).__name__}.", "a JSON object.", "send one.")
    return value


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")


async def _of_part(part: UploadFile | str, number: int) -> Upload:
    if isinstance(part, str):
        return Upload(f"text {number}", part.encode(errors="replace"))
    return Upload(_shown(part.filename) or f"file {number}", await part.read())


def _of_json(body: dict[str, Any]) -> Iterator[Upload]:
    inputs = body.get("inputs")
    for number, one in enumerate(inputs if isinstance(inputs, list) else [None]):
        if isinstance(one, str):
            yield Upload(f"text {number}", one.encode(errors="replace"))
            continue
        try:
            data = base64.b64decode(one["base64"], validate=True)
        except (TypeError, KeyError, ValueError, binascii.Error):
            raise DataError(
                f"Input {number} of the JSON is neither a text nor a file.",
                '{"inputs": ["a text", {"base64": "...", "name": "a.jpg"}]}.', "see /openapi.json.",
            ) from None  # fmt: skip
        yield Upload(_shown(one.get("name")) or f"file {number}", data)


def _shown(name: Any) -> str:
    """Return the name of a file as it is shown: its last part, without what does not print."""
    last = str(name or "").replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[:LONGEST_NAME]
