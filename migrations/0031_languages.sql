-- What a job's message speaks, so that it goes on in that language after a restart. NULL: asked for before this was kept.
ALTER TABLE job ADD COLUMN language TEXT;
