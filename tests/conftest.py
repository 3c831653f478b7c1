"""What holds for every test: property tests look at the same examples on every run of CI, at new ones elsewhere."""

import os

from hypothesis import settings

settings.register_profile("random", print_blob=True)
settings.register_profile("ci", derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "random"))
