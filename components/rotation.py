"""Rotates the database password on a schedule, with a Lambda function beside the database."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components import _args
from components._archive import CA_BUNDLE_NAME, ROTATION_HANDLER, ROTATION_PACKAGE, rotation_archive
from components.checks import SECURITY_GROUP, SUBNET
from components.engines import ENGINES
from components.functions.rotate_password import grants
from components.location import Location
from components.names import rotation_log_group, rotation_name
from components.policies import identity
from components.schedule import wrong_duration, wrong_schedule
from components.secret import Secret

RUNTIME = "python3.13"
TIMEOUT_SECONDS = 60
"""One step of a rotation takes a second; the time-out covers a database failover."""


def uncovered_region(host: str) -> str | None:
    """The Region of an Amazon RDS host whose authorities the function does not ship, None for every other host."""
    found = re.search(r"\.(?:([a-z0-9-]+)\.rds\.amazonaws\.com|rds\.([a-z0-9-]+)\.amazonaws\.com\.cn)$", host.lower())
    if not found:
        return None
    region = found[1] or found[2]
    roots = (ROTATION_PACKAGE / "rds-roots.pem").read_text("ascii")
    return None if f"# Amazon RDS {region} Root CA" in roots else region


class RotationArgs(TypedDict):
    """The secret that a function rotates, the database and the schedule."""

    secret: Secret
    """The secret that rotates."""
    superuser: NotRequired[Secret]
    """The secret for the user that changes it: required by `alternating-users`, refused by `single-user`."""
    strategy: NotRequired[str]
    """`single-user` changes the password of the user that signs in; `alternating-users` alternates two users. Default:
    `single-user`."""
    engine: NotRequired[str]
    """The kind of database: `postgresql`. Default: `postgresql`."""
    host: pulumi.Input[str]
    """The server's host name, as in its certificate."""
    port: NotRequired[int]
    """TCP port. Default: the engine's."""
    dbname: NotRequired[str]
    """The database that the function signs in to. Default: the engine's."""
    username: NotRequired[str]
    """The user that the sign-in secret belongs to, if that secret is a text. A JSON holds the name itself."""
    grants: NotRequired[Sequence[str]]
    """The application user's privileges if the function creates it (`alternating-users`), such as `USAGE, CREATE ON SCHEMA
    public`. Default: the function creates no user."""
    schedule: str
    """A `cron(...)` expression in UTC that Secrets Manager accepts."""
    duration: NotRequired[str]
    """Length of the window that the schedule opens, in hours. Default: `1h`."""
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Private subnets that reach the database and Secrets Manager."""
    security_group_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Security groups of the function. The database's group must allow them."""
    certificate_bundle: NotRequired[str]
    """PEM text of the authorities that sign the server's certificate. Default: those of Amazon RDS, which the function
    ships."""
    log_retention_in_days: NotRequired[int]
    """Days that the function's log is kept. Default: 30."""
    log_kms_key_arn: NotRequired[pulumi.Input[str]]
    """ARN of the customer-managed key of the log group. Default: CloudWatch Logs encrypts with its own."""
    permissions_boundary: NotRequired[pulumi.Input[str]]
    """ARN of the permissions boundary of the function's role. Default: none."""
    prefix: NotRequired[str]
    """The name prefix of the function, its role and its log group, at most 55 characters; `-rotation` follows. Default:
    `<project>-<stack>`."""
    location: NotRequired[Location]
    """The account and Region. Default: the provider's."""


class Rotation(pulumi.ComponentResource):
    """The rotation function with its role and log, and the schedule on the secret."""

    function_arn: pulumi.Output[str]
    """The function's ARN."""
    role_arn: pulumi.Output[str]
    """The function's role: the only reader of the secret besides the execution role."""

    def __init__(self, name: str, args: RotationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Create the function and schedule the rotation.

        Raises:
            ArgsError: When AWS would refuse an argument.
        """
        super().__init__("ecs-secrets:index:Rotation", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        prefix = _args.stack_prefix_of(args)
        _args.refuse("Rotation", name, _problems(args, prefix))
        self._location = location = _args.location_of(args, self)
        self._function_name = rotation_name(prefix)
        (secret,) = _args.secrets_of([args["secret"]])
        superuser = next(iter(_args.secrets_of([args["superuser"]] if "superuser" in args else None)), None)
        log_group = _args.log_group(name, args, self._child, rotation_log_group(prefix))
        role_arn = self._role(secret, superuser, location.log_group_arn(rotation_log_group(prefix)))
        function = self._function(role_arn, superuser.arn if superuser else None, log_group.name)
        permission = aws.lambda_.Permission(
            name,
            statement_id="secrets-manager",
            function=function.name,
            action="lambda:InvokeFunction",
            principal="secretsmanager.amazonaws.com",
            source_account=location.account_id,
            source_arn=secret.arn,
            opts=self._child,
        )
        aws.secretsmanager.SecretRotation(
            name,
            secret_id=secret.arn,
            rotation_lambda_arn=function.arn,
            # Otherwise every change of this resource, such as of its schedule, would rotate immediately.
            rotate_immediately=False,
            # Without a duration the window stays open until the end of the UTC day.
            rotation_rules={"schedule_expression": args["schedule"], "duration": args.get("duration", "1h")},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permission]),
        )
        self.function_arn = function.arn
        self.role_arn = role_arn
        self.register_outputs({"function_arn": self.function_arn, "role_arn": self.role_arn})

    def _role(self, secret: Secret, superuser: Secret | None, log_group_arn: str) -> pulumi.Output[str]:
        """Create the function's role and return its ARN, known once its policy is attached."""
        location = self._location
        policy = pulumi.Output.all(
            secret.arn,
            superuser.arn if superuser else None,
            secret.kms_key_arn,
            superuser.kms_key_arn if superuser else None,
        ).apply(
            lambda known: identity.document(
                identity.rotate_secret(
                    secret_arn=known[0],
                    superuser_secret_arn=known[1],
                    kms_key_arn=known[2],
                    superuser_kms_key_arn=known[3],
                    function_arn=location.arn("lambda", f"function:{self._function_name}"),
                    log_group_arn=log_group_arn,
                    location=location,
                )
            )
        )
        # Lambda checks the role's rights on network interfaces when it creates the function.
        return _args.role(
            self._name,
            self._args,
            self._child,
            role_name=self._function_name,
            description="Changes the database password and the secret that holds it",
            # Lambda sends no source account or ARN when it assumes a function's role, so no condition can bind it.
            trust=identity.trust("lambda.amazonaws.com"),
            policy=("rotation", policy),
        )

    def _function(
        self,
        role_arn: pulumi.Input[str],
        superuser_arn: pulumi.Input[str] | None,
        log_group_name: pulumi.Input[str],
    ) -> "aws.lambda_.Function":
        args, bundle, host = self._args, self._args.get("certificate_bundle"), self._args["host"]
        kind = args.get("engine", _DEFAULT_ENGINE)
        engine = ENGINES[kind]
        if not bundle and isinstance(host, str) and (region := uncovered_region(host)):
            pulumi.log.warn(
                "rotation.certificateBundle is not set, and the function does not ship the authorities that sign the "
                f"certificates of Amazon RDS in {region}: the rotation will fail unless the host is an RDS Proxy. "
                "`make certificates` renews them; docs/rotation.md says where to get the Region's bundle",
                resource=self,
            )
        archive = rotation_archive(kind, bundle.encode() if bundle else None)
        variables: dict[str, pulumi.Input[str]] = {
            "ENGINE": kind,
            "STRATEGY": args.get("strategy", STRATEGIES[0]),
            "DATABASE_HOST": host,
            "DATABASE_PORT": str(int(args.get("port", engine.port))),
            "DATABASE_NAME": args.get("dbname", engine.database),
        }
        if username := args.get("username"):  # the user that signs in; a superuser's secret in JSON names it
            variables["DATABASE_USERNAME"] = username
        if superuser_arn is not None:
            variables["SUPERUSER_SECRET_ARN"] = superuser_arn
        if grants_asked := args.get("grants"):
            variables["USER_GRANTS"] = json.dumps(list(grants_asked))
        if bundle:
            variables["CA_BUNDLE"] = CA_BUNDLE_NAME
        return aws.lambda_.Function(
            self._name,
            name=self._function_name,
            description="Rotates a database password in four steps, invoked by Secrets Manager",
            runtime=RUNTIME,
            architectures=["arm64"],
            handler=ROTATION_HANDLER,
            code=pulumi.FileArchive(str(archive.path)),
            source_code_hash=archive.sha256,
            role=role_arn,
            timeout=TIMEOUT_SECONDS,
            memory_size=256,
            environment={"variables": variables},
            vpc_config={"subnet_ids": args["subnet_ids"], "security_group_ids": args["security_group_ids"]},
            logging_config={"log_format": "Text", "log_group": log_group_name},
            opts=self._child,
        )


STRATEGIES = ("single-user", "alternating-users")
_DEFAULT_ENGINE = next(iter(ENGINES))
_RULES = {
    **_args.BOUNDARY,
    "subnet_ids": (SUBNET, "a subnet's id, subnet-..."),
    "security_group_ids": (SECURITY_GROUP, "a security group's id, sg-..."),
}


def _problems(args: RotationArgs, prefix: str) -> Iterator[_args.Problem]:
    yield from _args.long_names(prefix, rotation_name(""))
    yield from _args.unlike(args, _RULES)
    yield from _args.wrong_retention(args)
    yield from _args.outside(args, {"port": (range(1, 65536), "1 to 65535")})
    if wrong := wrong_schedule(args["schedule"]):
        yield "schedule", *wrong
    if wrong := wrong_duration(args.get("duration", "1h"), args["schedule"]):
        yield "duration", *wrong
    for grant in args.get("grants", ()):
        try:
            grants.parse(grant)
        except ValueError as error:
            yield "grants", str(error), grants.RULE
    if (kind := args.get("engine", _DEFAULT_ENGINE)) not in ENGINES:
        yield "engine", f"is {kind!r}", f"one of {', '.join(ENGINES)}"
    if (strategy := args.get("strategy", STRATEGIES[0])) not in STRATEGIES:
        yield "strategy", f"is {strategy!r}", " or ".join(STRATEGIES)
    elif (strategy == "alternating-users") != ("superuser" in args):
        yield "superuser", f"can't be used with {strategy}", "alternating-users needs it, single-user does not"
