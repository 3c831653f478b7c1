-- A job in direct messages uses the credits of a server that its person shares with the bot, and that server's share of
-- the device. NULL = those of the place it was asked for in.
ALTER TABLE job ADD COLUMN purse_guild_id INTEGER REFERENCES guild(id);
ALTER TABLE job ADD COLUMN server_id INTEGER GENERATED ALWAYS AS (ifnull(purse_guild_id, guild_id)) VIRTUAL;
