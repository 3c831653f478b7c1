-- Who may do how much: by role, by person, by server; what an allowance was and what an erased person used of it.

-- NULL = not said here: the next in line decides (person, roles, everyone, settings)
CREATE TABLE quota (
  id          INTEGER PRIMARY KEY,
  guild_id    INTEGER NOT NULL REFERENCES guild(id),
  role_id     INTEGER CHECK (role_id > 0),                 -- the everyone role's id is the server's
  user_id     INTEGER REFERENCES user(id),
  until       INTEGER,                                     -- of a person's quota; NULL = for good
  allowance   INTEGER CHECK (allowance >= 0),
  period      TEXT    CHECK (period IN ('day','month')),
  max_queued  INTEGER CHECK (max_queued BETWEEN 1 AND 1000),
  max_running INTEGER CHECK (max_running BETWEEN 1 AND 64),
  max_pixels  INTEGER CHECK (max_pixels BETWEEN 4096 AND 67108864),
  max_steps   INTEGER CHECK (max_steps BETWEEN 1 AND 150),
  models      TEXT    CHECK (models IS NULL OR (json_valid(models) AND json_type(models) = 'array')),
  weight      REAL    CHECK (weight BETWEEN 0.1 AND 100),
  relax       INTEGER CHECK (relax IN (0,1)),
  CHECK ((role_id IS NULL) <> (user_id IS NULL)),
  CHECK ((allowance IS NULL) = (period IS NULL)),
  CHECK (until IS NULL OR user_id IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX quota_of ON quota (guild_id, ifnull(role_id, 0), ifnull(user_id, 0));

CREATE TABLE guild_budget (                                -- no row = no cap, no gifts
  guild_id INTEGER PRIMARY KEY REFERENCES guild(id),
  cap      INTEGER CHECK (cap > 0),                        -- most that a server may spend a day
  gifts    INTEGER CHECK (gifts > 0)                       -- most that a member may give away a day; NULL = off
) STRICT;

-- bought with Discord: who has which subscription. Ids are Discord's; 0 = none
CREATE TABLE subscription (
  id       INTEGER PRIMARY KEY,                            -- the entitlement's
  sku_id   INTEGER NOT NULL,
  user_id  INTEGER NOT NULL CHECK (user_id >= 0),
  guild_id INTEGER NOT NULL CHECK (guild_id >= 0),
  ends_at  INTEGER,
  CHECK (user_id > 0 OR guild_id > 0)
) STRICT;

-- a free account's allowance: the most its period's terms ever gave, and what was used of it before an erasure
CREATE TABLE allowance (
  account_id INTEGER PRIMARY KEY REFERENCES account(id),
  entitled   INTEGER NOT NULL CHECK (entitled >= 0),
  carried    INTEGER NOT NULL DEFAULT 0 CHECK (carried >= 0)
) STRICT;
INSERT INTO allowance (account_id, entitled)
  SELECT a.id, sum(t.amount) FROM account a JOIN transfer t ON t.credit_id = a.id
  JOIN account i ON i.id = t.debit_id AND i.kind = 'issuer' WHERE a.kind = 'free' GROUP BY a.id;

-- a keyed hash of person, server and period, kept until the period ends: leaving and coming back grants nothing twice
CREATE TABLE tombstone (
  hash       BLOB PRIMARY KEY CHECK (length(hash) = 32),
  used       INTEGER NOT NULL CHECK (used >= 0),
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE job ADD COLUMN max_running INTEGER NOT NULL DEFAULT 64 CHECK (max_running BETWEEN 1 AND 64);

CREATE VIEW bad_allowance AS               -- what a free account was granted is what its period's terms gave, no more
  SELECT a.id, ifnull(sum(t.amount), 0) AS granted, w.entitled, w.carried
  FROM account a LEFT JOIN allowance w ON w.account_id = a.id
  LEFT JOIN (SELECT t.* FROM transfer t JOIN account i ON i.id = t.debit_id AND i.kind = 'issuer') t
    ON t.credit_id = a.id
  WHERE a.kind = 'free' GROUP BY a.id
  HAVING granted <> max(0, ifnull(w.entitled, 0) - ifnull(w.carried, 0));
CREATE VIEW bad_grant AS                   -- only free and paid purses and the pool are ever filled by the issuer
  SELECT t.id FROM transfer t JOIN account i ON i.id = t.debit_id JOIN account a ON a.id = t.credit_id
  WHERE i.kind = 'issuer' AND a.kind NOT IN ('free','paid','pool');
