-- Images that members reported. A report is as old as its job: once that is deleted, whoever does it, the report says so
-- until its reporter was told.
CREATE TABLE report (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  guild_id    INTEGER NOT NULL CHECK (guild_id > 0),
  job_id      INTEGER NOT NULL REFERENCES job(id),
  reporter_id INTEGER NOT NULL CHECK (reporter_id > 0),
  reason      TEXT    NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
  state       TEXT    NOT NULL DEFAULT 'open' CHECK (state IN ('open','dismissed','deleted')),
  told        INTEGER NOT NULL DEFAULT 0 CHECK (told IN (0,1)),             -- how it ended was told to the reporter
  created_at  INTEGER NOT NULL,
  UNIQUE (job_id, reporter_id)
) STRICT;
CREATE INDEX report_open ON report (guild_id, job_id) WHERE state = 'open';
CREATE INDEX report_untold ON report (id) WHERE told = 0 AND state <> 'open';
CREATE INDEX report_mine ON report (reporter_id);
CREATE TRIGGER report_of_deleted AFTER UPDATE OF deleted_at ON job WHEN NEW.deleted_at IS NOT NULL BEGIN
  UPDATE report SET state = 'deleted' WHERE job_id = NEW.id AND state = 'open';
END;
CREATE TRIGGER report_of_restored AFTER UPDATE OF deleted_at ON job WHEN NEW.deleted_at IS NULL BEGIN
  UPDATE report SET state = 'open' WHERE job_id = NEW.id AND state = 'deleted';
END;
