"""The mask editor in the browser: one page, served by the bot itself where a public address is set."""
