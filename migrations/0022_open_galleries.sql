-- Servers whose gallery everyone may see in a browser.
CREATE TABLE open_gallery (guild_id INTEGER PRIMARY KEY REFERENCES guild(id)) STRICT;
