"""From a draft to a priced and allowed job: the one path of commands, buttons, pages and scripts. Knows no Discord."""
