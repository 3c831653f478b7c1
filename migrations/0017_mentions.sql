-- Members may want to be mentioned when a job took long: an edited message notifies nobody. NULL = never.
ALTER TABLE preference ADD COLUMN mention_minutes INTEGER CHECK (mention_minutes BETWEEN 1 AND 1440);
