"""What the bot refuses, as sentences that say what is wrong and how to mend it. Knows no Discord.

UserError                 safe to show to the person who asked, word for word
├── BadInput              an option, flag or file cannot be used as it is
├── NotEnoughCredits      the price is above what is left
├── TooManyJobs           the person has as many jobs as allowed
├── Busy                  the queue or the disk is full, or Easel is shutting down
│   └── PicturesAway      the disk with the pictures isn't mounted
├── NotYours              only the owner (or an admin) may do this
├── NotFound              no such job or image (any more)
├── Banned                the person may not use the bot (here, or until a time)
├── Refused               the words, the picture or the channel are not allowed; perhaps one may appeal
└── MissingPermission     Discord does not let the bot do this here
"""

from __future__ import annotations

from typing import Any

from bot.languages.speech import _, engine_words, ngettext
from engine.api.errors import EngineError


class UserError(Exception):
    """The request was refused; nothing was charged.

    It's put into words when it is told, in the language that is spoken then.

    Args:
        sentence: in English, with the names of `facts` in braces. many, n: the sentence for `n` things other than one.
    """

    code = "refused"
    shows_words = True

    def __init__(self, sentence: str, *, many: str = "", n: int = 0, **facts: object) -> None:
        super().__init__(sentence)
        self.sentence, self.many, self.n, self.facts = sentence, many, n, facts

    def __str__(self) -> str:
        return ngettext(self.sentence, self.many, self.n, **self.facts) if self.many else _(self.sentence, **self.facts)


class BadInput(UserError):
    """An input can't be used as it is.

    Attributes:
        flag: the flag of a prompt line that is to blame, as typed and without its dashes. meant: the nearest one known.
        foreign: another program's syntax in the prompt is to blame.
        without, instead: the line without what is to blame, and with `meant` in its place; the parser sets both.
        offers: prompts that would work; then the line may also be painted as it is, by one who insists.
    """

    code = "bad_input"

    def __init__(
        self,
        sentence: str,
        *,
        flag: str = "",
        meant: str = "",
        foreign: bool = False,
        offers: tuple[str, ...] = (),
        **facts: Any,
    ) -> None:
        super().__init__(sentence, **facts)
        self.flag, self.meant, self.foreign, self.offers = flag, meant, foreign, offers
        self.without: str | None = None
        self.instead: str | None = None


class NotEnoughCredits(UserError):
    code = "credits"


class TooManyJobs(UserError):
    code = "too_many_jobs"


class Busy(UserError):
    code = "busy"


class PicturesAway(Busy):
    """The folder of the pictures isn't the one it was, such as a mount point without its disk."""


class NotYours(UserError):
    code = "not_yours"


class NotFound(UserError):
    code = "not_found"


class MissingPermission(UserError):
    code = "permission"


class Banned(UserError):
    code = "banned"
    shows_words = False


class Refused(UserError):
    """Not allowed.

    Attributes:
        appeal: the number to appeal with; None when there is no appeal.
        shows_words: whether the words are shown and kept for a change, as those of any refusal are.
    """

    code = "blocked"

    def __init__(self, sentence: str, *, appeal: int | None = None, shows_words: bool = True, **facts: Any) -> None:
        super().__init__(sentence, **facts)
        self.appeal, self.shows_words = appeal, shows_words


def said(error: UserError | EngineError) -> str:
    """What went wrong, in the language that is spoken: the engine knows only English."""
    return str(error) if isinstance(error, UserError) else engine_words(str(error))
