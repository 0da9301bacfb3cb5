"""AWS Lambda.

Source: terraform-provider-aws 6, internal/service/lambda/function.go (2025) and permission.go (2026).
"""

import json
from collections.abc import Collection, Iterable, Mapping
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
from sandbox.providers.aws._base import AwsResource, is_arn, is_enum, retag_resource
from sandbox.providers.aws._session import Aws

_CODE = frozenset({"code", "s3Bucket", "s3Key", "s3ObjectVersion", "imageUri", "sourceCodeHash", "architectures"})
_ZIP_BYTES = 50 * 1024 * 1024
"""What a call may carry as a zip file. Source: Lambda quotas."""


def _network(block: Any) -> dict[str, Any]:
    block = block or {}
    return {key: sorted(block.get(key) or []) for key in ("subnetIds", "securityGroupIds")} | {
        "ipv6AllowedForDualStack": bool(block.get("ipv6AllowedForDualStack"))
    }


def _logging(block: Any) -> dict[str, Any]:
    block = block or {}
    return {**block, "logFormat": block.get("logFormat") or "Text"}


def _at_least_minus_one(count: Any) -> str | None:
    return None if count >= -1 else f"expected at least -1, got {count}"


class Function(AwsResource):
    """A function."""

    type_name = "aws:lambda/function:Function"
    title = "Lambda Function"
    tagged = True
    autoname = Autoname(max_length=64)
    inputs: ClassVar[Inputs] = {
        "architectures": Prop(
            list, computed=True, same=same_set, check=each(is_enum("lambda", "Architecture"), most=1)
        ),
        "code": Prop(Asset, unread=True),
        "deadLetterConfig": Prop(dict, check=fields("targetArn", targetArn=is_arn)),
        "description": Prop(str),
        "environment": Prop(dict),
        "ephemeralStorage": Prop(dict, computed=True, check=fields(size=between(512, 10240))),
        "fileSystemConfig": Prop(
            dict,
            check=fields("arn", "localMountPath", arn=is_arn, localMountPath=matches(r"/mnt/[0-9A-Za-z_.-]+", 1, 160)),
        ),
        "handler": Prop(str, check=matches(r".*", 1, 128)),
        "imageConfig": Prop(dict, unread=True),
        "imageUri": Prop(str, unread=True),
        "kmsKeyArn": Prop(str, check=is_arn),
        "layers": Prop(list, check=each(is_arn, most=5)),
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
        "memorySize": Prop(int, default=128, check=between(128, 10240)),
        "name": Prop(str, computed=True, force_new=True, check=matches(r"[0-9A-Za-z_-]+", 1, 64)),
        "packageType": Prop(str, default="Zip", force_new=True, check=one_of("Zip", "Image")),
        "publish": Prop(bool, default=False, unread=True),
        "reservedConcurrentExecutions": Prop(int, default=-1, check=_at_least_minus_one),
        "role": Prop(str, required=True, check=is_arn),
        "runtime": Prop(str, check=is_enum("lambda", "Runtime")),
        "s3Bucket": Prop(str, unread=True),
        "s3Key": Prop(str, unread=True),
        "s3ObjectVersion": Prop(str, unread=True),
        "skipDestroy": Prop(bool, default=False, unread=True),
        "snapStart": Prop(dict, unread=True, check=fields("applyOn", applyOn=is_enum("lambda", "SnapStartApplyOn"))),
        "sourceCodeHash": Prop(str, computed=True),
        "timeout": Prop(int, default=3, check=between(1, 900)),
        "tracingConfig": Prop(dict, computed=True, check=fields("mode", mode=is_enum("lambda", "TracingMode"))),
        "vpcConfig": Prop(dict, same=by(_network), check=fields("securityGroupIds", "subnetIds")),
    }
    computed = (
        "arn", "codeSha256", "invokeArn", "lastModified", "qualifiedArn", "qualifiedInvokeArn",
        "responseStreamingInvokeArn", "sourceCodeSize", "version",
    )  # fmt: skip

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        """Exactly one place of the code; handler and runtime for a zip file."""
        places = [key for key in ("code", "imageUri", "s3Bucket") if key in new]
        if len(places) != 1:
            yield "code", "exactly one of code, imageUri and s3Bucket must be given"
        if ("s3Bucket" in new) != ("s3Key" in new):
            yield "s3Key", "s3Bucket and s3Key must be given together"
        if "s3ObjectVersion" in new and "s3Bucket" not in new:
            yield "s3ObjectVersion", f"conflicts with {places[0]}" if places else "needs s3Bucket"
        if new.get("packageType") == "Zip":
            yield from (
                (key, "is required when packageType is Zip") for key in ("handler", "runtime") if not new.get(key)
            )

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateFunction."""
        answer = aws.client("lambda").create_function(
            FunctionName=new["name"],
            PackageType=new["packageType"],
            Publish=new["publish"],
            Code=_source(new),
            **given(**_configuration(new), Architectures=new.get("architectures") or None, Tags=new["tagsAll"] or None),
        )
        return answer["FunctionName"]

    def finish(self, aws: Aws, resource_id: str, new: Properties) -> None:
        """PutFunctionConcurrency; -1 means no reservation."""
        if new["reservedConcurrentExecutions"] >= 0:
            aws.client("lambda").put_function_concurrency(
                FunctionName=resource_id, ReservedConcurrentExecutions=new["reservedConcurrentExecutions"]
            )

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
        storage = found.get("EphemeralStorage")
        logging = found.get("LoggingConfig")
        live: Properties = {
            "id": found["FunctionName"],
            "name": found["FunctionName"],
            "arn": arn,
            "architectures": found.get("Architectures") or ["x86_64"],
            "codeSha256": found["CodeSha256"],
            "deadLetterConfig": _block(found.get("DeadLetterConfig"), targetArn="TargetArn"),
            "description": found.get("Description", ""),
            "environment": {"variables": found["Environment"]["Variables"]}
            if (found.get("Environment") or {}).get("Variables")
            else None,
            "fileSystemConfig": _block(
                next(iter(found.get("FileSystemConfigs") or []), None), arn="Arn", localMountPath="LocalMountPath"
            ),
            "handler": found.get("Handler"),
            "invokeArn": f"{uri}/2015-03-31/functions/{arn}/invocations",
            "lastModified": found["LastModified"],
            "layers": [item["Arn"] for item in found.get("Layers") or []],
            "memorySize": found["MemorySize"],
            "packageType": found.get("PackageType", "Zip"),
            "qualifiedArn": f"{arn}:{version}",
            "qualifiedInvokeArn": f"{uri}/2015-03-31/functions/{arn}:{version}/invocations",
            "reservedConcurrentExecutions": (answer.get("Concurrency") or {}).get("ReservedConcurrentExecutions", -1),
            "responseStreamingInvokeArn": f"{uri}/2021-11-15/functions/{arn}/response-streaming-invocations",
            "role": found["Role"],
            "runtime": found.get("Runtime"),
            # As in the real plugin: what the program says, never what AWS computed (that is codeSha256).
            "sourceCodeHash": state.get("sourceCodeHash", ""),
            "sourceCodeSize": found["CodeSize"],
            "tagsAll": answer.get("Tags") or {},
            "timeout": found["Timeout"],
            "tracingConfig": _block(found.get("TracingConfig"), mode="Mode"),
            "version": version,
            "vpcConfig": given(
                subnetIds=network["SubnetIds"],
                securityGroupIds=network.get("SecurityGroupIds", []),
                ipv6AllowedForDualStack=network.get("Ipv6AllowedForDualStack"),
                vpcId=network.get("VpcId"),
            )
            if network.get("SubnetIds")
            else None,
            "region": aws.region,
        }
        if storage:
            live["ephemeralStorage"] = {"size": storage["Size"]}
        if logging:  # moto doesn't tell it: then the state stays
            live["loggingConfig"] = {key[:1].lower() + key[1:]: value for key, value in logging.items()}
        if "KMSKeyArn" in found:
            live["kmsKeyArn"] = found["KMSKeyArn"]
        return live

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Tags, what changed of the configuration, code, concurrency, a version: the order of the real plugin."""
        client = aws.client("lambda")
        retag_resource(client, old, new, changed, form=dict, Resource=old["arn"])
        configuration = _changed_configuration(new, changed)
        if configuration:
            client.update_function_configuration(FunctionName=resource_id, **configuration)
        code = bool({*changed} & _CODE)
        if code:
            architectures = new.get("architectures") if "architectures" in changed else None
            client.update_function_code(
                FunctionName=resource_id, **_source(new), **given(Architectures=architectures or None)
            )
        if "reservedConcurrentExecutions" in changed:
            if new["reservedConcurrentExecutions"] >= 0:
                self.finish(aws, resource_id, new)
            else:
                client.delete_function_concurrency(FunctionName=resource_id)
        if new["publish"] and (configuration or code or "publish" in changed):
            client.publish_version(FunctionName=resource_id)

    def renewed(self, changed: Collection[str]) -> Collection[str]:
        """New code has a new hash."""
        always = ("lastModified", "qualifiedArn", "qualifiedInvokeArn", "version")
        return (*always, "codeSha256", "sourceCodeSize") if {*changed} & _CODE else always

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteFunction, unless `skipDestroy`."""
        if not old.get("skipDestroy"):
            aws.client("lambda").delete_function(FunctionName=resource_id)


def _block(found: Mapping[str, Any] | None, **names: str) -> dict[str, Any] | None:
    """A block with some of its members under Pulumi's names; None when it holds none."""
    return given(**{ours: (found or {}).get(theirs) for ours, theirs in names.items()}) or None


def _source(new: Properties) -> dict[str, Any]:
    if "code" in new:
        data = _code.zipped(new["code"])
        if len(data) > _ZIP_BYTES:
            raise ProviderError(f"the code's zip file has {len(data)} bytes; a call carries {_ZIP_BYTES}: use s3Bucket")
        return {"ZipFile": data}
    return given(
        ImageUri=new.get("imageUri"),
        S3Bucket=new.get("s3Bucket"),
        S3Key=new.get("s3Key"),
        S3ObjectVersion=new.get("s3ObjectVersion"),
    )


_MEMBERS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "deadLetterConfig": ("DeadLetterConfig", {"targetArn": "TargetArn"}),
    "ephemeralStorage": ("EphemeralStorage", {"size": "Size"}),
    "imageConfig": (
        "ImageConfig",
        {"commands": "Command", "entryPoints": "EntryPoint", "workingDirectory": "WorkingDirectory"},
    ),
    "loggingConfig": (
        "LoggingConfig",
        {
            "logFormat": "LogFormat",
            "applicationLogLevel": "ApplicationLogLevel",
            "systemLogLevel": "SystemLogLevel",
            "logGroup": "LogGroup",
        },
    ),
    "snapStart": ("SnapStart", {"applyOn": "ApplyOn"}),
    "tracingConfig": ("TracingConfig", {"mode": "Mode"}),
}
"""Blocks with AWS's names of them and of their members."""


def _configuration(new: Properties) -> dict[str, Any]:
    """What CreateFunction and UpdateFunctionConfiguration have in common, by AWS's names; None is not sent."""
    network, files = new.get("vpcConfig"), new.get("fileSystemConfig")
    blocks = {
        theirs: given(**{member: new[ours].get(key) for key, member in members.items()}) if new.get(ours) else None
        for ours, (theirs, members) in _MEMBERS.items()
    }
    variables = (new.get("environment") or {}).get("variables")
    return {
        **blocks,
        "Role": new["role"],
        "Description": new.get("description", ""),
        "Handler": new.get("handler"),
        "Runtime": new.get("runtime"),
        "MemorySize": new["memorySize"],
        "Timeout": new["timeout"],
        "KMSKeyArn": new.get("kmsKeyArn") or None,
        "Layers": new.get("layers") or None,
        "Environment": {"Variables": variables} if variables else None,
        "FileSystemConfigs": [{"Arn": files["arn"], "LocalMountPath": files["localMountPath"]}] if files else None,
        "VpcConfig": network
        and {
            "SubnetIds": network.get("subnetIds") or [],
            "SecurityGroupIds": network.get("securityGroupIds") or [],
            "Ipv6AllowedForDualStack": bool(network.get("ipv6AllowedForDualStack")),
        },
    }


_EMPTY: Mapping[str, Any] = {
    "DeadLetterConfig": {"TargetArn": ""},
    "Environment": {"Variables": {}},
    "FileSystemConfigs": [],
    "ImageConfig": {},
    "KMSKeyArn": "",
    "Layers": [],
    "SnapStart": {"ApplyOn": "None"},
    "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": [], "Ipv6AllowedForDualStack": False},
}
"""What is sent for something that the program took away."""


def _changed_configuration(new: Properties, changed: Collection[str]) -> dict[str, Any]:
    """Only what changed; the variables with their key, too, which encrypts them."""
    names = {
        "role": "Role",
        "description": "Description",
        "handler": "Handler",
        "runtime": "Runtime",
        "memorySize": "MemorySize",
        "timeout": "Timeout",
        "kmsKeyArn": "KMSKeyArn",
        "layers": "Layers",
        "environment": "Environment",
        "fileSystemConfig": "FileSystemConfigs",
        "vpcConfig": "VpcConfig",
        **{ours: theirs for ours, (theirs, _) in _MEMBERS.items()},
    }
    wanted = {names[key] for key in changed if key in names} | (
        {"Environment"} if "kmsKeyArn" in changed else set[str]()
    )
    values = {key: value for key, value in _configuration(new).items() if key in wanted}
    return given(**{key: _EMPTY.get(key) if value is None else value for key, value in values.items()})


class Permission(AwsResource):
    """A statement of a function's policy: who may call it."""

    type_name = "aws:lambda/permission:Permission"
    title = "Lambda Permission"
    autoname = Autoname("statementId", max_length=100)
    inputs: ClassVar[Inputs] = {
        "action": Prop(str, required=True, force_new=True, check=matches(r"lambda:[*]|lambda:[A-Za-z]+|[*]", 1, 255)),
        "eventSourceToken": Prop(str, force_new=True, unread=True),
        "function": Prop(str, required=True, force_new=True),
        "functionUrlAuthType": Prop(str, force_new=True, unread=True),
        "principal": Prop(str, required=True, force_new=True),
        "principalOrgId": Prop(str, force_new=True),
        "qualifier": Prop(str, force_new=True, unread=True),
        "sourceAccount": Prop(str, force_new=True, check=matches(r"\d{12}", 12, 12)),
        "sourceArn": Prop(str, force_new=True, check=is_arn),
        "statementId": Prop(str, computed=True, force_new=True, check=matches(r"[0-9A-Za-z_-]+", 1, 100)),
        "statementIdPrefix": Prop(str, computed=True, force_new=True),
    }

    def create(self, aws: Aws, new: Properties) -> str:
        """AddPermission."""
        aws.client("lambda").add_permission(
            FunctionName=new["function"],
            StatementId=new["statementId"],
            Action=new["action"],
            Principal=new["principal"],
            **given(
                EventSourceToken=new.get("eventSourceToken"),
                FunctionUrlAuthType=new.get("functionUrlAuthType"),
                PrincipalOrgID=new.get("principalOrgId"),
                Qualifier=new.get("qualifier"),
                SourceAccount=new.get("sourceAccount"),
                SourceArn=new.get("sourceArn"),
            ),
        )
        return new["statementId"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """GetPolicy; an import's id is FUNCTION/STATEMENT."""
        function, statement_id = (state["function"], resource_id) if state else tuple(resource_id.split("/", 1))
        qualifier = given(Qualifier=state.get("qualifier"))
        policy = json.loads(aws.client("lambda").get_policy(FunctionName=function, **qualifier)["Policy"])
        for found in policy["Statement"]:
            if found["Sid"] == statement_id:
                conditions = {
                    name.lower(): value
                    for tests in (found.get("Condition") or {}).values()
                    for name, value in tests.items()
                }
                principal = found["Principal"]
                if isinstance(principal, dict):
                    principal = principal.get("Service") or principal.get("AWS")
                return {
                    "id": statement_id,
                    "statementId": statement_id,
                    # Kept in the form that the program gave: a change from the name to the ARN replaces.
                    "function": function,
                    "action": found["Action"],
                    "principal": principal,
                    "sourceArn": conditions.get("aws:sourcearn"),
                    "sourceAccount": conditions.get("aws:sourceaccount"),
                    "principalOrgId": conditions.get("aws:principalorgid"),
                    "region": aws.region,
                }
        return None

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """RemovePermission."""
        aws.client("lambda").remove_permission(
            FunctionName=old["function"], StatementId=resource_id, **given(Qualifier=old.get("qualifier"))
        )


RESOURCES = (Function(), Permission())
