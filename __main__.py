"""One stack of the application's secrets: settings -> components -> outputs."""

import pulumi
import pulumi_aws as aws

from catalogue import APPLICATION
from components import errors, hooks, pricing
from components.app_secrets import Secrets
from components.audit import Audit
from components.encryption import Encryption
from components.limits import PULUMI_VERSIONS
from components.location import Location
from components.outputs import Outputs
from components.policies.deployer import require_boundary
from components.rotation import Rotation
from components.service import Service
from config import args
from config.load import load

pulumi.require_pulumi_version(PULUMI_VERSIONS)
errors.end_quietly()
hooks.let_hooks_end()
config = load(APPLICATION)
partition, region, caller = aws.get_partition(), aws.get_region(), aws.get_caller_identity()
location = Location(partition.partition, region.region, caller.account_id)
with errors.readable():
    require_boundary(caller.arn, config.names, location, config.permissions_boundary)

key_arn = None
if config.encryption != "aws-managed":
    key_arn = Encryption("encryption", args.encryption(config, location)).key_arn
# On the way back to AWS's key nothing new is written under the stack's own, which stays for what is under it already.
log_key_arn = None if config.encryption == "returning-to-aws-managed" else key_arn

with errors.readable():
    secrets_args = args.secrets(config, location, caller.arn, key_arn)
own = Secrets("secrets", secrets_args).secrets
secrets = {**own, **args.foreign_secrets(config)}

audit = None
if config.audit:
    audit = Audit("audit", args.audit(config, config.audit, location, own, log_key_arn))
topic_arn = audit.topic_arn if audit else None

services = {
    name: Service(
        name,
        args.service(
            config,
            name,
            location,
            secrets,
            log_kms_key_arn=log_key_arn,
            alarm_topic_arn=topic_arn,
        ),
    )
    for name in config.services
}

if config.rotation:
    Rotation("rotation", args.rotation(config, config.rotation, location, secrets, log_key_arn))

metrics = audit.metric_count if audit else 0
stack_outputs = Outputs[pulumi.Input[str]](
    environment=config.names.stack,
    secret_arns={name: secret.arn for name, secret in own.items()},
    secrets=args.described_secrets(config, secrets),
    services={name: service.outputs for name, service in services.items()},
    monthly_cost_usd=pricing.total(
        pricing.fixed_items(
            secrets=len(own),
            replicas=len(own) * len(config.replica_regions),
            keys=1 if key_arn else 0,
            metrics=metrics,
            alarms=metrics + sum(service.alarm_count for service in services.values()),
            dashboards=1 if config.audit else 0,
        )
    ),
    kms_key_arn=key_arn,
    alarm_topic_arn=topic_arn,
    replica_regions=sorted(config.replica_regions),
)
for output, value in stack_outputs.exports():
    pulumi.export(output, value)
