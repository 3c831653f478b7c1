-- Which LoRAs a quota allows, as its models. NULL = not said here.
ALTER TABLE quota ADD COLUMN loras TEXT CHECK (loras IS NULL OR (json_valid(loras) AND json_type(loras) = 'array'));
