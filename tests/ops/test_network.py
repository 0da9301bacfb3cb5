"""`ops doctor` on the network of an ECS service: three healthy shapes, each broken in many ways, each fix run as printed.

The shapes are those of AWS, "Best practices for connecting Amazon ECS to AWS services from inside your VPC": a public subnet, a
NAT gateway, VPC endpoints.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from moto.ecs.models import ecs_backends

from tests.ops.conftest import Deployed as Stack

REGION = "eu-west-1"


@dataclass
class Net:
    """A VPC with a public and a private subnet, and the service `main/tickets` in one of them."""

    stack: Stack
    vpc: str
    public: str
    private: str
    public_table: str
    private_table: str
    internet: str
    tasks: str
    nat: str = ""
    endpoint_group: str = ""
    endpoints: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def ec2(self) -> Any:
        return self.stack.client("ec2", REGION)

    @property
    def https_from_tasks(self) -> list[dict[str, Any]]:
        return [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [{"GroupId": self.tasks}]}]

    def acl(self, subnet: str) -> str:
        """Give a subnet its own network ACL, which allows everything."""
        made = self.ec2.create_network_acl(VpcId=self.vpc)["NetworkAcl"]["NetworkAclId"]
        for egress in (True, False):
            self.entry(made, 100, "allow", egress=egress)
        old = self.ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])
        (association,) = [
            a["NetworkAclAssociationId"] for a in old["NetworkAcls"][0]["Associations"] if a["SubnetId"] == subnet
        ]
        self.ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=made)
        return made

    def entry(
        self,
        acl: str,
        number: int,
        action: str,
        *,
        egress: bool,
        ports: tuple[int, int] | None = None,
        cidr: str = "0.0.0.0/0",
    ) -> None:
        span = {"PortRange": {"From": ports[0], "To": ports[1]}} if ports else {}
        self.ec2.create_network_acl_entry(
            NetworkAclId=acl, RuleNumber=number, RuleAction=action, Egress=egress, CidrBlock=cidr,
            Protocol="6" if ports else "-1", **span,
        )  # fmt: skip


Break = Callable[[Net], object]


def build(stack: Stack, shape: str) -> Net:
    ec2 = stack.client("ec2", REGION)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=f"{REGION}{zone}")["Subnet"]["SubnetId"]
        for cidr, zone in (("10.0.0.0/24", "a"), ("10.0.1.0/24", "a"))
    ]
    tables = [ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"] for _ in subnets]
    for subnet, table in zip(subnets, tables, strict=True):
        ec2.associate_route_table(SubnetId=subnet, RouteTableId=table)
    internet = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    tasks = ec2.create_security_group(GroupName="tasks", Description="tasks", VpcId=vpc)["GroupId"]
    (public, private), (public_table, private_table) = subnets, tables
    net = Net(stack, vpc, public, private, public_table, private_table, internet, tasks)
    if shape != "endpoints":
        ec2.attach_internet_gateway(InternetGatewayId=internet, VpcId=vpc)
        ec2.create_route(RouteTableId=net.public_table, DestinationCidrBlock="0.0.0.0/0", GatewayId=internet)
    if shape == "nat":
        net.nat = make_nat(net)
        ec2.create_route(RouteTableId=net.private_table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=net.nat)
    if shape == "endpoints":
        net.endpoint_group = ec2.create_security_group(GroupName="endpoints", Description="e", VpcId=vpc)["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=net.endpoint_group, IpPermissions=net.https_from_tasks)
        for name in ("secretsmanager", "ecr.api", "ecr.dkr", "logs"):
            net.endpoints[name] = make_endpoint(net, name)
        s3 = {"VpcEndpointType": "Gateway", "ServiceName": f"com.amazonaws.{REGION}.s3"}
        made = ec2.create_vpc_endpoint(VpcId=vpc, RouteTableIds=[net.private_table], **s3)["VpcEndpoint"]
        net.endpoints["s3"] = made["VpcEndpointId"]
    subnet = net.public if shape == "public" else net.private
    stack.run_service(networkConfiguration=placed(subnet, net.tasks, public_ip=shape == "public"))
    return net


def make_nat(net: Net) -> str:
    address = net.ec2.allocate_address(Domain="vpc")["AllocationId"]
    return net.ec2.create_nat_gateway(SubnetId=net.public, AllocationId=address)["NatGateway"]["NatGatewayId"]


def make_endpoint(net: Net, name: str, **changes: Any) -> str:
    parameters = {
        "VpcId": net.vpc,
        "VpcEndpointType": "Interface",
        "ServiceName": f"com.amazonaws.{REGION}.{name}",
        "SubnetIds": [net.private],
        "SecurityGroupIds": [net.endpoint_group or net.tasks],
        "PrivateDnsEnabled": True,
    }
    return net.ec2.create_vpc_endpoint(**parameters | changes)["VpcEndpoint"]["VpcEndpointId"]


def placed(subnet: str, group: str, *, public_ip: bool = False) -> dict[str, Any]:
    ip = "ENABLED" if public_ip else "DISABLED"
    return {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group], "assignPublicIp": ip}}


def update(stack: Stack, **changes: Any) -> None:
    stack.client("ecs").update_service(cluster="main", service="tickets", **changes)


def network(stack: Stack, ops: Any) -> list[dict[str, str]]:
    done = ops(stack, "doctor", "--json")
    return [finding for finding in done.json["findings"] if finding["check"] == "network"]


@pytest.mark.parametrize(
    ("shape", "way"),
    [
        ("public", "secretsmanager by internet gateway igw-"),
        ("nat", "secretsmanager by NAT gateway nat-"),
        ("endpoints", "secretsmanager by endpoint vpce-"),
    ],
)
def test_a_healthy_network(shape: str, way: str, stack: Stack, ops: Any) -> None:
    build(stack, shape)

    (found,) = network(stack, ops)

    assert (found["status"], way in found["found"]) == ("ok", True), found
    assert {"ecr.api", "ecr.dkr", "s3", "logs"} <= set(found["found"].replace(",", "").split())
    assert "(left out: custom DNS servers" in found["found"]


def close_egress(net: Net) -> None:
    net.ec2.revoke_security_group_egress(
        GroupId=net.tasks, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )


def close_endpoint(net: Net) -> None:
    net.ec2.revoke_security_group_ingress(GroupId=net.endpoint_group, IpPermissions=net.https_from_tasks)


def deny(subnet: str, number: int = 50, *, egress: bool, ports: tuple[int, int] = (443, 443), **more: str) -> Break:
    """Deny something in the network ACL of a subnet."""
    return lambda net: net.entry(net.acl(getattr(net, subnet)), number, "deny", egress=egress, ports=ports, **more)


def lose_nat(net: Net) -> None:
    make_nat(net)
    net.ec2.delete_nat_gateway(NatGatewayId=net.nat)


def forget(name: str) -> Break:
    return lambda net: net.ec2.delete_vpc_endpoints(VpcEndpointIds=[net.endpoints[name]])


def unroute_s3(net: Net) -> None:
    net.ec2.modify_vpc_endpoint(VpcEndpointId=net.endpoints["s3"], RemoveRouteTableIds=[net.private_table])


def unroute(table: str) -> Break:
    return lambda net: net.ec2.delete_route(RouteTableId=getattr(net, table), DestinationCidrBlock="0.0.0.0/0")


def attribute(name: str) -> Break:
    return lambda net: net.ec2.modify_vpc_attribute(VpcId=net.vpc, **{name: {"Value": False}})


BREAKAGES: dict[str, tuple[str, Break, str]] = {
    "no public IP address": (
        "public", lambda net: update(net.stack, networkConfiguration=placed(net.public, net.tasks)),
        "but tasks get no public IP address",
    ),
    "no route to the internet gateway": ("public", unroute("public_table"), "has no default route"),
    "closed egress": ("public", close_egress, "of the tasks lets nothing out on port 443 to internet gateway"),
    "ACL denies what goes out": ("public", deny("public", egress=True), "lets nothing out on TCP 443-443"),
    "ACL denies it in its first rule": ("public", deny("public", 1, egress=True), "lets nothing out on TCP 443-443"),
    "no names": ("public", attribute("EnableDnsSupport"), "resolves no names (enableDnsSupport)"),
    "no route to the NAT gateway": ("nat", unroute("private_table"), "has no default route"),
    "NAT gateway deleted": ("nat", lose_nat, "which "),
    "NAT gateway without a way out": ("nat", unroute("public_table"), "whose route table has no internet gateway"),
    "ACL denies the answers": (
        "nat", deny("private", egress=False, ports=(1024, 65535)), "lets nothing in on TCP 1024-65535",
    ),
    "ACL denies at the NAT gateway": (
        "nat", deny("public", egress=False, cidr="10.0.1.0/24"), "lets nothing in on TCP 443-443",
    ),
    "closed egress to a NAT gateway": ("nat", close_egress, "to NAT gateway nat-"),
    "closed endpoints": ("endpoints", close_endpoint, "doesn't let the tasks in on port 443"),
    "closed egress to endpoints": ("endpoints", close_egress, "lets nothing out on port 443 to endpoint"),
    "no endpoint for Secrets Manager": (
        "endpoints", forget("secretsmanager"), "can't reach secretsmanager: there is no endpoint",
    ),
    "no endpoint for the log": ("endpoints", forget("logs"), "can't reach logs: there is no endpoint"),
    "no endpoint for S3": ("endpoints", forget("s3"), "can't reach s3: there is no endpoint"),
    "S3's endpoint in another route table": ("endpoints", unroute_s3, "can't reach s3: there is no endpoint"),
    "no private names at all": ("endpoints", attribute("EnableDnsHostnames"), "no private names (enableDnsHostnames)"),
}  # fmt: skip


@pytest.mark.parametrize(
    "case",  # `make test` tries every third
    [pytest.param(case, marks=[pytest.mark.slow] if number % 3 else []) for number, case in enumerate(BREAKAGES)],
)
def test_what_is_closed_is_named_and_the_fix_opens_it(case: str, stack: Stack, ops: Any, paste: Any) -> None:
    shape, broken, text = BREAKAGES[case]
    net = build(stack, shape)
    broken(net)

    found = network(stack, ops)

    assert {f["status"] for f in found} == {"failure"}
    assert any(text in f["found"] for f in found), found
    for command in dict.fromkeys(f["fix"] for f in found):
        paste(stack, command)
    assert [f["status"] for f in network(stack, ops)] == ["ok"]


def test_the_policy_of_an_endpoint_has_a_say(stack: Stack, ops: Any) -> None:
    net = build(stack, "endpoints")
    allow = {"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    own = {**allow, "Resource": [stack.arn("jwt-secret")]}

    def told(*statements: dict[str, Any]) -> list[str]:
        net.ec2.modify_vpc_endpoint(
            VpcEndpointId=net.endpoints["secretsmanager"], PolicyDocument=json.dumps({"Statement": statements})
        )
        return [f["found"] for f in network(stack, ops) if f["status"] != "ok"]

    assert told(allow) == []
    (found,) = told(own)
    endpoint = net.endpoints["secretsmanager"]
    assert f"can't reach secretsmanager: the policy of endpoint {endpoint} doesn't allow secretsmanager:Get" in found
    (found,) = told({**allow, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}})
    assert "may not reach secretsmanager" in found


def test_what_is_closed_stands_before_the_tasks_that_do_not_run(stack: Stack, ops: Any) -> None:
    net = build(stack, "public")
    close_egress(net)
    update(stack, desiredCount=1)
    (made,) = ecs_backends[stack.account][stack.region].services.values()
    made.running_count = 0

    found = [f for f in ops(stack, "doctor", "--json").json["findings"] if f["status"] == "failure"]

    assert [f["check"] for f in found] == ["network", "service"]
    assert found[1]["fix"] == ""
    assert found[1]["remark"].startswith("once the findings above are fixed: aws ecs update-service ")


def test_a_missing_security_group_and_no_way_out_are_two_findings(stack: Stack, ops: Any) -> None:
    """README's own example: the check broke with an IndexError, and every other finding was lost with it."""
    net = build(stack, "public")
    unroute("public_table")(net)
    update(stack, networkConfiguration=placed(net.public, "sg-0a1b2c3d4e5f6a7b8"))

    found = [f["found"] for f in network(stack, ops) if f["status"] == "failure"]

    assert any("the security group sg-0a1b2c3d4e5f6a7b8 doesn't exist" in text for text in found)
    assert any("can't reach secretsmanager" in text and "no default route" in text for text in found)


def test_an_endpoint_without_a_private_name_is_given_one(stack: Stack, ops: Any) -> None:
    net = build(stack, "endpoints")
    forget("logs")(net)  # the local AWS takes no private name away
    make_endpoint(net, "logs", PrivateDnsEnabled=False)

    (found,) = network(stack, ops)

    assert "can't reach logs: there is no endpoint" in found["found"]
    # The local AWS ignores this option, so that it is not run here. Source: AWS CLI reference, modify-vpc-endpoint.
    assert found["fix"].startswith(f"aws ec2 modify-vpc-endpoint --region {REGION} --vpc-endpoint-id vpce-")
    assert found["fix"].endswith(" --private-dns-enabled")


def test_what_is_behind_another_gateway_is_not_told(stack: Stack, ops: Any) -> None:
    net = build(stack, "endpoints")
    peer = net.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    peering = net.ec2.create_vpc_peering_connection(VpcId=net.vpc, PeerVpcId=peer)["VpcPeeringConnection"]
    net.ec2.create_route(
        RouteTableId=net.private_table,
        DestinationCidrBlock="0.0.0.0/0",
        VpcPeeringConnectionId=peering["VpcPeeringConnectionId"],
    )
    forget("logs")(net)

    (found,) = network(stack, ops)

    assert (found["status"], found["fix"]) == ("warning", "")
    assert "may not reach logs: the default route of rtb-" in found["found"]
    assert "leads to pcx-" in found["found"]
