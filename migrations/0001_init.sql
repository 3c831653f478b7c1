-- All times: UTC epoch milliseconds. All credit amounts: integer millicredits. "bad_*" views must stay empty.

-- Surrogate ids: erasing a person = NULL-ing discord_id; the ledger stays intact. No names: an id is enough to mention.
CREATE TABLE user (
  id          INTEGER PRIMARY KEY,
  discord_id  INTEGER UNIQUE CHECK (discord_id > 0),
  created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE guild (
  id          INTEGER PRIMARY KEY CHECK (id >= 0),              -- Discord id; 0 = direct messages
  created_at  INTEGER NOT NULL
) STRICT;

-- small facts: the published commands' hash, the engine's pinned row counts
CREATE TABLE note (
  key   TEXT PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 200),
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

------------------------------------------------------------------ uploads, by content
CREATE TABLE input_image (
  sha256     BLOB PRIMARY KEY CHECK (length(sha256) = 32),
  rel_path   TEXT NOT NULL UNIQUE CHECK (rel_path NOT LIKE '/%' AND rel_path NOT LIKE '%..%'),
  width      INTEGER NOT NULL CHECK (width  BETWEEN 1 AND 16384),
  height     INTEGER NOT NULL CHECK (height BETWEEN 1 AND 16384),
  bytes      INTEGER NOT NULL CHECK (bytes > 0),
  created_at INTEGER NOT NULL
) STRICT;

------------------------------------------------------------------ durable queue
CREATE TABLE job_edge (src TEXT NOT NULL, dst TEXT NOT NULL, PRIMARY KEY (src, dst)) STRICT, WITHOUT ROWID;
INSERT INTO job_edge VALUES
  ('queued','running'), ('queued','cancelled'), ('queued','failed'),
  ('running','queued'),                                   -- process lost, retry, shutdown
  ('running','rendered'), ('running','failed'), ('running','cancelled'),
  ('rendered','done'), ('rendered','failed');             -- failed here = undeliverable, refunded

-- the queue's virtual time: the start tag of the job claimed last (start-time fair queueing)
CREATE TABLE queue_clock (id INTEGER PRIMARY KEY CHECK (id = 1), vtime INTEGER NOT NULL) STRICT;
INSERT INTO queue_clock VALUES (1, 0);

CREATE TABLE job (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,        -- never used twice: ids are in buttons and file names
  interaction_id INTEGER NOT NULL CHECK (interaction_id > 0),
  part           INTEGER NOT NULL DEFAULT 0 CHECK (part BETWEEN 0 AND 63),
  guild_id       INTEGER NOT NULL REFERENCES guild(id),
  channel_id     INTEGER NOT NULL,
  user_id        INTEGER NOT NULL REFERENCES user(id),
  kind           TEXT NOT NULL CHECK (kind IN ('imagine','vary','upscale','inpaint','outpaint','blend','describe','video')),
  state          TEXT NOT NULL DEFAULT 'queued'
                 CHECK (state IN ('queued','running','rendered','done','failed','cancelled')),
  lane           TEXT NOT NULL DEFAULT 'fast' CHECK (lane IN ('fast','relax')),
  vtime          INTEGER NOT NULL,                         -- start tag; the queue is served in its order
  cost           INTEGER NOT NULL CHECK (cost > 0),        -- length of the job in virtual time
  spec           TEXT NOT NULL CHECK (json_valid(spec) AND json_type(spec) = 'object' AND length(spec) <= 65536),
  spec_version   INTEGER NOT NULL CHECK (spec_version >= 1),
  -- no foreign key: the parent may be deleted, and what it was is a fact about this job
  parent_image_id INTEGER,
  private        INTEGER NOT NULL DEFAULT 0 CHECK (private IN (0,1)),
  quote          INTEGER NOT NULL CHECK (quote >= 0),
  charged        INTEGER NOT NULL DEFAULT 0 CHECK (charged BETWEEN 0 AND quote),
  attempts       INTEGER NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND 3),
  not_before     INTEGER NOT NULL DEFAULT 0,
  lease_owner    TEXT,                                     -- boot id of the process that runs it (no clock involved)
  application_id INTEGER NOT NULL,
  reply_token    TEXT,                                     -- a secret: wiped once delivered or expired
  reply_until    INTEGER NOT NULL,
  message_id     INTEGER,                                  -- the progress message: delivering = editing it (idempotent)
  created_at     INTEGER NOT NULL,
  started_at     INTEGER,
  finished_at    INTEGER,
  deleted_at     INTEGER,                                  -- by its person: spec and pictures are gone, the ledger stays
  error_code     TEXT CHECK (error_code IS NULL OR error_code NOT GLOB '*[^a-z_]*'),
  error_text     TEXT CHECK (length(error_text) <= 2000),
  init_image     TEXT GENERATED ALWAYS AS (json_extract(spec, '$.init_image')) VIRTUAL,
  UNIQUE (interaction_id, part),                           -- the natural idempotency key
  CHECK ((state = 'running') = (lease_owner IS NOT NULL)),
  CHECK ((state IN ('rendered','done','failed','cancelled')) = (finished_at IS NOT NULL)),
  CHECK (state <> 'failed' OR error_code IS NOT NULL),
  CHECK (lane = 'fast' OR quote = 0),
  CHECK (deleted_at IS NULL OR state IN ('done','failed','cancelled'))
) STRICT;
CREATE INDEX job_ready   ON job (vtime, id)   WHERE state = 'queued';
CREATE INDEX job_running ON job (lease_owner) WHERE state = 'running';
CREATE INDEX job_active_user ON job (user_id, state) WHERE state IN ('queued','running');
CREATE INDEX job_history ON job (user_id, guild_id, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX job_init    ON job (init_image)  WHERE init_image IS NOT NULL;
CREATE INDEX job_token   ON job (reply_until) WHERE reply_token IS NOT NULL;
CREATE TRIGGER job_state BEFORE UPDATE OF state ON job
  WHEN NEW.state <> OLD.state AND NOT EXISTS (SELECT 1 FROM job_edge WHERE src = OLD.state AND dst = NEW.state)
BEGIN SELECT RAISE(ABORT, 'illegal job transition'); END;

CREATE TABLE image (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,           -- never used twice: buttons carry it for years
  job_id     INTEGER NOT NULL REFERENCES job(id),
  role       TEXT NOT NULL CHECK (role IN ('output','grid')),
  ordinal    INTEGER NOT NULL CHECK (ordinal BETWEEN 0 AND 63),
  seed       INTEGER NOT NULL CHECK (seed BETWEEN 0 AND 9223372036854775807),
  rel_path   TEXT NOT NULL UNIQUE CHECK (rel_path NOT LIKE '/%' AND rel_path NOT LIKE '%..%'),
  mime       TEXT NOT NULL CHECK (mime IN ('image/png','image/webp','image/jpeg','video/mp4')),
  width      INTEGER NOT NULL CHECK (width  BETWEEN 1 AND 16384),
  height     INTEGER NOT NULL CHECK (height BETWEEN 1 AND 16384),
  bytes      INTEGER NOT NULL CHECK (bytes > 0),
  sha256     BLOB NOT NULL CHECK (length(sha256) = 32),
  recipe     TEXT NOT NULL CHECK (json_valid(recipe)),
  created_at INTEGER NOT NULL,
  UNIQUE (job_id, role, ordinal)
) STRICT;

-- outbox: written in the same transaction as the state change that causes it; a job ends once, so it owes once
CREATE TABLE delivery (
  id           INTEGER PRIMARY KEY,
  job_id       INTEGER NOT NULL UNIQUE REFERENCES job(id),
  kind         TEXT NOT NULL CHECK (kind IN ('result','error','cancelled')),
  nonce        TEXT NOT NULL UNIQUE CHECK (length(nonce) BETWEEN 1 AND 25),       -- Discord's limit is 25
  attempts     INTEGER NOT NULL DEFAULT 0,
  not_before   INTEGER NOT NULL DEFAULT 0,
  dead         INTEGER NOT NULL DEFAULT 0 CHECK (dead IN (0,1)),
  created_at   INTEGER NOT NULL,
  delivered_at INTEGER,                                   -- not the message id: a message may have no id we can see
  CHECK (dead = 0 OR delivered_at IS NULL)
) STRICT;
CREATE INDEX delivery_due ON delivery (not_before, id) WHERE delivered_at IS NULL AND dead = 0;

------------------------------------------------------------------ ledger: double entry, two phases, append-only
CREATE TABLE account (
  id              INTEGER PRIMARY KEY,
  kind            TEXT    NOT NULL CHECK (kind IN ('issuer','spent','expired','free','paid','pool')),
  guild_id        INTEGER NOT NULL REFERENCES guild(id),
  user_id         INTEGER REFERENCES user(id),
  period          TEXT    NOT NULL DEFAULT '' CHECK (period = '' OR period GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]*'),
  debits_pending  INTEGER NOT NULL DEFAULT 0 CHECK (debits_pending  >= 0),
  debits_posted   INTEGER NOT NULL DEFAULT 0 CHECK (debits_posted   >= 0),
  credits_pending INTEGER NOT NULL DEFAULT 0 CHECK (credits_pending >= 0),
  credits_posted  INTEGER NOT NULL DEFAULT 0 CHECK (credits_posted  >= 0),
  available       INTEGER GENERATED ALWAYS AS (credits_posted - debits_posted - debits_pending) VIRTUAL,
  CHECK ((kind IN ('free','paid')) = (user_id IS NOT NULL)),
  CHECK ((kind = 'free') = (period <> '')),
  CONSTRAINT no_overdraft CHECK (kind NOT IN ('free','paid','pool')
                                 OR debits_pending + debits_posted <= credits_posted)
) STRICT;
CREATE UNIQUE INDEX account_key ON account (guild_id, kind, period, ifnull(user_id, 0));
CREATE INDEX account_user ON account (user_id, guild_id, kind, period) WHERE user_id IS NOT NULL;

-- job_id is checked at once (the job is inserted first): a deferred key would fail a whole group commit
CREATE TABLE transfer (
  id         INTEGER PRIMARY KEY,
  idem       TEXT    NOT NULL UNIQUE CHECK (length(idem) BETWEEN 3 AND 120),
  kind       TEXT    NOT NULL CHECK (kind IN ('direct','reserve','settle','release')),
  debit_id   INTEGER NOT NULL REFERENCES account(id),
  credit_id  INTEGER NOT NULL REFERENCES account(id),
  amount     INTEGER NOT NULL CHECK (amount > 0),
  pending_id INTEGER REFERENCES transfer(id),
  job_id     INTEGER REFERENCES job(id),
  reason     TEXT    NOT NULL CHECK (length(reason) <= 200),
  created_at INTEGER NOT NULL,
  CHECK (debit_id <> credit_id),
  CHECK ((kind IN ('settle','release')) = (pending_id IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX transfer_resolves_once ON transfer (pending_id) WHERE pending_id IS NOT NULL;
CREATE INDEX transfer_job    ON transfer (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX transfer_debit  ON transfer (debit_id);
CREATE INDEX transfer_credit ON transfer (credit_id);

CREATE TRIGGER transfer_check BEFORE INSERT ON transfer WHEN NEW.pending_id IS NOT NULL BEGIN
  SELECT RAISE(ABORT, 'pending transfer mismatch') WHERE NOT EXISTS (
    SELECT 1 FROM transfer p WHERE p.id = NEW.pending_id AND p.kind = 'reserve'
      AND p.debit_id = NEW.debit_id AND p.credit_id = NEW.credit_id
      AND p.job_id IS NEW.job_id
      AND (NEW.amount = p.amount OR (NEW.kind = 'settle' AND NEW.amount < p.amount)));
END;
CREATE TRIGGER transfer_apply AFTER INSERT ON transfer BEGIN
  UPDATE account SET
    debits_posted  = debits_posted  + iif(NEW.kind IN ('direct','settle'), NEW.amount, 0),
    debits_pending = debits_pending + CASE NEW.kind WHEN 'reserve' THEN NEW.amount WHEN 'direct' THEN 0
                       ELSE -(SELECT amount FROM transfer WHERE id = NEW.pending_id) END
  WHERE id = NEW.debit_id;
  UPDATE account SET
    credits_posted  = credits_posted  + iif(NEW.kind IN ('direct','settle'), NEW.amount, 0),
    credits_pending = credits_pending + CASE NEW.kind WHEN 'reserve' THEN NEW.amount WHEN 'direct' THEN 0
                        ELSE -(SELECT amount FROM transfer WHERE id = NEW.pending_id) END
  WHERE id = NEW.credit_id;
END;
CREATE TRIGGER transfer_no_update BEFORE UPDATE ON transfer BEGIN SELECT RAISE(ABORT, 'ledger is append-only'); END;
CREATE TRIGGER transfer_no_delete BEFORE DELETE ON transfer BEGIN SELECT RAISE(ABORT, 'ledger is append-only'); END;

------------------------------------------------------------------ views the tests and `doctor` read: all must be empty
CREATE VIEW bad_balance AS                 -- cached balances differ from the sum of the transfers
  WITH m(acc, dp, dd, cp, cd) AS (
    SELECT t.debit_id,
      CASE t.kind WHEN 'reserve' THEN t.amount WHEN 'direct' THEN 0 ELSE -p.amount END,
      iif(t.kind IN ('direct','settle'), t.amount, 0), 0, 0
    FROM transfer t LEFT JOIN transfer p ON p.id = t.pending_id
    UNION ALL
    SELECT t.credit_id, 0, 0,
      CASE t.kind WHEN 'reserve' THEN t.amount WHEN 'direct' THEN 0 ELSE -p.amount END,
      iif(t.kind IN ('direct','settle'), t.amount, 0)
    FROM transfer t LEFT JOIN transfer p ON p.id = t.pending_id),
  s AS (SELECT acc, sum(dp) dp, sum(dd) dd, sum(cp) cp, sum(cd) cd FROM m GROUP BY acc)
  SELECT a.id FROM account a LEFT JOIN s ON s.acc = a.id
  WHERE (a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted)
     <> (ifnull(s.dp,0), ifnull(s.dd,0), ifnull(s.cp,0), ifnull(s.cd,0));
CREATE VIEW bad_sum AS                     -- double entry: what left one account arrived in another
  SELECT * FROM (SELECT sum(debits_posted) - sum(credits_posted) AS posted,
                        sum(debits_pending) - sum(credits_pending) AS pending FROM account)
  WHERE posted <> 0 OR pending <> 0;
CREATE VIEW bad_job_credit AS              -- open reservations of a job must equal its quote while active, nothing after
  SELECT j.id, j.state, j.quote, ifnull(sum(t.amount), 0) AS open_amount
  FROM job j LEFT JOIN transfer t ON t.job_id = j.id AND t.kind = 'reserve'
       AND NOT EXISTS (SELECT 1 FROM transfer r WHERE r.pending_id = t.id)
  GROUP BY j.id
  HAVING open_amount <> iif(j.state IN ('queued','running'), j.quote, 0);
CREATE VIEW bad_job_charge AS              -- what was taken less what was given back is what the job says it charged
  SELECT j.id, j.state, j.charged,         -- ... and that is nothing unless its pictures were (or will be) delivered
         ifnull(sum(CASE WHEN t.kind = 'settle' THEN t.amount WHEN t.reason = 'refund' THEN -t.amount END), 0) AS taken
  FROM job j LEFT JOIN transfer t ON t.job_id = j.id AND t.kind IN ('settle','direct')
  GROUP BY j.id
  HAVING taken <> j.charged OR (taken <> 0 AND j.state NOT IN ('rendered','done'));
CREATE VIEW bad_delivery AS                -- whatever ended owes a message, and exactly the right one
  SELECT j.id, j.state, d.kind FROM job j LEFT JOIN delivery d ON d.job_id = j.id
  WHERE (d.id IS NOT NULL) <> (j.state NOT IN ('queued','running'))
     OR (j.state = 'rendered' AND (d.kind <> 'result' OR d.dead OR d.delivered_at IS NOT NULL))
     OR (j.state = 'done' AND (d.kind <> 'result' OR d.delivered_at IS NULL))
     OR (j.state = 'cancelled' AND d.kind <> 'cancelled')
     OR (j.state = 'failed' AND d.kind <> 'error' AND NOT (d.kind = 'result' AND d.dead));
CREATE VIEW bad_result AS                  -- a result without pictures
  SELECT j.id FROM job j WHERE j.state IN ('rendered','done') AND j.deleted_at IS NULL
     AND NOT EXISTS (SELECT 1 FROM image i WHERE i.job_id = j.id);
