"""AWS Lambda.

Source: terraform-provider-aws 6.x, internal/service/lambda/function.go and permission.go.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

from sandbox.providers._diff import by, same_set
from sandbox.providers._resource import Autoname, Inputs, Prop, ProviderError, between, given, matches, one_of
from sandbox.providers._values import Asset, Properties
from sandbox.providers.aws import _code
from sandbox.providers.aws._base import AwsResource, is_arn, retag_resource
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


class Function(AwsResource):
    """A function."""

    type_name = "aws:lambda/function:Function"
    title = "Lambda Function"
    tagged = True
    autoname = Autoname(max_length=64)
    inputs: ClassVar[Inputs] = {
        "architectures": Prop(list, computed=True, same=same_set),
        "code": Prop(Asset, unread=True),
        "codeSigningConfigArn": Prop(str, unread=True),
        "deadLetterConfig": Prop(dict),
        "description": Prop(str),
        "environment": Prop(dict),
        "ephemeralStorage": Prop(dict, computed=True),
        "fileSystemConfig": Prop(dict),
        "handler": Prop(str),
        "imageConfig": Prop(dict, unread=True),
        "imageUri": Prop(str, unread=True),
        "kmsKeyArn": Prop(str, check=is_arn),
        "layers": Prop(list),
        "loggingConfig": Prop(dict, computed=True, same=by(_logging)),
        "memorySize": Prop(int, default=128, check=between(128, 10240)),
        "name": Prop(str, computed=True, force_new=True, check=matches(r"[0-9A-Za-z_-]+", 1, 64)),
        "packageType": Prop(str, default="Zip", force_new=True, check=one_of("Zip", "Image")),
        "publish": Prop(bool, default=False, unread=True),
        "reservedConcurrentExecutions": Prop(int, default=-1),
        "role": Prop(str, required=True, check=is_arn),
        "runtime": Prop(str),
        "s3Bucket": Prop(str, unread=True),
        "s3Key": Prop(str, unread=True),
        "s3ObjectVersion": Prop(str, unread=True),
        "skipDestroy": Prop(bool, default=False, unread=True),
        "snapStart": Prop(dict, unread=True),
        "sourceCodeHash": Prop(str, computed=True),
        "timeout": Prop(int, default=3, check=between(1, 900)),
        "tracingConfig": Prop(dict, computed=True),
        "vpcConfig": Prop(dict, same=by(_network)),
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
        if new.get("packageType") == "Zip":
            yield from (
                (key, "is required when packageType is Zip") for key in ("handler", "runtime") if key not in new
            )

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateFunction."""
        answer = aws.client("lambda").create_function(
            FunctionName=new["name"],
            PackageType=new["packageType"],
            Publish=new["publish"],
            Code=_source(new),
            **_configuration(new),
            **given(
                Architectures=new.get("architectures"),
                CodeSigningConfigArn=new.get("codeSigningConfigArn"),
                Tags=new["tagsAll"] or None,
            ),
        )
        return answer["FunctionName"]

    def finish(self, aws: Aws, resource_id: str, new: Properties) -> None:
        """PutFunctionConcurrency; -1 means no reservation."""
        if new["reservedConcurrentExecutions"] >= 0:
            aws.client("lambda").put_function_concurrency(
                FunctionName=resource_id, ReservedConcurrentExecutions=new["reservedConcurrentExecutions"]
            )

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """GetFunction."""
        answer = aws.client("lambda").get_function(FunctionName=resource_id)
        found = answer["Configuration"]
        arn = found["FunctionArn"].removesuffix(":$LATEST")
        version = found["Version"]
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
            # As in the real plugin: what the program says stays, else what AWS computed.
            "sourceCodeHash": state.get("sourceCodeHash") or found["CodeSha256"],
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
        """Configuration, code, concurrency, tags: the order of the real plugin."""
        client = aws.client("lambda")
        rest = {*changed} - _CODE - {"tags", "tagsAll", "reservedConcurrentExecutions", "publish", "skipDestroy"}
        if rest:
            client.update_function_configuration(FunctionName=resource_id, **_configuration(new, clear=changed))
        if {*changed} & _CODE:
            client.update_function_code(
                FunctionName=resource_id,
                Publish=new["publish"],
                **_source(new),
                **given(Architectures=new.get("architectures")),
            )
        if "reservedConcurrentExecutions" in changed:
            if new["reservedConcurrentExecutions"] >= 0:
                self.finish(aws, resource_id, new)
            else:
                client.delete_function_concurrency(FunctionName=resource_id)
        arn = old["arn"]
        retag_resource(client, old, new, changed, form=dict, Resource=arn)

    def renewed(self, changed: Collection[str]) -> Collection[str]:
        """New code has a new hash."""
        always = ("lastModified", "qualifiedArn", "qualifiedInvokeArn", "version")
        return (*always, "codeSha256", "sourceCodeSize") if {*changed} & _CODE else always[:1]

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


def _configuration(new: Properties, clear: Collection[str] = ()) -> dict[str, Any]:
    """What CreateFunction and UpdateFunctionConfiguration have in common; `clear`: blocks to be emptied when unset."""

    def block(key: str, **names: str) -> dict[str, Any] | None:
        value = new.get(key)
        if not value:
            return dict.fromkeys(names.values(), "") if key in clear else None
        return given(**{theirs: value.get(ours) for ours, theirs in names.items()})

    network = new.get("vpcConfig") or ({} if "vpcConfig" in clear else None)
    environment = new.get("environment") or ({} if "environment" in clear else None)
    image = new.get("imageConfig")
    files = new.get("fileSystemConfig")
    return given(
        Role=new["role"],
        Description=new.get("description", ""),
        Handler=new.get("handler"),
        Runtime=new.get("runtime"),
        MemorySize=new["memorySize"],
        Timeout=new["timeout"],
        KMSKeyArn=new.get("kmsKeyArn"),
        Layers=new.get("layers") or ([] if "layers" in clear else None),
        DeadLetterConfig=block("deadLetterConfig", targetArn="TargetArn"),
        Environment=None if environment is None else {"Variables": environment.get("variables") or {}},
        EphemeralStorage=block("ephemeralStorage", size="Size") if new.get("ephemeralStorage") else None,
        FileSystemConfigs=[{"Arn": files["arn"], "LocalMountPath": files["localMountPath"]}] if files else None,
        ImageConfig=image
        and given(
            Command=image.get("commands"),
            EntryPoint=image.get("entryPoints"),
            WorkingDirectory=image.get("workingDirectory"),
        ),
        LoggingConfig=block(
            "loggingConfig",
            logFormat="LogFormat",
            applicationLogLevel="ApplicationLogLevel",
            systemLogLevel="SystemLogLevel",
            logGroup="LogGroup",
        )
        if new.get("loggingConfig")
        else None,
        SnapStart=block("snapStart", applyOn="ApplyOn") if new.get("snapStart") else None,
        TracingConfig=block("tracingConfig", mode="Mode") if new.get("tracingConfig") else None,
        VpcConfig=None
        if network is None
        else given(
            SubnetIds=network.get("subnetIds") or [],
            SecurityGroupIds=network.get("securityGroupIds") or [],
            Ipv6AllowedForDualStack=network.get("ipv6AllowedForDualStack"),
        ),
    )


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
