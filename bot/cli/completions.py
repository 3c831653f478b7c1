"""`easel completions`: what a shell completes, made of the parser itself, so that it can't fall behind."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

SHELLS = ("bash", "zsh")
BASH = """# easel completions bash > ~/.local/share/bash-completion/completions/easel
_easel() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" command="${{COMP_WORDS[1]}}" known=""
  if [ "$COMP_CWORD" -eq 1 ]; then known="{commands}"
  else
    case "$before" in
{values}
    esac
    case "$command" in
{options}
    esac
  fi
  COMPREPLY=($(compgen -W "$known" -- "$word"))
}}
complete -o default -F _easel easel
"""
ZSH = """#compdef easel
# easel completions zsh > "${{fpath[1]}}/_easel"
_easel() {{
  local -a commands
  commands=(
{commands}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  case "$words[2]" in
{options}
  esac
}}
_easel "$@"
"""


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The completions of one of `SHELLS`."""
    commands = dict(_subcommands(parser))
    return _bash(commands) if shell == "bash" else _zsh(parser, commands)


def _subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _options(command: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for action in command._actions if action.option_strings]


def _bash(commands: dict[str, argparse.ArgumentParser]) -> str:
    options, values = [], {}
    for name, command in commands.items():
        words = [text for action in _options(command) for text in action.option_strings]
        words += dict(_subcommands(command))
        options.append(f'      {name}) known="{" ".join(words)}" ;;')
        for action in _options(command):
            if action.choices:
                values[action.option_strings[-1]] = " ".join(map(str, action.choices))
    told = [
        f'      {option}) known="{known}"; COMPREPLY=($(compgen -W "$known" -- "$word")); return ;;'
        for option, known in values.items()
    ]
    return BASH.format(commands=" ".join(commands), options="\n".join(options), values="\n".join(told))


def _zsh(parser: argparse.ArgumentParser, commands: dict[str, argparse.ArgumentParser]) -> str:
    (group,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    helps = {each.dest: each.help or "" for each in group._choices_actions}
    told = [f"    {_quoted(f'{name}:{helps.get(name, str())}')}" for name in commands]
    options = []
    for name, command in commands.items():
        specs = [_quoted(_spec(action)) for action in _options(command)]
        inner = dict(_subcommands(command))
        specs += [_quoted(f"1:what:({' '.join(inner)})")] if inner else [_quoted("*:file:_files")]
        options.append(f"    {name}) _arguments {' '.join(specs)} ;;")
    return ZSH.format(commands="\n".join(told), options="\n".join(options))


def _spec(action: argparse.Action) -> str:
    """One option as `_arguments` takes it."""
    about = (action.help or "").replace("[", "(").replace("]", ")").replace(":", " -")
    if action.nargs == 0:
        return f"{action.option_strings[-1]}[{about}]"
    values = f"({' '.join(map(str, action.choices))})" if action.choices else "_files"
    return f"{action.option_strings[-1]}[{about}]:value:{values}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
