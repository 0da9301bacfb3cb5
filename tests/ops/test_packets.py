"""Security groups and network ACLs as EC2 describes them."""

from ipaddress import IPv4Network
from typing import Any

import pytest

from ops.doctor._packets import HTTPS, REPLIES, Peer, acl_allows, groups_allow

INTERNET = Peer()
INSIDE = Peer((IPv4Network("10.0.1.0/24"),), frozenset({"sg-endpoint"}))


def rule(protocol: str = "tcp", first: int = 443, last: int = 443, **to: Any) -> dict[str, Any]:
    ports = {} if protocol == "-1" else {"FromPort": first, "ToPort": last}
    return {"IpProtocol": protocol, **ports, **to}


def cidr(*texts: str) -> dict[str, Any]:
    return {"IpRanges": [{"CidrIp": text} for text in texts]}


@pytest.mark.parametrize(
    ("rules", "peer", "allows"),
    [
        ([], INTERNET, False),
        ([rule("-1", **cidr("0.0.0.0/0"))], INTERNET, True),
        ([rule(**cidr("0.0.0.0/0"))], INTERNET, True),
        ([rule(first=80, last=80, **cidr("0.0.0.0/0"))], INTERNET, False),
        ([rule("udp", **cidr("0.0.0.0/0"))], INTERNET, False),
        ([rule(first=0, last=65535, **cidr("0.0.0.0/0"))], INTERNET, True),
        # It is unknown whether these are the addresses of Secrets Manager.
        ([rule(**cidr("52.94.0.0/16"))], INTERNET, None),
        ([rule(PrefixListIds=[{"PrefixListId": "pl-somebody"}])], INTERNET, None),
        ([rule(**cidr("10.0.0.0/8"))], INTERNET, False),
        ([rule(**cidr("10.0.0.0/16"))], INSIDE, True),
        ([rule(**cidr("10.0.1.0/25"))], INSIDE, None),
        ([rule(**cidr("10.0.2.0/24"))], INSIDE, False),
        ([rule(UserIdGroupPairs=[{"GroupId": "sg-endpoint"}])], INSIDE, True),
        ([rule(UserIdGroupPairs=[{"GroupId": "sg-other"}])], INSIDE, False),
        ([rule(PrefixListIds=[{"PrefixListId": "pl-s3"}])], Peer(prefix_list="pl-s3"), True),
    ],
)
def test_security_groups(rules: list[Any], peer: Peer, *, allows: bool | None) -> None:
    assert groups_allow([{"IpPermissions": rules}], "IpPermissions", peer) is allows


def entry(number: int, action: str, network: str = "0.0.0.0/0", ports: tuple[int, int] | None = None) -> dict[str, Any]:
    span = {"PortRange": {"From": ports[0], "To": ports[1]}} if ports else {}
    protocol = "6" if ports else "-1"
    return {
        "RuleNumber": number,
        "RuleAction": action,
        "Egress": True,
        "CidrBlock": network,
        "Protocol": protocol,
        **span,
    }


LAST = entry(32767, "deny")


@pytest.mark.parametrize(
    ("entries", "ports", "peer", "decision"),
    [
        ([LAST], HTTPS, INTERNET, (False, 32767)),
        ([entry(100, "allow"), LAST], HTTPS, INTERNET, (True, 100)),
        ([LAST, entry(100, "allow"), entry(50, "deny", ports=(443, 443))], HTTPS, INTERNET, (False, 50)),
        ([entry(100, "allow"), entry(50, "deny", ports=(22, 22))], HTTPS, INTERNET, (True, 100)),
        ([entry(100, "allow"), entry(50, "deny", "10.0.0.0/8")], HTTPS, INTERNET, (True, 100)),
        ([entry(100, "allow"), entry(50, "deny", "52.94.0.0/16")], HTTPS, INTERNET, (None, 100)),
        ([entry(100, "allow", ports=(32768, 65535)), LAST], REPLIES, INTERNET, (None, 32767)),
        ([entry(50, "deny", "10.0.1.0/24"), entry(100, "allow")], HTTPS, INSIDE, (False, 50)),
        ([entry(50, "deny", "10.0.2.0/24"), entry(100, "allow")], HTTPS, INSIDE, (True, 100)),
    ],
)
def test_network_acls(
    entries: list[Any], ports: tuple[int, int], peer: Peer, decision: tuple[bool | None, int]
) -> None:
    acl = {"Entries": [*entries, {**entry(1, "deny"), "Egress": False}]}
    assert acl_allows(acl, outgoing=True, ports=ports, peer=peer) == decision
