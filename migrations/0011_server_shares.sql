-- Servers share the device first, their members what their server has. `served`: how much a server has got, in the
-- virtual time of `queue_clock`, which is that of servers from now on; `vtime`: the virtual time of its own members.
CREATE TABLE queue_server (
  guild_id INTEGER PRIMARY KEY REFERENCES guild(id),
  served   INTEGER NOT NULL CHECK (served >= 0),
  vtime    INTEGER NOT NULL CHECK (vtime >= 0)
) STRICT;
INSERT INTO queue_server
  SELECT DISTINCT guild_id, (SELECT vtime FROM queue_clock), (SELECT vtime FROM queue_clock)
  FROM job WHERE state IN ('queued','running');
