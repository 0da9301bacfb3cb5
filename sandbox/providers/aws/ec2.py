"""Amazon EC2: networks and security groups."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from sandbox.providers._diff import by
from sandbox.providers._resource import Autoname, Inputs, Prop, given
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, by_prefix, retag, tag_list, tag_map
from sandbox.providers.aws._session import Aws


def _tags_at_birth(kind: str, new: Properties) -> dict[str, Any]:
    tags = tag_list(new["tagsAll"])
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": tags}]} if tags else {}


def _retag(aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
    client = aws.client("ec2")
    retag(
        old,
        new,
        changed,
        put=lambda tags: client.create_tags(Resources=[resource_id], Tags=tag_list(tags)),
        drop=lambda keys: client.delete_tags(Resources=[resource_id], Tags=[{"Key": key} for key in keys]),
    )


class Vpc(AwsResource):
    """A network."""

    type_name = "aws:ec2/vpc:Vpc"
    title = "EC2 VPC"
    tagged = True
    inputs: ClassVar[Inputs] = {
        "cidrBlock": Prop(str, required=True, force_new=True),
        "enableDnsHostnames": Prop(bool, computed=True),
        "enableDnsSupport": Prop(bool, default=True),
        "instanceTenancy": Prop(str, default="default", force_new=True),
    }
    computed = (
        "arn",
        "defaultNetworkAclId",
        "defaultRouteTableId",
        "defaultSecurityGroupId",
        "mainRouteTableId",
        "ownerId",
    )

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateVpc."""
        answer = aws.client("ec2").create_vpc(
            CidrBlock=new["cidrBlock"], InstanceTenancy=new["instanceTenancy"], **_tags_at_birth("vpc", new)
        )
        return answer["Vpc"]["VpcId"]

    def finish(self, aws: Aws, resource_id: str, new: Properties) -> None:
        """ModifyVpcAttribute, one attribute a call."""
        client = aws.client("ec2")
        for key in ("enableDnsSupport", "enableDnsHostnames"):
            if key in new:
                name = key[:1].upper() + key[1:]
                client.modify_vpc_attribute(VpcId=resource_id, **{name: {"Value": new[key]}})

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeVpcs, its attributes and what AWS made with it."""
        del state
        client = aws.client("ec2")
        found = client.describe_vpcs(VpcIds=[resource_id])["Vpcs"][0]
        of_vpc = [{"Name": "vpc-id", "Values": [resource_id]}]
        groups = client.describe_security_groups(Filters=[*of_vpc, {"Name": "group-name", "Values": ["default"]}])[
            "SecurityGroups"
        ]
        main = [{"Name": "association.main", "Values": ["true"]}]
        tables = client.describe_route_tables(Filters=[*of_vpc, *main])["RouteTables"]
        acls = client.describe_network_acls(Filters=[*of_vpc, {"Name": "default", "Values": ["true"]}])["NetworkAcls"]
        table = next((item["RouteTableId"] for item in tables), None)
        return {
            "arn": aws.arn("ec2", f"vpc/{resource_id}"),
            "cidrBlock": found["CidrBlock"],
            "instanceTenancy": found.get("InstanceTenancy", "default"),
            "enableDnsSupport": _vpc_attribute(client, resource_id, "enableDnsSupport"),
            "enableDnsHostnames": _vpc_attribute(client, resource_id, "enableDnsHostnames"),
            "defaultSecurityGroupId": next((item["GroupId"] for item in groups), None),
            "defaultNetworkAclId": next((item["NetworkAclId"] for item in acls), None),
            "defaultRouteTableId": table,
            "mainRouteTableId": table,
            "ownerId": found.get("OwnerId", aws.account),
            "tagsAll": tag_map(found.get("Tags")),
            "region": aws.region,
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Attributes, tags."""
        self.finish(aws, resource_id, {key: new[key] for key in new if key in changed})
        _retag(aws, resource_id, old, new, changed)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteVpc."""
        del old
        aws.client("ec2").delete_vpc(VpcId=resource_id)


def _vpc_attribute(client: Any, vpc: str, name: str) -> bool:
    answer = client.describe_vpc_attribute(VpcId=vpc, Attribute=name)
    return answer[name[:1].upper() + name[1:]]["Value"]


class Subnet(AwsResource):
    """A subnet."""

    type_name = "aws:ec2/subnet:Subnet"
    title = "EC2 Subnet"
    tagged = True
    inputs: ClassVar[Inputs] = {
        "availabilityZone": Prop(str, computed=True, force_new=True),
        "availabilityZoneId": Prop(str, computed=True, force_new=True),
        "cidrBlock": Prop(str, required=True, force_new=True),
        "mapPublicIpOnLaunch": Prop(bool, default=False),
        "vpcId": Prop(str, required=True, force_new=True),
    }
    computed = ("arn", "ownerId")

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateSubnet."""
        answer = aws.client("ec2").create_subnet(
            VpcId=new["vpcId"],
            CidrBlock=new["cidrBlock"],
            **_tags_at_birth("subnet", new),
            **given(AvailabilityZone=new.get("availabilityZone"), AvailabilityZoneId=new.get("availabilityZoneId")),
        )
        return answer["Subnet"]["SubnetId"]

    def finish(self, aws: Aws, resource_id: str, new: Properties) -> None:
        """ModifySubnetAttribute."""
        aws.client("ec2").modify_subnet_attribute(
            SubnetId=resource_id, MapPublicIpOnLaunch={"Value": new["mapPublicIpOnLaunch"]}
        )

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeSubnets."""
        del state
        found = aws.client("ec2").describe_subnets(SubnetIds=[resource_id])["Subnets"][0]
        return {
            "arn": aws.arn("ec2", f"subnet/{resource_id}"),
            "availabilityZone": found["AvailabilityZone"],
            "availabilityZoneId": found.get("AvailabilityZoneId"),
            "cidrBlock": found["CidrBlock"],
            "mapPublicIpOnLaunch": found.get("MapPublicIpOnLaunch", False),
            "ownerId": found.get("OwnerId", aws.account),
            "vpcId": found["VpcId"],
            "tagsAll": tag_map(found.get("Tags")),
            "region": aws.region,
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Attribute, tags."""
        if "mapPublicIpOnLaunch" in changed:
            self.finish(aws, resource_id, new)
        _retag(aws, resource_id, old, new, changed)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteSubnet."""
        del old
        aws.client("ec2").delete_subnet(SubnetId=resource_id)


_LISTS = ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds", "securityGroups")


def _rules(blocks: Any) -> list[str]:
    """Inline rules as a set: order means nothing, neither of the rules nor within them."""
    return sorted(
        str(
            (
                block["protocol"],
                block["fromPort"],
                block["toPort"],
                bool(block.get("self")),
                block.get("description") or "",
                *(sorted(block.get(key) or []) for key in _LISTS),
            )
        )
        for block in blocks or []
    )


class SecurityGroup(AwsResource):
    """A security group, with its rules inline when the program says so."""

    type_name = "aws:ec2/securityGroup:SecurityGroup"
    title = "EC2 Security Group"
    tagged = True
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "description": Prop(str, default="Managed by Pulumi", force_new=True),
        "egress": Prop(list, computed=True, same=by(_rules)),
        "ingress": Prop(list, computed=True, same=by(_rules)),
        "name": Prop(str, computed=True, force_new=True),
        "namePrefix": Prop(str, computed=True, force_new=True),
        "revokeRulesOnDelete": Prop(bool, default=False, unread=True),
        "vpcId": Prop(str, computed=True, force_new=True),
    }
    computed = ("arn", "ownerId")

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateSecurityGroup."""
        answer = aws.client("ec2").create_security_group(
            GroupName=by_prefix(new),
            Description=new["description"],
            **_tags_at_birth("security-group", new),
            **given(VpcId=new.get("vpcId")),
        )
        return answer["GroupId"]

    def finish(self, aws: Aws, resource_id: str, new: Properties) -> None:
        """As the real plugin: AWS's own rule "everything may leave" goes, then the inline rules come."""
        client = aws.client("ec2")
        leaving = _group(client, resource_id)["IpPermissionsEgress"]
        if leaving:
            client.revoke_security_group_egress(GroupId=resource_id, IpPermissions=leaving)
        for direction in ("ingress", "egress"):
            _authorize(client, resource_id, direction, new.get(direction))

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeSecurityGroups."""
        found = _group(aws.client("ec2"), resource_id)
        live: Properties = {
            "arn": aws.arn("ec2", f"security-group/{resource_id}"),
            "name": found["GroupName"],
            "description": found["Description"],
            "ownerId": found.get("OwnerId", aws.account),
            "vpcId": found.get("VpcId"),
            "tagsAll": tag_map(found.get("Tags")),
            "region": aws.region,
        }
        for direction, key in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")):
            blocks = [_block(resource_id, item) for item in found.get(key, [])]
            stated = state.get(direction)
            # AWS may join several rules of one port into one answer: the state's own spelling stays then.
            same = stated is not None and _spread(stated) == _spread(blocks)
            live[direction] = stated if same else blocks
        return live

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Inline rules, tags."""
        client = aws.client("ec2")
        for direction in ("ingress", "egress"):
            if direction in changed:
                key = "IpPermissions" if direction == "ingress" else "IpPermissionsEgress"
                present = _group(client, resource_id)[key]
                if present:
                    revoke = getattr(client, f"revoke_security_group_{direction}")
                    revoke(GroupId=resource_id, IpPermissions=present)
                _authorize(client, resource_id, direction, new.get(direction))
        _retag(aws, resource_id, old, new, changed)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteSecurityGroup."""
        del old
        aws.client("ec2").delete_security_group(GroupId=resource_id)


def _group(client: Any, group: str) -> dict[str, Any]:
    return client.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]


def _authorize(client: Any, group: str, direction: str, blocks: Any) -> None:
    if blocks:
        permissions = [_permission(group, block) for block in blocks]
        getattr(client, f"authorize_security_group_{direction}")(GroupId=group, IpPermissions=permissions)


def _permission(group: str, block: Mapping[str, Any]) -> dict[str, Any]:
    """An inline rule as EC2 wants it; protocol -1 has no ports."""
    note = given(Description=block.get("description") or None)
    groups = [*(block.get("securityGroups") or []), *([group] if block.get("self") else [])]
    ports = {} if block["protocol"] == "-1" else {"FromPort": block["fromPort"], "ToPort": block["toPort"]}
    return given(
        IpProtocol=block["protocol"],
        **ports,
        IpRanges=[{"CidrIp": item, **note} for item in block.get("cidrBlocks") or []] or None,
        Ipv6Ranges=[{"CidrIpv6": item, **note} for item in block.get("ipv6CidrBlocks") or []] or None,
        PrefixListIds=[{"PrefixListId": item, **note} for item in block.get("prefixListIds") or []] or None,
        UserIdGroupPairs=[{"GroupId": item, **note} for item in groups] or None,
    )


def _block(group: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of `_permission`."""
    pairs = [item["GroupId"] for item in found.get("UserIdGroupPairs", [])]
    sources = [*found.get("IpRanges", []), *found.get("Ipv6Ranges", []), *found.get("UserIdGroupPairs", [])]
    return given(
        protocol=found["IpProtocol"],
        fromPort=found.get("FromPort", 0),
        toPort=found.get("ToPort", 0),
        cidrBlocks=[item["CidrIp"] for item in found.get("IpRanges", [])],
        ipv6CidrBlocks=[item["CidrIpv6"] for item in found.get("Ipv6Ranges", [])],
        prefixListIds=[item["PrefixListId"] for item in found.get("PrefixListIds", [])],
        securityGroups=[item for item in pairs if item != group],
        self=group in pairs,
        description=next((item["Description"] for item in sources if item.get("Description")), ""),
    )


def _spread(blocks: Any) -> list[tuple[Any, ...]]:
    """Inline rules as one entry for each port range and source."""
    return sorted(
        (
            block["protocol"],
            0 if block["protocol"] == "-1" else block["fromPort"],
            0 if block["protocol"] == "-1" else block["toPort"],
            source,
        )
        for block in blocks
        for source in [
            *(item for key in _LISTS for item in block.get(key) or []),
            *(["self"] if block.get("self") else []),
        ]
    )


class _SecurityGroupRule(AwsResource):
    """One rule of a security group as a resource of its own; its sources exclude each other."""

    tagged = True
    inputs: ClassVar[Inputs] = {
        "cidrIpv4": Prop(str),
        "cidrIpv6": Prop(str),
        "description": Prop(str),
        "fromPort": Prop(int),
        "ipProtocol": Prop(str, required=True),
        "prefixListId": Prop(str),
        "referencedSecurityGroupId": Prop(str),
        "securityGroupId": Prop(str, required=True, force_new=True),
        "toPort": Prop(int),
    }
    computed = ("arn", "securityGroupRuleId")
    direction = ""

    def label(self, inputs: Mapping[str, Any], resource_id: str) -> str:
        """The rule's id; before it has one, its group."""
        return resource_id or str(inputs.get("securityGroupId", ""))

    def create(self, aws: Aws, new: Properties) -> str:
        """AuthorizeSecurityGroupIngress or -Egress."""
        client = aws.client("ec2")
        group = new["securityGroupId"]
        block = {
            "protocol": new["ipProtocol"],
            "fromPort": new.get("fromPort", -1),
            "toPort": new.get("toPort", -1),
            "description": new.get("description"),
            "cidrBlocks": [new["cidrIpv4"]] if new.get("cidrIpv4") else [],
            "ipv6CidrBlocks": [new["cidrIpv6"]] if new.get("cidrIpv6") else [],
            "prefixListIds": [new["prefixListId"]] if new.get("prefixListId") else [],
            "securityGroups": [new["referencedSecurityGroupId"]] if new.get("referencedSecurityGroupId") else [],
        }
        answer = getattr(client, f"authorize_security_group_{self.direction}")(
            GroupId=group, IpPermissions=[_permission(group, block)], **_tags_at_birth("security-group-rule", new)
        )
        return answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeSecurityGroupRules."""
        del state
        rules = aws.client("ec2").describe_security_group_rules(SecurityGroupRuleIds=[resource_id])[
            "SecurityGroupRules"
        ]
        if not rules:
            return None
        found = rules[0]
        everything = found["IpProtocol"] == "-1"
        return {
            "arn": aws.arn("ec2", f"security-group-rule/{resource_id}"),
            "securityGroupRuleId": resource_id,
            "securityGroupId": found["GroupId"],
            "ipProtocol": found["IpProtocol"],
            "fromPort": None if everything else found.get("FromPort"),
            "toPort": None if everything else found.get("ToPort"),
            "cidrIpv4": found.get("CidrIpv4"),
            "cidrIpv6": found.get("CidrIpv6"),
            "prefixListId": found.get("PrefixListId"),
            "referencedSecurityGroupId": found.get("ReferencedGroupInfo", {}).get("GroupId"),
            "description": found.get("Description", ""),
            "tagsAll": tag_map(found.get("Tags")),
            "region": aws.region,
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """ModifySecurityGroupRules, tags."""
        if {*changed} - {"tags", "tagsAll"}:
            rule = given(
                IpProtocol=new["ipProtocol"],
                FromPort=new.get("fromPort", -1),
                ToPort=new.get("toPort", -1),
                CidrIpv4=new.get("cidrIpv4"),
                CidrIpv6=new.get("cidrIpv6"),
                PrefixListId=new.get("prefixListId"),
                ReferencedGroupId=new.get("referencedSecurityGroupId"),
                Description=new.get("description"),
            )
            aws.client("ec2").modify_security_group_rules(
                GroupId=new["securityGroupId"],
                SecurityGroupRules=[{"SecurityGroupRuleId": resource_id, "SecurityGroupRule": rule}],
            )
        _retag(aws, resource_id, old, new, changed)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """RevokeSecurityGroupIngress or -Egress."""
        client = aws.client("ec2")
        getattr(client, f"revoke_security_group_{self.direction}")(
            GroupId=old["securityGroupId"], SecurityGroupRuleIds=[resource_id]
        )


class SecurityGroupIngressRule(_SecurityGroupRule):
    """Who may come in."""

    type_name = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    title = "VPC Security Group Ingress Rule"
    direction = "ingress"


class SecurityGroupEgressRule(_SecurityGroupRule):
    """What may go out."""

    type_name = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
    title = "VPC Security Group Egress Rule"
    direction = "egress"


RESOURCES = (Vpc(), Subnet(), SecurityGroup(), SecurityGroupIngressRule(), SecurityGroupEgressRule())
