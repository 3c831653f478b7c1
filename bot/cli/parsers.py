"""The arguments of `easel admin` and of the edits, apart from what they do, so that reading them imports nothing."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

MAX_NUMBER = 2**63 - 1  # of ids and rows, which have signed 64-bit numbers
MAX_CREDITS = 1_000_000_000  # that can be granted at once


def number(text: str) -> int:
    """The number of a job, say, or how many. Raises: ArgumentTypeError."""
    return _whole(text, "Use a whole number from 1 on.")


def discord_id(text: str) -> int:
    """Raises: ArgumentTypeError."""
    how = "A Discord id is a large number. Copy it with 'Copy User ID' or the like in Discord's developer mode."
    return _whole(text, how)


def _whole(text: str, how: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and 1 <= int(text) <= MAX_NUMBER):
        raise argparse.ArgumentTypeError(f"'{text[:40]}' can't be used. {how}")
    return int(text)


def credits_(text: str) -> float:
    """Raises: ArgumentTypeError."""
    try:
        amount = float(text)
    except ValueError:
        amount = 0.0
    if not 0.001 <= amount <= MAX_CREDITS:  # nor is it NaN
        raise argparse.ArgumentTypeError(f"'{text[:40]}' credits can't be granted. Use 0.001 to {MAX_CREDITS:,}.")
    return amount


def words(text: str) -> str:
    """Text that can be kept. Raises: ArgumentTypeError for bytes that are no text."""
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise argparse.ArgumentTypeError("this is no text in UTF-8")
    return text


def port(text: str) -> int:
    """Raises: ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"'{text[:40]}' is no port. Use 0 to 65535.")
    return int(text)


EDITS = {
    "vary": "Paint a picture anew, near to it or far.",
    "inpaint": "Redraw a part of a picture.",
    "outpaint": "Paint what lies around a picture.",
    "upscale": "Make a picture larger.",
    "edit": "Change a picture as words say.",
    "control": "Paint words along a picture, as a ControlNet reads it.",
    "blend": "Make one picture of several.",
}


EXAMPLES = {
    "imagine": """  easel imagine "a red boat under a yellow moon --ar 3:2 --seed 7"
  easel imagine "a {red, blue} boat" --n 4 --out boats.png      boats-1.png and boats-2.png, with their pictures
  easel imagine "a boat" --image sketch.png --strength 0.6""",
    "vary": "  easel vary boat.png --strength 0.35",
    "inpaint": """  easel inpaint boat.png "a black flag" --region "top right"
  easel inpaint boat.png "a black flag" --mask mask.png""",
    "outpaint": "  easel outpaint boat.png --left 64 --right 64\n  easel outpaint boat.png --zoom 1.5 --ratio 16:9",
    "upscale": "  easel upscale boat.png --scale 4 --mode creative",
    "edit": """  easel edit boat.png "make the boat blue"
  easel edit boat.png "put this hat on the sailor" --reference hat.png""",
    "blend": "  easel blend boat.png sea.png --weights 2,1",
    "models": "  easel models list\n  easel models pull sdxl\n  easel models add dreamer /models/dreamer.safetensors",
    "admin": "  easel admin grant 123456789012345678 50 --reason prize\n  easel admin stats --days 7 --png week.png",
    "worker": """  easel worker token garage                                  where the bot runs
  easel worker --join wss://easel.example.org --token TOKEN  where the card is""",
    "drain": """  easel drain cuda:1         give it no more jobs, and wait until it has done what it has begun
  easel drain cuda:1 --undo  paint with it again
  easel drain --all          the same for all, before an upgrade""",
    "completions": "  easel completions bash > ~/.local/share/bash-completion/completions/easel",
}
"""What `--help` of a command shows at its end."""


def add_edit(command: argparse.ArgumentParser, name: str) -> None:
    """Add the options of one of `EDITS`."""
    if name == "blend":
        command.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="two to five pictures")
        command.add_argument("--weights", help="how much of each, such as 2,1 (default: all alike)")
    else:
        command.add_argument("image", type=Path, metavar="IMAGE", help="a picture file")
        command.add_argument("words", nargs="*", metavar="PROMPT", help="what it shows; flags such as --seed 7 too")
    command.add_argument("--prompt", default="", help="the same as an option")
    if name in _ONLY_ITS_OWN:
        _ONLY_ITS_OWN[name](command)
    closely = "how closely the picture is followed, 0 to 2 (default: 1)"
    changes = "how much may change, 0.01 to 1, where the model can be told"
    anew = "how much is painted anew, 0.01 to 1"
    strength = {"control": closely, "edit": changes}.get(name, anew)
    command.add_argument("--strength", type=float, help=strength)
    command.add_argument("--negative", help="what must not be in the picture")
    command.add_argument("--seed", type=int, help="the same seed gives the same picture")
    command.add_argument("--steps", type=int, help="denoising steps")
    command.add_argument("--cfg", type=float, help="guidance: how closely to follow the prompt")
    command.add_argument("--scheduler", help="noise scheduler, such as euler or 'DPM++ 2M Karras'")
    command.add_argument("--n", type=int, help="pictures, 1 to 16; more than one also gives a grid")
    command.add_argument("--model", help="a name from the settings, a folder, a hub id or a .safetensors file")
    command.add_argument("--out", type=Path, help="the PNG to write (default: easel-SEED.png)")
    command.add_argument("--json", action="store_true", help="print seeds, recipes, paths and timings as JSON")


def add_models(command: argparse.ArgumentParser) -> None:
    """Add the verbs of `easel models`."""
    verbs = command.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("list", help="the models here, their size on the disk, and some to begin with")
    pull = verbs.add_parser("pull", help="download a model; files that are whole are not fetched again")
    pull.add_argument("name", help="a name of the list, or a hub id")
    pull.add_argument("--as", dest="as_name", default="", help="the name that people type")
    add = verbs.add_parser("add", help="name a file, a folder or a hub id")
    add.add_argument("name", nargs="?", default="", help="the name that people type (default: the file's)")
    add.add_argument("location", help="a .safetensors file, a diffusers folder, a hub id")
    remove = verbs.add_parser("remove", help="take a name off the list")
    remove.add_argument("name")
    remove.add_argument("--files", action="store_true", help="delete what was downloaded of it, too")
    info = verbs.add_parser("info", help="what a model is, its licence and size")
    info.add_argument("name")


def _inpaint(command: argparse.ArgumentParser) -> None:
    where = command.add_mutually_exclusive_group(required=True)
    where.add_argument("--mask", type=Path, help="a picture of the same size: white, or transparent, is redrawn")
    where.add_argument("--painted", type=Path, help="the same picture, scribbled over where it is to be redrawn")
    where.add_argument("--region", help="left,top,width,height in pixels, or words such as 'top right'")
    command.add_argument("--fill", choices=("original", "noise", "blur"), help="what the model finds there")
    command.add_argument("--feather", type=int, help="pixels over which new fades into old, 0 to 256")
    command.add_argument("--padding", type=int, help="pixels around the region that the model sees, 0 to 256")
    view = command.add_mutually_exclusive_group()
    view.add_argument("--only-masked", action="store_true", default=None, help="paint the region alone, enlarged")
    view.add_argument("--whole", dest="only_masked", action="store_false", default=None, help="paint the whole picture")


def _outpaint(command: argparse.ArgumentParser) -> None:
    for side in ("left", "right", "top", "bottom"):
        command.add_argument(f"--{side}", type=int, help="new pixels at this side")
    command.add_argument("--zoom", type=float, help="or zoom out, so many times, 1 to 4")
    command.add_argument("--ratio", help="or another ratio, such as 16:9, alone or with a zoom")


def _upscale(command: argparse.ArgumentParser) -> None:
    command.add_argument("--scale", type=int, choices=(2, 4), default=2, help="times as wide and high (default: 2)")
    command.add_argument(
        "--mode",
        choices=("faithful", "creative"),
        default="faithful",
        help="faithful adds nothing, creative paints new detail (default: faithful)",
    )


def _edit(command: argparse.ArgumentParser) -> None:
    told = "a picture that the words refer to; several by several of it"
    command.add_argument("--reference", type=Path, action="append", default=[], metavar="IMAGE", help=told)


def _control(command: argparse.ArgumentParser) -> None:
    command.add_argument("--kind", default="", help="which ControlNet (default: the first that fits the model)")
    command.add_argument("--prepared", action="store_true", help="the picture is what the ControlNet reads already")


_ONLY_ITS_OWN: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "inpaint": _inpaint,
    "outpaint": _outpaint,
    "upscale": _upscale,
    "edit": _edit,
    "control": _control,
}


def add_admin(command: argparse.ArgumentParser) -> None:
    """Add the subcommands of `easel admin`."""
    topics = command.add_subparsers(dest="topic", required=True, metavar="WHAT")
    grant = _topic(topics, "grant", "Give somebody credits that do not expire.")
    grant.add_argument("user", type=discord_id, help="Discord id of the person")
    grant.add_argument("credits", type=credits_, help="how many, such as 50 or 0.5")
    grant.add_argument("--guild", type=discord_id, default=0, help="for use in this server only (default: everywhere)")
    grant.add_argument("--reason", type=words, default="granted", help="what their /credits say")
    grant.add_argument("--key", type=words, help="the same key counts once, however often the command is run")
    ban = _topic(topics, "ban", "Keep somebody from using Easel; without a person, list who is banned.")
    ban.add_argument("user", type=discord_id, nargs="?", help="Discord id of the person")
    ban.add_argument("--guild", type=discord_id, default=0, help="in this server only (default: everywhere)")
    ban.add_argument("--reason", type=words, default="", help="what they read")
    ban.add_argument(
        "--until", type=words, default="", help="12h, 7d, 2w or a day such as 2027-01-31 (default: for good)"
    )
    ban.add_argument("--lift", action="store_true", help="let them come back instead")
    log = _topic(topics, "audit", "Print the audit log, newest first.")
    for name, kind in (
        ("guild", discord_id),
        ("actor", discord_id),
        ("action", words),
        ("target", words),
        ("text", words),
    ):
        log.add_argument(f"--{name}", type=kind, help="only entries with it")
    log.add_argument("--limit", type=number, default=50, help="how many (default: 50)")
    log.add_argument("--csv", type=Path, help="write them to this file instead")
    numbers = _topic(topics, "stats", "Print what happened: pictures, members, times, credits, refusals.")
    numbers.add_argument("--guild", type=discord_id, help="of this server only")
    numbers.add_argument("--days", type=number, default=30, help="how many, today included (default: 30)")
    numbers.add_argument("--csv", type=Path, help="write a table for each day to this file")
    numbers.add_argument("--png", type=Path, help="write a chart to this file")
    key = _topic(topics, "key", "Make a key of the images API for a member of a server, or end their keys.")
    key.add_argument("user", type=discord_id, help="Discord id of the person")
    key.add_argument("--guild", type=discord_id, required=True, help="the server whose member they are")
    key.add_argument("--channel", type=discord_id, default=0, help="the channel whose rules hold (default: none's)")
    key.add_argument("--revoke", action="store_true", help="end their keys instead")
    waiting = _topic(topics, "undelivered", "List jobs whose images could not be delivered, or deliver one again.")
    waiting.add_argument("--guild", type=discord_id, help="of this server only")
    waiting.add_argument("--again", type=number, metavar="JOB", help="the number of a job to deliver again")
    export = _topic(topics, "export", "Write everything that is kept about somebody into a ZIP file.")
    export.add_argument("user", type=discord_id, help="Discord id of the person")
    export.add_argument("--out", type=Path, required=True, help="the file to write")


def _topic(
    topics: argparse._SubParsersAction[argparse.ArgumentParser], name: str, help_text: str
) -> argparse.ArgumentParser:
    return topics.add_parser(name, help=help_text, description=help_text, allow_abbrev=False)


def add_drain(command: argparse.ArgumentParser) -> None:
    """Add what `easel drain` knows."""
    command.add_argument("names", nargs="*", metavar="WORKER", help="such as cuda:1 (default: say how all of them are)")
    command.add_argument("--all", action="store_true", help="begin no job at all, until Easel's next start")
    command.add_argument("--undo", action="store_true", help="paint again, and wait until they are there")


def add_worker(command: argparse.ArgumentParser) -> None:
    """Add what `easel worker` knows."""
    what = "token: make one of that name; list: name them; revoke: end one (default: join a bot)"
    command.add_argument("what", nargs="?", choices=("join", "token", "list", "revoke"), default="join", help=what)
    command.add_argument("name", nargs="?", help="of the token, such as garage")
    command.add_argument("--join", metavar="ADDRESS", help="of the bot's web server, such as wss://easel.example.org")
    command.add_argument("--token", help="the bot's token for this worker (or EASEL_WORKER_TOKEN)")
