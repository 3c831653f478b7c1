-- Styles of a server that are pictures, not words: named, and shared by a short code.
CREATE TABLE look (
  id         INTEGER PRIMARY KEY,
  guild_id   INTEGER NOT NULL REFERENCES guild(id),
  name       TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 30),
  code       TEXT    NOT NULL UNIQUE CHECK (length(code) = 7),
  maker_id   INTEGER NOT NULL,                            -- a Discord id; 0 = somebody who is gone
  aged       INTEGER NOT NULL CHECK (aged IN (0, 1)),     -- made in an age-restricted channel
  everywhere INTEGER NOT NULL CHECK (everywhere IN (0, 1)),  -- its code works in other servers too
  created_at INTEGER NOT NULL,
  UNIQUE (guild_id, name)
) STRICT;

-- Its pictures are uploads, which are whoever's they were: when one is forgotten, a look goes on with the others.
CREATE TABLE look_picture (
  look_id INTEGER NOT NULL REFERENCES look(id) ON DELETE CASCADE,
  ordinal INTEGER NOT NULL CHECK (ordinal >= 0),
  sha256  BLOB    NOT NULL REFERENCES input_image(sha256) ON DELETE CASCADE,
  PRIMARY KEY (look_id, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX look_picture_use ON look_picture (sha256);

CREATE TRIGGER look_ends AFTER DELETE ON look_picture
WHEN NOT EXISTS (SELECT 1 FROM look_picture WHERE look_id = OLD.look_id)
BEGIN
  DELETE FROM look WHERE id = OLD.look_id;
END;

CREATE VIEW bad_look AS                    -- a style without a picture
  SELECT l.id FROM look l WHERE NOT EXISTS (SELECT 1 FROM look_picture p WHERE p.look_id = l.id);
