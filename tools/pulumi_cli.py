"""Prints the folder of the Pulumi CLI that tools/pulumi.sha256 names, downloaded and verified: pipelines run it with credentials.

`--record` writes that file anew, for the version that tools/go.mod pins. Run it after a change of the version; commit the file.
A CLI that has another checksum is not unpacked.

Sources: Pulumi, "Download and install Pulumi", available versions; the release's `pulumi-VERSION-checksums.txt`.
"""

import argparse
import hashlib
import io
import platform
import re
import shutil
import sys
import tarfile
import urllib.request
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
RELEASES = "https://github.com/pulumi/pulumi/releases/download"
_SECONDS = 120
_PLATFORMS = ("darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64")


def version(tools: Path = TOOLS) -> str:
    """Return the version that tools/go.mod pins."""
    pinned = re.search(r"github\.com/pulumi/pulumi/pkg/v3 v([\d.]+)", (tools / "go.mod").read_text(encoding="utf-8"))
    if pinned is None:
        raise SystemExit("tools/go.mod does not pin github.com/pulumi/pulumi/pkg/v3")
    return pinned[1]


def archive(number: str) -> str:
    """Return the name of the release's archive for this machine."""
    machines = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
    name = f"{platform.system().lower()}-{machines.get(platform.machine().lower(), '')}"
    if name not in _PLATFORMS:
        raise SystemExit(f"there is no Pulumi CLI for {platform.system()} on {platform.machine()}")
    return f"pulumi-v{number}-{name}.tar.gz"


def record(tools: Path = TOOLS, releases: str = RELEASES) -> None:
    """Write tools/pulumi.sha256 from the release's own checksums."""
    number = version(tools)
    listed = _download(f"{releases}/v{number}/pulumi-{number}-checksums.txt").decode()
    wanted = {f"pulumi-v{number}-{name}.tar.gz" for name in _PLATFORMS}
    lines = sorted(line for line in listed.splitlines() if line.split()[-1:] and line.split()[-1] in wanted)
    if len(lines) != len(wanted):
        raise SystemExit(f"the release's checksums name {len(lines)} of {len(wanted)} archives")
    (tools / "pulumi.sha256").write_text("\n".join(lines) + "\n", encoding="utf-8")


def verified(tools: Path = TOOLS, releases: str = RELEASES) -> Path:
    """Return the folder of the verified CLI, downloaded when it is missing.

    Raises:
        SystemExit: When no checksum is recorded, or the archive has another one.
    """
    number = version(tools)
    name = archive(number)
    recorded = (tools / "pulumi.sha256").read_text(encoding="utf-8").splitlines()
    sums = dict(line.split()[::-1] for line in recorded if line)
    if name not in sums:
        raise SystemExit(
            f"tools/pulumi.sha256 has no checksum of {name}. Record it, compare it with the release's page, commit the file:\n"
            "  make cli-checksums"
        )
    kept = tools / "bin" / name
    content = kept.read_bytes() if kept.exists() else _download(f"{releases}/v{number}/{name}")
    # Also of what a cache brought: whoever may write to it runs nothing with these credentials.
    found = hashlib.sha256(content).hexdigest()
    if found != sums[name]:
        kept.unlink(missing_ok=True)
        raise SystemExit(
            f"{name} has the checksum {found}; tools/pulumi.sha256 says {sums[name]}. Nothing was unpacked"
        )
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(content)
    folder = tools / "bin" / "verified"
    shutil.rmtree(folder, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(content)) as packed:
        packed.extractall(folder, filter="data")
    return folder / "pulumi"


def _download(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 - a fixed address, or a test's
        content: bytes = answer.read()
    return content


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write tools/pulumi.sha256 anew")
    if parser.parse_args().record:
        record()
    else:
        sys.stdout.write(f"{verified()}\n")
