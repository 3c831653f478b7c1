"""What the demo's page says itself, for its catalogue: the page looks its sentences up by the English ones."""

from __future__ import annotations

from bot.languages.speech import N_, _

PAGE = (
    N_("(edited)"),
    N_("Attach a file"),
    N_("Channels"),
    N_("Choose …"),
    N_("Choose a file for {name}."),
    N_("Choose a file."),
    N_("Choose at least {least}."),
    N_("Close"),
    N_("Commands"),
    N_("Dismiss message"),
    N_("Easel has stopped. Start it again; this page comes back by itself."),
    N_("Easel is thinking …"),
    N_("Easel isn't running, so nothing was sent. Try again once it's back."),
    N_("Fill in {name}."),
    N_("Message"),
    N_("Messages"),
    N_("New messages ↓"),
    N_("No"),
    N_("Only you can see this"),
    N_("Open a window for another person"),
    N_("Open the file"),
    N_("Send"),
    N_("Show older messages"),
    N_("Something went wrong. Reload the page and try again."),
    N_("Suggestions"),
    N_("There is no command {name}. Type / to see them all."),
    N_("This file is too large."),
    N_("This picture is gone."),
    N_("Today at {hour}"),
    N_("Type / for commands"),
    N_("Yes"),
    N_("Yesterday at {hour}"),
    N_("You are"),
    N_("{name} takes a number."),
    N_("{name} takes a whole number."),
    N_("{name} takes {low} to {high}."),
    N_("{who} pressed a button"),
    N_("{who} used {command}"),
)


def words() -> dict[str, str]:
    """The page's sentences in the language that is spoken, by the English ones; none where it's English."""
    return {english: _(english) for english in PAGE if _(english) != english}
