"""/admin and its panel: the group and the frame that other features add their parts to."""
