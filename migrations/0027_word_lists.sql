-- Lists of words that several servers share, by the name of their file; guild 0 = everywhere.
CREATE TABLE attached_list (
  guild_id   INTEGER NOT NULL CHECK (guild_id >= 0),
  name       TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  action     TEXT    NOT NULL CHECK (action IN ('block','age','flag')),     -- of its words that name no rule
  actor_id   INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (guild_id, name)
) STRICT, WITHOUT ROWID;
