"""Amazon EC2: security groups and their rules.

Source: terraform-provider-aws 6.x, internal/service/ec2/vpc_security_group.go, vpc_security_group_ingress_rule.go and
vpc_security_group_egress_rule.go.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

from sandbox.providers._resource import Autoname, Inputs, Prop, between, given, matches
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, retag, tag_list, tag_map
from sandbox.providers.aws._session import Aws

_SOURCES = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")


def _retag(aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
    client = aws.client("ec2")
    retag(
        old,
        new,
        changed,
        put=lambda added: client.create_tags(Resources=[resource_id], Tags=tag_list(added)),
        drop=lambda removed: client.delete_tags(Resources=[resource_id], Tags=[{"Key": key} for key in removed]),
    )


class SecurityGroup(AwsResource):
    """A security group without rules: they are resources of their own. EC2's rule that lets everything out is taken away."""

    type_name = "aws:ec2/securityGroup:SecurityGroup"
    title = "Security Group"
    tagged = True
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "description": Prop(str, force_new=True, default="Managed by Pulumi", check=matches(r".*", 0, 255)),
        "name": Prop(str, computed=True, force_new=True, check=matches(r"(?!sg-).*", 0, 255)),
        "revokeRulesOnDelete": Prop(bool, default=False, unread=True),
        "vpcId": Prop(str, computed=True, force_new=True),
    }
    computed = ("arn", "ownerId")

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateSecurityGroup, then RevokeSecurityGroupEgress."""
        client, tags = aws.client("ec2"), tag_list(new["tagsAll"])
        specification = [{"ResourceType": "security-group", "Tags": tags}] if tags else None
        group: str = client.create_security_group(
            GroupName=new["name"],
            Description=new["description"],
            **given(VpcId=new.get("vpcId"), TagSpecifications=specification),
        )["GroupId"]
        everywhere = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        client.revoke_security_group_egress(GroupId=group, IpPermissions=[everywhere])
        return group

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeSecurityGroups."""
        del state
        found = aws.client("ec2").describe_security_groups(GroupIds=[resource_id])["SecurityGroups"][0]
        return {
            "arn": aws.arn("ec2", f"security-group/{resource_id}"),
            "description": found["Description"],
            "name": found["GroupName"],
            "ownerId": found["OwnerId"],
            "vpcId": found["VpcId"],
            "tagsAll": tag_map(found.get("Tags")),
            "region": aws.region,
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Only tags."""
        _retag(aws, resource_id, old, new, changed)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteSecurityGroup."""
        del old
        aws.client("ec2").delete_security_group(GroupId=resource_id)


class _Rule(AwsResource):
    """A rule of a security group: one protocol, one range of ports, one source or destination."""

    tagged = True
    direction: ClassVar[str]
    inputs: ClassVar[Inputs] = {
        "cidrIpv4": Prop(str),
        "cidrIpv6": Prop(str),
        "description": Prop(str),
        "fromPort": Prop(int, check=between(-1, 65535)),
        "ipProtocol": Prop(str, required=True),
        "prefixListId": Prop(str),
        "referencedSecurityGroupId": Prop(str),
        "securityGroupId": Prop(str, required=True, force_new=True),
        "toPort": Prop(int, check=between(-1, 65535)),
    }
    computed = ("arn", "securityGroupRuleId")

    def label(self, inputs: Mapping[str, Any], resource_id: str) -> str:
        """The rule, or the group that it is for."""
        return resource_id or str(inputs.get("securityGroupId", ""))

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        """Exactly one source or destination."""
        if sum(key in new for key in _SOURCES) != 1:
            yield "cidrIpv4", f"exactly one of {', '.join(_SOURCES)} must be given"

    def create(self, aws: Aws, new: Properties) -> str:
        """AuthorizeSecurityGroupIngress or AuthorizeSecurityGroupEgress, then CreateTags."""
        client, note = aws.client("ec2"), given(Description=new.get("description"))
        lists = {
            "cidrIpv4": ("IpRanges", "CidrIp"),
            "cidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
            "prefixListId": ("PrefixListIds", "PrefixListId"),
            "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
        }
        key = next(key for key in _SOURCES if new.get(key))
        permission = given(
            IpProtocol=new["ipProtocol"],
            FromPort=new.get("fromPort"),
            ToPort=new.get("toPort"),
            **{lists[key][0]: [{lists[key][1]: new[key], **note}]},
        )
        authorize = getattr(client, f"authorize_security_group_{self.direction}")
        answer = authorize(GroupId=new["securityGroupId"], IpPermissions=[permission])
        rule: str = answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        if tags := tag_list(new["tagsAll"]):
            client.create_tags(Resources=[rule], Tags=tags)
        return rule

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeSecurityGroupRules."""
        del state
        rules = aws.client("ec2").describe_security_group_rules(SecurityGroupRuleIds=[resource_id])[
            "SecurityGroupRules"
        ]
        found = next((rule for rule in rules if rule["SecurityGroupRuleId"] == resource_id), None)
        if found is None or found["IsEgress"] != (self.direction == "egress"):
            return None
        return {
            "arn": aws.arn("ec2", f"security-group-rule/{resource_id}"),
            "securityGroupRuleId": resource_id,
            "securityGroupId": found["GroupId"],
            "ipProtocol": found["IpProtocol"],
            "fromPort": found.get("FromPort"),
            "toPort": found.get("ToPort"),
            "cidrIpv4": found.get("CidrIpv4"),
            "cidrIpv6": found.get("CidrIpv6"),
            "prefixListId": found.get("PrefixListId"),
            "referencedSecurityGroupId": (found.get("ReferencedGroupInfo") or {}).get("GroupId"),
            "description": found.get("Description") or None,
            "tagsAll": tag_map(found.get("Tags")),
            "region": aws.region,
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """ModifySecurityGroupRules with all of the rule, and tags. EC2 refuses another kind of source."""
        if {*changed} - {"tags", "tagsAll"}:
            rule = given(
                IpProtocol=new["ipProtocol"],
                FromPort=new.get("fromPort"),
                ToPort=new.get("toPort"),
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
        """RevokeSecurityGroupIngress or RevokeSecurityGroupEgress."""
        revoke = getattr(aws.client("ec2"), f"revoke_security_group_{self.direction}")
        revoke(GroupId=old["securityGroupId"], SecurityGroupRuleIds=[resource_id])


class IngressRule(_Rule):
    """What may come in."""

    type_name, title, direction = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "Ingress Rule", "ingress"


class EgressRule(_Rule):
    """What may go out."""

    type_name, title, direction = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "Egress Rule", "egress"


RESOURCES = (SecurityGroup(), IngressRule(), EgressRule())
