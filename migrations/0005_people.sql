-- What members prefer, what servers set, styles, what statistics count, and what leaving and forgetting need.

-- Statistics outlive the pictures: a deleted job keeps how many it had.
ALTER TABLE job ADD COLUMN outputs INTEGER NOT NULL DEFAULT 0 CHECK (outputs >= 0);
UPDATE job SET outputs = (SELECT count(*) FROM image i WHERE i.job_id = job.id AND i.role = 'output');
CREATE TRIGGER image_counts AFTER INSERT ON image WHEN NEW.role = 'output'
BEGIN UPDATE job SET outputs = outputs + 1 WHERE id = NEW.job_id; END;
CREATE INDEX job_by_day ON job (guild_id, created_at);
CREATE INDEX job_finished ON job (finished_at) WHERE deleted_at IS NULL AND finished_at IS NOT NULL;

-- NULL = as the server or the model has it
CREATE TABLE preference (
  user_id      INTEGER PRIMARY KEY REFERENCES user(id),
  model        TEXT CHECK (length(model) BETWEEN 1 AND 80),
  shape        TEXT CHECK (length(shape) BETWEEN 1 AND 20),              -- '3:2' or '768x512'
  suffix       TEXT NOT NULL DEFAULT '' CHECK (length(suffix) <= 300),   -- words behind every prompt
  remix        INTEGER NOT NULL DEFAULT 0 CHECK (remix IN (0,1)),        -- V opens the form first
  subtle       INTEGER NOT NULL DEFAULT 15 CHECK (subtle BETWEEN 1 AND 100),  -- per cent towards new noise
  strong       INTEGER NOT NULL DEFAULT 50 CHECK (strong BETWEEN 1 AND 100),
  private      INTEGER NOT NULL DEFAULT 0 CHECK (private IN (0,1)),
  previews     INTEGER NOT NULL DEFAULT 1 CHECK (previews IN (0,1))
) STRICT;

CREATE TABLE guild_default (
  guild_id  INTEGER PRIMARY KEY REFERENCES guild(id),
  model     TEXT CHECK (length(model) BETWEEN 1 AND 80),
  shape     TEXT CHECK (length(shape) BETWEEN 1 AND 20),
  steps     INTEGER CHECK (steps BETWEEN 1 AND 150),
  guidance  REAL CHECK (guidance BETWEEN 0 AND 30),
  scheduler TEXT CHECK (length(scheduler) BETWEEN 1 AND 80),
  negative  TEXT NOT NULL DEFAULT '' CHECK (length(negative) <= 1000),
  styles    TEXT NOT NULL DEFAULT '' CHECK (length(styles) <= 200)       -- names, joined by commas
) STRICT;

CREATE TABLE style (
  guild_id    INTEGER NOT NULL REFERENCES guild(id),
  name        TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 30),
  template    TEXT NOT NULL CHECK (length(template) <= 1000 AND instr(template, '{prompt}') > 0),
  negative    TEXT NOT NULL DEFAULT '' CHECK (length(negative) <= 500),
  example_job INTEGER,                          -- no foreign key: the job may be deleted; then there is no example
  created_at  INTEGER NOT NULL,
  PRIMARY KEY (guild_id, name)
) STRICT, WITHOUT ROWID;

-- what the operator says of a model: the program cannot know a file's licence
CREATE TABLE model_note (
  model   TEXT PRIMARY KEY CHECK (length(model) BETWEEN 1 AND 80),
  licence TEXT NOT NULL DEFAULT '' CHECK (length(licence) <= 200),
  about   TEXT NOT NULL DEFAULT '' CHECK (length(about) <= 500)
) STRICT, WITHOUT ROWID;

-- how often something was refused, and why; nobody's name and nobody's words
CREATE TABLE refusal (
  day      INTEGER NOT NULL,                    -- days since the epoch, UTC
  guild_id INTEGER NOT NULL,
  code     TEXT NOT NULL CHECK (length(code) BETWEEN 1 AND 40),
  count    INTEGER NOT NULL CHECK (count > 0),
  PRIMARY KEY (guild_id, day, code)
) STRICT, WITHOUT ROWID;

-- servers that removed the bot; they are cleaned some time later, and come back to everything until then
CREATE TABLE departure (
  guild_id INTEGER PRIMARY KEY REFERENCES guild(id),
  left_at  INTEGER NOT NULL,
  cleaned  INTEGER NOT NULL DEFAULT 0 CHECK (cleaned IN (0,1))
) STRICT;

-- who uploaded what, so that an upload that no job used is forgotten with its person
CREATE TABLE upload (
  sha256  BLOB NOT NULL REFERENCES input_image(sha256) ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES user(id),
  PRIMARY KEY (sha256, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_user ON upload (user_id);
