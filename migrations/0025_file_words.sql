-- Members may want the prompt left out of the files of their pictures.
ALTER TABLE preference ADD COLUMN file_words INTEGER NOT NULL DEFAULT 1 CHECK (file_words IN (0, 1));
