"""What must be settled before torch is loaded; the engine thread imports this first."""

import logging
import os
import sys

TORCH_WAS_HERE = "torch" in sys.modules  # somebody else's process: its thread count is its own business
if not TORCH_WAS_HERE:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads on a busy small machine cost a factor of ten

# MKL's sums depend on where weights begin in memory, on AVX2 by a bit: the same ones in another file would paint
# another picture. In this mode they don't; it is read when MKL first computes, and takes no time that one could measure
os.environ.setdefault("MKL_CBWR", "AUTO")

# "Install torchvision": three times at every start, and nothing here needs it
logging.getLogger("transformers.utils.import_utils").setLevel(logging.ERROR)
