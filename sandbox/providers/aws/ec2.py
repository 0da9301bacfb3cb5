"""Amazon EC2: security groups and their rules.

Source: terraform-provider-aws 6.x, internal/service/ec2/vpc_security_group.go and
vpc_security_group_ingress_rule.go.
"""

from collections.abc import Collection, Iterable
from typing import ClassVar

from sandbox.providers._resource import Autoname, Inputs, Prop, between, given, matches
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, Tagging, tag_list, tag_map
from sandbox.providers.aws._session import Aws

_TAGS = Tagging(
    "ec2",
    lambda client, resource, tags: client.create_tags(Resources=[resource], Tags=tag_list(tags)),
    lambda client, resource, keys: client.delete_tags(Resources=[resource], Tags=[{"Key": key} for key in keys]),
    named="",
)


class SecurityGroup(AwsResource):
    """A security group without rules: they are resources of their own. EC2's rule that lets everything out is taken away."""

    type_name = "aws:ec2/securityGroup:SecurityGroup"
    title = "Security Group"
    tagged = _TAGS
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "description": Prop(
            str, aws="Description", force_new=True, default="Managed by Pulumi", check=matches(r".*", 0, 255)
        ),
        "name": Prop(str, aws="GroupName", computed=True, force_new=True, check=matches(r"(?!sg-).*", 0, 255)),
        "revokeRulesOnDelete": Prop(bool, default=False, unread=True),
        "vpcId": Prop(str, aws="VpcId", computed=True, force_new=True),
    }
    computed = ("arn", "ownerId")

    def create(self, aws: Aws, new: Properties) -> str:
        client, tags = aws.client("ec2"), tag_list(new["tagsAll"])
        specification = [{"ResourceType": "security-group", "Tags": tags}] if tags else None
        group: str = client.create_security_group(**self.sent(new), **given(TagSpecifications=specification))["GroupId"]
        everywhere = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        client.revoke_security_group_egress(GroupId=group, IpPermissions=[everywhere])
        return group

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        found = aws.client("ec2").describe_security_groups(GroupIds=[resource_id])["SecurityGroups"][0]
        return {
            **self.told(found),
            "arn": aws.arn("ec2", f"security-group/{resource_id}"),
            "ownerId": found["OwnerId"],
            "tagsAll": tag_map(found.get("Tags")),
        }

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        aws.client("ec2").delete_security_group(GroupId=resource_id)


class IngressRule(AwsResource):
    """A rule of a security group: one protocol, one range of ports, one source."""

    type_name = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    title = "Ingress Rule"
    tagged = _TAGS
    named_by = "securityGroupId"
    inputs: ClassVar[Inputs] = {
        "cidrIpv4": Prop(str, aws="CidrIpv4"),
        "description": Prop(str, aws="Description"),
        "fromPort": Prop(int, aws="FromPort", check=between(-1, 65535)),
        "ipProtocol": Prop(str, aws="IpProtocol", required=True),
        "referencedSecurityGroupId": Prop(str, aws="ReferencedGroupId"),
        "securityGroupId": Prop(str, required=True, force_new=True),
        "toPort": Prop(int, aws="ToPort", check=between(-1, 65535)),
    }
    computed = ("arn", "securityGroupRuleId")

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        if ("cidrIpv4" in new) == ("referencedSecurityGroupId" in new):
            yield "cidrIpv4", "exactly one of cidrIpv4, referencedSecurityGroupId must be given"

    def create(self, aws: Aws, new: Properties) -> str:
        client, note = aws.client("ec2"), given(Description=new.get("description"))
        if new.get("cidrIpv4"):
            end = {"IpRanges": [{"CidrIp": new["cidrIpv4"], **note}]}
        else:
            end = {"UserIdGroupPairs": [{"GroupId": new["referencedSecurityGroupId"], **note}]}
        permission = self.sent(new, ("ipProtocol", "fromPort", "toPort")) | end
        answer = client.authorize_security_group_ingress(GroupId=new["securityGroupId"], IpPermissions=[permission])
        rule: str = answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        if tags := tag_list(new["tagsAll"]):
            client.create_tags(Resources=[rule], Tags=tags)
        return rule

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        answer = aws.client("ec2").describe_security_group_rules(SecurityGroupRuleIds=[resource_id])
        found = next(
            (rule for rule in answer["SecurityGroupRules"] if rule["SecurityGroupRuleId"] == resource_id), None
        )
        if found is None or found["IsEgress"]:
            return None
        return {
            **self.told(found),
            "arn": aws.arn("ec2", f"security-group-rule/{resource_id}"),
            "securityGroupRuleId": resource_id,
            "securityGroupId": found["GroupId"],
            "referencedSecurityGroupId": (found.get("ReferencedGroupInfo") or {}).get("GroupId"),
            "tagsAll": tag_map(found.get("Tags")),
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """ModifySecurityGroupRules with all of the rule. EC2 refuses another kind of source."""
        aws.client("ec2").modify_security_group_rules(
            GroupId=new["securityGroupId"],
            SecurityGroupRules=[{"SecurityGroupRuleId": resource_id, "SecurityGroupRule": self.sent(new)}],
        )

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        aws.client("ec2").revoke_security_group_ingress(
            GroupId=old["securityGroupId"], SecurityGroupRuleIds=[resource_id]
        )


RESOURCES = (SecurityGroup(), IngressRule())
