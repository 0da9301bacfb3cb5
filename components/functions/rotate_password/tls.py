"""The certificate authorities that the function trusts for the database.

Certificates of Amazon RDS and Aurora are signed by Amazon's own authorities, one set for each Region, which no system's
bundle contains. `rds-roots.pem` holds them (`make certificates` renews it). RDS Proxy and Aurora Serverless v1 have
certificates of Amazon Trust Services instead, which are in the system's bundle, under host names of the same form: so
for a host of RDS both are trusted. Source: Amazon RDS User Guide, "Using SSL/TLS to encrypt a connection to a DB instance or
cluster" and "Using TLS/SSL with RDS Proxy".

Python 3.13 verifies strictly by RFC 5280 (`ssl.VERIFY_X509_STRICT`; Python documentation, `ssl.create_default_context`).
The RDS roots satisfy it: basicConstraints and keyUsage are critical, a subject key identifier is there. So strictness stays
on; tests/functions/test_rotation_tls.py checks each root, and a chain of the same shape.
"""

import re
import ssl
from importlib import resources
from pathlib import Path

from .errors import Cause, RotationError

RDS_ROOTS = "rds-roots.pem"

_RDS_HOST = re.compile(r"\.rds\.(?:[a-z0-9-]+\.)?amazonaws\.com(?:\.cn)?$", re.IGNORECASE)
"""`NAME.ID.REGION.rds.amazonaws.com`; in China `NAME.ID.rds.REGION.amazonaws.com.cn`."""


def context(host: str, ca_bundle: Path | None) -> ssl.SSLContext:
    """Return a context that verifies the chain and the host name; raises `RotationError` for a file that is not a bundle."""
    try:
        made = ssl.create_default_context(cafile=str(ca_bundle) if ca_bundle else None)
    except OSError:
        raise RotationError(Cause.CONFIGURATION, f"CA_BUNDLE: {ca_bundle} is not a PEM bundle") from None
    if ca_bundle is None and _RDS_HOST.search(host):
        made.load_verify_locations(cadata=(resources.files(__package__ or "") / RDS_ROOTS).read_text("ascii"))
    return made
