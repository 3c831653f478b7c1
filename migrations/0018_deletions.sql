-- What its person deleted can be had back for a minute: the job is hidden at once (`deleted_at`) and whole until then.
-- `message_id`: of the message that offers it, which goes with the job; NULL where only its person sees it.
CREATE TABLE deletion (
  job_id     INTEGER PRIMARY KEY REFERENCES job(id),
  due_at     INTEGER NOT NULL,
  message_id INTEGER
) STRICT;
CREATE INDEX deletion_due ON deletion (due_at);
