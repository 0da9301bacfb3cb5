"""What RDS and ElastiCache have in common: subnet groups, and tags by ARN.

Source: terraform-provider-aws 6.x (2026), internal/service/rds/subnet_group.go and internal/service/elasticache/subnet_group.go.
"""

from collections.abc import Callable, Collection
from typing import Any, ClassVar

from sandbox.providers._diff import same_set
from sandbox.providers._resource import Autoname, Inputs, Prop, given, matches
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, Tagging, tag_list, tag_map, tagging
from sandbox.providers.aws._session import Aws


def store_tagging(service: str) -> Tagging:
    """AddTagsToResource, RemoveTagsFromResource."""
    return tagging(service, "ResourceName", put="add_tags_to_resource", drop="remove_tags_from_resource")


class SubnetGroup(AwsResource):
    """The subnets in which the nodes of a database or a cache may be."""

    service: ClassVar[str]
    kind: ClassVar[str]
    """How the service's calls and fields begin: `DB` or `Cache`."""
    autoname = Autoname(lower=True)

    def create(self, aws: Aws, new: Properties) -> str:
        self._call(aws, "create", new["name"], self._given(new), **given(Tags=tag_list(new["tagsAll"]) or None))
        return new["name"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        client = aws.client(self.service)
        found = self._call(aws, "describe", resource_id)[f"{self.kind}SubnetGroups"][0]
        arn = found.get("DBSubnetGroupArn") or found["ARN"]
        return {
            "arn": arn,
            "description": found[f"{self.kind}SubnetGroupDescription"],
            "name": found[f"{self.kind}SubnetGroupName"],
            "subnetIds": [subnet["SubnetIdentifier"] for subnet in found["Subnets"]],
            **({"vpcId": found.get("VpcId")} if "vpcId" in self.computed else {}),
            "tagsAll": tag_map(client.list_tags_for_resource(ResourceName=arn)["TagList"]),
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        self._call(aws, "modify", resource_id, self._given(new))

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        self._call(aws, "delete", resource_id)

    def _given(self, new: Properties) -> dict[str, Any]:
        return {f"{self.kind}SubnetGroupDescription": new["description"], "SubnetIds": new["subnetIds"]}

    def _call(self, aws: Aws, verb: str, name: str, sent: dict[str, Any] | None = None, **tags: Any) -> Any:
        call: Callable[..., Any] = getattr(
            aws.client(self.service), f"{verb}_{self.kind.lower()}_subnet_group{'s' if verb == 'describe' else ''}"
        )
        return call(**{f"{self.kind}SubnetGroupName": name}, **(sent or {}), **tags)


def subnet_group_inputs(name: str) -> Inputs:
    """Return the inputs of a subnet group with a name of that form."""
    return {
        "description": Prop(str, default="Managed by Pulumi"),
        "name": Prop(str, computed=True, force_new=True, check=matches(name, 1, 255)),
        "subnetIds": Prop(list, required=True, same=same_set),
    }
