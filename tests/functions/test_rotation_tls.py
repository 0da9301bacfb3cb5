"""Amazon's RDS authorities, and chains of the same shape under Python 3.13's strict verification.

Shape: root, regional subordinate, server, as in the dump of a real server's chain in github.com/voltone/aws_rds_castore,
issue 4: the server's certificate has subjectAltName, basicConstraints and both key identifiers, none of them critical.
"""

import datetime as dt
import functools
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from components.functions.rotate_password import tls
from components.functions.rotate_password.errors import Cause, RotationError

RDS_ROOTS = Path(tls.__file__).with_name(tls.RDS_ROOTS)
HOST = "ticketing-prod.cluster-f6e5d4c3b2a1.eu-central-1.rds.amazonaws.com"
NOW = dt.datetime.now(dt.UTC)


@functools.cache
def roots() -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(RDS_ROOTS.read_bytes())


def common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


# --- the file


def test_all_rds_authorities_load() -> None:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(cadata=RDS_ROOTS.read_text("ascii"))
    assert len(made.get_ca_certs()) == len(roots()) > 80


@pytest.mark.parametrize("root", roots(), ids=common_name)
def test_an_rds_authority_has_not_expired_and_satisfies_strict_verification(root: x509.Certificate) -> None:
    """What OpenSSL's X509_V_FLAG_X509_STRICT asks of a self-signed authority (crypto/x509/x509_vfy.c, check_extensions)."""
    assert root.not_valid_before_utc < NOW < root.not_valid_after_utc - dt.timedelta(days=90), "make certificates"
    root.verify_directly_issued_by(root)
    basic = root.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = root.extensions.get_extension_for_class(x509.KeyUsage)
    assert (basic.critical, basic.value.ca, usage.critical, usage.value.key_cert_sign) == (True, True, True, True)
    assert root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert root.signature_hash_algorithm is not None
    assert root.signature_hash_algorithm.name in {"sha256", "sha384", "sha512"}


def test_each_region_has_its_three_authorities() -> None:
    """Source: Amazon RDS User Guide, "Using SSL/TLS to encrypt a connection", Certificate authorities."""
    regions = {common_name(root).split()[2] for root in roots()}
    assert {"eu-central-1", "us-east-1", "ap-southeast-2"} <= regions
    kinds = ("RSA2048", "RSA4096", "ECC384")
    assert {common_name(root) for root in roots()} == {
        f"Amazon RDS {region} Root CA {kind} G1" for region in regions for kind in kinds
    }


# --- whom the function trusts


@pytest.mark.parametrize(
    ("host", "is_rds"),
    [
        (HOST, True),
        ("db.c6c8dfghij.us-gov-west-1.rds.amazonaws.com", True),
        ("db.c6c8dfghij.rds.cn-north-1.amazonaws.com.cn", True),
        ("p.proxy-c6c8dfghij.eu-west-1.rds.amazonaws.com", True),
        ("DB.C6C8DFGHIJ.EU-WEST-1.RDS.AMAZONAWS.COM", True),
        ("localhost", False),
        ("db.example.com", False),
        ("x.rds.amazonaws.com.example.net", False),
        ("rds.amazonaws.com", False),
    ],
)
def test_rds_authorities_are_trusted_for_hosts_of_rds_besides_the_system_s(host: str, is_rds: bool) -> None:  # noqa: FBT001
    def subjects(context: ssl.SSLContext) -> set[str]:
        return {str(certificate["subject"]) for certificate in context.get_ca_certs()}

    system = subjects(ssl.create_default_context())
    found = subjects(tls.context(host, None))
    assert found >= system
    assert ("Amazon RDS eu-central-1 Root CA RSA2048 G1" in str(found - system)) is is_rds


def test_a_bundle_that_is_named_replaces_every_other(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(roots()[0].public_bytes(serialization.Encoding.PEM))
    context = tls.context(HOST, bundle)
    assert len(context.get_ca_certs()) == 1


def test_a_bundle_that_is_none(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("no certificate")
    with pytest.raises(RotationError, match=r"bundle\.pem is not a PEM bundle") as raised:
        tls.context(HOST, bundle)
    assert raised.value.cause == Cause.CONFIGURATION


@pytest.mark.parametrize("host", [HOST, "localhost"])
def test_chain_and_host_name_are_verified(host: str) -> None:
    context = tls.context(host, None)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    # Python's own choice of flags is kept, from 3.13 on the strict ones.
    assert context.verify_flags == ssl.create_default_context().verify_flags


# --- a chain of the same shape


class Authority:
    """Signs certificates."""

    def __init__(self, name: str, issuer: "Authority | None" = None, *, critical: bool = True) -> None:
        self.key = ec.generate_private_key(ec.SECP384R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)  # as in the real roots
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=True, path_length=0 if issuer else None), critical),
            (x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False),
            (usage, True),
        ]
        self.certificate = (issuer or self).sign(self.name, self.key.public_key(), extensions, self_signed=not issuer)

    def sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        extensions: list[tuple[x509.ExtensionType, bool]],
        *,
        self_signed: bool = False,
    ) -> x509.Certificate:
        day = dt.timedelta(days=1)
        builder = x509.CertificateBuilder(
            self.name, subject, key, x509.random_serial_number(), NOW - day, NOW + 2 * day
        )
        if not self_signed:  # a root has no authority key identifier, like the real ones
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
            extensions = [*extensions, (identifier, False)]
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA384())


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)


def handshake(client: ssl.SSLContext, host: str, chain: bytes, key: ec.EllipticCurvePrivateKey, folder: Path) -> None:
    """Shake hands in memory; raises ssl.SSLCertVerificationError when the client refuses the server."""
    (folder / "chain.pem").write_bytes(chain)
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=host)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(6):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert ours.getpeercert()


def server_certificate(issuer: Authority, host: str = HOST) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.SubjectAlternativeName([x509.DNSName(host)]), False),
        (x509.BasicConstraints(ca=False, path_length=None), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    ]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    return issuer.sign(name, key.public_key(), extensions), key


Chain = Callable[[Authority, Authority], tuple[bytes, ec.EllipticCurvePrivateKey]]


def whole(_: Authority, regional: Authority) -> tuple[bytes, ec.EllipticCurvePrivateKey]:
    certificate, key = server_certificate(regional)
    return pem(certificate, regional.certificate), key


def without_subordinate(_: Authority, regional: Authority) -> tuple[bytes, ec.EllipticCurvePrivateKey]:
    certificate, key = server_certificate(regional)
    return pem(certificate), key


def another_host(_: Authority, regional: Authority) -> tuple[bytes, ec.EllipticCurvePrivateKey]:
    certificate, key = server_certificate(regional, HOST.replace("ticketing-prod", "ticketing-dev"))
    return pem(certificate, regional.certificate), key


def another_root(_: Authority, __: Authority) -> tuple[bytes, ec.EllipticCurvePrivateKey]:
    root = Authority("Amazon RDS eu-central-1 Root CA RSA2048 G1")
    return whole(root, Authority("Amazon RDS eu-central-1 Subordinate CA RSA2048 G1.A.1", root))


def not_critical(root: Authority, _: Authority) -> tuple[bytes, ec.EllipticCurvePrivateKey]:
    return whole(root, Authority("Amazon RDS eu-central-1 Subordinate CA RSA2048 G1.A.2", root, critical=False))


@pytest.mark.parametrize(
    ("chain", "refusal"),
    [
        (whole, None),
        (without_subordinate, "unable to get local issuer certificate"),
        (another_host, "Hostname mismatch"),
        (another_root, "unable to get local issuer certificate"),
        (not_critical, "Basic Constraints of CA cert not marked critical"),
    ],
)
def test_a_chain_of_the_shape_of_rds_under_strict_verification(
    chain: Chain, refusal: str | None, tmp_path: Path
) -> None:
    """Strict on every Python, as it is by default on Lambda's 3.13; the last case shows that strictness is on."""
    root = Authority("Amazon RDS eu-central-1 Root CA RSA2048 G1")
    regional = Authority("Amazon RDS eu-central-1 Subordinate CA RSA2048 G1.A.1", root)
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(pem(root.certificate))
    context = tls.context(HOST, bundle)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    served, key = chain(root, regional)
    if refusal is None:
        handshake(context, HOST, served, key, tmp_path)
        return
    with pytest.raises(ssl.SSLCertVerificationError, match=refusal):
        handshake(context, HOST, served, key, tmp_path)
