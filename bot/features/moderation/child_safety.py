"""The one rule that can't be switched off: no sexual images of minors. Pure.

It reads the prompt (not what is to be left out) and refuses when words for minors meet sexual ones, and some words
alone; plurals are found by themselves. It errs on the side of refusing. What it can't see is in docs/moderation.md.
"""

from __future__ import annotations

import re

from bot.features.moderation.confusables import plain
from bot.features.moderation.word_filter import Matcher, readings

ADULT = 18  # years

_ALONE = """
    loli lolicon shota shotacon toddlercon jailbait pedo pedophile* paedophile* pedophilia
    paedophilia childporn kiddieporn csam
"""
_MINOR = """
    child children childlike kid kiddo toddler baby infant newborn preschooler*
    preteen tween teen teenage teenaged teenager adolescent* underage underaged
    minor schoolgirl schoolboy schoolchild* pupil kindergarten* kindergartner*
    lolita boy youngster* juvenile* prepubescent prepuberty prepubertal pubescent puberty
"""
_MINOR_PHRASES = (
    "little girl", "young girl", "small girl", "tiny girl",
    "little boy", "young boy", "little sister", "little brother", "little daughter", "young daughter", "little son",
    "elementary school", "primary school", "grade school", "middle school", "high school", "grade schooler",
    "middle schooler", "high schooler", "junior high", "girl scout", "boy scout", "school uniform", "school girl",
    "school boy", "under age", "pre teen", "not yet 18", "under 18", "under eighteen",
)  # fmt: skip
_SEXUAL = """
    nude nudity naked nakedness nsfw sex sexy sexual sexually sexualised sexualized sexualize sexualise porn
    porno pornograph* pornstar hentai erotic* erotica lewd topless bottomless lingerie undressed undressing
    unclothed stripping striptease stripper orgasm* masturbat* blowjob* handjob* fellatio cunnilingus cum cumming
    cumshot* creampie* penis* vagina* vulva* pussy clitoris genital* genitals* nipple breasts
    boob tits titties buttocks anus anal dildo* vibrator* fetish* bdsm bondage upskirt pantyshot ahegao
    seductive* seducing horny aroused lustful intercourse gangbang* orgy rape raped raping incest* xxx r18
    rule34 ecchi oppai futa futanari milf
"""
_SEXUAL_PHRASES = (
    "no clothes", "without clothes", "without clothing", "no clothing", "no panties", "no underwear", "no bra",
    "see through", "spread legs", "legs spread", "having sex", "making love", "wet shirt", "birthday suit",
    "bare chest", "bare breasts", "exposed chest", "in underwear", "only panties", "only underwear", "rule 34", "r 18",
)  # fmt: skip
_TEENS = """
    one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
"""
_NUMBERS = {word: number for number, word in enumerate(_TEENS.split(), 1)}
_TOKEN = re.compile(r"[a-z]+|[0-9]+")
_BEFORE_AGE = frozenset({"age", "aged", "ages"})
_AFTER_AGE = frozenset({"yo", "y", "yr", "yrs", "year", "years"})

_LISTS = (_ALONE.split(), [*_MINOR.split(), *_MINOR_PHRASES], [*_SEXUAL.split(), *_SEXUAL_PHRASES])
_matcher = Matcher(word for words in _LISTS for word in words)  # one run finds all three
_kind = [kind for kind, words in enumerate(_LISTS) for _ in words]
ALONE, MINOR, SEXUAL = range(3)


def forbidden(prompt: str) -> bool:
    """Whether a prompt asks for sexual content with minors, as far as words tell."""
    kinds = {_kind[number] for number in _matcher.find(prompt)}
    if ALONE in kinds:
        return True
    return SEXUAL in kinds and (MINOR in kinds or says_minor_age(prompt))


def says_minor_age(prompt: str) -> bool:
    """Whether an age under 18 is named: "12yo", "twelve-year-old", "aged 12"."""
    return any(map(_names_minor_age, readings(prompt)))


def _names_minor_age(text: str) -> bool:
    tokens = _TOKEN.findall(plain(text))
    padded = ["", *tokens, "", ""]
    return any(
        0 < _number(now) < ADULT and (before in _BEFORE_AGE or (after in _AFTER_AGE and _is_age(after, then)))
        for before, now, after, then in zip(padded, tokens, padded[2:], padded[3:], strict=False)
    )


def _is_age(after: str, then: str) -> bool:
    """ "12 years old" is an age, "12 years ago" is none; "12 yo" speaks for itself."""
    return then == "old" or after in ("yo", "y")


def _number(token: str) -> int:
    return _NUMBERS.get(token) or (int(token) if token.isdecimal() and len(token) < 3 else 0)
