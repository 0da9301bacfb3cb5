"""The AWS CLI as a process that runs many commands: it takes a second to start, which is too long for each of hundreds.

Not inside the tests' own process, since the CLI brings a botocore of its own. Each line of the standard input is a JSON object
with `arguments` and `environment`; each answer is a line with `status` and `told`, what was written to the standard error.
"""

import contextlib
import io
import json
import os
import sys
from typing import Any

from awscli.clidriver import create_clidriver

DATA_PATH = os.environ["AWS_DATA_PATH"]
"""Where the CLI finds its own data; it sets this when it is imported."""

for line in sys.stdin:
    asked = json.loads(line)
    os.environ.clear()
    os.environ.update(asked["environment"], AWS_DATA_PATH=DATA_PATH)
    told = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(told):
        cli: Any = create_clidriver()
        status = cli.main(asked["arguments"])
    sys.stdout.write(json.dumps({"status": status, "told": told.getvalue()}) + "\n")
    sys.stdout.flush()
