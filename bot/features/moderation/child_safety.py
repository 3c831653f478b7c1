"""The one rule that can't be switched off: no sexual images of minors. Pure.

It reads the prompt (not what is to be left out) and refuses when words for minors meet sexual ones, and some words
alone; plurals are found by themselves. It errs on the side of refusing. What it can't see is in docs/moderation.md.
"""

from __future__ import annotations

from bot.features.moderation.word_filter import Matcher

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
_NUMBERS = """
    one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
"""
ADULT = 18  # years
_UNDER_AGE = [*_NUMBERS.split(), *(f"{years:0{digits}}" for years in range(1, ADULT) for digits in (1, 2, 3))]
_AGES = (  # "12 years old" is an age, "12 years ago" is none; "12 yo" and "12yrs" speak for themselves
    *("{} year old", "{} years old", "{} yr old", "{} yrs old", "{}yr", "{}yrs", "{}year", "{}years"),
    *("{} yo", "{}yo", "{} y o", "{}y o", "{} y", "{}y", "aged {}", "age {}", "ages {}", "age of {}", "age is {}"),
    *("turned {}", "turning {}"),
)

_LISTS = (
    _ALONE.split(),
    [*_MINOR.split(), *_MINOR_PHRASES],
    [*_SEXUAL.split(), *_SEXUAL_PHRASES],
    [form.format(number) for form in _AGES for number in _UNDER_AGE],
)
_matcher = Matcher(word for words in _LISTS for word in words)  # one run finds them all
_kind = [kind for kind, words in enumerate(_LISTS) for _ in words]
ALONE, MINOR, SEXUAL, AGE = range(4)


def forbidden(prompt: str) -> bool:
    """Whether a prompt asks for sexual content with minors, as far as words tell."""
    kinds = _kinds(prompt)
    return ALONE in kinds or (SEXUAL in kinds and not kinds.isdisjoint((MINOR, AGE)))


def says_minor_age(prompt: str) -> bool:
    """Whether an age under 18 is named: "12yo", "twelve-year-old", "aged 12"."""
    return AGE in _kinds(prompt)


def _kinds(prompt: str) -> set[int]:
    return {_kind[number] for number in _matcher.find(prompt)}
