"""The `easel` command: reads arguments and settings, starts one thing, turns its errors into a sentence.

Whatever is large is imported by the subcommand that needs it.
"""

from __future__ import annotations

import argparse
import errno
import importlib.util
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from bot import process
from bot.process import FAILED, INTERRUPTED, MISCONFIGURED, REFUSED, Stopped

if TYPE_CHECKING:
    from bot.config import Settings

# The engine's libraries print advice and progress bars of their own, which are not for people who want a picture.
QUIET = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
# diffusers writes to standard error itself, and at WARNING it repeats the end of a prompt that is too long.
PRIVATE = {"DIFFUSERS_VERBOSITY": "error"}
PRIVATE_FILES = 0o077  # umask: what members wrote and painted is nobody else's on this machine
DEMO_DIR = Path("easel-demo")
DISTRIBUTION = "easel-bot"  # its name among Python's packages; "easel" is somebody else's
# What the files that a running bot needs can lack for good; anything else may be a fault of ours, and is shown whole.
FOR_A_PERSON = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG)
NO_SIMCORD = (
    "The demo needs the simulated Discord, which is not installed. In Easel's folder, install it with: "
    "python3 install.py demo (or into an environment of your own: pip install '.[demo]')"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit code. A signal is obeyed from here on."""
    for key, value in QUIET.items():
        os.environ.setdefault(key, value)
    os.environ.update(PRIVATE)
    try:
        with process.interruptible():
            return _main(argv)
    except KeyboardInterrupt as interrupt:
        return interrupt.code if isinstance(interrupt, Stopped) else INTERRUPTED


def _main(argv: Sequence[str] | None) -> int:
    from bot.cli.parsers import EDITS
    from bot.errors import UserError
    from bot.store.errors import StoreError, of_file
    from engine.api.errors import EngineError

    parser = build_parser()
    args, extra = parser.parse_known_args(argv)
    if extra and args.command not in ("imagine", *EDITS):  # there they may be flags of the prompt line
        parser.error(f"{args.command} does not know {' '.join(extra)}")
    args.extra = extra
    if args.command not in ("imagine", *EDITS):
        os.umask(PRIVATE_FILES)
    try:
        return int(args.start(args) or 0)
    except (UserError, EngineError, StoreError) as error:
        print(f"easel: {error}{_way_on(error, args)}", file=sys.stderr)
        return _exit_code(error) if args.command == "run" else REFUSED
    except OSError as error:
        if error.filename is None or (args.command == "run" and error.errno not in FOR_A_PERSON):
            raise
        print(f"easel: {of_file(error)}", file=sys.stderr)
        return MISCONFIGURED if args.command == "run" else REFUSED


def _way_on(error: Exception, args: argparse.Namespace) -> str:
    """The line that would work, where one is known: what the buttons under a refusal do on Discord."""
    line = getattr(error, "instead", None) or getattr(error, "without", None)
    return f" This would work: easel {args.command} {shlex.quote(line)}" if line and args.command == "imagine" else ""


def _exit_code(error: Exception) -> int:
    """Whether `easel run` may be started again by itself, or has to wait for a person."""
    from bot.cli.serve import Disconnected
    from bot.features.region.doors import NoDoor
    from bot.store.errors import AlreadyRunning, DatabaseLocked, NoSpace

    passing = AlreadyRunning | NoSpace | DatabaseLocked | Disconnected
    return FAILED if isinstance(error, passing) or (isinstance(error, NoDoor) and error.passing) else MISCONFIGURED


def build_parser() -> argparse.ArgumentParser:
    """All subcommands and their options."""
    from bot.cli.completions import SHELLS
    from bot.cli.parsers import EDITS, EXAMPLES, add_admin, add_drain, add_edit, add_models, add_worker

    parser = argparse.ArgumentParser(prog="easel", description="A self-hosted /imagine for Discord.")
    parser.add_argument("--version", action="version", version=f"easel {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add(commands, "run", _run, "Start the bot on Discord.")
    _demo_options(_add(commands, "demo", _demo, "Start the bot in a simulated Discord, in your browser."))
    _imagine_options(_add(commands, "imagine", _imagine, "Paint a picture into a file, without Discord."))
    for name, help_text in EDITS.items():
        add_edit(_add(commands, name, _edit, help_text), name)
    _add(commands, "migrate", _migrate, "Bring the database up to date.")
    _backup_options(_add(commands, "backup", _backup, "Write everything into one file, also while the bot runs."))
    _restore_options(_add(commands, "restore", _restore, "Put a backup back. Stop the bot first."))
    marks = _add(commands, "marks", _marks, "Say what files tell of how they were made, and look for the watermark.")
    marks.add_argument("files", nargs="+", type=Path, metavar="FILE", help="pictures")
    certificate = _add(commands, "certificate", _certificate, "Make a certificate of your own to sign pictures with.")
    certificate.add_argument("--name", required=True, help="who signs: the name of your server or yourself")
    certificate.add_argument("--to", type=Path, default=Path("."), help="a folder (default: this one)")
    _add(commands, "sync", _sync, "Publish the slash commands now.")
    add_admin(_add(commands, "admin", _admin, "Grant, ban, audit, stats and export, also while the bot runs."))
    add_models(_add(commands, "models", _models, "List, fetch, name and remove models; a running Easel sees it."))
    add_worker(_add(commands, "worker", _worker, "Paint for a bot on another machine, or make the token for that."))
    add_drain(_add(commands, "drain", _drain, "Have workers finish what they have begun, and give them no more jobs."))
    completions = _add(commands, "completions", _completions, "Print what a shell completes: bash or zsh.")
    completions.add_argument("shell", choices=SHELLS, help="bash or zsh")
    doctor = _add(commands, "doctor", _doctor, "Check what Easel needs and say what is missing.")
    doctor.add_argument("--health", action="store_true", help="only: is the running bot alive? (for containers)")
    for name, examples in EXAMPLES.items():
        each = commands.choices[name]
        each.epilog, each.formatter_class = f"examples:\n{examples}", argparse.RawDescriptionHelpFormatter
    return parser


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "(from a checkout, not installed)"


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    start: Callable[[argparse.Namespace], int | None],
    help_text: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=help_text, description=help_text, allow_abbrev=False)
    command.set_defaults(start=start)
    return command


def _demo_options(command: argparse.ArgumentParser) -> None:
    from bot.cli.parsers import port

    command.add_argument("--port", type=port, default=0, help="port of the page; 0 = the last one")
    command.add_argument("--data", type=Path, default=DEMO_DIR, help=f"folder of its data (default: {DEMO_DIR})")
    command.add_argument("--no-browser", action="store_true", help="only print the address")


def _imagine_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "prompt", nargs="+", help="what to paint; flags such as --ar 3:2 and {red, blue} as in /imagine"
    )
    command.add_argument("--negative", help="what must not be in the picture")
    command.add_argument("--seed", type=int, help="the same seed gives the same picture")
    command.add_argument("--steps", type=int, help="denoising steps")
    command.add_argument("--cfg", type=float, help="guidance: how closely to follow the prompt")
    command.add_argument("--scheduler", help="noise scheduler, such as euler or 'DPM++ 2M Karras'")
    command.add_argument("--width", type=int, help="pixels")
    command.add_argument("--height", type=int, help="pixels")
    command.add_argument("--n", type=int, default=None, help="pictures, 1 to 16; more than one also gives a grid")
    command.add_argument("--best", type=int, help="paint so many and keep the best --n of them, up to 16")
    command.add_argument("--model", help="a name from the settings, a folder, a hub id or a .safetensors file")
    command.add_argument("--image", type=Path, help="a picture to start from")
    command.add_argument("--strength", type=float, help="how much of that picture to repaint, 0.01 to 1")
    command.add_argument("--out", type=Path, help="the PNG to write (default: easel-SEED.png)")
    command.add_argument("--json", action="store_true", help="print seeds, recipes, paths and timings as JSON")


def _backup_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--to", type=Path, help="a folder, or a file that ends in .zip (default: EASEL_BACKUP_DIR)")


def _restore_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", type=Path, help="the backup")
    command.add_argument("--check", action="store_true", help="only read it to its end and say whether it is whole")


# ---------------------------------------------------------------- what each subcommand starts
def _run(_args: argparse.Namespace) -> int:
    settings = _settings()
    from bot.cli import serve

    return serve.run(settings)


def _sync(_args: argparse.Namespace) -> int:
    settings = _settings()
    from bot.cli import serve

    return serve.sync(settings)


def _settings(**given: object) -> Settings:
    """Raises: BadInput."""
    from bot.config import Settings, export_hub_keys

    settings = Settings.load(**given)
    export_hub_keys()
    return settings


def _demo(args: argparse.Namespace) -> None:
    if importlib.util.find_spec("simcord") is None:
        from bot.errors import UserError

        raise UserError(NO_SIMCORD)
    settings = _settings(data_dir=args.data)
    from bot.demo import serve

    serve.run(settings, port=args.port, open_browser=not args.no_browser)


def _imagine(args: argparse.Namespace) -> int:
    from bot.cli import generate as cli_generate

    return cli_generate.run(args, _settings())


def _edit(args: argparse.Namespace) -> int:
    from bot.cli import edit as cli_edit

    return cli_edit.run(args, _settings())


def _migrate(_args: argparse.Namespace) -> None:
    import asyncio

    from bot.store.clock import SystemClock
    from bot.store.store import Store

    settings = _settings()

    async def open_and_close() -> None:
        async with Store.open(settings.database_path, SystemClock()):
            print(f"The database {settings.database_path} is up to date.")

    asyncio.run(open_and_close())


def _backup(args: argparse.Namespace) -> int:
    from bot.cli import backup

    return backup.back_up(args, _settings())


def _restore(args: argparse.Namespace) -> int:
    from bot.cli import backup

    return backup.put_back(args, _settings())


def _marks(args: argparse.Namespace) -> int:
    from bot.cli import marks

    return marks.tell(args.files)


def _certificate(args: argparse.Namespace) -> int:
    from bot.cli import marks

    return marks.make_certificate(args.name, args.to)


def _admin(args: argparse.Namespace) -> int:
    from bot.cli import admin as cli_admin

    return cli_admin.run(args, _settings())


def _models(args: argparse.Namespace) -> int:
    from bot.cli import models as cli_models

    return cli_models.run(args, _settings())


def _worker(args: argparse.Namespace) -> int:
    from bot.cli import worker

    return worker.run(args, _settings())


def _drain(args: argparse.Namespace) -> int:
    from bot.cli import drain

    return drain.run(args, _settings())


def _completions(args: argparse.Namespace) -> None:
    from bot.cli.completions import script

    print(script(build_parser(), args.shell), end="")


def _doctor(args: argparse.Namespace) -> int:
    from bot.cli import doctor
    from bot.features.operations import heartbeat

    settings = _settings()
    return heartbeat.report(settings.data_dir) if args.health else doctor.run(settings)
