"""From drafts to jobs in the queue: the one path of commands, buttons, web pages and scripts. Knows no Discord."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.errors import BadInput
from bot.jobs.records import Job, JobKind, NewJob
from bot.jobs.service import Jobs
from bot.languages.speech import N_, _, language, later
from bot.ledger.limits import Terms
from bot.ledger.records import Balance
from bot.ledger.transfers import too_dear
from bot.orders import drafts
from bot.orders.actor import Actor
from bot.prompt.parser import GRID, Draft
from bot.prompt.spec import Spec
from bot.prompt.text import quoted
from engine import mini
from engine.api.model_info import ModelInfo
from engine.tasks import lora_tags
from engine.tasks.edit import Edit
from engine.tasks.txt2img import MAX_SEED, Txt2Img

UNASKED_MC = GRID * drafts.PICTURE_MC * 5 // 4  # a grid; other ratios round to a few pixels more
MAX_NAMED = 4  # of the words that a model doesn't know


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Jobs that a member is about to ask for.

    Attributes:
        squeezes: a small part is painted close up, by words that tell the whole picture; which is meant is asked first.
    """

    specs: tuple[Spec, ...]
    kind: JobKind = "imagine"
    parent: int | None = None
    private: bool = False
    squeezes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Where the jobs of an order are answered: ids are Discord's, `token` is the interaction's.

    Attributes:
        message_id: the message that becomes the result, where there is one already.
    """

    interaction_id: int
    application_id: int
    token: str
    message_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What an order costs and what its member has, in millicredits."""

    price_mc: int
    left_mc: int
    terms: Terms


class Rules(Protocol):
    """What decides whether something may be painted (`bot.features.moderation`)."""

    async def check(
        self, actor: Actor, /, texts: Sequence[str], without: Sequence[str] = (), *, final: bool = True
    ) -> None:
        """Raises: Banned, Busy, Refused."""
        ...

    async def check_intake(self, actor: Actor, /) -> None:
        """Raises: Banned, Busy."""
        ...

    async def check_channel(self, actor: Actor, /) -> None:
        """Raises: Refused."""
        ...


class Orders:
    """Resolves, prices, checks and queues."""

    def __init__(
        self,
        jobs: Jobs,
        rules: Rules,
        models: Callable[[], Sequence[ModelInfo]],
        terms: Callable[[Actor], Awaitable[Terms]],
        balance: Callable[[int, int, Terms], Awaitable[Balance]],
    ) -> None:
        self._jobs, self._rules, self._models = jobs, rules, models
        self.terms, self._balance = terms, balance

    async def resolve_all(
        self,
        actor: Actor,
        asked: Sequence[Draft],
        what: Txt2Img = drafts.WORDS,
    ) -> tuple[Spec, ...]:
        """Make drafts of one task whole, on their member's terms. Raises: BadInput."""
        models, terms = self._models(), await self.terms(actor)
        return tuple(drafts.resolve(draft, models, terms, new_seed(), what) for draft in asked)

    async def resolve_again(self, actor: Actor, spec: Spec) -> tuple[Spec, ...]:
        """Make a stored spec whole as if asked for now: limits and models may have changed. Raises: BadInput."""
        asked = [drafts.draft_of(cell) for cell in spec.cells]
        specs = await self.resolve_all(actor, asked, spec.request)
        if spec.compare is not None:
            specs = (specs[0].evolve(compare=spec.compare),)
        return tuple(each.evolve(note=each.note or spec.note) for each in specs)

    def check_known(self, specs: Sequence[Spec]) -> None:
        """Whether each prompt names something its model can paint; only Mini's world is so small. Raises: BadInput."""
        models = self._models()
        for spec in specs:
            info = drafts.find_model(models, spec.model)
            words = lora_tags.strange(spec.prompt, (*info.embeddings, *info.loras)) if info.small_world else ""
            edits = spec.task == Edit.task
            if offers := mini.offers(words, edits=edits):
                *others, last = map(quoted, mini.unknown_words(words, edits=edits)[:MAX_NAMED])
                unknown = later(_, N_("{others} or {last}"), others=", ".join(others), last=last) if others else last
                raise BadInput(
                    "{key} doesn't know {unknown}, and would paint blobs. These work; nothing was charged.",
                    offers=offers,
                    key=info.key,
                    unknown=unknown,
                )

    def price_mc(self, *specs: Spec) -> int:
        """Return what specs cost together, in millicredits."""
        models = self._models()
        cells = [cell for spec in specs for cell in spec.cells]
        return sum(drafts.price_mc(cell, drafts.find_model(models, cell.model)) for cell in cells)

    async def quote(self, actor: Actor, order: Order) -> Quote:
        """Return what an order costs, for asking first."""
        terms = await self.terms(actor)
        balance = await self._balance(actor.user_id, actor.guild_id, terms)
        return Quote(price_mc=self.price_mc(*order.specs), left_mc=balance.free_mc + balance.paid_mc, terms=terms)

    async def check_welcome(self, actor: Actor) -> None:
        """Whether anything of this member's is taken here now, before it's read what.

        Raises: Banned, Busy, Refused, TooManyJobs.
        """
        await self._rules.check_intake(actor)
        await self._rules.check_channel(actor)
        await self._jobs.check_room(actor.user_id, actor.guild_id, await self.terms(actor))

    async def check_payable(self, actor: Actor, order: Order) -> None:
        """No question about what cannot be paid anyway. Raises: NotEnoughCredits."""
        quote = await self.quote(actor, order)
        if quote.price_mc > quote.left_mc and not quote.terms.relax:
            raise too_dear(quote.price_mc, quote.left_mc, quote.terms.period)

    async def check_allowed(self, actor: Actor, order: Order, *, final: bool = True) -> None:
        """Whether this member may have this here; `final`: jobs follow at once. Raises: Banned, Busy, Refused."""
        texts, without = [spec.prompt for spec in order.specs], [spec.negative_prompt for spec in order.specs]
        await self._rules.check(actor, texts, without, final=final)

    async def submit(self, actor: Actor, order: Order, reply: Reply) -> list[Job]:
        """Reserve the price and queue the jobs of an order that was allowed: all or none. Raises: UserError."""
        new = [self._new_job(actor, spec, order, reply, part) for part, spec in enumerate(order.specs)]
        return await self._jobs.submit_all(new, await self.terms(actor))

    def _new_job(self, actor: Actor, spec: Spec, order: Order, reply: Reply, part: int) -> NewJob:
        return NewJob(
            interaction_id=reply.interaction_id,
            part=part,
            guild_id=actor.guild_id,
            channel_id=actor.channel_id,
            user_id=actor.user_id,
            kind=order.kind,
            spec=spec,
            price_mc=self.price_mc(spec),
            application_id=reply.application_id,
            reply_token=reply.token,
            parent_image_id=order.parent,
            private=order.private,
            message_id=reply.message_id if len(order.specs) == 1 else None,
            aged=actor.nsfw,
            language=language(),
        )


def new_seed() -> int:
    """Return a random seed; every number it gives is one."""
    return secrets.randbits(MAX_SEED.bit_length())
