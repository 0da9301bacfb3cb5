"""Amazon Elastic Container Service."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

from sandbox.providers._diff import by, same, same_set
from sandbox.providers._resource import Autoname, Inputs, Prop, given, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws import _containers
from sandbox.providers.aws._base import AwsResource, last_part, retag, tag_list, tag_map
from sandbox.providers.aws._session import Aws


def _retag(aws: Aws, arn: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
    client = aws.client("ecs")
    retag(
        old,
        new,
        changed,
        put=lambda tags: client.tag_resource(resourceArn=arn, tags=tag_list(tags, "key", "value")),
        drop=lambda keys: client.untag_resource(resourceArn=arn, tagKeys=keys),
    )


def _platform(block: Any) -> dict[str, str]:
    """A runtime platform with ECS's defaults."""
    block = block or {}
    return {
        "cpuArchitecture": block.get("cpuArchitecture") or "X86_64",
        "operatingSystemFamily": block.get("operatingSystemFamily") or "LINUX",
    }


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
        "ephemeralStorage": Prop(dict, force_new=True),
        "executionRoleArn": Prop(str, force_new=True),
        "family": Prop(str, required=True, force_new=True),
        "ipcMode": Prop(str, force_new=True),
        "memory": Prop(str, force_new=True),
        "networkMode": Prop(str, computed=True, force_new=True),
        "pidMode": Prop(str, force_new=True),
        "placementConstraints": Prop(list, force_new=True),
        "proxyConfiguration": Prop(dict, force_new=True),
        "requiresCompatibilities": Prop(list, force_new=True, same=same_set),
        "runtimePlatform": Prop(dict, force_new=True, same=by(_platform)),
        "skipDestroy": Prop(bool, default=False, unread=True),
        "taskRoleArn": Prop(str, force_new=True),
        "trackLatest": Prop(bool, default=False, unread=True),
        "volumes": Prop(list, force_new=True),
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
        proxy, storage = new.get("proxyConfiguration"), new.get("ephemeralStorage")
        aws.client("ecs").register_task_definition(
            family=new["family"],
            containerDefinitions=definitions,
            **given(
                tags=tag_list(new["tagsAll"], "key", "value") or None,
                ephemeralStorage=storage and {"sizeInGiB": storage["sizeInGib"]},
                proxyConfiguration=proxy
                and {
                    "type": proxy.get("type", "APPMESH"),
                    "containerName": proxy["containerName"],
                    "properties": tag_list(proxy.get("properties"), "name", "value"),
                },
                volumes=[_volume(item) for item in new.get("volumes") or []] or None,
                **{
                    key: new.get(key) or None
                    for key in (
                        "cpu", "enableFaultInjection", "executionRoleArn", "ipcMode", "memory",
                        "networkMode", "pidMode", "placementConstraints", "requiresCompatibilities",
                        "runtimePlatform", "taskRoleArn",
                    )
                },
            ),
        )  # fmt: skip
        return new["family"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeTaskDefinition of the state's revision (`trackLatest`: of the family's newest)."""
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
            "proxyConfiguration": _proxy_state(found.get("proxyConfiguration")),
            "tagsAll": tag_map(answer.get("tags"), "key", "value"),
            "region": aws.region,
            **{
                key: found.get(key)
                for key in (
                    "cpu", "enableFaultInjection", "executionRoleArn", "ipcMode", "memory",
                    "pidMode", "placementConstraints", "runtimePlatform", "taskRoleArn",
                )
            },
        }  # fmt: skip

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Only tags."""
        del resource_id
        _retag(aws, old["arn"], old, new, changed)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeregisterTaskDefinition, unless `skipDestroy`."""
        del resource_id
        if not old.get("skipDestroy"):
            aws.client("ecs").deregister_task_definition(taskDefinition=old["arn"])


def _volume(block: Mapping[str, Any]) -> dict[str, Any]:
    """A volume as ECS wants it."""
    efs = block.get("efsVolumeConfiguration")
    return given(
        name=block["name"],
        host={"sourcePath": block["hostPath"]} if block.get("hostPath") else None,
        configuredAtLaunch=block.get("configureAtLaunch"),
        dockerVolumeConfiguration=block.get("dockerVolumeConfiguration"),
        efsVolumeConfiguration=efs and given(**{key: value or None for key, value in efs.items()}),
        fsxWindowsFileServerVolumeConfiguration=block.get("fsxWindowsFileServerVolumeConfiguration"),
    )


def _volume_state(found: Mapping[str, Any]) -> dict[str, Any]:
    """A volume as Pulumi has it."""
    return given(
        name=found["name"],
        hostPath=found.get("host", {}).get("sourcePath"),
        configureAtLaunch=found.get("configuredAtLaunch"),
        dockerVolumeConfiguration=found.get("dockerVolumeConfiguration"),
        efsVolumeConfiguration=found.get("efsVolumeConfiguration"),
        fsxWindowsFileServerVolumeConfiguration=found.get("fsxWindowsFileServerVolumeConfiguration"),
    )


def _proxy_state(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not found:
        return None
    properties = tag_map(found.get("properties"), "name", "value")
    return {"type": found.get("type"), "containerName": found["containerName"], "properties": properties}


class Cluster(AwsResource):
    """A cluster."""

    type_name = "aws:ecs/cluster:Cluster"
    title = "ECS Cluster"
    tagged = True
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "configuration": Prop(dict),
        "name": Prop(str, force_new=True),
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
        """DescribeClusters."""
        del state
        answer = aws.client("ecs").describe_clusters(
            clusters=[resource_id], include=["TAGS", "SETTINGS", "CONFIGURATIONS"]
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


def _task_definition(reference: Any) -> str:
    """FAMILY:REVISION of a task definition's ARN."""
    return last_part(reference or "")


def _cluster_name(reference: Any) -> str:
    return last_part(reference or "default")


def _network(block: Any) -> dict[str, Any]:
    block = block or {}
    return {
        "subnets": sorted(block.get("subnets") or []),
        "securityGroups": sorted(block.get("securityGroups") or []),
        "assignPublicIp": bool(block.get("assignPublicIp")),
    }


_SERVICE_UPDATES = (
    "availabilityZoneRebalancing", "capacityProviderStrategies", "deploymentCircuitBreaker", "deploymentConfiguration",
    "deploymentMaximumPercent", "deploymentMinimumHealthyPercent", "desiredCount", "enableEcsManagedTags",
    "enableExecuteCommand", "forceNewDeployment", "healthCheckGracePeriodSeconds", "loadBalancers",
    "networkConfiguration", "orderedPlacementStrategies", "placementConstraints", "platformVersion", "propagateTags",
    "serviceConnectConfiguration", "serviceRegistries", "taskDefinition", "triggers", "alarms",
)  # fmt: skip


class Service(AwsResource):
    """A service. Moto runs no tasks, so waiting for a steady state ends at once."""

    type_name = "aws:ecs/service:Service"
    title = "ECS Service"
    tagged = True
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        "alarms": Prop(dict, unread=True),
        "availabilityZoneRebalancing": Prop(str, computed=True, unread=True, check=one_of("ENABLED", "DISABLED")),
        "capacityProviderStrategies": Prop(list, same=same_set),
        "cluster": Prop(str, computed=True, force_new=True, same=by(_cluster_name)),
        "deploymentCircuitBreaker": Prop(dict),
        "deploymentConfiguration": Prop(dict, computed=True, unread=True),
        "deploymentController": Prop(dict, force_new=True),
        "deploymentMaximumPercent": Prop(int, default=200),
        "deploymentMinimumHealthyPercent": Prop(int, default=100),
        "desiredCount": Prop(int, default=0),
        "enableEcsManagedTags": Prop(bool, default=False),
        "enableExecuteCommand": Prop(bool, default=False),
        "forceDelete": Prop(bool, unread=True),
        "forceNewDeployment": Prop(bool, unread=True),
        "healthCheckGracePeriodSeconds": Prop(int),
        "iamRole": Prop(str, computed=True, force_new=True, unread=True),
        "launchType": Prop(str, computed=True, force_new=True),
        "loadBalancers": Prop(list, same=same_set),
        "name": Prop(str, force_new=True),
        "networkConfiguration": Prop(dict, same=by(_network)),
        "orderedPlacementStrategies": Prop(list),
        "placementConstraints": Prop(list, same=same_set),
        "platformVersion": Prop(str, computed=True),
        "propagateTags": Prop(str, check=one_of("SERVICE", "TASK_DEFINITION", "NONE")),
        "schedulingStrategy": Prop(str, default="REPLICA", force_new=True),
        "serviceConnectConfiguration": Prop(dict, unread=True),
        "serviceRegistries": Prop(dict),
        "sigintRollback": Prop(bool, unread=True),
        "taskDefinition": Prop(str, same=by(_task_definition)),
        "triggers": Prop(dict, computed=True, unread=True),
        "waitForSteadyState": Prop(bool, default=False, unread=True),
    }
    computed = ("arn",)

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        """What the real plugin refuses: two ways to place the tasks, or to wait while it can roll back only."""
        if new.get("launchType") and new.get("capacityProviderStrategies"):
            yield "launchType", "conflicts with capacityProviderStrategies"
        if new.get("sigintRollback") is True and new.get("waitForSteadyState") is not True:
            yield "sigintRollback", "can only be enabled when waitForSteadyState is true"

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateService."""
        answer = aws.client("ecs").create_service(
            serviceName=new["name"],
            schedulingStrategy=new["schedulingStrategy"],
            **_service_parameters(new),
            **given(
                cluster=new.get("cluster"),
                deploymentController=new.get("deploymentController"),
                launchType=new.get("launchType"),
                role=new.get("iamRole"),
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
        return {
            "id": found["serviceArn"],
            "arn": found["serviceArn"],
            "name": found["serviceName"],
            "cluster": found["clusterArn"],
            "taskDefinition": found.get("taskDefinition"),
            "desiredCount": found["desiredCount"],
            "launchType": found.get("launchType"),
            "schedulingStrategy": found.get("schedulingStrategy", "REPLICA"),
            "platformVersion": found.get("platformVersion"),
            "propagateTags": _unless(found.get("propagateTags"), "NONE"),
            "deploymentController": None
            if (found.get("deploymentController") or {}).get("type", "ECS") == "ECS"
            else found["deploymentController"],
            "networkConfiguration": network
            and {**network, "assignPublicIp": network.get("assignPublicIp") == "ENABLED"},
            "loadBalancers": [_load_balancer_state(item) for item in found.get("loadBalancers", [])],
            "serviceRegistries": next(iter(found.get("serviceRegistries", [])), None),
            "tagsAll": tag_map(found.get("tags"), "key", "value"),
            "region": aws.region,
            **_deployment_state(found),
            **_told(found, "enableECSManagedTags", "enableEcsManagedTags"),
            **_told(found, "enableExecuteCommand"),
            **_told(found, "healthCheckGracePeriodSeconds"),
            **_told(found, "placementConstraints"),
            **_told(found, "placementStrategy", "orderedPlacementStrategies"),
            **_told(found, "capacityProviderStrategy", "capacityProviderStrategies"),
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """UpdateService, tags."""
        if {*_SERVICE_UPDATES} & {*changed}:
            aws.client("ecs").update_service(
                cluster=_cluster_name(old.get("cluster")),
                service=last_part(resource_id),
                **given(forceNewDeployment=new.get("forceNewDeployment")),
                **_service_parameters(new),
            )
        _retag(aws, resource_id, old, new, changed)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """To no tasks, then DeleteService."""
        client = aws.client("ecs")
        where = {"cluster": _cluster_name(old.get("cluster")), "service": last_part(resource_id)}
        if old.get("schedulingStrategy") != "DAEMON":
            client.update_service(**where, desiredCount=0)
        client.delete_service(**where, **given(force=old.get("forceDelete")))


def _unless(value: Any, nothing: str) -> Any:
    return None if value == nothing else value


def _told(found: Mapping[str, Any], name: str, as_name: str = "") -> dict[str, Any]:
    """A property that moto leaves out of its answers stays as the state has it."""
    return {as_name or name: found[name]} if name in found else {}


def _deployment_state(found: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of `deploymentConfiguration` that Pulumi has as properties of their own; moto may not tell it."""
    if not found.get("deploymentConfiguration"):
        return {}
    deployment = found["deploymentConfiguration"]
    breaker = deployment.get("deploymentCircuitBreaker")
    return {
        "deploymentMaximumPercent": deployment.get("maximumPercent", 200),
        "deploymentMinimumHealthyPercent": deployment.get("minimumHealthyPercent", 100),
        "deploymentCircuitBreaker": breaker if breaker and breaker.get("enable") else None,
    }


def _load_balancer_state(found: Mapping[str, Any]) -> dict[str, Any]:
    return given(
        containerName=found.get("containerName"),
        containerPort=found.get("containerPort"),
        elbName=found.get("loadBalancerName"),
        targetGroupArn=found.get("targetGroupArn"),
    )


def _service_parameters(new: Properties) -> dict[str, Any]:
    """What CreateService and UpdateService have in common."""
    network = new.get("networkConfiguration")
    daemon = new["schedulingStrategy"] == "DAEMON"
    deployment = given(
        maximumPercent=new["deploymentMaximumPercent"],
        minimumHealthyPercent=new["deploymentMinimumHealthyPercent"],
        deploymentCircuitBreaker=new.get("deploymentCircuitBreaker"),
        alarms=new.get("alarms"),
        **_strategy(new.get("deploymentConfiguration") or {}),
    )
    connect = new.get("serviceConnectConfiguration")
    return given(
        taskDefinition=new.get("taskDefinition"),
        desiredCount=None if daemon else new["desiredCount"],
        deploymentConfiguration=deployment,
        enableECSManagedTags=new["enableEcsManagedTags"],
        enableExecuteCommand=new["enableExecuteCommand"],
        networkConfiguration=network
        and {
            "awsvpcConfiguration": given(
                subnets=network["subnets"],
                securityGroups=network.get("securityGroups") or [],
                assignPublicIp="ENABLED" if network.get("assignPublicIp") else "DISABLED",
            )
        },
        loadBalancers=[
            given(
                containerName=item["containerName"],
                containerPort=item["containerPort"],
                loadBalancerName=item.get("elbName"),
                targetGroupArn=item.get("targetGroupArn"),
            )
            for item in new.get("loadBalancers") or []
        ]
        or None,
        serviceRegistries=[new["serviceRegistries"]] if new.get("serviceRegistries") else None,
        serviceConnectConfiguration=connect and _connect(connect),
        placementStrategy=new.get("orderedPlacementStrategies"),
        capacityProviderStrategy=new.get("capacityProviderStrategies"),
        **{
            key: new.get(key) or None
            for key in (
                "availabilityZoneRebalancing", "healthCheckGracePeriodSeconds", "placementConstraints",
                "platformVersion", "propagateTags",
            )
        },
    )  # fmt: skip


def _strategy(block: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of `deploymentConfiguration`; Pulumi has minutes as text, AWS as numbers."""

    def minutes(part: Any) -> Any:
        if not isinstance(part, Mapping):
            return int(part) if isinstance(part, str) and part.isdigit() else part
        return {key: minutes(value) for key, value in part.items()}

    return {key: minutes(value) for key, value in block.items() if key != "lifecycleHooks" and not same(value, None)}


def _connect(block: Mapping[str, Any]) -> dict[str, Any]:
    """Service Connect as ECS wants it: Pulumi has the aliases in the singular."""
    services = [
        {("clientAliases" if key == "clientAlias" else key): value for key, value in service.items()}
        for service in block.get("services", [])
    ]
    return {**block, **({"services": services} if services else {})}


RESOURCES = (TaskDefinition(), Cluster(), Service())
