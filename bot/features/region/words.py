"""What the mask editor's pages say, for the catalogues: the pages look their sentences up by these English ones."""

from __future__ import annotations

from bot.languages.speech import N_

EDITOR = (
    N_("<kbd>Alt</kbd> while drawing"),
    N_("Box"),
    N_("Brush"),
    N_("Brush (B)"),
    N_("Brush size"),
    N_("Changes"),
    N_("Clear"),
    N_("Close"),
    N_("Easel could not be reached. Your marks are still here: try again."),
    N_("Eraser"),
    N_("Eraser (E)"),
    N_("Help <kbd>?</kbd>"),
    N_("How it works"),
    N_("Invert"),
    N_("It is being painted"),
    N_("Lasso"),
    N_("Lasso (L)"),
    N_("Less than 1 % marked"),
    N_("Mark everything else instead (I)"),
    N_("Mark what to redraw"),
    N_("Mark what to redraw · Easel"),
    N_("Move"),
    N_("Move the picture (M)"),
    N_("Nothing marked yet"),
    N_("Only what is marked changes. The result appears in Discord. This link works once."),
    N_("Only what the part is to show, such as: a red hat"),
    N_("Paint"),
    N_(
        "Paint over the part that is to be redrawn, say what is to be seen there, and press <b>Paint</b>. "
        "With two fingers, or the mouse wheel, you zoom and move."
    ),
    N_("Picture"),
    N_("Rectangle (R)"),
    N_("Redo"),
    N_("Redo (Ctrl+Y)"),
    N_("Sending …"),
    N_("Show the whole picture"),
    N_("Show the whole picture (0)"),
    N_("Take all marks away (Delete)"),
    N_("The picture could not be loaded. Load this page again."),
    N_("The picture. Arrow keys move the brush, Space marks, question mark opens the help."),
    N_("This link was used already, or its hour is over. Open a new one in Discord with Vary (Region)."),
    N_("This page needs JavaScript. In Discord there are other ways: cells, painting over, words."),
    N_("Tool"),
    N_("Undo"),
    N_("Undo (Ctrl+Z)"),
    N_("What should appear here?"),
    N_(
        "Without a mouse: <kbd>Tab</kbd> to the picture, move with the arrow keys (<kbd>Shift</kbd> for large"
        " steps), hold <kbd>Space</kbd> to paint. For a box, <kbd>Space</kbd> sets one corner and then the "
        "other; for a lasso it sets points, and <kbd>Enter</kbd> closes it. <kbd>Esc</kbd> gives up what is "
        "half drawn."
    ),
    N_("Zoom"),
    N_("Zoom in"),
    N_("Zoom in (+)"),
    N_("Zoom out"),
    N_("Zoom out (−)"),
    N_("brush, eraser, box, lasso, move"),
    N_("invert, clear"),
    N_("smaller, larger brush"),
    N_("the box or lasso erases"),
    N_("undo, redo"),
    N_("zoom in, out, whole picture"),
    N_("{percent} % marked"),
    N_("{size} pixels"),
)
GONE = (
    N_(
        "A link to the mask editor works once, and for an hour. In Discord, press <b>Vary (Region)</b> or "
        "choose <b>Edit region</b> again for a fresh one."
    ),
    N_("Nothing here · Easel"),
    N_("There is nothing here"),
)
