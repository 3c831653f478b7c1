-- What was made from a picture is found without reading every job.
CREATE INDEX job_parent ON job (parent_image_id) WHERE parent_image_id IS NOT NULL;
