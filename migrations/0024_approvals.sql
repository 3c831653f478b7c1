-- When an appeal was decided. NULL: it wasn't, or before that was noted.
ALTER TABLE appeal ADD COLUMN decided_at INTEGER;
CREATE INDEX appeal_listed ON appeal (guild_id, state, decided_at);
