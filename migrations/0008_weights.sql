-- A job's share of the device against others', as its owner's quota said when it was asked for.
ALTER TABLE job ADD COLUMN weight REAL NOT NULL DEFAULT 1 CHECK (weight > 0);
