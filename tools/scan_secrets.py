"""Scans files for keys of known forms: the hook before a commit, and the pipelines' check.

    python tools/scan_secrets.py FILE...       status 1 and the places of what is new; never a value
    python tools/scan_secrets.py --all         everything that git tracks becomes what is known: invented values of the tests

detect-secrets' own hook compares line numbers as well, so an edit above a known value would fail it. Detectors that look for
words or for randomness find hundreds of invented values in the tests, and are left out.

Source: detect-secrets 1.5, detect_secrets/core/secrets_collection.py, settings.py.
"""

import json
import subprocess
import sys
from pathlib import Path

from detect_secrets.core import baseline
from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

KNOWN = Path(__file__).resolve().parent.parent / ".secrets.baseline"
SETTINGS = {
    "plugins_used": [
        {"name": name}
        for name in (
            "ArtifactoryDetector", "AWSKeyDetector", "AzureStorageKeyDetector", "DiscordBotTokenDetector", "GitHubTokenDetector",
            "GitLabTokenDetector", "JwtTokenDetector", "MailchimpDetector", "NpmDetector", "OpenAIDetector", "PrivateKeyDetector",
            "PypiTokenDetector", "SendGridDetector", "SlackDetector", "SquareOAuthDetector", "StripeDetector",
            "TelegramBotTokenDetector", "TwilioKeyDetector",
        )
    ],
    "filters_used": [{"path": "detect_secrets.filters.allowlist.is_line_allowlisted"}],
}  # fmt: skip


def scan(files: list[str]) -> SecretsCollection:
    """Return what is found in files; those that only list hashes are left out."""
    found = SecretsCollection()
    for name in files:
        if not name.endswith(("requirements.txt", "requirements-dev.txt", "go.sum", KNOWN.name)):
            found.scan_file(name)
    return found


def main() -> int:
    """Scan the files of the command line."""
    with transient_settings(SETTINGS):
        if sys.argv[1:] == ["--all"]:
            listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)  # noqa: S607 - git
            KNOWN.write_text(json.dumps(baseline.format_for_output(scan(listed.stdout.splitlines())), indent=1) + "\n")
            return 0
        known = baseline.load(json.loads(KNOWN.read_text(encoding="utf-8")), filename=str(KNOWN))
        new = scan(sys.argv[1:]) - known
        for name, secret in new:
            sys.stdout.write(f"{name}:{secret.line_number}: {secret.type}\n")
        if new:
            sys.stdout.write("Take it out. Only where it is invented: python tools/scan_secrets.py --all\n")
        return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main())
