"""The resources that an AWS account needs once: the state bucket, the configuration key, and the deployment roles."""

import sys
from pathlib import Path

import pulumi
import pulumi_aws as aws

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the application's model and policies, and this package

from account import backups
from account.config_key import ConfigKey
from account.roles import Roles
from account.settings import load
from account.state_bucket import StateBucket
from components import hooks
from components.errors import end_quietly
from components.location import Location

end_quietly()
hooks.let_hooks_end()
partition, region, caller = aws.get_partition(), aws.get_region(), aws.get_caller_identity()
settings = load(Location(partition.partition, region.region, caller.account_id), caller.arn)
location = settings.stack.location

# Everything else depends on the bucket: if its name is taken, AWS refuses it and nothing is created.
bucket = StateBucket("state", bucket=settings.stack.state_bucket, partition=location.partition)
key = ConfigKey(
    "config-key",
    alias=settings.stack.config_alias,
    project=pulumi.get_project(),
    readers=settings.state_readers,
    location=location,
    after=bucket.bucket,
)
roles = Roles(
    "roles",
    stack=settings.stack,
    config_key_arn=key.arn,
    pipeline=settings.pipeline,
    boundary=settings.boundary,
    after=bucket.bucket,
)
pipeline = settings.pipeline
backup = backups.from_configuration(settings.stack, issuer=pipeline.issuer, audience=pipeline.audience, after=roles)

pulumi.export("backendUrl", bucket.name.apply(lambda _: settings.stack.backend_url))
pulumi.export("secretsProvider", f"awskms://{settings.stack.config_alias}?region={location.region}")
pulumi.export("configurationKeyArn", key.arn)
pulumi.export("deployerRoleArn", roles.deployer_arn)
pulumi.export("previewerRoleArn", roles.previewer_arn)
pulumi.export("reviewerRoleArn", roles.reviewer_arn)
pulumi.export("permissionsBoundary", roles.boundary_arn)
if backup:
    pulumi.export("backupRoleArn", backup.role_arn)
    pulumi.export("backupBucket", backup.bucket)
    pulumi.export("backupKeyArn", backup.key_arn)
