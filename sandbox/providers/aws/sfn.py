"""AWS Step Functions.

Source: terraform-provider-aws 6.x (2025), internal/service/sfn/state_machine.go.
"""

from collections.abc import Collection, Iterable
from typing import Any, ClassVar

from sandbox.providers._diff import by
from sandbox.providers._resource import Autoname, Inputs, Prop, given, matches, one_of
from sandbox.providers._values import Properties, has_unknown
from sandbox.providers.aws._base import AwsResource, is_arn, lower_tags, tag_map, tagging
from sandbox.providers.aws._session import Aws, is_missing_in_emulator


def _logging(block: Any) -> dict[str, Any]:
    """Logging with its default; whether the log group's ARN ends in a star is a difference, as in the official plugin."""
    block = block or {}
    return {**block, "level": block.get("level") or "OFF"}


def _log_destination(block: Any) -> str | None:
    """Step Functions refuses a log group's ARN without the star."""
    destination = block.get("logDestination") or ""
    good = destination == "" or destination.endswith(":*")
    return None if good else f"logDestination must end with ':*', got {destination}"


class StateMachine(AwsResource):
    """A state machine."""

    type_name = "aws:sfn/stateMachine:StateMachine"
    title = "Step Functions State Machine"
    tagged = tagging("stepfunctions", "resourceArn", lower_tags)
    autoname = Autoname()
    inputs: ClassVar[Inputs] = {
        # Spaces and the order of keys are a difference: the official plugin compares the texts.
        "definition": Prop(str, aws="definition", required=True, check=matches(r".*", 0, 1024 * 1024)),
        "loggingConfiguration": Prop(dict, computed=True, same=by(_logging), check=_log_destination),
        "name": Prop(str, computed=True, force_new=True, check=matches(r"[0-9A-Za-z_-]+", 1, 80)),
        "publish": Prop(bool, default=False, unread=True, check=one_of(False)),
        "roleArn": Prop(str, aws="roleArn", required=True, check=is_arn),
        "type": Prop(str, default="STANDARD", force_new=True, check=one_of("STANDARD", "EXPRESS")),
    }
    computed = ("arn", "creationDate", "description", "revisionId", "stateMachineVersionArn", "status")

    def check_change(self, aws: Aws, old: Properties, new: Properties) -> Iterable[str]:
        """ValidateStateMachineDefinition, in a preview too; a local AWS that lacks the call takes any definition."""
        definition = new["definition"]
        if has_unknown(definition) or definition in ("", old.get("definition")):
            return
        client = aws.client("stepfunctions")
        try:
            found = client.validate_state_machine_definition(definition=definition, type=new["type"])
        except client.exceptions.ClientError as error:
            if not is_missing_in_emulator(error):
                raise
            return
        if found["result"] != "OK":
            reasons = (f"{item['severity']} ({item['code']}): {item['message']}" for item in found["diagnostics"])
            yield f"invalid Step Functions State Machine definition: {'; '.join(reasons)}"

    def create(self, aws: Aws, new: Properties) -> str:
        answer = aws.client("stepfunctions").create_state_machine(
            name=new["name"],
            type=new["type"],
            publish=False,
            tags=lower_tags(new["tagsAll"]),
            **self._settings(new),
        )
        return answer["stateMachineArn"]

    def _settings(self, new: Properties) -> dict[str, Any]:
        logging = new.get("loggingConfiguration") or {}
        destination = logging.get("logDestination")
        sent = given(
            level=logging.get("level", "OFF"),
            includeExecutionData=logging.get("includeExecutionData", False),
            destinations=[{"cloudWatchLogsLogGroup": {"logGroupArn": destination}}] if destination else None,
        )
        return self.sent(new) | ({"loggingConfiguration": sent} if logging else {})

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        client = aws.client("stepfunctions")
        found = client.describe_state_machine(stateMachineArn=resource_id)
        logging = found.get("loggingConfiguration") or {}
        destinations = [item["cloudWatchLogsLogGroup"]["logGroupArn"] for item in logging.get("destinations", [])]
        tags = client.list_tags_for_resource(resourceArn=resource_id)["tags"]
        return {
            **self.told(found),
            "arn": found["stateMachineArn"],
            "name": found["name"],
            "description": found.get("description", ""),
            "creationDate": found["creationDate"].isoformat(),
            "type": found["type"],
            "status": found["status"],
            "stateMachineVersionArn": _newest_version(client, resource_id),
            "revisionId": found.get("revisionId", ""),
            "loggingConfiguration": given(
                level=logging.get("level", "OFF"),
                includeExecutionData=logging.get("includeExecutionData", False),
                logDestination=destinations[0] if destinations else None,
            ),
            "tagsAll": tag_map(tags, "key", "value"),
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        aws.client("stepfunctions").update_state_machine(
            stateMachineArn=resource_id, publish=False, **self._settings(new)
        )

    def renewed(self, changed: Collection[str]) -> Collection[str]:
        return ("revisionId",) if "definition" in changed else ()

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        aws.client("stepfunctions").delete_state_machine(stateMachineArn=resource_id)


def _newest_version(client: Any, state_machine: str) -> str | None:
    """The ARN of the version that was published last, if any: the official plugin asks at each refresh."""
    try:
        versions = client.list_state_machine_versions(stateMachineArn=state_machine)["stateMachineVersions"]
    except client.exceptions.ClientError as error:
        if not is_missing_in_emulator(error):
            raise
        return None
    return versions[0]["stateMachineVersionArn"] if versions else None


RESOURCES = (StateMachine(),)
