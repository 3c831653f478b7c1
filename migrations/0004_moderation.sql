-- Moderation by server; guild 0 = everywhere, set by operators. People appear by their Discord id: a ban must outlive
-- the deletion of its person's data, or deleting would be the way around it.

CREATE TABLE ban (
  guild_id   INTEGER NOT NULL CHECK (guild_id >= 0),
  user_id    INTEGER NOT NULL CHECK (user_id > 0),
  reason     TEXT    NOT NULL CHECK (length(reason) <= 500),
  until      INTEGER,                                     -- NULL = until lifted; a mute is a ban with an end
  actor_id   INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (guild_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE blocked_word (
  id         INTEGER PRIMARY KEY,
  guild_id   INTEGER NOT NULL CHECK (guild_id >= 0),
  word       TEXT    NOT NULL CHECK (length(word) BETWEEN 1 AND 100),
  action     TEXT    NOT NULL CHECK (action IN ('block','age','flag')),
  actor_id   INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (guild_id, word)
) STRICT;

CREATE TABLE moderation (                                 -- a server's rules; no row = the defaults
  guild_id        INTEGER PRIMARY KEY CHECK (guild_id >= 0),
  age_only        INTEGER NOT NULL DEFAULT 0 CHECK (age_only IN (0,1)),   -- only in age-restricted channels
  tell_word       INTEGER NOT NULL DEFAULT 1 CHECK (tell_word IN (0,1)),  -- refusals name the blocked word
  spoiler         INTEGER NOT NULL DEFAULT 0 CHECK (spoiler IN (0,1)),    -- flagged pictures as spoilers where allowed
  stars           INTEGER NOT NULL DEFAULT 3 CHECK (stars BETWEEN 1 AND 1000),
  gallery_channel INTEGER CHECK (gallery_channel > 0),
  audit_channel   INTEGER CHECK (audit_channel > 0)
) STRICT;

CREATE TABLE allowed_channel (                            -- none = everywhere
  guild_id   INTEGER NOT NULL CHECK (guild_id > 0),
  channel_id INTEGER NOT NULL CHECK (channel_id > 0),
  PRIMARY KEY (guild_id, channel_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE pause (
  guild_id   INTEGER PRIMARY KEY CHECK (guild_id >= 0),
  mode       TEXT    NOT NULL CHECK (mode IN ('pause','drain','notice')),
  sentence   TEXT    NOT NULL CHECK (length(sentence) <= 500),
  actor_id   INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

------------------------------------------------------------------ the audit log: what was done, by whom, to whom
CREATE TABLE audit (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  at       INTEGER NOT NULL,
  guild_id INTEGER NOT NULL CHECK (guild_id >= 0),
  actor_id INTEGER NOT NULL CHECK (actor_id >= 0),        -- 0 = Easel itself, or somebody who was erased
  action   TEXT    NOT NULL CHECK (action GLOB '[a-z]*.[a-z]*' AND length(action) <= 50),
  target   TEXT    NOT NULL CHECK (length(target) <= 200),  -- 'user:1', 'job:2', 'word:x', 'channel:3', ...
  details  TEXT    NOT NULL CHECK (json_valid(details) AND length(details) <= 8000)
) STRICT;
CREATE INDEX audit_guild ON audit (guild_id, id DESC);
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit         -- erasing a person is the only change
  WHEN NEW.id <> OLD.id OR NEW.at <> OLD.at OR NEW.guild_id <> OLD.guild_id OR NEW.action <> OLD.action
    OR NEW.actor_id NOT IN (OLD.actor_id, 0) OR NEW.details NOT IN (OLD.details, '{}')
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TABLE appeal (                                     -- a refused prompt, kept so that its button outlives us
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  guild_id   INTEGER NOT NULL CHECK (guild_id >= 0),
  user_id    INTEGER NOT NULL CHECK (user_id > 0),
  prompt     TEXT    NOT NULL,
  sha256     BLOB    NOT NULL CHECK (length(sha256) = 32),  -- of every text of the request: what an approval covers
  rule       TEXT    NOT NULL,
  state      TEXT    NOT NULL DEFAULT 'refused' CHECK (state IN ('refused','open','approved','denied')),
  actor_id   INTEGER,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX appeal_pass ON appeal (user_id, guild_id, sha256) WHERE state = 'approved';
CREATE INDEX appeal_same ON appeal (user_id, guild_id, sha256, state);

------------------------------------------------------------------ stars and the gallery; flagged pictures
CREATE TABLE star (
  job_id  INTEGER NOT NULL REFERENCES job(id),
  user_id INTEGER NOT NULL CHECK (user_id > 0),
  PRIMARY KEY (job_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE gallery (                                    -- written before the message is sent: never posted twice
  job_id     INTEGER PRIMARY KEY REFERENCES job(id),
  channel_id INTEGER NOT NULL,
  message_id INTEGER
) STRICT;

ALTER TABLE image ADD COLUMN flagged INTEGER NOT NULL DEFAULT 0 CHECK (flagged IN (0,1));
ALTER TABLE job ADD COLUMN withheld INTEGER NOT NULL DEFAULT 0 CHECK (withheld BETWEEN 0 AND 64);
ALTER TABLE job ADD COLUMN aged INTEGER NOT NULL DEFAULT 0 CHECK (aged IN (0,1));  -- asked for in an age-restricted channel
