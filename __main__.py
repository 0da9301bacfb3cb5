"""One stack of the application's secrets: settings -> components -> outputs."""

import pulumi
import pulumi_aws as aws

from catalogue import APPLICATION
from components import errors, pricing
from components.app_secrets import AppSecrets
from components.audit import Audit
from components.encryption import Encryption
from components.location import Location
from components.outputs import Outputs
from components.policies.deployer import require_boundary
from components.reminder import Reminder
from components.rotation import Rotation
from components.service import Service
from config.load import load

errors.end_quietly()
config = load(APPLICATION)
partition, region, caller = aws.get_partition(), aws.get_region(), aws.get_caller_identity()
location = Location(partition.partition, region.region, caller.account_id, partition.dns_suffix)
with errors.readable():
    require_boundary(caller.arn, config.names, location, config.permissions_boundary)

key_arn = None
if config.encryption != "aws-managed":
    key_arn = Encryption("encryption", config=config, location=location).key_arn
# On the way back to AWS's key nothing new is written under the stack's own, which stays for what is under it already.
log_key_arn = None if config.encryption == "returning-to-aws-managed" else key_arn

secrets = AppSecrets("secrets", config=config, location=location, caller_arn=caller.arn, key_arn=key_arn)
# Who reads a secret or rotates it may use its key. A secret that is not listed is under AWS's own.
key_arns = {**secrets.key_arns, **config.secret_kms_keys}

topic_arn = None
if config.audit:
    topic_arn = Audit(
        "audit",
        config=config,
        settings=config.audit,
        location=location,
        secret_arns={secrets.names[name]: arn for name, arn in secrets.arns.items()},
        kms_key_arn=log_key_arn,
    ).topic_arn

services = {
    name: Service(
        name,
        config=config,
        location=location,
        secrets=secrets,
        key_arns=key_arns,
        log_key_arn=log_key_arn,
        alarm_topic_arn=topic_arn,
    )
    for name in config.services
}

if config.rotation:
    Rotation(
        "rotation",
        config=config,
        settings=config.rotation,
        location=location,
        secret_arns={**secrets.arns, **config.foreign_arns},
        key_arns=key_arns,
        log_key_arn=log_key_arn,
    )
if config.remind_every_days and topic_arn:
    Reminder(
        "reminder",
        config=config,
        every_days=config.remind_every_days,
        location=location,
        topic_arn=topic_arn,
        kms_key_arn=log_key_arn,
    )

stack_outputs = Outputs[pulumi.Input[str]](
    environment=config.names.stack,
    secret_arns=secrets.arns,
    secret_names=secrets.names,
    services={name: service.outputs for name, service in services.items()},
    monthly_cost_usd=pricing.total(
        pricing.fixed_items(
            secrets=len(secrets.arns),
            replicas=len(secrets.arns) * len(config.replica_regions),
            keys=1 if key_arn else 0,
            metrics=Audit.metric_count if config.audit else 0,
            alarms=(Audit.metric_count if config.audit else 0) + sum(s.alarm_count for s in services.values()),
            dashboards=1 if config.audit else 0,
        )
    ),
    kms_key_arn=key_arn,
    alarm_topic_arn=topic_arn,
    foreign_secret_arns=config.foreign_arns,
    secret_kms_key_arns=config.secret_kms_keys,
    replica_regions=sorted(config.replica_regions),
)
for output, value in stack_outputs.exports():
    pulumi.export(output, value)
