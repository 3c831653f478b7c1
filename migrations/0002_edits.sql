-- Edits need several stored pictures (the source, a mask, what is blended): a job names each of them here.

CREATE TABLE job_input (
  job_id INTEGER NOT NULL REFERENCES job(id),
  sha256 TEXT    NOT NULL CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'),  -- hex, as in the spec
  PRIMARY KEY (job_id, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_input_use ON job_input (sha256);
INSERT INTO job_input SELECT id, init_image FROM job WHERE init_image IS NOT NULL;
DROP INDEX job_init;

CREATE VIEW bad_input AS                   -- a job that may still run without a picture it needs
  SELECT i.job_id, i.sha256 FROM job_input i JOIN job j ON j.id = i.job_id
  WHERE j.state IN ('queued','running')
    AND NOT EXISTS (SELECT 1 FROM input_image p WHERE lower(hex(p.sha256)) = i.sha256);
