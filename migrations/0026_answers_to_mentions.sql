-- Whether Easel answers messages that mention it.
ALTER TABLE moderation ADD COLUMN answers_mentions INTEGER NOT NULL DEFAULT 1 CHECK (answers_mentions IN (0, 1));
