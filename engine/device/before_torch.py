"""What must be settled before torch is loaded; the engine thread imports this first."""

import logging
import os
import sys

TORCH_WAS_HERE = "torch" in sys.modules  # somebody else's process: its thread count is its own business
if not TORCH_WAS_HERE:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads on a busy small machine cost a factor of ten

# "Install torchvision": three times at every start, and nothing here needs it
logging.getLogger("transformers.utils.import_utils").setLevel(logging.ERROR)
