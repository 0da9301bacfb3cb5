"""`python -m sandbox`: see `sandbox.cli`."""

import gc
import os
import sys

from sandbox.cli import run

# A command lives for seconds and makes little garbage: looking for it while the SDKs are imported costs a tenth of its time.
gc.freeze()
gc.set_threshold(100_000)
status = run(sys.argv[1:])
sys.stdout.flush()
sys.stderr.flush()
# Not sys.exit: a program that was interrupted may leave a thread that never ends, and Python would wait for it.
os._exit(status)
