"""Amazon Elastic Container Service.

Source: terraform-provider-aws 6.x (2026), internal/service/ecs/task_definition.go, container_definitions.go, cluster.go and
service.go.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox.providers._diff import by, same_set
from sandbox.providers._resource import (
    Autoname,
    Inputs,
    Prop,
    ProviderError,
    between,
    each,
    fields,
    given,
    matches,
    one_of,
)
from sandbox.providers._values import Properties
from sandbox.providers.aws import _containers, _session
from sandbox.providers.aws._base import AwsResource, is_arn, last_part, retag_resource, tag_list, tag_map
from sandbox.providers.aws._session import Aws


def _retag(aws: Aws, arn: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
    client = aws.client("ecs")
    retag_resource(client, old, new, changed, form=lambda tags: tag_list(tags, "key", "value"), resourceArn=arn)


_PLATFORM: Final = fields(
    cpuArchitecture=one_of("X86_64", "ARM64"),
    operatingSystemFamily=one_of(
        "LINUX",
        *(f"WINDOWS_SERVER_{kind}" for kind in ("2004_CORE", "2016_FULL", "2019_CORE", "2019_FULL", "2022_CORE")),
        *(f"WINDOWS_SERVER_{kind}" for kind in ("2022_FULL", "2025_CORE", "2025_FULL", "20H2_CORE")),
    ),
)
_VOLUME_KEYS: Final = ("efsVolumeConfiguration", "hostPath", "name")


def _volumes(items: Any) -> str | None:
    """What the official schema refuses of volumes, and the kinds that this project does not use."""
    others = sorted({key for item in items for key in item} - {*_VOLUME_KEYS})
    if others:
        return f"the sandbox's stand-in does not support {others[0]}; it supports {', '.join(_VOLUME_KEYS)}"
    return fields("name", efsVolumeConfiguration=fields("fileSystemId"))(items)


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
        "ephemeralStorage": Prop(dict, force_new=True, check=fields("sizeInGib", sizeInGib=between(21, 200))),
        "executionRoleArn": Prop(str, force_new=True, check=is_arn),
        "family": Prop(str, required=True, force_new=True, check=matches(r"[0-9A-Za-z_-]+", 1, 255)),
        "memory": Prop(str, force_new=True),
        "networkMode": Prop(str, computed=True, force_new=True, check=one_of("bridge", "host", "awsvpc", "none")),
        "requiresCompatibilities": Prop(
            list, force_new=True, same=same_set, check=each(one_of("EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"))
        ),
        "runtimePlatform": Prop(dict, force_new=True, check=_PLATFORM),
        "skipDestroy": Prop(bool, default=False, unread=True),
        "taskRoleArn": Prop(str, force_new=True, check=is_arn),
        "trackLatest": Prop(bool, default=False, unread=True),
        "volumes": Prop(list, force_new=True, same=same_set, check=_volumes),
    }
    computed = ("arn", "arnWithoutRevision", "revision")

    def label(self, inputs: Mapping[str, Any], resource_id: str) -> str:
        """The family."""
        return resource_id or str(inputs.get("family", ""))

    def create(self, aws: Aws, new: Properties) -> str:
        """RegisterTaskDefinition; AWS wants no empty list of tags."""
        storage = new.get("ephemeralStorage")
        aws.client("ecs").register_task_definition(
            family=new["family"],
            containerDefinitions=_containers.expanded(new["containerDefinitions"]),
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

        An import's id is the full ARN, of which family and revision count. Every error that is the request's fault (400)
        means that there is none.
        """
        client, reference = aws.client("ecs"), state.get("arn") or resource_id
        if state.get("trackLatest"):
            reference = resource_id
        elif not state:
            reference = _imported_revision(aws, resource_id)
        try:
            answer = client.describe_task_definition(taskDefinition=reference, include=["TAGS"])
        except client.exceptions.ClientError as error:
            if _session.status(error) != _BAD_REQUEST:
                raise
            return None
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


_BAD_REQUEST: Final = 400


def _imported_revision(aws: Aws, resource_id: str) -> str:
    """The ARN of the revision that an import's id names, in this account and Region."""
    found = re.fullmatch(r"arn:[\w-]+:ecs:[\w-]*:\d*:task-definition/([\w-]+):(\d+)", resource_id)
    if found is None:
        raise ProviderError(
            "expected ID in format of arn:PARTITION:ecs:REGION:ACCOUNTID:task-definition/FAMILY:REVISION and "
            f"provided: {resource_id}"
        )
    return aws.arn("ecs", f"task-definition/{found[1]}:{found[2]}")


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


def _configuration(block: Any) -> Any:
    """A cluster's configuration with ECS's default of what is logged."""
    command = (block or {}).get("executeCommandConfiguration")
    return {**block, "executeCommandConfiguration": {"logging": "DEFAULT", **command}} if command is not None else block


class Cluster(AwsResource):
    """A cluster."""

    type_name = "aws:ecs/cluster:Cluster"
    title = "ECS Cluster"
    tagged = True
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "configuration": Prop(
            dict,
            same=by(_configuration),
            check=fields(executeCommandConfiguration=fields(logging=one_of("NONE", "DEFAULT", "OVERRIDE"))),
        ),
        "name": Prop(str, force_new=True, check=matches(r"[0-9A-Za-z_-]+", 1, 255)),
        "serviceConnectDefaults": Prop(dict, check=fields("namespace", namespace=is_arn)),
        "settings": Prop(
            list, computed=True, same=same_set, check=fields("name", "value", name=one_of("containerInsights"))
        ),
    }
    computed = ("arn",)
    forgives_gone = False

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateCluster."""
        answer = aws.client("ecs").create_cluster(
            clusterName=new["name"],
            **_cluster(new),
            **given(tags=tag_list(new["tagsAll"], "key", "value") or None),
        )
        return answer["cluster"]["clusterArn"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeClusters; an import's id is the name. A configuration that ECS does not tell stays."""
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
                    **_told(_renamed(found, "s3EncryptionEnabled", "s3BucketEncryptionEnabled"), "configuration"),
                    "serviceConnectDefaults": found.get("serviceConnectDefaults"),
                    "settings": found.get("settings", []),
                    "tagsAll": tag_map(found.get("tags"), "key", "value"),
                    "region": aws.region,
                }
        return None

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Tags; UpdateCluster with all three settings as soon as one changes."""
        _retag(aws, resource_id, old, new, changed)
        if {"configuration", "serviceConnectDefaults", "settings"} & {*changed}:
            aws.client("ecs").update_cluster(cluster=resource_id, **_cluster(new))

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteCluster; with services left it is AWS's error, which moto doesn't give."""
        del old
        left = aws.own("ecs").describe_clusters(clusters=[resource_id])["clusters"]
        if any(item.get("activeServicesCount") for item in left) or _services(aws, resource_id):
            raise ProviderError(
                "operation error ECS: DeleteCluster, https response error StatusCode: 400, "
                "ClusterContainsServicesException: The Cluster cannot be deleted while Services are active."
            )
        aws.client("ecs").delete_cluster(cluster=resource_id)


def _cluster(new: Properties) -> dict[str, Any]:
    """What CreateCluster and UpdateCluster have in common; the official plugin never sends "none"."""
    return given(
        configuration=_renamed(new.get("configuration"), "s3BucketEncryptionEnabled", "s3EncryptionEnabled") or None,
        serviceConnectDefaults=new.get("serviceConnectDefaults") or None,
        settings=new.get("settings") or None,
    )


def _renamed(value: Any, name: str, to: str) -> Any:
    """The value with one key renamed, at any depth."""
    if isinstance(value, Mapping):
        return {to if key == name else key: _renamed(item, name, to) for key, item in value.items()}
    return value


def _services(aws: Aws, cluster: str) -> list[str]:
    """The services of a cluster that are not gone."""
    client = aws.own("ecs")
    arns = [
        arn for page in client.get_paginator("list_services").paginate(cluster=cluster) for arn in page["serviceArns"]
    ]
    parts = [arns[start : start + 10] for start in range(0, len(arns), 10)]
    found = [item for part in parts for item in client.describe_services(cluster=cluster, services=part)["services"]]
    return [item["serviceName"] for item in found if item["status"] != "INACTIVE"]


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
        "alarms": Prop(dict, computed=True, unread=True, check=fields("alarmNames", "enable", "rollback")),
        "availabilityZoneRebalancing": Prop(str, computed=True, unread=True, check=one_of("ENABLED", "DISABLED")),
        "capacityProviderStrategies": Prop(
            list,
            same=same_set,
            check=fields("capacityProvider", base=between(0, 100_000), weight=between(0, 1000)),
        ),
        # Kept in the form that the program gives; the other one is another cluster to the official plugin.
        "cluster": Prop(str, computed=True, force_new=True),
        "deploymentCircuitBreaker": Prop(dict, computed=True, check=fields("enable", "rollback")),
        "deploymentMaximumPercent": Prop(int, default=200),
        "deploymentMinimumHealthyPercent": Prop(int, default=100),
        "desiredCount": Prop(int, default=0),
        "enableEcsManagedTags": Prop(bool, default=False),
        "enableExecuteCommand": Prop(bool, default=False),
        "forceDelete": Prop(bool, unread=True),
        "forceNewDeployment": Prop(bool, unread=True),
        "healthCheckGracePeriodSeconds": Prop(int, check=between(0, 2**31 - 1)),
        "launchType": Prop(str, computed=True, force_new=True, check=one_of("EC2", "FARGATE", "EXTERNAL")),
        "loadBalancers": Prop(
            list,
            same=same_set,
            check=fields("containerName", "containerPort", containerPort=between(0, 65_536), targetGroupArn=is_arn),
        ),
        "name": Prop(str, force_new=True),
        "networkConfiguration": Prop(dict, same=by(_network), check=fields("subnets")),
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
        """What ECS refuses, two ways to place the tasks, and what means nothing, a rollback without waiting."""
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

    def cleared(self, old: Properties, new: Properties) -> Collection[str]:
        """Triggers without a forced deployment; what a service with one task on each machine does not count."""
        del old
        found = set[str]() if new.get("forceNewDeployment") is True else {"triggers"}
        if new.get("schedulingStrategy") == "DAEMON":
            defaults = {"deploymentMaximumPercent": 200, "deploymentMinimumHealthyPercent": 100}
            found |= {"desiredCount", *(key for key, default in defaults.items() if new.get(key) == default)}
        return found

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
        """Tags; UpdateService with what changed and nothing else, so that a scaled `desiredCount` stays."""
        _retag(aws, resource_id, old, new, changed)
        if {*changed} - {"forceDelete", "tags", "tagsAll"}:
            force = bool(new.get("forceNewDeployment"))
            if force or _STARTS_TASKS & {*changed}:
                _require_active(aws, new.get("taskDefinition"), "UpdateService")
            aws.client("ecs").update_service(
                cluster=old.get("cluster"),
                service=resource_id,
                forceNewDeployment=force,
                **_parameters({**_emptied(changed), **new}, changed),
            )

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """To no tasks unless `forceDelete`, then DeleteService; one that is gone is left alone."""
        cluster = old.get("cluster") or resource_id.split("/")[-2]
        found = _service(aws, cluster, last_part(resource_id))
        if found is None or found["status"] == "INACTIVE":
            return
        client, where, force = (
            aws.client("ecs"),
            {"cluster": cluster, "service": resource_id},
            bool(old.get("forceDelete")),
        )
        if found["status"] != "DRAINING" and found.get("schedulingStrategy") != "DAEMON" and not force:
            client.update_service(**where, desiredCount=0)
        client.delete_service(**where, force=force)


def _service(aws: Aws, cluster: str, name: str) -> Mapping[str, Any] | None:
    """A service as DescribeServices tells it."""
    answer = aws.client("ecs").describe_services(cluster=cluster, services=[name], include=["TAGS"])
    return next(iter(answer["services"]), None)


def _emptied(changed: Collection[str]) -> dict[str, Any]:
    """What UpdateService is told of properties that the program has no more."""
    nothing: dict[str, Any] = {"capacityProviderStrategies": [], "healthCheckGracePeriodSeconds": 0}
    return {key: value for key, value in nothing.items() if key in changed}


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
