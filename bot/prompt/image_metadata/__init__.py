"""What a picture's file says about how it was made, in the forms of the usual tools. Pure; knows no Discord.

The file is a stranger's: every text in it has a bounded size, is read in linear time, and stays text.
"""

from bot.prompt.image_metadata.read import maker, read, read_table
from bot.prompt.image_metadata.records import Parameters

__all__ = ["Parameters", "maker", "read", "read_table"]
