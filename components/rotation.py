"""Rotates the database password on a schedule, with a Lambda function beside the database."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pulumi
import pulumi_aws as aws

from components._archive import CA_BUNDLE_NAME, ROTATION_HANDLER, ROTATION_PACKAGE, rotation_archive
from components.location import Location
from components.policies import identity
from config.settings import RotationSettings, Settings

RUNTIME = "python3.13"
TIMEOUT_SECONDS = 60
"""One step of a rotation takes a second; a database that is failing over is waited for."""


def uncovered_region(host: str) -> str | None:
    """The Region of a host of Amazon RDS whose authorities the function does not bring, None for every other host."""
    found = re.search(r"\.(?:([a-z0-9-]+)\.rds\.amazonaws\.com|rds\.([a-z0-9-]+)\.amazonaws\.com\.cn)$", host.lower())
    if not found:
        return None
    region = found[1] or found[2]
    roots = (ROTATION_PACKAGE / "rds-roots.pem").read_text("ascii")
    return None if f"# Amazon RDS {region} Root CA" in roots else region


class Rotation(pulumi.ComponentResource):
    """The rotation function with its role and log, and the schedule on the secret.

    Attributes:
        function_arn: The function's ARN.
        role_arn: The function's role; besides the execution role the only reader of the secret.
    """

    function_arn: pulumi.Output[str]
    role_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        config: Settings,
        settings: RotationSettings,
        location: Location,
        secret_arns: Mapping[str, pulumi.Input[str]],
        key_arns: Mapping[str, pulumi.Input[str]],
        log_key_arn: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create the function and schedule the rotation.

        Args:
            name: The component's name.
            config: The stack's settings.
            settings: The configuration's `rotation`.
            location: The account and Region.
            secret_arns: ARNs of all secrets by name in the catalogue, those of other owners among them.
            key_arns: Their customer-managed keys by name in the catalogue.
            log_key_arn: The customer-managed key of the function's log, if any.
            opts: Options of the component.
        """
        super().__init__("ticketing:index:Rotation", name, None, opts)
        self._name, self._config, self._settings, self._location = name, config, settings, location
        self._child = pulumi.ResourceOptions(parent=self)
        secret_arn = secret_arns[settings.secret]
        superuser_arn = secret_arns[settings.superuser] if settings.superuser else None
        log_group = aws.cloudwatch.LogGroup(
            name,
            name=config.names.rotation_log_group,
            retention_in_days=config.log_retention_in_days,
            kms_key_id=log_key_arn,
            opts=self._child,
        )
        superuser_key_arn = key_arns.get(settings.superuser) if settings.superuser else None
        role_arn = self._role(secret_arn, superuser_arn, key_arns.get(settings.secret), superuser_key_arn)
        function = self._function(role_arn, superuser_arn, log_group.name)
        permission = aws.lambda_.Permission(
            name,
            statement_id="secrets-manager",
            function=function.name,
            action="lambda:InvokeFunction",
            principal="secretsmanager.amazonaws.com",
            source_account=location.account_id,
            source_arn=secret_arn,
            opts=self._child,
        )
        aws.secretsmanager.SecretRotation(
            name,
            secret_id=secret_arn,
            rotation_lambda_arn=function.arn,
            # Otherwise every change of this resource, such as of its schedule, would rotate at once.
            rotate_immediately=False,
            # Without a duration the window stays open until the end of the UTC day.
            rotation_rules={"schedule_expression": settings.schedule, "duration": settings.duration},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permission]),
        )
        self.function_arn = function.arn
        self.role_arn = role_arn
        self.register_outputs({"function_arn": self.function_arn, "role_arn": self.role_arn})

    def _role(
        self,
        secret_arn: pulumi.Input[str],
        superuser_arn: pulumi.Input[str] | None,
        key_arn: pulumi.Input[str] | None,
        superuser_key_arn: pulumi.Input[str] | None,
    ) -> pulumi.Output[str]:
        """Make the function's role and return its ARN, known once it may do what it is for."""
        names, location = self._config.names, self._location
        role = aws.iam.Role(
            self._name,
            name=names.rotation,
            description="Changes the database password and the secret that holds it",
            # Lambda sends no source account or ARN when it assumes a function's role, so there is nothing to bind to.
            assume_role_policy=identity.trust("lambda.amazonaws.com"),
            permissions_boundary=self._config.permissions_boundary,
            opts=self._child,
        )
        policy = pulumi.Output.all(secret_arn, superuser_arn, key_arn, superuser_key_arn).apply(
            lambda known: identity.document(
                identity.rotate_secret(
                    secret_arn=known[0],
                    superuser_secret_arn=known[1],
                    kms_key_arn=known[2],
                    superuser_kms_key_arn=known[3],
                    function_arn=location.arn("lambda", f"function:{names.rotation}"),
                    log_group_arn=location.log_group_arn(names.rotation_log_group),
                    region=location.region,
                    dns_suffix=location.dns_suffix,
                )
            )
        )
        role_policy = aws.iam.RolePolicy(self._name, name="rotation", role=role.name, policy=policy, opts=self._child)
        # Lambda checks the role's rights on network interfaces when it creates the function.
        return pulumi.Output.all(role.arn, role_policy.id).apply(lambda known: known[0])

    def _function(
        self,
        role_arn: pulumi.Input[str],
        superuser_arn: pulumi.Input[str] | None,
        log_group_name: pulumi.Input[str],
    ) -> aws.lambda_.Function:
        settings, bundle = self._settings, self._settings.certificate_bundle
        if not bundle and (region := uncovered_region(settings.host)):
            pulumi.log.warn(
                "rotation.certificateBundle is not set, and the function does not bring the authorities that sign the "
                f"certificates of Amazon RDS in {region}: the rotation will fail unless the host is an RDS Proxy. "
                "`make certificates` renews them; docs/rotation.md says where to get the Region's bundle",
                resource=self,
            )
        archive = rotation_archive(settings.engine, Path(bundle).read_bytes() if bundle else None)
        variables: dict[str, pulumi.Input[str]] = {
            "ENGINE": settings.engine,
            "STRATEGY": settings.strategy,
            "DATABASE_HOST": settings.host,
            "DATABASE_PORT": str(settings.port),
            "DATABASE_NAME": settings.dbname,
        }
        if settings.username:  # who signs in; a superuser's secret in JSON names him itself
            variables["DATABASE_USERNAME"] = settings.username
        if superuser_arn is not None:
            variables["SUPERUSER_SECRET_ARN"] = superuser_arn
        if settings.grants:
            variables["USER_GRANTS"] = json.dumps(settings.grants)
        if bundle:
            variables["CA_BUNDLE"] = CA_BUNDLE_NAME
        return aws.lambda_.Function(
            self._name,
            name=self._config.names.rotation,
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
            vpc_config={
                "subnet_ids": list(settings.subnet_ids),
                "security_group_ids": list(settings.security_group_ids),
            },
            logging_config={"log_format": "Text", "log_group": log_group_name},
            opts=self._child,
        )
