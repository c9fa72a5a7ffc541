"""Settings for all tests: one thread, since two of them fight over shared cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
