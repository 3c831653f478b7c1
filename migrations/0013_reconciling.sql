-- What the reconciler looks for every minute is found without reading everything.
CREATE INDEX account_pending ON account (user_id) WHERE debits_pending > 0;
CREATE INDEX input_image_age ON input_image (created_at);
CREATE INDEX job_rendered ON job (id) WHERE state = 'rendered';
CREATE INDEX tombstone_age ON tombstone (expires_at);
