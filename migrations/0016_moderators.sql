-- The role of a server's moderators; NULL = only people who manage the server moderate it.
ALTER TABLE moderation ADD COLUMN moderator_role INTEGER CHECK (moderator_role > 0);
