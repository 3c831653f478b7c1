-- Limits that have no column of their own, by their names: a new limit needs no migration. Absent = not set here.
ALTER TABLE quota ADD COLUMN more TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(more) AND json_type(more) = 'object');
ALTER TABLE guild_budget ADD COLUMN more TEXT NOT NULL DEFAULT '{}'
  CHECK (json_valid(more) AND json_type(more) = 'object');
