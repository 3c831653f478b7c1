"""What Discord's own client shows to one member, as JSON for a browser. Ids are text: its numbers are too small."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import discord
import simcord
from PIL import Image
from simcord.enums import AppCommandType, ComponentType, OptionType

from bot.demo.simulated_discord import SimulatedDiscord
from bot.languages.speech import _

Json = dict[str, Any]
FIRST = "imagine"  # what newcomers look for comes first in the list of commands
EPHEMERAL, LOADING = 1 << 6, 1 << 7  # of a message's flags
NESTED = (OptionType.SUBCOMMAND, OptionType.SUBCOMMAND_GROUP)
MEDIA = {ComponentType.THUMBNAIL: "media", ComponentType.FILE: "file"}


def place(env: SimulatedDiscord, member: simcord.MemberActor, channel_id: int) -> Json:
    """The server, its people but for the owner (simcord's own), its channels, and the commands of one channel."""
    guild, locale = member.guild, env.locales.get(member.id, "")
    menus = env.commands_for(member.id, channel_id, AppCommandType.MESSAGE)
    return {
        "server": guild.name,
        "me": str(member.id),
        "bot": str(env.bot_id),
        "channels": [
            {
                "id": str(each.id),
                "name": each.name or "Easel",
                "topic": _(each.topic or ""),
                "dm": each.guild_id is None,
                "last": str(each.last_message_id or 0),
            }
            for each in env.channels_of(member.id)
        ],
        "people": [_person(env, guild, user_id) for user_id in guild.member_ids() if user_id != guild.owner.id],
        "roles": [{"id": str(role.id), "name": role.name} for role in guild.roles.values()],
        "slash": [_localised(each, locale) for each in slash_commands(env, member.id, channel_id)],
        "menus": [{"name": each["name"], "label": _localised(each, locale)["name"]} for each in menus],
    }


def messages(env: SimulatedDiscord, member_id: int, channel_id: int, count: int, since: int) -> tuple[list[Json], bool]:
    """The newest messages of a channel and all from the id `since` on, oldest first; whether there are older ones."""
    found = env.messages_for(member_id, channel_id)
    count = max(count, sum(each.id >= since for each in found) if since else 0)
    return [_message(env, each) for each in found[-count:]], len(found) > count


def slash_commands(env: SimulatedDiscord, member_id: int, channel_id: int) -> list[Json]:
    """The slash commands that somebody may use in a channel, subcommands under their full names."""
    published = env.commands_for(member_id, channel_id, AppCommandType.CHAT_INPUT)
    found = [leaf for command in published for leaf in _leaves(command, "")]
    return sorted(found, key=lambda leaf: (leaf["name"] != FIRST, leaf["name"]))


def walk(parts: list[Json]) -> Iterator[Json]:
    """Every component, however deep."""
    for part in parts:
        yield part
        yield from walk(part.get("components") or [])
        yield from walk([part[key] for key in ("accessory", "component") if key in part])


def _leaves(command: Json, above: str) -> Iterator[Json]:
    name = f"{above} {command['name']}".strip()
    options = command.get("options") or []
    nested = [option for option in options if option["type"] in NESTED]
    for option in nested:
        yield from _leaves(option, name)
    if not nested:
        yield {**command, "name": name, "options": options}


def _localised(thing: Json, locale: str) -> Json:
    """A command, option or choice as somebody's Discord shows it; what has no words in their language stays."""
    shown = {key: value for key, value in thing.items() if not key.endswith("_localizations")}
    for key in ("name", "description"):
        shown[key] = (thing.get(f"{key}_localizations") or {}).get(locale) or thing.get(key)
    for key in ("options", "choices"):
        if key in thing:
            shown[key] = [_localised(each, locale) for each in thing[key] or ()]
    return shown


def _person(env: SimulatedDiscord, guild: simcord.GuildHandle, user_id: int) -> Json:
    user, may = env.backend.users[user_id], discord.Permissions(env.backend.compute_permissions(guild.id, user_id))
    name = user.global_name or user.name
    return {"id": str(user_id), "name": name, "bot": user.bot, "admin": may.administrator}


def _message(env: SimulatedDiscord, message: Any) -> Json:
    asked = message.interaction_metadata or {}
    files = {each["url"]: _file(env, each) for each in message.attachments}
    parts = [_part(part, files) for part in message.components]
    shown = {medium["url"] for part in walk(parts) for medium in _media(part)}
    return {
        "id": str(message.id),
        "at": message.timestamp,
        "edited": message.edited_timestamp is not None and not asked and not parts,
        "author": str(message.author_id),
        "private": bool(message.flags & EPHEMERAL),
        "thinking": bool(message.flags & LOADING),
        "for": asked["user"]["id"] if asked else "",
        "used": _used(asked),
        "answers": _answered(env, message),
        "text": message.content,
        "parts": parts,
        "files": [each for each in files.values() if each["url"] not in shown],
    }


def _answered(env: SimulatedDiscord, message: Any) -> Json | None:
    """The message that this one replies to; None where it is gone."""
    reference = message.reference or {}
    original = env.backend.messages.get(message.channel_id, {}).get(int(reference.get("message_id", 0)))
    if original is None:
        return None
    return {"id": str(original.id), "author": str(original.author_id), "text": original.content}


def _used(asked: Json) -> str:
    """The command that a message answers; nothing where a button was pressed."""
    if "name" not in asked:
        return ""
    return asked["name"] if asked.get("command_type") == AppCommandType.MESSAGE else f"/{asked['name']}"


def _part(part: Json, files: Mapping[str, Json]) -> Json:
    """A component, whose media are those that the page can load."""
    shown = dict(part)
    for key in ("accessory", "component"):
        if key in part:
            shown[key] = _part(part[key], files)
    if part.get("components"):
        shown["components"] = [_part(each, files) for each in part["components"]]
    if part["type"] == ComponentType.MEDIA_GALLERY:
        shown["items"] = [_medium(item, item["media"], files) for item in part["items"]]
    if held := MEDIA.get(part["type"]):
        shown[held] = _medium(part, part[held], files)
    return shown


def _medium(holder: Json, medium: Json, files: Mapping[str, Json]) -> Json:
    file = files.get(medium["url"], {"url": "", "name": "", "bytes": 0, "w": 0, "h": 0, "alt": ""})
    return file | {"alt": holder.get("description") or file["alt"], "spoiler": bool(holder.get("spoiler"))}


def _media(part: Json) -> list[Json]:
    if part["type"] == ComponentType.MEDIA_GALLERY:
        return list(part["items"])
    key = MEDIA.get(part["type"])
    return [part[key]] if key else []


def _file(env: SimulatedDiscord, attachment: Json) -> Json:
    path = attachment["url"].split("/", 3)[3]
    width, height = _size(env.file(path) or b"") if attachment["content_type"].startswith("image/") else (0, 0)
    return {
        "url": f"files/{path}",
        "name": attachment["filename"],
        "bytes": attachment["size"],
        "w": width,
        "h": height,
        "alt": attachment.get("description") or "",
    }


@lru_cache(maxsize=256)
def _size(data: bytes) -> tuple[int, int]:
    """Of a picture, in pixels; so the page keeps a place for it before it has loaded."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except OSError:
        return 0, 0
