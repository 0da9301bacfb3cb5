"""AWS Lambda: functions whose code is a zip file, and who may call them.

Source: terraform-provider-aws 6, internal/service/lambda/function.go (2025) and permission.go (2026).
"""

import json
from collections.abc import Collection
from typing import Any, ClassVar

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
from sandbox.providers._values import Asset, Properties
from sandbox.providers.aws import _code
from sandbox.providers.aws._base import AwsResource, camel, is_arn, is_enum, pascal, tagging
from sandbox.providers.aws._session import Aws

_CODE = frozenset({"code", "sourceCodeHash", "architectures"})
_ZIP_BYTES = 50 * 1024 * 1024
"""What a call may carry as a zip file. Source: Lambda quotas."""

_BLOCKS: dict[str, tuple[str, Any]] = {
    "environment": ("Environment", {"Variables": {}}),
    "loggingConfig": ("LoggingConfig", None),
    "vpcConfig": ("VpcConfig", {"SubnetIds": [], "SecurityGroupIds": [], "Ipv6AllowedForDualStack": False}),
}
"""The blocks of a configuration: AWS's name, and what is sent for one that the program took away."""


def _network(block: Any) -> dict[str, Any]:
    block = block or {}
    return {key: sorted(block.get(key) or []) for key in ("subnetIds", "securityGroupIds")} | {
        "ipv6AllowedForDualStack": bool(block.get("ipv6AllowedForDualStack"))
    }


def _logging(block: Any) -> dict[str, Any]:
    block = block or {}
    return {**block, "logFormat": block.get("logFormat") or "Text"}


class Function(AwsResource):
    """A function."""

    type_name = "aws:lambda/function:Function"
    title = "Lambda Function"
    tagged = tagging("lambda", "Resource", dict)
    autoname = Autoname(max_length=64)
    inputs: ClassVar[Inputs] = {
        "architectures": Prop(
            list, computed=True, same=same_set, check=each(is_enum("lambda", "Architecture"), most=1)
        ),
        "code": Prop(Asset, required=True, unread=True),
        "description": Prop(str, aws="Description"),
        "environment": Prop(dict),
        "handler": Prop(str, aws="Handler", required=True, check=matches(r".*", 1, 128)),
        "loggingConfig": Prop(
            dict,
            computed=True,
            same=by(_logging),
            check=fields(
                "logFormat",
                logFormat=is_enum("lambda", "LogFormat"),
                applicationLogLevel=is_enum("lambda", "ApplicationLogLevel"),
                systemLogLevel=is_enum("lambda", "SystemLogLevel"),
                logGroup=matches(r"[.\-_/#A-Za-z0-9]+", 1, 512),
            ),
        ),
        "memorySize": Prop(int, aws="MemorySize", default=128, check=between(128, 10240)),
        "name": Prop(str, computed=True, force_new=True, check=matches(r"[0-9A-Za-z_-]+", 1, 64)),
        "packageType": Prop(str, default="Zip", force_new=True, check=one_of("Zip")),
        "publish": Prop(bool, default=False, unread=True, check=one_of(False)),
        "reservedConcurrentExecutions": Prop(int, default=-1, check=one_of(-1)),
        "role": Prop(str, aws="Role", required=True, check=is_arn),
        "runtime": Prop(str, aws="Runtime", required=True, check=is_enum("lambda", "Runtime")),
        "skipDestroy": Prop(bool, default=False, unread=True),
        "sourceCodeHash": Prop(str, computed=True),
        "timeout": Prop(int, aws="Timeout", default=3, check=between(1, 900)),
        "vpcConfig": Prop(dict, same=by(_network), check=fields("securityGroupIds", "subnetIds")),
    }
    computed = (
        "arn", "codeSha256", "invokeArn", "lastModified", "qualifiedArn", "qualifiedInvokeArn",
        "responseStreamingInvokeArn", "sourceCodeSize", "version",
    )  # fmt: skip

    def create(self, aws: Aws, new: Properties) -> str:
        answer = aws.client("lambda").create_function(
            FunctionName=new["name"],
            PackageType=new["packageType"],
            Publish=False,
            Code=_source(new),
            **self._configuration(new, {"description", *new}),
            **given(Architectures=new.get("architectures") or None, Tags=new["tagsAll"] or None),
        )
        return answer["FunctionName"]

    def _configuration(self, new: Properties, names: Collection[str]) -> dict[str, Any]:
        """These properties as CreateFunction and UpdateFunctionConfiguration take them."""
        blocks = {
            theirs: pascal(new[ours], keep={"variables"}) if new.get(ours) else empty
            for ours, (theirs, empty) in _BLOCKS.items()
            if ours in names
        }
        return self.sent({"description": "", **new}, names) | given(**blocks)

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """GetFunction; ListVersionsByFunction, whose last one is the qualified one."""
        client = aws.client("lambda")
        answer = client.get_function(FunctionName=resource_id)
        found = answer["Configuration"]
        arn = found["FunctionArn"].removesuffix(":$LATEST")
        versions = client.get_paginator("list_versions_by_function").paginate(FunctionName=resource_id, MaxItems=10_000)
        version = [item["Version"] for page in versions for item in page["Versions"]][-1]
        network = found.get("VpcConfig") or {}
        uri = f"arn:{aws.partition}:apigateway:{aws.region}:lambda:path"
        variables = (found.get("Environment") or {}).get("Variables")
        live: Properties = {
            **self.told(found),
            "id": found["FunctionName"],
            "name": found["FunctionName"],
            "arn": arn,
            "architectures": found.get("Architectures") or ["x86_64"],
            "codeSha256": found["CodeSha256"],
            "environment": {"variables": variables} if variables else None,
            "invokeArn": f"{uri}/2015-03-31/functions/{arn}/invocations",
            "lastModified": found["LastModified"],
            "packageType": found.get("PackageType", "Zip"),
            "qualifiedArn": f"{arn}:{version}",
            "qualifiedInvokeArn": f"{uri}/2015-03-31/functions/{arn}:{version}/invocations",
            "reservedConcurrentExecutions": (answer.get("Concurrency") or {}).get("ReservedConcurrentExecutions", -1),
            "responseStreamingInvokeArn": f"{uri}/2021-11-15/functions/{arn}/response-streaming-invocations",
            # As in the real plugin: what the program says, never what AWS computed (that is codeSha256).
            "sourceCodeHash": state.get("sourceCodeHash", ""),
            "sourceCodeSize": found["CodeSize"],
            "tagsAll": answer.get("Tags") or {},
            "version": version,
            "vpcConfig": camel(network) if network.get("SubnetIds") else None,
        }
        if logging := found.get("LoggingConfig"):  # moto doesn't tell it: then the state stays
            live["loggingConfig"] = camel(logging)
        return live

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """What changed of the configuration, code, concurrency: the order of the real plugin."""
        client = aws.client("lambda")
        if configuration := self._configuration(new, changed):
            client.update_function_configuration(FunctionName=resource_id, **configuration)
        if {*changed} & _CODE:
            architectures = new.get("architectures") if "architectures" in changed else None
            client.update_function_code(
                FunctionName=resource_id, **_source(new), **given(Architectures=architectures or None)
            )
        if "reservedConcurrentExecutions" in changed:  # by hand
            client.delete_function_concurrency(FunctionName=resource_id)

    def renewed(self, changed: Collection[str]) -> Collection[str]:
        """New code has a new hash."""
        always = ("lastModified", "qualifiedArn", "qualifiedInvokeArn", "version")
        return (*always, "codeSha256", "sourceCodeSize") if {*changed} & _CODE else always

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        if not old.get("skipDestroy"):
            aws.client("lambda").delete_function(FunctionName=resource_id)


def _source(new: Properties) -> dict[str, Any]:
    data = _code.zipped(new["code"])
    if len(data) > _ZIP_BYTES:
        raise ProviderError(f"the code's zip file has {len(data)} bytes; a call carries {_ZIP_BYTES}")
    return {"ZipFile": data}


class Permission(AwsResource):
    """A statement of a function's policy: who may call it."""

    type_name = "aws:lambda/permission:Permission"
    title = "Lambda Permission"
    autoname = Autoname("statementId", max_length=100)
    named_by = "statementId"
    inputs: ClassVar[Inputs] = {
        "action": Prop(
            str,
            aws="Action",
            required=True,
            force_new=True,
            check=matches(r"lambda:[*]|lambda:[A-Za-z]+|[*]", 1, 255),
        ),
        "function": Prop(str, aws="FunctionName", required=True, force_new=True),
        "principal": Prop(str, aws="Principal", required=True, force_new=True),
        "sourceAccount": Prop(str, aws="SourceAccount", force_new=True, check=matches(r"\d{12}", 12, 12)),
        "sourceArn": Prop(str, aws="SourceArn", force_new=True, check=is_arn),
        "statementId": Prop(
            str, aws="StatementId", computed=True, force_new=True, check=matches(r"[0-9A-Za-z_-]+", 1, 100)
        ),
    }

    def create(self, aws: Aws, new: Properties) -> str:
        aws.client("lambda").add_permission(**self.sent(new))
        return new["statementId"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """GetPolicy; an import's id is FUNCTION/STATEMENT."""
        function, statement_id = (state["function"], resource_id) if state else tuple(resource_id.split("/", 1))
        policy = json.loads(aws.client("lambda").get_policy(FunctionName=function)["Policy"])
        found = next((item for item in policy["Statement"] if item["Sid"] == statement_id), None)
        if found is None:
            return None
        conditions = {
            name.lower(): value for tests in (found.get("Condition") or {}).values() for name, value in tests.items()
        }
        principal = found["Principal"]
        return {
            "id": statement_id,
            "statementId": statement_id,
            # Kept in the form that the program gave: a change from the name to the ARN replaces.
            "function": function,
            "action": found["Action"],
            "principal": next(iter(principal.values())) if isinstance(principal, dict) else principal,
            "sourceArn": conditions.get("aws:sourcearn"),
            "sourceAccount": conditions.get("aws:sourceaccount"),
        }

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        aws.client("lambda").remove_permission(FunctionName=old["function"], StatementId=resource_id)


RESOURCES = (Function(), Permission())
