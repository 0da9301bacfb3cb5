"""Check of the network: do the tasks of an ECS service reach what a start needs?

A task on Fargate (platform 1.4.0 or later) reads its secrets, pulls its image and writes its log through its own network
interface. It uses a VPC endpoint with the service's private DNS name, else its subnet's default route.
Sources: AWS, "Amazon ECS interface VPC endpoints (AWS PrivateLink)" (an image in ECR takes the gateway endpoint of S3; Secrets
Manager calls KMS itself, so that no task needs an endpoint of it), "Fargate task networking", "NAT gateways", "Manage DNS names
for VPC endpoint services".
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from typing import Any, NamedTuple

from ops._aws import Aws
from ops.access.evaluator import Request, decide, parse
from ops.doctor._packets import HTTPS, REPLIES, Peer, acl_allows, groups_allow
from ops.doctor.finding import Finding, summed_up
from ops.doctor.role import Call, calls_at_start, request_context
from ops.doctor.service import Placement, Service
from ops.doctor.snapshot import Snapshot

CHECK = "network"

_EVERYTHING = parse(
    {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}, source="what the role is allowed elsewhere"
)
"""The check `permission` looks at the role itself."""

UNSEEN = "custom DNS servers, firewalls, IPv6"
"""What this check does not look at."""


class Need(NamedTuple):
    """What a starting task has to reach: service and Region of `Call`."""

    name: str
    region: str


@dataclass(frozen=True)
class Vpc:
    """A VPC as EC2 describes it, with the service whose tasks are in it.

    Attributes:
        tasks: Where those are.
        subnets: By id.
        groups: Security groups by id: those of the tasks and of the endpoints.
        nats: NAT gateways by id.
        internet: Ids of the internet gateways that are attached.
        s3_prefix_list: The list of S3's addresses, "" when the VPC has no gateway endpoint of S3.
        resolves: Whether the VPC resolves names, and gives endpoints their private ones.
    """

    vpc_id: str
    region: str
    service: Service
    tasks: Placement
    subnets: Mapping[str, Any]
    groups: Mapping[str, Any]
    tables: tuple[Any, ...]
    nats: Mapping[str, Any]
    internet: tuple[str, ...]
    endpoints: tuple[Any, ...]
    acls: tuple[Any, ...]
    s3_prefix_list: str
    resolves: tuple[bool, bool]


@dataclass(frozen=True)
class Way:
    """Whether a subnet's tasks reach something.

    Attributes:
        works: None when that can't be decided.
        how: The way, or what blocks it.
        fixes: Commands that open it.
        remark: What else to know.
        endpoint: The endpoint on the way, whose policy also decides.
    """

    works: bool | None
    how: str
    fixes: tuple[str, ...] = ()
    remark: str = ""
    endpoint: Any = None


def check(aws: Aws, snapshot: Snapshot, service: Service) -> Iterator[Finding]:
    """Yield whether the tasks of a service reach Secrets Manager, the image and the log."""
    placement = service.placement
    if placement is None or not placement.subnets:
        found = "left out: its tasks share the instance's network interface (on EC2 the instance reads the secrets)"
        yield Finding(CHECK, "ok", service.label, found)
        return
    subnets = _by_id(_ask(aws, "describe_subnets", "Subnets", "subnet-id", placement.subnets), "SubnetId")
    shared = {raw["OwnerId"] for raw in subnets.values()} - {snapshot.stack.account}
    if shared:
        found = f"left out: its subnets belong to account {', '.join(sorted(shared))}"
        yield Finding(CHECK, "warning", service.label, found, remark="ask the owner of the network")
        return
    yield from _gone(service, set(placement.subnets) - set(subnets), "subnet", "subnets")
    if not subnets:
        return
    vpc = _read(aws, next(iter(subnets.values()))["VpcId"], service, placement)
    yield from _gone(service, set(placement.groups) - set(vpc.groups), "security group", "securityGroups")
    # Of the revision that runs.
    running = [d for d in snapshot.definitions if d.arn == service.definition_arn] or snapshot.definitions[:1]
    calls = [call for definition in running for call in calls_at_start(snapshot.stack, definition)]
    needs = dict.fromkeys(Need(call.service, call.region) for call in calls)
    ways = {
        (subnet, need): _allowed(vpc, _way(vpc, subnet, need), snapshot, calls)
        for subnet in sorted(subnets)
        for need in needs
    }
    found = f"VPC {vpc.vpc_id} resolves no names (enableDnsSupport): tasks find Secrets Manager only with a custom DNS server"
    mute = [Finding(CHECK, "failure", service.label, found, _named(vpc, "support"))]
    reached = ", ".join(dict.fromkeys(f"{need.name} by {way.how}" for (_, need), way in ways.items()))
    ok = f"{service.label}: {', '.join(sorted(subnets))} reach {reached} (left out: {UNSEEN})"
    yield from summed_up(CHECK, _problems(service, ways) if vpc.resolves[0] else mute, ok=ok)


def _gone(service: Service, ids: set[str], what: str, field: str) -> Iterator[Finding]:
    if ids:
        found = f"the {what} {', '.join(sorted(ids))} doesn't exist (any more): no task starts there"
        remark = f"name others in the service's networkConfiguration, {field}, in the stack that creates it"
        yield Finding(CHECK, "failure", service.label, found, remark=remark)


def _problems(service: Service, ways: Mapping[tuple[str, Need], Way]) -> Iterator[Finding]:
    """Yield each obstacle once, with everything that it blocks."""
    bad: dict[tuple[bool | None, str, str], list[tuple[str, Need, Way]]] = {}
    for (subnet, need), way in ways.items():
        if not way.works:
            bad.setdefault((way.works, way.how, way.remark), []).append((subnet, need, way))
    for (works, how, remark), of_it in bad.items():
        subnets, needs = (
            ", ".join(dict.fromkeys(texts)) for texts in zip(*((s, n.name) for s, n, _ in of_it), strict=True)
        )
        verb = "may not reach" if works is None else "can't reach"
        fix = " && ".join(dict.fromkeys(command for _, _, way in of_it for command in way.fixes))
        found = f"tasks in {subnets} {verb} {needs}: {how}"
        known = remark or ("" if fix else "the network's owner knows more")
        yield Finding(CHECK, "warning" if works is None else "failure", service.label, found, fix, known)


def _allowed(vpc: Vpc, way: Way, snapshot: Snapshot, calls: Iterable[Call]) -> Way:
    """Return the way, closed where the policy of its endpoint doesn't allow what a start asks for."""
    stack, role, endpoint = snapshot.stack, snapshot.role, way.endpoint
    text = (endpoint or {}).get("PolicyDocument")
    if not way.works or not text or role is None:
        return way
    name = endpoint["VpcEndpointId"]
    policy = parse(text, source=f"the policy of endpoint {name}")
    for call in calls:
        if not endpoint["ServiceName"].endswith(f".{vpc.region}.{call.service}"):
            continue
        # The layers in S3 belong to AWS: the caller is outside the account, and the ARN names neither account nor Region.
        layers = call.service == "s3"
        about = f"arn:aws:s3:{call.region}:{stack.account}:x" if layers else call.resource
        asked = Request(call.action, call.resource, "*" if layers else role.arn, request_context(stack, role, about))
        decision = decide(asked, identity=_EVERYTHING, resource=policy, resource_must_allow=True)
        if decision.outcome != "allowed":
            remark = (
                f"aws ec2 describe-vpc-endpoints --vpc-endpoint-ids {name} --region {vpc.region} shows it; "
                "its owner must allow the execution role"
            )
            works = None if decision.outcome == "conditional" else False
            how = f"the policy of endpoint {name} doesn't allow {call.action}"
            return replace(way, works=works, how=how, remark=remark)
    return way


def _ask(aws: Aws, operation: str, result: str, name: str, values: Iterable[str]) -> tuple[Any, ...]:
    listed = sorted(values)
    return tuple(aws.pages("ec2", operation, result, Filters=[{"Name": name, "Values": listed}])) if listed else ()


def _by_id(items: Iterable[Any], key: str) -> dict[str, Any]:
    return {item[key]: item for item in items}


def _read(aws: Aws, vpc_id: str, service: Service, placement: Placement) -> Vpc:
    def of_vpc(operation: str, result: str, name: str = "vpc-id") -> tuple[Any, ...]:
        return _ask(aws, operation, result, name, [vpc_id])

    def attribute(name: str) -> bool:
        answer = aws.client("ec2").describe_vpc_attribute(VpcId=vpc_id, Attribute=name)
        return bool(answer[f"{name[0].upper()}{name[1:]}"]["Value"])

    endpoints = tuple(
        endpoint
        for endpoint in of_vpc("describe_vpc_endpoints", "VpcEndpoints")
        if endpoint["State"].lower() not in {"deleting", "deleted"}
    )
    groups = {
        *placement.groups,
        *(group["GroupId"] for endpoint in endpoints for group in endpoint.get("Groups") or ()),
    }
    described = _by_id(_ask(aws, "describe_security_groups", "SecurityGroups", "group-id", groups), "GroupId")
    if not placement.groups:  # the VPC's default group then counts
        every = of_vpc("describe_security_groups", "SecurityGroups")
        described |= _by_id((group for group in every if group["GroupName"] == "default"), "GroupId")
    gateway = any(endpoint.get("VpcEndpointType") == "Gateway" for endpoint in endpoints)
    lists = _ask(aws, "describe_prefix_lists", "PrefixLists", "prefix-list-name", [f"com.amazonaws.{aws.region}.s3"])
    return Vpc(
        vpc_id,
        aws.region,
        service,
        placement,
        subnets=_by_id(of_vpc("describe_subnets", "Subnets"), "SubnetId"),
        groups=described,
        tables=of_vpc("describe_route_tables", "RouteTables"),
        nats=_by_id(of_vpc("describe_nat_gateways", "NatGateways"), "NatGatewayId"),
        internet=tuple(
            one["InternetGatewayId"]
            for one in of_vpc("describe_internet_gateways", "InternetGateways", "attachment.vpc-id")
        ),
        endpoints=endpoints,
        acls=of_vpc("describe_network_acls", "NetworkAcls"),
        s3_prefix_list=lists[0]["PrefixListId"] if gateway and lists else "",
        resolves=(attribute("enableDnsSupport"), attribute("enableDnsHostnames")),
    )


def _way(vpc: Vpc, subnet: str, need: Need) -> Way:
    """Return how the tasks of a subnet reach something."""
    table = _table(vpc, subnet)
    if table is None:
        return Way(None, f"the route table of {subnet} can't be read")
    if need.region == vpc.region:
        for endpoint in _endpoints(vpc, need):
            if endpoint.get("PrivateDnsEnabled") and need.name != "s3":
                return replace(_by_endpoint(vpc, subnet, endpoint), endpoint=endpoint)
            if table["RouteTableId"] in (endpoint.get("RouteTableIds") or ()):
                peer = Peer(prefix_list=vpc.s3_prefix_list)
                way = _let_through(vpc, subnet, peer, f"gateway endpoint {endpoint['VpcEndpointId']}")
                return replace(way, endpoint=endpoint)
    return _by_route(vpc, subnet, need, table)


def _endpoints(vpc: Vpc, need: Need) -> list[Any]:
    return [one for one in vpc.endpoints if one["ServiceName"].endswith(f".{vpc.region}.{need.name}")]


def _table(vpc: Vpc, subnet: str) -> Any:
    """Return the route table of a subnet: its own, else the main one; None when neither is among those that were read."""
    own = [t for t in vpc.tables if any(a.get("SubnetId") == subnet for a in t["Associations"])]
    main = [t for t in vpc.tables if any(a.get("Main") for a in t["Associations"])]
    return next(iter(own or main), None)


def _default_route(table: Any) -> Any:
    routes = (table or {"Routes": ()})["Routes"]
    return next((route for route in routes if route.get("DestinationCidrBlock") == "0.0.0.0/0"), None)


def _ec2(vpc: Vpc, operation: str, options: str) -> str:
    return f"aws ec2 {operation} --region {vpc.region} {options}"


def _route_to(vpc: Vpc, verb: str, table: str, target: str) -> str:
    return _ec2(vpc, f"{verb}-route", f"--route-table-id {table} --destination-cidr-block 0.0.0.0/0 {target}")


def _open_group(vpc: Vpc, direction: str, group: str, to: str) -> str:
    options = f"--group-id {group} --protocol tcp --port 443 {to}"
    return _ec2(vpc, f"authorize-security-group-{direction}", options)


def _named(vpc: Vpc, what: str) -> str:
    return f"aws ec2 modify-vpc-attribute --vpc-id {vpc.vpc_id} --region {vpc.region} --enable-dns-{what} Value=true"


def _by_endpoint(vpc: Vpc, subnet: str, endpoint: Any) -> Way:
    name = endpoint["VpcEndpointId"]
    if endpoint["State"].lower() != "available":
        remark = "wait while it is pending; else create it again"
        return Way(False, f"endpoint {name} is {endpoint['State']}", remark=remark)
    if not vpc.resolves[1]:
        found = f"VPC {vpc.vpc_id} gives endpoints no private names (enableDnsHostnames)"
        return Way(False, found, (_named(vpc, "hostnames"),))
    own, groups = _groups(vpc), [group["GroupId"] for group in endpoint.get("Groups") or ()]
    cidr = vpc.subnets[subnet]["CidrBlock"]
    comes_in = groups_allow([vpc.groups[g] for g in groups if g in vpc.groups], "IpPermissions", _peer([cidr], own))
    if not comes_in and not (own and groups):
        return Way(None, f"the security group of the tasks, or of endpoint {name}, can't be read")
    if not comes_in:
        found = f"the security group {', '.join(groups)} of endpoint {name} doesn't let the tasks in on port 443"
        return Way(comes_in, found, (_open_group(vpc, "ingress", groups[0], f"--source-group {own[0]}"),))
    places = [vpc.subnets[one] for one in endpoint.get("SubnetIds") or () if one in vpc.subnets]
    how, others = f"endpoint {name}", [one for one in places if one["SubnetId"] != subnet]
    closed = _group_closed(vpc, _peer([one["CidrBlock"] for one in places], groups), how)
    if not closed and others:  # a network ACL counts only between subnets
        closed = _acl_closed(vpc, subnet, _peer([one["CidrBlock"] for one in others], ()), serving=False)
        answers = (_acl_closed(vpc, one["SubnetId"], _peer([cidr], ()), serving=True) for one in others)
        closed = closed or next(filter(None, answers), None)
    return closed or Way(True, how)


def _by_route(vpc: Vpc, subnet: str, need: Need, table: Any) -> Way:
    route, name = _default_route(table), table["RouteTableId"]
    nat = vpc.nats.get((route or {}).get("NatGatewayId", ""))
    gateway = (route or {}).get("GatewayId", "")
    if route is None:
        return Way(False, f"there is no endpoint, and {name} has no default route", *_opened(vpc, need, table))
    if route.get("State") == "blackhole" or (nat and nat["State"] != "available"):
        return _dead_end(vpc, name, route)
    if gateway.startswith("igw-"):
        if vpc.tasks.public_ip:
            return _let_through(vpc, subnet, Peer(), f"internet gateway {gateway}")
        found = f"{name} leads to internet gateway {gateway}, but tasks get no public IP address"
        remark = (
            "then set assignPublicIp in the stack that creates the service; or use private subnets with a NAT gateway"
        )
        return Way(False, found, (_public_ip(vpc),), remark)
    return _by_nat(vpc, subnet, name, route)


def _by_nat(vpc: Vpc, subnet: str, table: str, route: Any) -> Way:
    nat = vpc.nats.get(route.get("NatGatewayId", ""))
    if nat is None or nat.get("ConnectivityType") == "private":
        target = next((str(v) for k, v in route.items() if k.endswith("Id")), "something else")
        return Way(None, f"the default route of {table} leads to {target}; what is behind it was not checked")
    outside = _table(vpc, nat["SubnetId"])
    if outside is None:
        return Way(None, f"the route table of {nat['SubnetId']}, where the NAT gateway is, can't be read")
    if not (_default_route(outside) or {}).get("GatewayId", "").startswith("igw-"):
        found = f"NAT gateway {nat['NatGatewayId']} is in {nat['SubnetId']}, whose route table has no internet gateway"
        verb, table = "replace" if _default_route(outside) else "create", outside["RouteTableId"]
        fixes = tuple(_route_to(vpc, verb, table, f"--gateway-id {one}") for one in vpc.internet[:1])
        return Way(False, found, fixes, "" if fixes else f"VPC {vpc.vpc_id} has no internet gateway")
    way = _let_through(vpc, subnet, Peer(), f"NAT gateway {nat['NatGatewayId']}")
    if way.works and nat["SubnetId"] != subnet:
        from_tasks = _peer([vpc.subnets[subnet]["CidrBlock"]], ())
        closed = _acl_closed(vpc, nat["SubnetId"], from_tasks, serving=True)
        return closed or _acl_closed(vpc, nat["SubnetId"], Peer(), serving=False) or way
    return way


def _dead_end(vpc: Vpc, table: str, route: Any) -> Way:
    target = route.get("NatGatewayId") or route.get("GatewayId") or "what is gone"
    state = f"is {vpc.nats[target]['State']}" if target in vpc.nats else "no longer exists"
    found = f"the default route of {table} leads to {target}, which {state}"
    for other in _working_nats(vpc):
        return Way(False, found, (_route_to(vpc, "replace", table, f"--nat-gateway-id {other}"),))
    return Way(False, found, remark="create another NAT gateway, then replace the route: aws ec2 replace-route")


def _working_nats(vpc: Vpc) -> list[str]:
    return [
        name
        for name, nat in vpc.nats.items()
        if nat["State"] == "available"
        and nat.get("ConnectivityType") != "private"
        and (_default_route(_table(vpc, nat["SubnetId"])) or {}).get("GatewayId", "").startswith("igw-")
    ]


def _opened(vpc: Vpc, need: Need, table: Any) -> tuple[tuple[str, ...], str]:
    """Return the commands that open a way, and a remark."""
    gateways = [f"--gateway-id {one}" for one in vpc.internet if vpc.tasks.public_ip]
    for target in (*gateways, *(f"--nat-gateway-id {one}" for one in _working_nats(vpc))):
        return (_route_to(vpc, "create", table["RouteTableId"], target),), ""
    if need.region != vpc.region:
        return (), "endpoints serve one Region: use a NAT gateway"
    there = next(iter(_endpoints(vpc, need)), None)
    if need.name == "s3":
        name = there and there.get("VpcEndpointType") == "Gateway" and there["VpcEndpointId"]
        add = f"--vpc-endpoint-id {name} --add-route-table-ids {table['RouteTableId']}"
        new = f"--vpc-id {vpc.vpc_id} --service-name com.amazonaws.{vpc.region}.s3 --route-table-ids {table['RouteTableId']}"
        return (_ec2(vpc, "modify-vpc-endpoint", add) if name else _ec2(vpc, "create-vpc-endpoint", new),), ""
    if there:
        named = f"--vpc-endpoint-id {there['VpcEndpointId']} --private-dns-enabled"
        return (_ec2(vpc, "modify-vpc-endpoint", named),), ""
    own = _groups(vpc)
    if not own:
        return (), "the service needs a security group first: the endpoint allows tasks by theirs"
    by_zone = {vpc.subnets[s]["AvailabilityZone"]: s for s in reversed(vpc.tasks.subnets) if s in vpc.subnets}
    make = _ec2(
        vpc,
        "create-vpc-endpoint",
        f"--vpc-id {vpc.vpc_id} --vpc-endpoint-type Interface --service-name com.amazonaws.{vpc.region}.{need.name} "
        f"--subnet-ids {' '.join(sorted(by_zone.values()))} --security-group-ids {own[0]} --private-dns-enabled",
    )
    opened = groups_allow([vpc.groups[own[0]]], "IpPermissions", Peer(groups=frozenset(own)))
    let_in = _open_group(vpc, "ingress", own[0], f"--source-group {own[0]}")
    remark = "an endpoint costs by the hour and zone; a NAT gateway is the other way"
    return (make,) if opened else (let_in, make), remark


def _public_ip(vpc: Vpc) -> str:
    subnets, groups = ",".join(vpc.tasks.subnets), ",".join(vpc.tasks.groups)
    network = f"subnets=[{subnets}],securityGroups=[{groups}],assignPublicIp=ENABLED"
    return f"{vpc.service.update(vpc.region)} --network-configuration 'awsvpcConfiguration={{{network}}}'"


def _groups(vpc: Vpc) -> list[str]:
    """Return the ids of the tasks' security groups that exist."""
    default = [name for name, group in vpc.groups.items() if group["GroupName"] == "default"]
    return [name for name in vpc.tasks.groups if name in vpc.groups] or default


def _peer(cidrs: Iterable[str], groups: Iterable[str]) -> Peer:
    return Peer(tuple(IPv4Network(cidr) for cidr in cidrs), frozenset(groups))


def _let_through(vpc: Vpc, subnet: str, peer: Peer, how: str) -> Way:
    return _group_closed(vpc, peer, how) or _acl_closed(vpc, subnet, peer, serving=False) or Way(True, how)


def _group_closed(vpc: Vpc, peer: Peer, how: str) -> Way | None:
    own = _groups(vpc)
    if not own:  # a missing group is a finding already
        return None
    goes_out = groups_allow([vpc.groups[name] for name in own], "IpPermissionsEgress", peer)
    if goes_out:
        return None
    found = f"the security group {', '.join(own)} of the tasks lets nothing out on port 443 to {how}"
    to = f"--source-group {min(peer.groups)}" if peer.groups else "--cidr 0.0.0.0/0"
    return Way(goes_out, found, (_open_group(vpc, "egress", own[0], to),))


def _acl_closed(vpc: Vpc, subnet: str, peer: Peer, *, serving: bool) -> Way | None:
    """Return what in a subnet's network ACL blocks HTTPS with a peer; the subnet is the client or the server."""
    acl = next((a for a in vpc.acls if any(s["SubnetId"] == subnet for s in a["Associations"])), None)
    if acl is None:
        return None
    for outgoing in (True, False):
        ports = REPLIES if outgoing == serving else HTTPS
        allows, rule = acl_allows(acl, outgoing=outgoing, ports=ports, peer=peer)
        if allows:
            continue
        name, cidr = acl["NetworkAclId"], str(peer.networks[0]) if peer.networks else "0.0.0.0/0"
        found = (
            f"network ACL {name} of {subnet} lets nothing {'out' if outgoing else 'in'} on TCP {ports[0]}-{ports[1]}"
        )
        taken = {entry["RuleNumber"] for entry in acl["Entries"] if entry["Egress"] == outgoing}
        free = next((number for number in range(rule - 1, 0, -1) if number not in taken), None)
        where = f"--network-acl-id {name} {'--egress' if outgoing else '--ingress'}"
        span = f"--protocol tcp --port-range From={ports[0]},To={ports[1]} --cidr-block {cidr} --rule-action allow"
        verb, entry = ("create", f"{free} {span}") if free else ("delete", f"{rule}")
        fix = _ec2(vpc, f"{verb}-network-acl-entry", f"{where} --rule-number {entry}")
        return Way(allows, found, (fix,))
    return None
