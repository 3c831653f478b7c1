-- A result that could not be delivered is paid once its member gets it after all, and a job that is cancelled late
-- costs the share of it that was painted.
INSERT INTO job_edge VALUES ('failed','rendered');
CREATE INDEX delivery_dead ON delivery (job_id) WHERE dead = 1;
DROP VIEW bad_job_charge;
CREATE VIEW bad_job_charge AS              -- what was taken less what was given back is what the job says it charged
  SELECT j.id, j.state, j.charged,         -- ... and that is nothing unless its pictures can be had, or were begun
         ifnull(sum(CASE WHEN t.kind = 'settle' THEN t.amount WHEN t.reason = 'refund' THEN -t.amount END), 0) AS taken
  FROM job j LEFT JOIN transfer t ON t.job_id = j.id AND t.kind IN ('settle','direct')
  GROUP BY j.id
  HAVING taken <> j.charged OR (taken <> 0 AND j.state NOT IN ('rendered','done','cancelled'));
-- What tells this database from any other, whatever file it is in: the pictures' folder notes whose it is.
INSERT INTO note VALUES ('database', lower(hex(randomblob(16)))) ON CONFLICT DO NOTHING;
