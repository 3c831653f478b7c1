-- A job's kind says what it is: `imagine`, `vary`, or the name of the engine's task. Which tasks there are is the
-- program's business, so a new one needs no migration. Jobs of ControlNets were called `imagine` until now.
ALTER TABLE job ADD COLUMN what TEXT NOT NULL DEFAULT 'imagine'
  CHECK (what <> '' AND what NOT GLOB '*[^a-z0-9_]*');
UPDATE job SET what = iif(kind = 'imagine' AND json_extract(spec, '$.task') = 'control', 'control', kind);
ALTER TABLE job DROP COLUMN kind;
ALTER TABLE job RENAME COLUMN what TO kind;
