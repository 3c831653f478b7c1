"""Members' settings and servers' defaults, and applying them to drafts. Knows no Discord."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from bot.errors import BadInput
from bot.features.audit.service import Audit
from bot.features.audit.store import EVERYWHERE
from bot.features.settings import acts
from bot.features.settings import store as preference_store
from bot.features.settings.shapes import check_shape, fields_of
from bot.features.settings.store import ModelNote, Preferences, ServerDefaults, Style
from bot.features.settings.styles import find_styles
from bot.orders import drafts
from bot.orders.actor import Actor
from bot.prompt.parser import MAX_NEGATIVE_CHARS, MAX_PROMPT_CHARS, Draft, merge, parse
from bot.prompt.text import is_blank, visible
from bot.store.clock import Clock
from bot.store.store import Store
from engine.api.model_info import ModelInfo

MAX_SUFFIX_CHARS = 300


class PreferenceService:
    """Members' settings, which apply in every server, and servers' defaults. `models`: those that can be named."""

    def __init__(self, store: Store, audit: Audit, clock: Clock, models: Callable[[], Sequence[ModelInfo]]) -> None:
        self._store, self._audit, self._clock, self._models = store, audit, clock, models
        self.quiet: set[int] = set()  # who wants no pictures while painting; looked at for every preview
        self.wordless: set[int] = set()  # who wants no prompt in the files of their pictures

    async def load(self) -> None:
        """Load what is needed too often to ask the database each time."""
        self.quiet.update(await self._store.read(preference_store.without, "previews"))
        self.wordless.update(await self._store.read(preference_store.without, "file_words"))

    async def preferences(self, user_id: int) -> Preferences:
        return await self._store.read(preference_store.preferences, user_id)

    async def mention_minutes(self, user_id: int) -> int | None:
        """How long a member's job has to take for them to be mentioned at its end; None = never."""
        return (await self.preferences(user_id)).mention_minutes

    async def prefer(self, user_id: int, guild_id: int, **changes: Any) -> Preferences:
        """Change some of a member's settings. Raises: BadInput."""
        wanted = replace(await self.preferences(user_id), **changes)
        wanted = replace(wanted, suffix=_suffix(wanted.suffix))
        check_shape(wanted.shape)
        if wanted.model is not None:
            drafts.find_model(self._models(), wanted.model)
        await self._store.write(preference_store.prefer, user_id, guild_id, wanted, self._clock.now_ms())
        self.quiet.discard(user_id) if wanted.previews else self.quiet.add(user_id)
        self.wordless.discard(user_id) if wanted.file_words else self.wordless.add(user_id)
        return wanted

    def forget(self, user_id: int) -> None:
        """Forget a member whose settings were deleted."""
        self.quiet.discard(user_id)
        self.wordless.discard(user_id)

    async def defaults(self, guild_id: int) -> ServerDefaults:
        return await self._store.read(preference_store.defaults, guild_id)

    async def set_defaults(self, by: Actor, **changes: Any) -> ServerDefaults:
        """Change some of a server's defaults and return them all. Raises: BadInput."""
        return await self._audit.perform(acts.set_defaults, by, by.guild_id, changes, self._models())

    async def styles(self, guild_id: int) -> list[Style]:
        return await self._store.read(preference_store.styles, guild_id)

    async def save_style(self, by: Actor, style: Style) -> bool:
        """Save a server's style under its name; return whether it is new. Raises: BadInput."""
        return await self._audit.perform(acts.save_style, by, by.guild_id, style)

    async def remove_style(self, by: Actor, name: str) -> str:
        """Remove a server's style and return its name. Raises: BadInput."""
        return await self._audit.perform(acts.remove_style, by, by.guild_id, name)

    async def model_notes(self) -> dict[str, ModelNote]:
        """Return the operator's notes on models by their keys."""
        return await self._store.read(preference_store.model_notes)

    async def describe_model(self, by: Actor, model: str, licence: str | None, about: str | None) -> ModelNote:
        """Change the note on a model (its key), None = as before; return the note."""
        return await self._audit.perform(acts.describe_model, by, EVERYWHERE, model, licence, about)

    async def dress(
        self, asked: Sequence[Draft], user_id: int, guild_id: int, *, from_picture: bool = False
    ) -> list[Draft]:
        """Apply the member's settings, then the server's defaults, to every field left unset.

        `from_picture`: the size then follows the picture, not the settings. Raises: BadInput.
        """
        known = await self.styles(guild_id)
        mine, theirs = await self.preferences(user_id), await self.defaults(guild_id)
        task = "img2img" if from_picture else "txt2img"
        keys = tuple(info.key for info in self._models() if task in info.tasks)
        return [
            apply_styles(with_settings(draft, mine, theirs, keys, from_picture=from_picture), known)
            if not draft.plain
            else apply_styles(draft, known)
            for draft in asked
        ]

    async def style_only(self, asked: Sequence[Draft], guild_id: int) -> list[Draft]:
        """Apply only the styles that drafts name: for forms that were filled in. Raises: BadInput."""
        known = await self.styles(guild_id)
        return [apply_styles(draft, known) for draft in asked]

    async def changes_something(self, user_id: int, guild_id: int) -> bool:
        """Return whether settings or defaults change this member's prompts here."""
        mine = await self.preferences(user_id)
        return bool(mine.model or mine.shape or mine.suffix) or await self.defaults(guild_id) != ServerDefaults()


def with_settings(
    draft: Draft, mine: Preferences, theirs: ServerDefaults, models: Sequence[str], *, from_picture: bool = False
) -> Draft:
    """Apply a member's settings, then a server's defaults, to every field left unset. Pure.

    Settings that name a model which is gone are passed over. A server's steps, guidance and scheduler are meant for
    its default model, so they hold for that one only.
    """
    draft = _with_suffix(draft, mine.suffix, sizeless=from_picture)
    model = draft.model or _first((mine.model, theirs.model), models)
    own = theirs.model if theirs.model in models else (models[0] if models else None)
    if (model or own) == own:
        draft = replace(
            draft,
            num_inference_steps=theirs.steps if draft.num_inference_steps is None else draft.num_inference_steps,
            guidance_scale=theirs.guidance if draft.guidance_scale is None else draft.guidance_scale,
            scheduler=theirs.scheduler if draft.scheduler is None else draft.scheduler,
        )
    shape = mine.shape or theirs.shape
    if shape and not from_picture and not (draft.aspect_ratio or draft.width or draft.height):
        draft = replace(draft, **fields_of(shape))
    return replace(
        draft,
        model=model,
        negative_prompt=draft.negative_prompt or theirs.negative or None,
        style=theirs.styles if draft.style is None else draft.style,
    )


def apply_styles(draft: Draft, known: Sequence[Style]) -> Draft:
    """Apply a draft's styles, the first one innermost. Raises: BadInput."""
    prompt, negatives = draft.prompt, [draft.negative_prompt] if draft.negative_prompt else []
    for style in find_styles(known, draft.style or ()):
        prompt = style.template.replace("{prompt}", prompt)
        negatives += [style.negative] if style.negative else []
    done = replace(draft, prompt=prompt, negative_prompt=", ".join(negatives) or None, style=None, plain=None)
    if len(done.prompt) > MAX_PROMPT_CHARS or len(done.negative_prompt or "") > MAX_NEGATIVE_CHARS:
        raise BadInput("With your settings and styles, the prompt is too long. Shorten it or leave out a style.")
    return done


def _first(names: Sequence[str | None], known: Sequence[str]) -> str | None:
    return next((name for name in names if name in known), None)


def _with_suffix(draft: Draft, suffix: str, *, sizeless: bool) -> Draft:
    """Add a member's words behind the prompt, and their flags to every field left unset, but for a size."""
    if not suffix:
        return draft
    added = _read_suffix(suffix)
    if sizeless:
        added = replace(added, aspect_ratio=None, width=None, height=None)
    return replace(merge(added, draft), prompt=", ".join(filter(None, (draft.prompt, added.prompt))))


def _read_suffix(suffix: str) -> Draft:
    """Read what is added to every prompt; all of it is words where it was kept before flags were read in it."""
    try:
        return parse(suffix, wordless=True)[0]
    except BadInput:
        return Draft(prompt=suffix)


def _suffix(text: str) -> str:
    """Return the words and flags to add to every prompt. Raises: BadInput."""
    text = visible(text).strip(" ,")
    if len(parse(text, wordless=True)) > 1:
        raise BadInput("This would make several jobs of every prompt. Leave out {a, b} and --repeat here.")
    if len(text) > MAX_SUFFIX_CHARS:
        raise BadInput(
            "That's {count_text} characters, and the limit is {max_suffix_chars}. Shorten it.",
            count_text=len(text),
            max_suffix_chars=MAX_SUFFIX_CHARS,
        )
    return "" if is_blank(text) else text
