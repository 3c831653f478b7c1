"""`/v1/images/generations` and `/v1/images/edits` of the bot's own web server, in the shape of OpenAI's API.

https://platform.openai.com/docs/api-reference/images: bodies, answers and errors are as described there; pictures are
answered as `b64_json`. Fields of Easel's own: negative_prompt, seed, steps, guidance_scale.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import web

from bot.errors import BadInput, Banned, Busy, NotEnoughCredits, NotFound, Refused, TooManyJobs, UserError
from bot.features.api.service import Painter, Wish
from bot.features.region.bodies import Bodies, fields_of
from bot.features.region.editor_server import STAY, bearer
from bot.jobs.records import Job
from bot.orders.actor import Actor
from bot.prompt.parser import Draft
from bot.prompt.text import is_blank, visible
from engine.api.errors import EngineError

log = logging.getLogger(__name__)
MOST_WORDS, MOST_FORM = 1 << 18, 32 << 20  # bytes of a whole body: words as JSON; a form of pictures
MOST_IMAGES = 10  # as OpenAI's
ANSWERED = {"stream": "false", "output_format": "png"}  # what these would change about an answer is always so
WORDS = {"prompt", "model", "size", "negative_prompt", "response_format", "n", "seed", "steps", "guidance_scale"}
WORDS |= set(ANSWERED)
KINDS: tuple[tuple[type[Exception], int, str, str], ...] = (
    (NotEnoughCredits, 429, "insufficient_quota", "insufficient_quota"),
    (TooManyJobs, 429, "rate_limit_exceeded", "rate_limit_exceeded"),
    (Busy, 503, "server_error", "busy"),
    (Banned, 403, "permission_error", "banned"),
    (Refused, 400, "image_generation_user_error", "moderation_blocked"),
    (NotFound, 404, "invalid_request_error", "not_found"),
    (BadInput, 400, "invalid_request_error", "invalid_value"),
    (UserError, 400, "invalid_request_error", "refused"),
    (EngineError, 400, "invalid_request_error", "refused"),
)
Work = Callable[[web.Request, Actor], Awaitable[web.StreamResponse]]


class ImagesApi:
    """Answers requests."""

    def __init__(self, painter: Painter) -> None:
        self._painter = painter
        self._bodies = Bodies()

    def pages(self) -> dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]:
        """What the web server is to have, by method and path."""
        works = {
            "POST /v1/images/generations": self._generate,
            "POST /v1/images/edits": self._edit,
            "GET /v1/models": self._models,
        }
        others = {f"* {key.partition(' ')[2]}": partial(_other_method, key.partition(" ")[0]) for key in works}
        unknown = {"* /v1": _unknown, "* /v1/{path:.*}": _unknown}
        return {**{key: partial(self._answer, work) for key, work in works.items()}, **others, **unknown}

    async def _answer(self, work: Work, request: web.Request) -> web.StreamResponse:
        """Do a key holder's work; whatever goes wrong is told as OpenAI does."""
        try:
            holder = await self._painter.holder_of(bearer(request))
            if holder is None:
                return problem(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided.")
            actor = await self._painter.member(holder)
            request[STAY]()  # painting takes as long as it takes
            return await work(request, actor)
        except (UserError, EngineError) as error:
            status, kind, code = next((s, k, c) for each, s, k, c in KINDS if isinstance(error, each))
            return problem(status, kind, code, str(error))
        except web.HTTPException as error:
            return _broken(error)
        except Exception:  # the outer edge of a request
            log.exception("a request of the API failed")
            return problem(500, "server_error", "internal_error", "Something went wrong inside Easel.")

    async def _models(self, _request: web.Request, _actor: Actor) -> web.StreamResponse:
        data = [
            {"id": info.key, "object": "model", "created": 0, "owned_by": "easel"} for info in self._painter.models()
        ]
        return web.json_response({"object": "list", "data": data})

    async def _generate(self, request: web.Request, actor: Actor) -> web.StreamResponse:
        await self._painter.check_welcome(actor)
        async with self._bodies.taken(request, MOST_WORDS, actor.user_id) as body:
            wish = _words_wish(body)
        return await self._told(request, await self._painter.order(actor, wish))

    async def _edit(self, request: web.Request, actor: Actor) -> web.StreamResponse:
        await self._painter.check_welcome(actor)
        async with self._bodies.taken(request, MOST_FORM, actor.user_id) as body:
            wish = _form_wish(request, body)
            del body  # its parts are in the wish
            job = await self._painter.order(actor, wish)
            del wish  # not to lie there until it's painted
        return await self._told(request, job)

    async def _told(self, request: web.Request, job: Job) -> web.StreamResponse:
        """The answer, once a job has ended. Raises: UserError."""

        def is_wanted() -> bool:
            return request.transport is not None and not request.transport.is_closing()

        found = await self._painter.pictures(job, is_wanted)
        data = [
            {"b64_json": base64.b64encode(file).decode(), "seed": image.seed} for image, file in found
        ]  # OpenAI has no seed: clients pass over what they don't know
        return web.json_response({"created": job.created_at // 1000, "data": data})


def problem(status: int, kind: str, code: str, message: str, param: str | None = None) -> web.Response:
    """An error in OpenAI's shape."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    headers = {"Retry-After": "30"} if status in (429, 503) else {}
    return web.json_response({"error": error}, status=status, headers=headers)


async def _other_method(right: str, _request: web.Request) -> web.StreamResponse:
    said = problem(405, "invalid_request_error", "method_not_supported", f"This address takes {right} only.")
    said.headers["Allow"] = right
    return said


async def _unknown(_request: web.Request) -> web.StreamResponse:
    return problem(404, "invalid_request_error", "unknown_url", "The API has no such address.")


def _broken(error: web.HTTPException) -> web.Response:
    """What is wrong with a request before anybody knows what it asks for."""
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return problem(413, "invalid_request_error", "too_large", "The body is too large.")
    if isinstance(error, web.HTTPRequestTimeout):
        return problem(408, "invalid_request_error", "timeout", "The body came too slowly.")
    return problem(error.status, "invalid_request_error", "invalid_request", "The body is broken or cut off.")


def draft_of(fields: Mapping[str, Any]) -> Draft:
    """What the fields of a request ask for. Raises: BadInput, naming the field."""
    prompt = fields.get("prompt")
    if not isinstance(prompt, str) or is_blank(visible(prompt)):
        raise BadInput("The field 'prompt' is missing.")
    if fields.get("response_format") not in (None, "b64_json"):
        raise BadInput("Images are answered as b64_json only. Set response_format to b64_json, or leave it out.")
    for name, said in ANSWERED.items():
        if str(fields.get(name) or said).casefold() != said:
            raise BadInput(f"The field '{name}' can be {said} only. Leave it out.")
    width, height = _size(fields.get("size"))
    count = 1 if (asked := _number(fields, "n", int)) is None else asked
    if not 1 <= count <= MOST_IMAGES:
        raise BadInput(f"The field 'n' is {count}; use 1 to {MOST_IMAGES}.")
    return Draft(
        prompt=visible(prompt),
        negative_prompt=_text(fields, "negative_prompt"),
        width=width,
        height=height,
        num_images=count,
        model=_text(fields, "model"),
        seed=_number(fields, "seed", int),
        num_inference_steps=_number(fields, "steps", int),
        guidance_scale=_number(fields, "guidance_scale", float),
        plain=True,
    )


def _size(value: object) -> tuple[int | None, int | None]:
    if value in (None, "", "auto"):
        return None, None
    width, _, height = str(value).partition("x")
    if not (width.isascii() and width.isdigit() and height.isascii() and height.isdigit() and len(str(value)) < 12):
        raise BadInput("The field 'size' must be such as 1024x1024, or auto.")
    if not int(width) or not int(height):
        raise BadInput("The field 'size' must be such as 1024x1024, or auto.")
    return int(width), int(height)


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise BadInput(f"The field '{name}' must be a text.")
    return value or None


def _number(fields: Mapping[str, Any], name: str, kind: type[int] | type[float]) -> Any:
    value = fields.get(name)
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool) or (kind is int and isinstance(value, float) and value != int(value)):
            raise ValueError
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        raise BadInput(f"The field '{name}' must be a number.") from None


def _words_wish(body: bytearray) -> Wish:
    """What a body of JSON asks for. Raises: BadInput."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise BadInput("The body is no JSON.") from None
    if not isinstance(fields, dict):
        raise BadInput("The body is no JSON object.")
    return Wish(draft=draft_of(fields))


def _form_wish(request: web.Request, body: bytearray) -> Wish:
    """What a form asks for: words, images, and the mask. Raises: BadInput, HTTPBadRequest."""
    if request.content_type != "multipart/form-data":
        raise BadInput("Send a form (multipart/form-data) with the image.")
    form = fields_of(request.headers["Content-Type"], body)
    images = tuple(data for name, data in form if name in ("image", "image[]"))
    if not images:
        raise BadInput("Send the image to edit in the field 'image'.")
    if len(images) > MOST_IMAGES:
        raise BadInput(f"The form has {len(images)} images; send {MOST_IMAGES} at most.")
    draft = draft_of({name: data.decode(errors="replace") for name, data in form if name in WORDS})
    return Wish(draft=draft, images=images, mask=dict(form).get("mask"))
