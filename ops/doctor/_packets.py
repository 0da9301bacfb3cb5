"""What security groups and network ACLs let through, as EC2 describes them. Pure functions; None means that it can't be decided.

Sources: Amazon VPC user guide, "Security group rules" and "Network ACL rules".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

HTTPS = (443, 443)
REPLIES = (1024, 65535)
"""The ports to which answers come back. Source: Amazon VPC user guide, "Ephemeral ports"."""

_LAST_RULE = 32767
"""The number of the rule that denies what no other one decides."""

_TCP = {"-1", "tcp", "6"}
_EVERYWHERE = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True)
class Peer:
    """The other end of a connection.

    Attributes:
        networks: Where its addresses are; empty for public ones, which are unknown.
        groups: Its security groups.
        prefix_list: The list of its addresses that AWS keeps, "" for none.
    """

    networks: tuple[IPv4Network, ...] = ()
    groups: frozenset[str] = frozenset()
    prefix_list: str = ""


def groups_allow(groups: Iterable[Any], direction: str, peer: Peer) -> bool | None:
    """Return whether one of some security groups lets HTTPS through.

    Args:
        groups: As DescribeSecurityGroups returns them.
        direction: `IpPermissions` for what comes in, `IpPermissionsEgress` for what goes out.
        peer: Who is at the other end.
    """
    found: bool | None = False
    for rule in (rule for group in groups for rule in group.get(direction, ())):
        if rule["IpProtocol"] not in _TCP or not _holds(rule, HTTPS):
            continue
        ranges = [_network(item["CidrIp"]) for item in rule.get("IpRanges", ())]
        lists = {item["PrefixListId"] for item in rule.get("PrefixListIds", ())}
        members = {item["GroupId"] for item in rule.get("UserIdGroupPairs", ())}
        if _cover(ranges, peer) or members & peer.groups or peer.prefix_list in lists - {""}:
            return True
        if lists or any(_touches(one, peer) for one in ranges):
            found = None
    return found


def acl_allows(acl: Any, *, outgoing: bool, ports: tuple[int, int], peer: Peer) -> tuple[bool | None, int]:
    """Return whether a network ACL lets TCP through, and the number of the rule that decides.

    Args:
        acl: As DescribeNetworkAcls returns it.
        outgoing: The direction.
        ports: The first and the last port at the end where the packets arrive.
        peer: Who is at the other end.
    """
    unsure = set[bool]()
    rules = [rule for rule in acl["Entries"] if rule["Egress"] == outgoing and "CidrBlock" in rule]
    for rule in sorted(rules, key=lambda one: one["RuleNumber"]):
        network, allows = _network(rule["CidrBlock"]), rule["RuleAction"] == "allow"
        if rule["Protocol"] not in _TCP or not _touches(network, peer):
            continue
        span = rule.get("PortRange") or {"From": 0, "To": 65535}
        if span["From"] > ports[1] or span["To"] < ports[0]:
            continue
        if span["From"] <= ports[0] and span["To"] >= ports[1] and _cover([network], peer):
            return (allows if unsure <= {allows} else None), rule["RuleNumber"]
        unsure.add(allows)
    return (None if True in unsure else False), _LAST_RULE


def _holds(rule: Any, ports: tuple[int, int]) -> bool:
    return rule["IpProtocol"] == "-1" or (rule.get("FromPort", 0) <= ports[0] and rule.get("ToPort", 65535) >= ports[1])


def _network(text: str) -> IPv4Network:
    return IPv4Network(text, strict=False)


def _cover(networks: Sequence[IPv4Network], peer: Peer) -> bool:
    wanted = peer.networks or (_EVERYWHERE,)
    return all(any(one.subnet_of(network) for network in networks) for one in wanted)


def _touches(network: IPv4Network, peer: Peer) -> bool:
    return any(network.overlaps(one) for one in peer.networks) if peer.networks else not network.is_private
