-- Members' own flags; `user_id` is Discord's.
CREATE TABLE macro (
  user_id INTEGER NOT NULL CHECK (user_id > 0),
  name    TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 30),
  value   TEXT NOT NULL CHECK (length(value) BETWEEN 1 AND 500),
  PRIMARY KEY (user_id, name)
) STRICT, WITHOUT ROWID;
