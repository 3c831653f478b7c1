-- What is asked all the time takes as long with a million jobs as with ten thousand.
CREATE INDEX job_user     ON job (user_id);             -- also their deleted ones: export and erasure
CREATE INDEX job_created  ON job (created_at);          -- figures of all servers
CREATE INDEX job_server   ON job (server_id, created_at);  -- what a server has spent today
CREATE INDEX account_last ON account (user_id, guild_id, kind) WHERE user_id IS NOT NULL;  -- in the order they were made
CREATE INDEX audit_actor  ON audit (actor_id);
CREATE INDEX audit_target ON audit (target);
CREATE INDEX input_image_hex ON input_image (CAST(lower(hex(sha256)) AS TEXT));  -- as jobs name them
