-- Lists of words to draw from in a prompt: a server's (`owner_id` 0), or a member's own, everywhere (`guild_id` 0).
CREATE TABLE word_list (
  guild_id INTEGER NOT NULL REFERENCES guild(id),
  owner_id INTEGER NOT NULL CHECK (owner_id >= 0),
  name     TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 40),
  words    TEXT NOT NULL CHECK (json_valid(words) AND json_type(words) = 'array' AND length(words) <= 20000),
  PRIMARY KEY (guild_id, owner_id, name),
  CHECK ((guild_id = 0) <> (owner_id = 0))
) STRICT, WITHOUT ROWID;
CREATE INDEX word_list_owner ON word_list (owner_id) WHERE owner_id > 0;
