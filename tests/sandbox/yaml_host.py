"""Pulumi's language host for YAML: the one on PATH, else built once from the Go module that `tools/yaml/go.mod` pins."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox.home import REPOSITORY

_MODULE = "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml"
_TARGET = REPOSITORY / "tools" / "bin" / "pulumi-language-yaml"


def ensure() -> Path:
    """Return the host; the test is skipped where there is none and no Go to build it with."""
    if found := shutil.which("pulumi-language-yaml"):
        return Path(found)
    _TARGET.parent.mkdir(exist_ok=True)
    with (_TARGET.parent / "yaml.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _TARGET.exists():
            go = shutil.which("go")
            if go is None:
                pytest.skip("no pulumi-language-yaml on PATH, and no Go to build it with")
            partial = _TARGET.with_suffix(f".{os.getpid()}")
            environment = {k: v for k, v in os.environ.items() if k != "GOFLAGS"} | {"GOWORK": "off"}
            build = [go, "build", "-trimpath", "-o", str(partial), _MODULE]
            subprocess.run(build, cwd=REPOSITORY / "tools" / "yaml", env=environment, check=True)
            partial.replace(_TARGET)
    return _TARGET
