-- Files that nothing refers to any more, written with the change that ended them and gone once they are off the disk.
-- A path that ends with `-*` means every file of a job, also what a crash left without a row.
CREATE TABLE unlink (
  path TEXT PRIMARY KEY CHECK (path <> '' AND path NOT LIKE '/%' AND path NOT LIKE '%..%')
) STRICT, WITHOUT ROWID;

-- Members who asked for everything about them to be deleted, until that is done, whatever interrupts it.
CREATE TABLE erasure (
  discord_id INTEGER PRIMARY KEY CHECK (discord_id > 0),
  asked_at   INTEGER NOT NULL
) STRICT;
