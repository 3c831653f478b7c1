-- A picture of which somebody is choosing a region: the buttons that choose name it by its number.
CREATE TABLE region (
  id              INTEGER PRIMARY KEY AUTOINCREMENT,      -- never used twice: ids are in buttons
  user_id         INTEGER NOT NULL REFERENCES user(id),
  guild_id        INTEGER NOT NULL REFERENCES guild(id),
  channel_id      INTEGER NOT NULL,
  source          TEXT NOT NULL CHECK (length(source) = 64),        -- sha256 of the stored input picture
  width           INTEGER NOT NULL CHECK (width  BETWEEN 1 AND 16384),
  height          INTEGER NOT NULL CHECK (height BETWEEN 1 AND 16384),
  parent_image_id INTEGER,                                -- no foreign key: the parent may be deleted
  prompt          TEXT NOT NULL CHECK (length(prompt) <= 8000),     -- what the form begins with
  private         INTEGER NOT NULL CHECK (private IN (0,1)),
  side            INTEGER NOT NULL DEFAULT 3 CHECK (side IN (3,5)),
  cells           INTEGER NOT NULL DEFAULT 0 CHECK (cells BETWEEN 0 AND 33554431),  -- one bit a cell
  created_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX region_source ON region (source);
CREATE INDEX region_user ON region (user_id);
CREATE INDEX region_parent ON region (parent_image_id) WHERE parent_image_id IS NOT NULL;

-- One link to the mask editor. The token itself is nowhere: who reads the database cannot use it.
CREATE TABLE mask_token (
  token_hash     BLOB PRIMARY KEY CHECK (length(token_hash) = 32),
  region_id      INTEGER NOT NULL REFERENCES region(id) ON DELETE CASCADE,
  interaction_id INTEGER NOT NULL CHECK (interaction_id > 0),       -- that showed the link: its job's natural key
  application_id INTEGER NOT NULL,
  reply_token    TEXT,                                    -- a secret, only for private answers; wiped once used
  message_id     INTEGER,                                 -- that shows the link: a private result takes its place
  expires_at     INTEGER NOT NULL,
  used_at        INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX mask_token_region ON mask_token (region_id);

-- A region goes with its picture, and with its person.
CREATE TRIGGER region_of_image AFTER DELETE ON image
BEGIN DELETE FROM region WHERE parent_image_id = OLD.id; END;
CREATE TRIGGER region_of_user AFTER UPDATE OF discord_id ON user WHEN NEW.discord_id IS NULL
BEGIN DELETE FROM region WHERE user_id = OLD.id; END;
