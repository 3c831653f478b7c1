"""The SQLite file: one writer, one reader, migrations, the lock, the clock. Knows no table of a feature."""
