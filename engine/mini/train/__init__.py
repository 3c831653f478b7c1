"""The recipe of Easel Mini: a toy world, its captions, and the training of every part. Never imported by the bot."""
