"""The ids of buttons and forms: version, action and one number, so that they live as long as the row behind them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Self

TEMPLATE = re.compile(r"v1:(?P<action>[a-z]{1,8}):(?P<number>[0-9]{1,19})")
"""Discord allows 100 characters; a snowflake needs 19 digits."""
CHOICE_TEMPLATE = re.compile(r"s1:(?P<action>[a-z]{1,8}):(?P<number>[0-9]{1,19})")
"""Of selects."""


@unique  # equal values would silently be one action
class Action(StrEnum):
    """What a press asks for; the number names an image unless said otherwise."""

    PICK = "u"  # show this image alone, at full size
    FINISH = "fi"  # paint this picture of a board in full
    VARY = "v"  # four near neighbours
    VARY_STRONG = "vs"  # four far neighbours
    VARY_MEANING = "vm"  # four of the same idea, by what an image encoder reads in it
    UPSCALE = "up"  # twice as large, nothing added
    UPSCALE_CREATIVE = "uc"  # twice as large, repainted in detail
    ZOOM_LITTLE = "zl"  # 1.5 times the surroundings
    ZOOM = "zo"  # twice the surroundings
    ZOOM_CUSTOM = "zc"  # a form with zoom, ratio and prompt
    PAN_LEFT = "pl"
    PAN_RIGHT = "pr"
    PAN_UP = "pu"
    PAN_DOWN = "pd"
    MENU_VARY = "mv"  # the form of the menu "Vary"
    MENU_VARY_FILE = "mvf"  # the same; number = note of an upload
    MENU_UPSCALE = "mu"  # the form of the menu "Upscale"
    MENU_UPSCALE_FILE = "muf"  # the same; number = note of an upload
    EDIT = "ed"  # the form that asks what should change, and that form's answer
    MENU_EDIT_FILE = "edf"  # the same form of the menu "Edit"; number = note of an upload
    EDIT_BEFORE = "eb"  # the picture that this one was made from
    EDIT_COMPARE = "ec"  # both side by side
    EDIT_OFFER_1 = "ex"  # number = refused edit: make the first change that was offered instead
    EDIT_OFFER_2 = "ey"
    EDIT_OFFER_3 = "ez"
    EDIT_ANYWAY = "ea"  # number = refused edit: paint it as it is
    REROLL = "r"  # the same job with new seeds
    REMIX = "x"  # the form with everything filled in
    SEED = "s"  # the seeds and a line to paste
    DELETE = "d"  # ask whether to forget the image's whole job
    DELETE_YES = "dy"  # forget it
    DELETE_NO = "dn"  # show it as before
    UNDO = "du"  # number = job that was deleted a moment ago
    REMOVE = "rm"  # take this one message away, keep the job
    CANCEL = "c"  # number = job
    AGAIN = "t"  # number = job that failed or was cancelled
    BATCH = "b"  # number = pending batch: paint it
    BATCH_WHOLE = "bw"  # number = pending batch: paint it with the whole picture in view, not close up
    DISMISS = "n"  # number = pending batch: do not
    SHOW = "o"  # number = job: post it again
    OFFER_1 = "oa"  # number = offer: the form with its first draft, and that form's answer
    OFFER_2 = "ob"
    OFFER_3 = "oc"
    OFFER_4 = "od"
    RERUN = "or"  # number = offer: paint its only draft as it is
    OLDER = "h"  # number = history before this job
    OLDER_FOUND = "hf"  # number = note of what is looked for in the history
    FAMILY = "hk"  # number = job: what it came from, and what came from it
    ORIGINALS = "ho"  # number = job: its files
    REGION = "vr"  # choose a region of this image to redraw
    WAYS = "ro"  # number = region: back to the ways of choosing
    CELLS = "rc"  # number = region: its cells, or the other grid when they are shown
    CELL = "rx"  # number = region and cell, see `bot.features.region.views`
    CELLS_DONE = "rd"  # number = region: the form for the chosen cells
    PAINTED = "rp"  # number = region: the form that takes the picture painted over
    WORDS = "rw"  # number = region: the form that takes words
    SETTING = "set"  # number = which of one's own settings
    LEAVE = "bye"  # number = person: forget everything about them
    STYLES = "sty"  # number = page of the styles
    LOOKS = "lks"  # number = page of the styles from pictures
    PANEL = "adm"  # number = page of the admins' panel
    ANNOUNCE = "ann"  # number = announcement that was asked about
    FIGURES = "afg"  # the panel: number = days
    PERSON = "ape"  # the panel: choose a person
    GRANT = "agr"  # the panel: number = person
    BAN = "aba"  # the panel: number = person
    UNBAN = "aub"  # the panel: number = person
    CHANNEL = "ach"  # the panel: number = which list or switch of the channels
    WORD = "awo"  # the panel: number = which button of the words
    PAUSE = "apa"  # the panel: number = which mode
    DEFAULT = "ade"  # the panel: number = which list of the defaults
    QUOTA = "aqu"  # the panel: number = role, or 0 = the whole server
    LIMIT = "ali"  # the panel: number = role; the limits to change, and their form
    APPEAL = "ap"  # number = appeal: ask those who decide
    APPROVE = "ay"  # number = appeal: let it pass
    DENY = "an"  # number = appeal: do not
    STOP = "js"  # number = job: an admin cancels anybody's
    DELIVER = "jd"  # number = job: an admin has its images delivered again
    FORM = "fo"  # number = refused form: open it again as it was filled in
    LINE_WITHOUT = "lw"  # number = refused line: paint it without what is to blame
    LINE_INSTEAD = "li"  # number = refused line: paint it with the flag that was meant
    LINE_OFFER_1 = "lx"  # number = refused line: paint the first prompt that was offered instead
    LINE_OFFER_2 = "ly"
    LINE_OFFER_3 = "lz"
    LINE_ANYWAY = "la"  # number = refused line: paint it as it is
    LINE_EDIT = "le"  # number = refused line: change it in a form, and that form's answer
    WORD_LIST = "wl"  # the form of a word list; number = 0 one's own, 1 the server's
    HELP = "hp"  # number = page of /help
    PICTURES = "mp"  # the panel: number = person: what they made here
    PICTURES_OLDER = "mpo"  # the panel: number = job that the next page begins after
    PICTURES_ONE = "mpd"  # the panel: number = job: delete it
    PICTURES_ASK = "mpa"  # the panel: number = person: ask before deleting all
    PICTURES_ALL = "mpy"  # the panel: number = person: delete all
    REPORT = "rt"  # number = job: report it to the moderators, and the form with the reason
    REPORTS = "are"  # the panel: choose a reported job
    KEEP = "rk"  # the panel: number = job: it stays
    TAKE_DOWN = "rq"  # the panel: number = job: delete it, its message too
    STAR = "st"  # number = job: one vote for the gallery


@dataclass(frozen=True, slots=True)
class ButtonId:
    """One button's meaning."""

    action: Action
    number: int

    def __str__(self) -> str:
        return f"v1:{self.action.value}:{self.number}"

    @classmethod
    def parse(cls, custom_id: str) -> Self | None:
        """The meaning of an id; None for ids that are not ours or of an action this version does not know."""
        match = TEMPLATE.fullmatch(custom_id)
        if match is None or match["action"] not in {action.value for action in Action}:
            return None
        return cls(Action(match["action"]), int(match["number"]))


@dataclass(frozen=True, slots=True)
class SelectId:
    """One select's meaning; `action` is None for one that this version does not know."""

    action: Action | None
    number: int

    def __str__(self) -> str:
        return f"s1:{self.action.value if self.action else 'old'}:{self.number}"

    @classmethod
    def read(cls, match: re.Match[str]) -> Self:
        """The meaning of an id that fits CHOICE_TEMPLATE."""
        known = {action.value for action in Action}
        action = Action(match["action"]) if match["action"] in known else None
        return cls(action, int(match["number"]))
