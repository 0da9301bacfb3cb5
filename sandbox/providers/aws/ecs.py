"""Amazon Elastic Container Service.

Source: terraform-provider-aws 6.x (2026), internal/service/ecs/task_definition.go, container_definitions.go, cluster.go and
service.go.
"""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Final

from sandbox.providers._diff import by, same_set
from sandbox.providers._resource import Autoname, Inputs, Prop, ProviderError, each, fields, given, matches, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws import _containers, _session
from sandbox.providers.aws._base import AwsResource, is_arn, last_part, lower_tags, tag_map, tagging
from sandbox.providers.aws._session import Aws

_TAGS: Final = tagging("ecs", "resourceArn", lower_tags)
_PLATFORM: Final = fields(
    cpuArchitecture=one_of("X86_64", "ARM64"),
    operatingSystemFamily=one_of(
        "LINUX",
        *(f"WINDOWS_SERVER_{kind}" for kind in ("2004_CORE", "2016_FULL", "2019_CORE", "2019_FULL", "2022_CORE")),
        *(f"WINDOWS_SERVER_{kind}" for kind in ("2022_FULL", "2025_CORE", "2025_FULL", "20H2_CORE")),
    ),
)
_MODES: Final = ("bridge", "host", "awsvpc", "none")
_COMPATIBILITIES: Final = ("EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES")
_BAD_REQUEST: Final = 400


class TaskDefinition(AwsResource):
    """A task definition's revision; a changed one is a new revision, and the old one is deregistered."""

    type_name = "aws:ecs/taskDefinition:TaskDefinition"
    title = "ECS Task Definition"
    tagged = _TAGS
    named_by = "family"
    inputs: ClassVar[Inputs] = {
        "containerDefinitions": Prop(
            str, required=True, force_new=True, same=_containers.same_containers, check=_containers.check
        ),
        "cpu": Prop(str, aws="cpu", force_new=True),
        "executionRoleArn": Prop(str, aws="executionRoleArn", force_new=True, check=is_arn),
        "family": Prop(str, aws="family", required=True, force_new=True, check=matches(r"[0-9A-Za-z_-]+", 1, 255)),
        "memory": Prop(str, aws="memory", force_new=True),
        "networkMode": Prop(str, aws="networkMode", computed=True, force_new=True, check=one_of(*_MODES)),
        "requiresCompatibilities": Prop(
            list,
            aws="requiresCompatibilities",
            force_new=True,
            same=same_set,
            check=each(one_of(*_COMPATIBILITIES)),
        ),
        "runtimePlatform": Prop(dict, aws="runtimePlatform", force_new=True, check=_PLATFORM),
        "skipDestroy": Prop(bool, default=False, unread=True),
        "taskRoleArn": Prop(str, aws="taskRoleArn", force_new=True, check=is_arn),
        "trackLatest": Prop(bool, default=False, unread=True, check=one_of(False)),
        "volumes": Prop(list, aws="volumes", force_new=True, same=same_set, check=fields("name", only=("name",))),
    }
    computed = ("arn", "arnWithoutRevision", "revision")

    def create(self, aws: Aws, new: Properties) -> str:
        """RegisterTaskDefinition; AWS wants no empty list of tags."""
        aws.client("ecs").register_task_definition(
            containerDefinitions=_containers.expanded(new["containerDefinitions"]),
            **self.sent({key: value or None for key, value in new.items()}),
            **given(tags=lower_tags(new["tagsAll"]) or None),
        )
        return new["family"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeTaskDefinition of the state's revision.

        An import's id is the full ARN, of which family and revision count. Every error that is the request's fault (400)
        means that there is none.
        """
        client = aws.client("ecs")
        reference = (state.get("arn") or resource_id) if state else _imported_revision(aws, resource_id)
        try:
            answer = client.describe_task_definition(taskDefinition=reference, include=["TAGS"])
        except client.exceptions.ClientError as error:
            if _session.status(error) != _BAD_REQUEST:
                raise
            return None
        found = answer["taskDefinition"]
        if found["status"] != "ACTIVE":
            return None
        arn = found["taskDefinitionArn"]
        return {
            **self.told(found),
            "id": found["family"],
            "arn": arn,
            "arnWithoutRevision": arn.rsplit(":", 1)[0],
            "revision": found["revision"],
            "containerDefinitions": json.dumps(_containers.normal(json.dumps(found["containerDefinitions"]))),
            "requiresCompatibilities": found.get("requiresCompatibilities", []),
            "volumes": [{"name": item["name"]} for item in found.get("volumes", [])],
            "tagsAll": tag_map(answer.get("tags"), "key", "value"),
        }

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeregisterTaskDefinition, unless the state's `skipDestroy` is true."""
        if not old.get("skipDestroy"):
            aws.client("ecs").deregister_task_definition(taskDefinition=old["arn"])


def _imported_revision(aws: Aws, resource_id: str) -> str:
    """The ARN of the revision that an import's id names, in this account and Region."""
    found = re.fullmatch(r"arn:[\w-]+:ecs:[\w-]*:\d*:task-definition/([\w-]+):(\d+)", resource_id)
    if found is None:
        raise ProviderError(
            "expected ID in format of arn:PARTITION:ecs:REGION:ACCOUNTID:task-definition/FAMILY:REVISION and "
            f"provided: {resource_id}"
        )
    return aws.arn("ecs", f"task-definition/{found[1]}:{found[2]}")


class Cluster(AwsResource):
    """A cluster."""

    type_name = "aws:ecs/cluster:Cluster"
    title = "ECS Cluster"
    tagged = _TAGS
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "name": Prop(str, force_new=True, check=matches(r"[0-9A-Za-z_-]+", 1, 255)),
        "settings": Prop(
            list, computed=True, same=same_set, check=fields("name", "value", name=one_of("containerInsights"))
        ),
    }
    computed = ("arn",)
    forgives_gone = False

    def create(self, aws: Aws, new: Properties) -> str:
        tags = lower_tags(new["tagsAll"]) or None
        answer = aws.client("ecs").create_cluster(
            clusterName=new["name"], **given(settings=new.get("settings") or None, tags=tags)
        )
        return answer["cluster"]["clusterArn"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeClusters; an import's id is the name."""
        if not state and resource_id.startswith("arn:"):
            return None
        reference = resource_id if state else aws.arn("ecs", f"cluster/{resource_id}")
        answer = aws.client("ecs").describe_clusters(
            clusters=[reference], include=["TAGS", "SETTINGS", "CONFIGURATIONS"]
        )
        found = next((one for one in answer["clusters"] if one["status"] != "INACTIVE"), None)
        return found and {
            "id": found["clusterArn"],
            "arn": found["clusterArn"],
            "name": found["clusterName"],
            "settings": found.get("settings", []),
            "tagsAll": tag_map(found.get("tags"), "key", "value"),
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        aws.client("ecs").update_cluster(cluster=resource_id, settings=new["settings"])

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        aws.client("ecs").delete_cluster(cluster=resource_id)


def _network(block: Any) -> dict[str, Any]:
    block = block or {}
    return {
        "subnets": sorted(block.get("subnets") or []),
        "securityGroups": sorted(block.get("securityGroups") or []),
        "assignPublicIp": bool(block.get("assignPublicIp")),
    }


_PERCENTS: Final = {
    "deploymentMaximumPercent": "maximumPercent",
    "deploymentMinimumHealthyPercent": "minimumHealthyPercent",
}


class Service(AwsResource):
    """A service. Moto runs no tasks, so waiting for a steady state ends at once."""

    type_name = "aws:ecs/service:Service"
    title = "ECS Service"
    tagged = _TAGS
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        # Kept in the form that the program gives; the other one is another cluster to the official plugin.
        "cluster": Prop(str, computed=True, force_new=True),
        "deploymentCircuitBreaker": Prop(dict, computed=True, check=fields("enable", "rollback")),
        "deploymentMaximumPercent": Prop(int, default=200),
        "deploymentMinimumHealthyPercent": Prop(int, default=100),
        "desiredCount": Prop(int, aws="desiredCount", default=0),
        "enableEcsManagedTags": Prop(bool, aws="enableECSManagedTags", default=False),
        "enableExecuteCommand": Prop(bool, aws="enableExecuteCommand", default=False),
        "launchType": Prop(str, computed=True, force_new=True, check=one_of("EC2", "FARGATE", "EXTERNAL")),
        "name": Prop(str, force_new=True),
        "networkConfiguration": Prop(dict, same=by(_network), check=fields("subnets")),
        "platformVersion": Prop(str, aws="platformVersion", computed=True),
        "schedulingStrategy": Prop(str, default="REPLICA", force_new=True, check=one_of("REPLICA")),
        "taskDefinition": Prop(str, aws="taskDefinition"),
        "waitForSteadyState": Prop(bool, default=False, unread=True),
    }
    computed = ("arn",)

    def create(self, aws: Aws, new: Properties) -> str:
        answer = aws.client("ecs").create_service(
            serviceName=new["name"],
            schedulingStrategy=new["schedulingStrategy"],
            **self._parameters(new, self.inputs),
            **given(
                cluster=new.get("cluster"),
                launchType=new.get("launchType"),
                tags=lower_tags(new["tagsAll"]) or None,
            ),
        )
        return answer["service"]["serviceArn"]

    def _parameters(self, new: Properties, names: Collection[str]) -> dict[str, Any]:
        """These properties as CreateService and UpdateService take them."""
        # Both percents go together.
        percents = {theirs: new[ours] for ours, theirs in _PERCENTS.items()} if {*_PERCENTS} & {*names} else {}
        breaker = new.get("deploymentCircuitBreaker") if "deploymentCircuitBreaker" in names else None
        network = new.get("networkConfiguration") if "networkConfiguration" in names else None
        awsvpc = network and given(
            subnets=network["subnets"],
            securityGroups=network.get("securityGroups") or [],
            assignPublicIp="ENABLED" if network.get("assignPublicIp") else "DISABLED",
        )
        return self.sent(new, names) | given(
            networkConfiguration={"awsvpcConfiguration": awsvpc} if awsvpc else None,
            deploymentConfiguration=given(**percents, deploymentCircuitBreaker=breaker) or None,
        )

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeServices; an import's id is CLUSTER/SERVICE. A service that is not active is gone.

        Cluster and task definition keep the form in which the program gave them: ARNs or names.
        """
        if not state and resource_id.count("/") != 1:
            raise ProviderError(f"wrong format of resource: {resource_id}, expecting 'cluster-name/service-name'")
        found = _service(aws, state.get("cluster") or resource_id.split("/")[-2], last_part(resource_id))
        if found is None or found["status"] != "ACTIVE":
            return None
        network = (found.get("networkConfiguration") or {}).get("awsvpcConfiguration")
        definition, cluster = found.get("taskDefinition"), found["clusterArn"]
        if definition and not str(state.get("taskDefinition")).startswith("arn:"):
            definition = last_part(definition)
        if state and not str(state.get("cluster")).startswith("arn:"):
            cluster = last_part(cluster)
        return {
            "id": found["serviceArn"],
            "arn": found["serviceArn"],
            "name": found["serviceName"],
            "cluster": cluster,
            "taskDefinition": definition,
            "desiredCount": found["desiredCount"],
            "launchType": found.get("launchType"),
            "schedulingStrategy": found.get("schedulingStrategy", "REPLICA"),
            "platformVersion": found.get("platformVersion"),
            "networkConfiguration": network
            and {**network, "assignPublicIp": network.get("assignPublicIp") == "ENABLED"},
            "tagsAll": tag_map(found.get("tags"), "key", "value"),
            **_deployment_state(found),
            **_told(found, "enableECSManagedTags", "enableEcsManagedTags"),
            **_told(found, "enableExecuteCommand"),
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """UpdateService with what changed and nothing else, so that a scaled `desiredCount` stays."""
        aws.client("ecs").update_service(
            cluster=old.get("cluster"),
            service=resource_id,
            forceNewDeployment=False,
            **self._parameters(new, changed),
        )

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """To no tasks, then DeleteService; one that is gone is left alone."""
        cluster = old.get("cluster") or resource_id.split("/")[-2]
        found = _service(aws, cluster, last_part(resource_id))
        if found is None or found["status"] == "INACTIVE":
            return
        client, where = aws.client("ecs"), {"cluster": cluster, "service": resource_id}
        if found["status"] != "DRAINING":
            client.update_service(**where, desiredCount=0)
        client.delete_service(**where, force=False)


def _service(aws: Aws, cluster: str, name: str) -> Mapping[str, Any] | None:
    answer = aws.client("ecs").describe_services(cluster=cluster, services=[name], include=["TAGS"])
    return next(iter(answer["services"]), None)


def _told(found: Mapping[str, Any], name: str, as_name: str = "") -> dict[str, Any]:
    """A property that moto leaves out of its answers stays as the state has it."""
    return {as_name or name: found[name]} if name in found else {}


def _deployment_state(found: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of `deploymentConfiguration` that Pulumi has as properties of their own; moto may not tell it."""
    if not found.get("deploymentConfiguration"):
        return {}
    deployment = found["deploymentConfiguration"]
    return {
        "deploymentMaximumPercent": deployment.get("maximumPercent", 200),
        "deploymentMinimumHealthyPercent": deployment.get("minimumHealthyPercent", 100),
        **_told(deployment, "deploymentCircuitBreaker"),
    }


RESOURCES = (TaskDefinition(), Cluster(), Service())
