"""`python -m sandbox`: see `sandbox.cli`."""

import os
import sys

from sandbox.cli import run

status = run(sys.argv[1:])
sys.stdout.flush()
sys.stderr.flush()
# Not sys.exit: a program that was interrupted may leave a thread that never ends, and Python would wait for it.
os._exit(status)
