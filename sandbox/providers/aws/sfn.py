"""AWS Step Functions."""

from collections.abc import Collection
from typing import Any, ClassVar

from sandbox.providers._diff import by, same_json
from sandbox.providers._resource import Autoname, Inputs, Prop, given, is_json, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, by_prefix, retag, tag_list, tag_map
from sandbox.providers.aws._session import Aws


def _logging(block: Any) -> dict[str, Any]:
    """Logging with its default, and the log group's ARN with the star that the API wants."""
    block = block or {}
    destination = block.get("logDestination") or ""
    return {**block, "level": block.get("level") or "OFF", "logDestination": destination.removesuffix(":*")}


def _encryption(block: Any) -> dict[str, Any]:
    return {**(block or {}), "type": (block or {}).get("type") or "AWS_OWNED_KEY"}


class StateMachine(AwsResource):
    """A state machine."""

    type_name = "aws:sfn/stateMachine:StateMachine"
    title = "Step Functions State Machine"
    tagged = True
    autoname = Autoname(max_length=80)
    inputs: ClassVar[Inputs] = {
        "definition": Prop(str, required=True, same=same_json, check=is_json),
        "encryptionConfiguration": Prop(dict, computed=True, same=by(_encryption)),
        "loggingConfiguration": Prop(dict, computed=True, same=by(_logging)),
        "name": Prop(str, computed=True, force_new=True),
        "namePrefix": Prop(str, computed=True, force_new=True),
        "publish": Prop(bool, default=False, unread=True),
        "roleArn": Prop(str, required=True),
        "tracingConfiguration": Prop(dict, computed=True),
        "type": Prop(str, default="STANDARD", force_new=True, check=one_of("STANDARD", "EXPRESS")),
    }
    computed = ("arn", "creationDate", "description", "revisionId", "status", "versionDescription")

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateStateMachine."""
        answer = aws.client("stepfunctions").create_state_machine(
            name=by_prefix(new),
            type=new["type"],
            publish=new["publish"],
            tags=tag_list(new["tagsAll"], "key", "value"),
            **_settings(new),
        )
        return answer["stateMachineArn"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """DescribeStateMachine."""
        del state
        client = aws.client("stepfunctions")
        found = client.describe_state_machine(stateMachineArn=resource_id)
        logging = found.get("loggingConfiguration") or {}
        destinations = [item["cloudWatchLogsLogGroup"]["logGroupArn"] for item in logging.get("destinations", [])]
        tags = client.list_tags_for_resource(resourceArn=resource_id)["tags"]
        return {
            "arn": found["stateMachineArn"],
            "name": found["name"],
            "definition": found["definition"],
            "description": found.get("description", ""),
            "creationDate": found["creationDate"].isoformat(),
            "roleArn": found["roleArn"],
            "type": found["type"],
            "status": found["status"],
            "revisionId": found.get("revisionId", ""),
            "encryptionConfiguration": found.get("encryptionConfiguration") or {"type": "AWS_OWNED_KEY"},
            "loggingConfiguration": given(
                level=logging.get("level", "OFF"),
                includeExecutionData=logging.get("includeExecutionData", False),
                logDestination=destinations[0] if destinations else None,
            ),
            "tracingConfiguration": found.get("tracingConfiguration") or {"enabled": False},
            "tagsAll": tag_map(tags, "key", "value"),
            "region": aws.region,
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """UpdateStateMachine, tags."""
        client = aws.client("stepfunctions")
        if {*changed} - {"tags", "tagsAll", "publish"}:
            client.update_state_machine(stateMachineArn=resource_id, publish=new["publish"], **_settings(new))
        retag(
            old,
            new,
            changed,
            put=lambda tags: client.tag_resource(resourceArn=resource_id, tags=tag_list(tags, "key", "value")),
            drop=lambda keys: client.untag_resource(resourceArn=resource_id, tagKeys=keys),
        )

    def renewed(self, changed: Collection[str]) -> Collection[str]:
        """Another definition is another revision."""
        return ("revisionId",) if "definition" in changed else ()

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteStateMachine."""
        del old
        aws.client("stepfunctions").delete_state_machine(stateMachineArn=resource_id)


def _settings(new: Properties) -> dict[str, Any]:
    """What CreateStateMachine and UpdateStateMachine have in common."""
    logging = new.get("loggingConfiguration")
    destination = (logging or {}).get("logDestination")
    return given(
        definition=new["definition"],
        roleArn=new["roleArn"],
        encryptionConfiguration=new.get("encryptionConfiguration"),
        tracingConfiguration=new.get("tracingConfiguration"),
        loggingConfiguration=logging
        and given(
            level=logging.get("level", "OFF"),
            includeExecutionData=logging.get("includeExecutionData", False),
            destinations=[{"cloudWatchLogsLogGroup": {"logGroupArn": destination}}] if destination else None,
        ),
    )


RESOURCES = (StateMachine(),)
