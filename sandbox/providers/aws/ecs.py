"""Amazon Elastic Container Service.

Source: terraform-provider-aws 6.x (2026), internal/service/ecs/task_definition.go, container_definitions.go, cluster.go and
service.go.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

from sandbox.providers._diff import by, same_set
from sandbox.providers._resource import Autoname, Inputs, Prop, ProviderError, between, given, matches, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws import _containers
from sandbox.providers.aws._base import AwsResource, is_arn, last_part, retag_resource, tag_list, tag_map
from sandbox.providers.aws._session import Aws


def _retag(aws: Aws, arn: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
    client = aws.client("ecs")
    retag_resource(client, old, new, changed, form=lambda tags: tag_list(tags, "key", "value"), resourceArn=arn)


def _storage(block: Any) -> str | None:
    return between(21, 200)(block.get("sizeInGib") or 0)


class TaskDefinition(AwsResource):
    """A task definition's revision; a changed one is a new revision, and the old one is deregistered."""

    type_name = "aws:ecs/taskDefinition:TaskDefinition"
    title = "ECS Task Definition"
    tagged = True
    inputs: ClassVar[Inputs] = {
        "containerDefinitions": Prop(
            str, required=True, force_new=True, same=_containers.same_containers, check=_containers.check
        ),
        "cpu": Prop(str, force_new=True),
        "enableFaultInjection": Prop(bool, computed=True, force_new=True),
        "ephemeralStorage": Prop(dict, force_new=True, check=_storage),
        "executionRoleArn": Prop(str, force_new=True, check=is_arn),
        "family": Prop(str, required=True, force_new=True, check=matches(r"[0-9A-Za-z_-]+", 1, 255)),
        "memory": Prop(str, force_new=True),
        "networkMode": Prop(str, computed=True, force_new=True, check=one_of("bridge", "host", "awsvpc", "none")),
        "requiresCompatibilities": Prop(list, force_new=True, same=same_set),
        "runtimePlatform": Prop(dict, force_new=True),
        "skipDestroy": Prop(bool, default=False, unread=True),
        "taskRoleArn": Prop(str, force_new=True, check=is_arn),
        "trackLatest": Prop(bool, default=False, unread=True),
        "volumes": Prop(list, force_new=True, same=same_set),
    }
    computed = ("arn", "arnWithoutRevision", "revision")

    def label(self, inputs: Mapping[str, Any], resource_id: str) -> str:
        """The family."""
        return resource_id or str(inputs.get("family", ""))

    def create(self, aws: Aws, new: Properties) -> str:
        """RegisterTaskDefinition; AWS wants no empty list of tags."""
        definitions = [
            {key[:1].lower() + key[1:]: value for key, value in item.items() if value is not None}
            for item in json.loads(new["containerDefinitions"])
        ]
        storage = new.get("ephemeralStorage")
        aws.client("ecs").register_task_definition(
            family=new["family"],
            containerDefinitions=definitions,
            **given(
                tags=tag_list(new["tagsAll"], "key", "value") or None,
                ephemeralStorage=storage and {"sizeInGiB": storage["sizeInGib"]},
                volumes=[_volume(item) for item in new.get("volumes") or []] or None,
                **{
                    key: new.get(key) or None
                    for key in (
                        "cpu", "enableFaultInjection", "executionRoleArn", "memory", "networkMode",
                        "requiresCompatibilities", "runtimePlatform", "taskRoleArn",
                    )
                },
            ),
        )  # fmt: skip
        return new["family"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeTaskDefinition of the state's revision (`trackLatest`: of the family's newest).

        An import's id is the full ARN.
        """
        if not state and not re.fullmatch(r"arn:[\w-]+:ecs:[\w-]+:\d{12}:task-definition/[\w-]+:\d+", resource_id):
            raise ProviderError(
                "Expected ID in format of arn:PARTITION:ecs:REGION:ACCOUNTID:task-definition/FAMILY:REVISION and "
                f"provided: {resource_id}"
            )
        newest = state.get("trackLatest") or not state.get("arn")
        reference = resource_id if newest else state["arn"]
        answer = aws.client("ecs").describe_task_definition(taskDefinition=reference, include=["TAGS"])
        found = answer["taskDefinition"]
        if found["status"] != "ACTIVE":
            return None
        arn, storage = found["taskDefinitionArn"], found.get("ephemeralStorage")
        return {
            "id": found["family"],
            "arn": arn,
            "arnWithoutRevision": arn.rsplit(":", 1)[0],
            "revision": found["revision"],
            "family": found["family"],
            "containerDefinitions": json.dumps(_containers.normal(json.dumps(found["containerDefinitions"]))),
            "networkMode": found.get("networkMode"),
            "requiresCompatibilities": found.get("requiresCompatibilities", []),
            "volumes": [_volume_state(item) for item in found.get("volumes", [])],
            "ephemeralStorage": {"sizeInGib": storage["sizeInGiB"]} if storage else None,
            "tagsAll": tag_map(answer.get("tags"), "key", "value"),
            "region": aws.region,
            **{
                key: found.get(key)
                for key in (
                    "cpu", "enableFaultInjection", "executionRoleArn", "memory", "runtimePlatform", "taskRoleArn",
                )
            },
        }  # fmt: skip

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Only tags."""
        del resource_id
        _retag(aws, old["arn"], old, new, changed)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeregisterTaskDefinition, unless the state's `skipDestroy` is true."""
        del resource_id
        if not old.get("skipDestroy"):
            aws.client("ecs").deregister_task_definition(taskDefinition=old["arn"])


def _volume(block: Mapping[str, Any]) -> dict[str, Any]:
    """A volume as ECS wants it."""
    return given(
        name=block["name"],
        host={"sourcePath": block["hostPath"]} if block.get("hostPath") else None,
        efsVolumeConfiguration=block.get("efsVolumeConfiguration"),
    )


def _volume_state(found: Mapping[str, Any]) -> dict[str, Any]:
    """A volume as Pulumi has it."""
    return given(
        name=found["name"],
        hostPath=found.get("host", {}).get("sourcePath"),
        efsVolumeConfiguration=found.get("efsVolumeConfiguration"),
    )


class Cluster(AwsResource):
    """A cluster."""

    type_name = "aws:ecs/cluster:Cluster"
    title = "ECS Cluster"
    tagged = True
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "configuration": Prop(dict),
        "name": Prop(str, force_new=True, check=matches(r"[0-9A-Za-z_-]+", 1, 255)),
        "serviceConnectDefaults": Prop(dict),
        "settings": Prop(list, computed=True, same=same_set),
    }
    computed = ("arn",)

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateCluster."""
        answer = aws.client("ecs").create_cluster(
            clusterName=new["name"],
            **given(
                configuration=new.get("configuration"),
                serviceConnectDefaults=new.get("serviceConnectDefaults"),
                settings=new.get("settings"),
                tags=tag_list(new["tagsAll"], "key", "value") or None,
            ),
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
        for found in answer["clusters"]:
            if found["status"] != "INACTIVE":
                return {
                    "id": found["clusterArn"],
                    "arn": found["clusterArn"],
                    "name": found["clusterName"],
                    "configuration": found.get("configuration"),
                    "serviceConnectDefaults": found.get("serviceConnectDefaults"),
                    "settings": found.get("settings", []),
                    "tagsAll": tag_map(found.get("tags"), "key", "value"),
                    "region": aws.region,
                }
        return None

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """UpdateCluster, tags."""
        parts = {"configuration", "serviceConnectDefaults", "settings"} & {*changed}
        if parts:
            aws.client("ecs").update_cluster(cluster=resource_id, **given(**{key: new.get(key) for key in parts}))
        _retag(aws, resource_id, old, new, changed)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteCluster."""
        del old
        aws.client("ecs").delete_cluster(cluster=resource_id)


def _network(block: Any) -> dict[str, Any]:
    block = block or {}
    return {
        "subnets": sorted(block.get("subnets") or []),
        "securityGroups": sorted(block.get("securityGroups") or []),
        "assignPublicIp": bool(block.get("assignPublicIp")),
    }


_IN_PLACE = {
    "availabilityZoneRebalancing": "availabilityZoneRebalancing",
    "capacityProviderStrategies": "capacityProviderStrategy",
    "desiredCount": "desiredCount",
    "enableEcsManagedTags": "enableECSManagedTags",
    "enableExecuteCommand": "enableExecuteCommand",
    "healthCheckGracePeriodSeconds": "healthCheckGracePeriodSeconds",
    "loadBalancers": "loadBalancers",
    "networkConfiguration": "networkConfiguration",
    "platformVersion": "platformVersion",
    "propagateTags": "propagateTags",
    "taskDefinition": "taskDefinition",
}
"""What UpdateService takes: Pulumi's name, ECS's name."""

_DEPLOYMENT = ("alarms", "deploymentCircuitBreaker", "deploymentMaximumPercent", "deploymentMinimumHealthyPercent")
"""What travels in `deploymentConfiguration`."""

_STARTS_TASKS = frozenset({"loadBalancers", "networkConfiguration", "platformVersion", "taskDefinition"})
"""Changes that begin a deployment."""


class Service(AwsResource):
    """A service. Moto runs no tasks, so waiting for a steady state ends at once."""

    type_name = "aws:ecs/service:Service"
    title = "ECS Service"
    tagged = True
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "alarms": Prop(dict, computed=True, unread=True),
        "availabilityZoneRebalancing": Prop(str, computed=True, unread=True, check=one_of("ENABLED", "DISABLED")),
        "capacityProviderStrategies": Prop(list, same=same_set),
        # A name is replaced by the ARN that ECS tells: the official plugin takes them for different clusters.
        "cluster": Prop(str, computed=True, force_new=True),
        "deploymentCircuitBreaker": Prop(dict, computed=True),
        "deploymentMaximumPercent": Prop(int, default=200),
        "deploymentMinimumHealthyPercent": Prop(int, default=100),
        "desiredCount": Prop(int, default=0),
        "enableEcsManagedTags": Prop(bool, default=False),
        "enableExecuteCommand": Prop(bool, default=False),
        "forceDelete": Prop(bool, unread=True),
        "forceNewDeployment": Prop(bool, unread=True),
        "healthCheckGracePeriodSeconds": Prop(int),
        "launchType": Prop(str, computed=True, force_new=True, check=one_of("EC2", "FARGATE", "EXTERNAL")),
        "loadBalancers": Prop(list, same=same_set),
        "name": Prop(str, force_new=True),
        "networkConfiguration": Prop(dict, same=by(_network)),
        "platformVersion": Prop(str, computed=True),
        "propagateTags": Prop(str, check=one_of("SERVICE", "TASK_DEFINITION", "NONE")),
        "schedulingStrategy": Prop(str, default="REPLICA", force_new=True, check=one_of("REPLICA", "DAEMON")),
        "sigintRollback": Prop(bool, unread=True),
        "taskDefinition": Prop(str),
        "triggers": Prop(dict, computed=True, unread=True),
        "waitForSteadyState": Prop(bool, default=False, unread=True),
    }
    computed = ("arn",)

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        """What the official plugin refuses: two ways to place the tasks, or to wait while it can roll back only."""
        if new.get("launchType") and new.get("capacityProviderStrategies"):
            yield "launchType", "conflicts with capacityProviderStrategies"
        if new.get("sigintRollback") is True and new.get("waitForSteadyState") is not True:
            yield "sigintRollback", "can only be enabled when waitForSteadyState is true"

    def check_change(self, aws: Aws, old: Properties, new: Properties) -> Iterable[str]:
        """Other capacity providers need a new deployment."""
        del aws
        key = "capacityProviderStrategies"
        if old and not same_set(old.get(key), new.get(key)) and new.get("forceNewDeployment") is not True:
            yield "force_new_deployment should be true when capacity_provider_strategy is being updated"

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateService."""
        _require_active(aws, new.get("taskDefinition"), "CreateService")
        answer = aws.client("ecs").create_service(
            serviceName=new["name"],
            schedulingStrategy=new["schedulingStrategy"],
            **_parameters(new, {*_IN_PLACE, *_DEPLOYMENT}),
            **given(
                cluster=new.get("cluster"),
                launchType=new.get("launchType"),
                tags=tag_list(new["tagsAll"], "key", "value") or None,
            ),
        )
        return answer["service"]["serviceArn"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeServices; an import's id is CLUSTER/SERVICE."""
        cluster = state.get("cluster") or resource_id.split("/")[-2]
        answer = aws.client("ecs").describe_services(
            cluster=cluster, services=[last_part(resource_id)], include=["TAGS"]
        )
        found = next((item for item in answer["services"] if item["status"] != "INACTIVE"), None)
        if found is None:
            return None
        network = (found.get("networkConfiguration") or {}).get("awsvpcConfiguration")
        definition = found.get("taskDefinition")
        if definition and state.get("taskDefinition") and not state["taskDefinition"].startswith("arn:"):
            definition = last_part(definition)
        return {
            "id": found["serviceArn"],
            "arn": found["serviceArn"],
            "name": found["serviceName"],
            "cluster": found["clusterArn"],
            "taskDefinition": definition,
            "desiredCount": found["desiredCount"],
            "launchType": found.get("launchType"),
            "schedulingStrategy": found.get("schedulingStrategy", "REPLICA"),
            "platformVersion": found.get("platformVersion"),
            "propagateTags": None if found.get("propagateTags") == "NONE" else found.get("propagateTags"),
            "networkConfiguration": network
            and {**network, "assignPublicIp": network.get("assignPublicIp") == "ENABLED"},
            "loadBalancers": [_load_balancer_state(item) for item in found.get("loadBalancers", [])],
            "tagsAll": tag_map(found.get("tags"), "key", "value"),
            "region": aws.region,
            **_deployment_state(found),
            **_told(found, "enableECSManagedTags", "enableEcsManagedTags"),
            **_told(found, "enableExecuteCommand"),
            **_told(found, "healthCheckGracePeriodSeconds"),
            **_told(found, "capacityProviderStrategy", "capacityProviderStrategies"),
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """UpdateService with what changed and nothing else, so that a scaled `desiredCount` stays; tags."""
        if {*changed} - {"forceDelete", "tags", "tagsAll"}:
            force = bool(new.get("forceNewDeployment"))
            if force or _STARTS_TASKS & {*changed}:
                _require_active(aws, new.get("taskDefinition"), "UpdateService")
            aws.client("ecs").update_service(
                cluster=old.get("cluster"),
                service=resource_id,
                forceNewDeployment=force,
                **_parameters(new, changed),
            )
        _retag(aws, resource_id, old, new, changed)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """To no tasks unless `forceDelete`, then DeleteService."""
        client = aws.client("ecs")
        where = {"cluster": old.get("cluster"), "service": resource_id}
        force = bool(old.get("forceDelete"))
        if old.get("schedulingStrategy") != "DAEMON" and not force:
            client.update_service(**where, desiredCount=0)
        client.delete_service(**where, force=force)


def _require_active(aws: Aws, reference: str | None, operation: str) -> None:
    """Refuse a deployment of a deregistered revision, as ECS does and moto does not."""
    if not reference:
        return
    found = aws.own("ecs").describe_task_definition(taskDefinition=reference)["taskDefinition"]
    if found["status"] != "ACTIVE":
        raise ProviderError(
            f"operation error ECS: {operation}, https response error StatusCode: 400, ClientException: "
            "TaskDefinition is inactive"
        )


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


def _load_balancer_state(found: Mapping[str, Any]) -> dict[str, Any]:
    return given(
        containerName=found.get("containerName"),
        containerPort=found.get("containerPort"),
        elbName=found.get("loadBalancerName"),
        targetGroupArn=found.get("targetGroupArn"),
    )


def _parameters(new: Properties, names: Collection[str]) -> dict[str, Any]:
    """These properties as CreateService and UpdateService take them."""
    daemon = new["schedulingStrategy"] == "DAEMON"
    values = {
        **new,
        "desiredCount": None if daemon else new["desiredCount"],
        "networkConfiguration": _awsvpc(new.get("networkConfiguration")),
        "loadBalancers": [
            given(
                containerName=item["containerName"],
                containerPort=item["containerPort"],
                loadBalancerName=item.get("elbName"),
                targetGroupArn=item.get("targetGroupArn"),
            )
            for item in new.get("loadBalancers") or []
        ],
    }
    parameters = {theirs: values.get(ours) for ours, theirs in _IN_PLACE.items() if ours in names}
    deployment: dict[str, Any] = {}
    if {"deploymentMaximumPercent", "deploymentMinimumHealthyPercent"} & {*names}:
        deployment["minimumHealthyPercent"] = new["deploymentMinimumHealthyPercent"]
        if not daemon:
            deployment["maximumPercent"] = new["deploymentMaximumPercent"]
    deployment |= given(
        deploymentCircuitBreaker=new.get("deploymentCircuitBreaker") if "deploymentCircuitBreaker" in names else None,
        alarms=new.get("alarms") if "alarms" in names else None,
    )
    return given(**parameters, deploymentConfiguration=deployment or None)


def _awsvpc(block: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not block:
        return None
    return {
        "awsvpcConfiguration": given(
            subnets=block["subnets"],
            securityGroups=block.get("securityGroups") or [],
            assignPublicIp="ENABLED" if block.get("assignPublicIp") else "DISABLED",
        )
    }


RESOURCES = (TaskDefinition(), Cluster(), Service())
