-- Keys of members for the images API: only their hashes.
CREATE TABLE api_key (
  sha256     BLOB PRIMARY KEY CHECK (length(sha256) = 32),
  user_id    INTEGER NOT NULL,  -- Discord's
  guild_id   INTEGER NOT NULL REFERENCES guild (id),
  channel_id INTEGER NOT NULL,  -- whose rules hold; 0 = no channel
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX api_key_of_member ON api_key (user_id, guild_id);
