"""What one member of the simulated server does, as Discord's own client would send it."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import simcord
from simcord.enums import ComponentType, OptionType

from bot.demo import screen
from bot.demo.simulated_discord import Actor, NoAnswer, SimulatedDiscord
from bot.errors import BadInput, NotFound, UserError
from bot.languages.speech import N_

Json = dict[str, Any]
File = tuple[str, bytes]
Files = Mapping[str, Sequence[File]]  # by the option or field they are of
log = logging.getLogger(__name__)
OPEN_FORMS = 20
PEOPLE = (OptionType.USER, OptionType.MENTIONABLE)
ROLES = (OptionType.ROLE, OptionType.MENTIONABLE)
SELECTS = {  # what a select takes, in the words of options
    ComponentType.USER_SELECT: OptionType.USER,
    ComponentType.ROLE_SELECT: OptionType.ROLE,
    ComponentType.CHANNEL_SELECT: OptionType.CHANNEL,
    ComponentType.MENTIONABLE_SELECT: OptionType.MENTIONABLE,
}
CHANGED = N_("This message has just changed. Look again, and press what's there now.")
ODD = N_("Easel can't read what the page sent. Reload the page and try again.")
FORM_GONE = N_("This form was sent already, or is too old. Press its button again for a fresh one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What comes of an action: the message that answers it ("" = none), a form to fill in, or completions."""

    message: str = ""
    form: Json | None = None
    choices: Sequence[Json] = ()


class MemberClient:
    """One member's hands. Every method raises `UserError` with a sentence when Discord wouldn't let them."""

    def __init__(self, env: SimulatedDiscord, member: simcord.MemberActor) -> None:
        self._env, self.member = env, member
        self._forms: dict[str, tuple[int, simcord.InteractionResult]] = {}

    def speak(self, locale: str) -> None:
        """Set their Discord to a language."""
        self._env.locales[self.member.id] = locale

    def channels(self) -> list[int]:
        """The ids of the channels that they can see."""
        return [channel.id for channel in self._env.channels_of(self.member.id)]

    def place(self, channel_id: int) -> Json:
        """The server around a channel: people, channels, commands."""
        return screen.place(self._env, self.member, channel_id)

    def messages(self, channel_id: int, count: int, since: int) -> tuple[list[Json], bool]:
        """The newest messages and all from the id `since` on, oldest first; whether there are older ones."""
        return screen.messages(self._env, self.member.id, channel_id, count, since)

    async def act(self, channel_id: int, what: Json, files: Files) -> Json:
        """Do what a page asks for. Raises: UserError."""
        try:
            return asdict(await self._act(channel_id, what, files))
        except (KeyError, TypeError, ValueError) as error:
            log.warning("the page asked for something odd: %r", error)
            raise BadInput(ODD) from None

    async def _act(self, channel_id: int, what: Json, files: Files) -> Answer:
        match what["do"]:
            case "say":
                return await self.say(channel_id, what["text"], files.get("files", ()), int(what.get("answers") or 0))
            case "press":
                return await self.press(channel_id, int(what["message"]), what["id"])
            case "choose":
                return await self.choose(channel_id, int(what["message"]), what["id"], what["values"])
            case "menu":
                return await self.menu(channel_id, int(what["message"]), what["name"])
            case "run":
                first = {name: given[0] for name, given in files.items()}
                return await self.run(channel_id, what["name"], what["options"], first)
            case "complete":
                return await self.complete(channel_id, what["name"], what["option"], what["typed"], what["options"])
            case "submit":
                return await self.submit(what["form"], what["values"], files)
        raise ValueError(what["do"])

    async def say(self, channel_id: int, text: str, files: Sequence[File], answered: int = 0) -> Answer:
        """Post a message, which may answer the one of the id `answered`."""
        with _refusals(N_("This can't be posted here.")):
            message = await self._env.post(self.member, self._channel(channel_id), text, files, answered)
            return Answer(message=str(message.id))

    async def press(self, channel_id: int, message_id: int, custom_id: str) -> Answer:
        """Press a button."""
        with _refusals(CHANGED):
            message: Any = self._env.message(channel_id, message_id)
            return await self._answer(channel_id, await self._actor(channel_id).click(message, custom_id=custom_id))

    async def choose(self, channel_id: int, message_id: int, custom_id: str, values: Sequence[str]) -> Answer:
        """Choose in a select: values, or ids of people, roles or channels."""
        with _refusals(CHANGED):
            message: Any = self._env.message(channel_id, message_id)
            select = _controls(message.components)[custom_id]
            chosen = self._chosen(select, values)
            return await self._answer(
                channel_id, await self._actor(channel_id).select(message, chosen, custom_id=custom_id)
            )

    async def menu(self, channel_id: int, message_id: int, name: str) -> Answer:
        """Use a command of a message's menu."""
        with _refusals(CHANGED):
            message: Any = self._env.message(channel_id, message_id)
            return await self._answer(
                channel_id, await self.member.context_menu(self._channel(channel_id), name, message)
            )

    async def run(self, channel_id: int, name: str, options: Mapping[str, Any], files: Mapping[str, File]) -> Answer:
        """Use a slash command; `options` as they were typed."""
        values = self._values(channel_id, name, options) | dict(files)
        with _refusals():
            if self._in_server(channel_id):
                return await self._answer(
                    channel_id, await self.member.slash(self._channel(channel_id), name, **values)
                )
            return await self._answer(channel_id, await self.member.user.slash(name, **values))

    async def complete(self, channel_id: int, name: str, option: str, typed: str, options: Mapping[str, Any]) -> Answer:
        """What the bot offers while `option` is typed."""
        filled = self._values(channel_id, name, {key: value for key, value in options.items() if key != option})
        with _refusals():
            actor, channel = self._actor(channel_id), self._channel(channel_id)
            return Answer(choices=await self._env.completions(actor, channel, name, option, typed, filled))

    async def submit(self, form: str, values: Mapping[str, Any], files: Files) -> Answer:
        """Send a form."""
        if form not in self._forms:
            raise NotFound(FORM_GONE)
        channel_id, shown = self._forms[form]
        controls = _controls((shown.modal or {})["components"])
        filled = {
            key: self._chosen(controls[key], value) if isinstance(value, list) else value
            for key, value in values.items()
            if key in controls
        }
        with _refusals():
            result = await self._actor(channel_id).submit_modal(shown, {**filled, **files})
        self._forms.pop(form, None)
        return await self._answer(channel_id, result)

    # ------------------------------------------------------------ what it takes
    async def _answer(self, channel_id: int, result: simcord.InteractionResult) -> Answer:
        try:
            await self._env.answered(result)
        except NoAnswer:
            raise UserError("Easel didn't answer. Try again in a moment.") from None
        if result.modal is not None:
            return Answer(form=self._open(channel_id, result))
        response = result.response
        return Answer(message=str(response.id) if response else "")

    def _open(self, channel_id: int, result: simcord.InteractionResult) -> Json:
        """Remember a form until it is sent; the oldest ones are forgotten."""
        key = secrets.token_hex(8)
        self._forms[key] = channel_id, result
        for old in list(self._forms)[:-OPEN_FORMS]:
            del self._forms[old]
        return {**(result.modal or {}), "key": key}

    def _in_server(self, channel_id: int) -> bool:
        return self._env.channel(channel_id).guild_id is not None

    def _actor(self, channel_id: int) -> Actor:
        return self.member if self._in_server(channel_id) else self.member.user

    def _channel(self, channel_id: int) -> simcord.ChannelHandle:
        channel = self._env.channel(channel_id)
        return simcord.ChannelHandle(self._env, self.member.guild if channel.guild_id else None, channel)

    def _values(self, channel_id: int, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options as commands take them, from what was typed. Raises: BadInput."""
        known = screen.slash_commands(self._env, self.member.id, channel_id)
        spec = next((command for command in known if command["name"] == name), None)
        if spec is None:
            raise BadInput("There is no /{name} here.", name=name)
        declared = {option["name"]: option for option in spec["options"]}
        return {key: self._value(declared[key], value) for key, value in options.items() if key in declared}

    def _value(self, option: Json, typed: Any) -> Any:
        try:
            match option["type"]:
                case OptionType.INTEGER:
                    return int(typed)
                case OptionType.NUMBER:
                    return float(typed)
                case OptionType.USER | OptionType.ROLE | OptionType.CHANNEL | OptionType.MENTIONABLE:
                    return self._entity(option["type"], int(typed))
        except (ValueError, KeyError):
            raise BadInput("{value} can't be used as {option}.", value=repr(typed), option=option["name"]) from None
        return typed

    def _chosen(self, select: Json, values: Sequence[str]) -> list[Any]:
        kind = SELECTS.get(select["type"])
        return [self._entity(kind, int(value)) if kind else value for value in values]

    def _entity(self, kind: int, number: int) -> Any:
        """Somebody, a role or a channel, by its id. Raises: KeyError."""
        guild = self.member.guild
        if kind in PEOPLE and number in guild.member_ids():
            return self._env.member(guild, number)
        if kind in ROLES:
            return {role.id: role for role in guild.roles.values()}[number]
        return {channel.id: channel for channel in guild.channels.values()}[number]


def _controls(parts: list[Json]) -> dict[str, Json]:
    """What can be pressed, chosen in or filled in, by custom id."""
    return {each["custom_id"]: each for each in screen.walk(parts) if "custom_id" in each}


@contextmanager
def _refusals(sentence: str = "") -> Iterator[None]:
    """Turn what Discord refuses into `sentence`, or into its own."""
    try:
        yield
    except (simcord.SetupError, simcord.BackendError, KeyError) as error:
        raise BadInput(sentence or str(error)) from None
