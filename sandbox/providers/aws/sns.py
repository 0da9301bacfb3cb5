"""Amazon Simple Notification Service.

Source: terraform-provider-aws 6.x, internal/service/sns/topic.go, topic_policy.go and topic_subscription.go.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

from sandbox.providers._diff import same_json, same_policy
from sandbox.providers._resource import Autoname, Inputs, Prop, between, is_json, is_policy, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, by_prefix, is_arn, retag_resource, tag_list, tag_map
from sandbox.providers.aws._session import Aws

_TEXTS = ("deliveryPolicy", "displayName", "kmsMasterKeyId", "policy", "tracingConfig", "fifoThroughputScope")
_NUMBERS = ("signatureVersion",)
_FLAGS = ("fifoTopic", "contentBasedDeduplication")
_NAME = re.compile(r"[0-9A-Za-z_-]{1,256}(\.fifo)?")


def _attribute(name: str) -> str:
    """SNS's name of a topic's attribute."""
    return name[:1].upper() + name[1:]


class Topic(AwsResource):
    """A topic."""

    type_name = "aws:sns/topic:Topic"
    title = "SNS Topic"
    tagged = True
    autoname = Autoname(max_length=80)
    inputs: ClassVar[Inputs] = {
        "contentBasedDeduplication": Prop(bool, default=False),
        "deliveryPolicy": Prop(str, same=same_json, check=is_json),
        "displayName": Prop(str),
        "fifoThroughputScope": Prop(str, computed=True),
        "fifoTopic": Prop(bool, default=False, force_new=True),
        "kmsMasterKeyId": Prop(str),
        "name": Prop(str, computed=True, force_new=True),
        "namePrefix": Prop(str, computed=True, force_new=True),
        "policy": Prop(str, computed=True, same=same_policy, check=is_json),
        "signatureVersion": Prop(int, computed=True, check=between(1, 2)),
        "tracingConfig": Prop(str, computed=True, check=one_of("Active", "PassThrough")),
    }
    computed = ("arn", "beginningArchiveTime", "owner")

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        """A FIFO topic's name says so."""
        name = new.get("name")
        if isinstance(name, str) and new.get("fifoTopic") is True and not name.endswith(".fifo"):
            yield "name", "the name of a FIFO topic must end in .fifo"
        if isinstance(name, str) and not _NAME.fullmatch(name):
            yield "name", f"invalid name: {name}"
        if new.get("contentBasedDeduplication") is True and new.get("fifoTopic") is False:
            yield "contentBasedDeduplication", "content-based deduplication can only be set for FIFO topics"

    def create(self, aws: Aws, new: Properties) -> str:
        """CreateTopic; only whether it is FIFO must be said at once."""
        attributes = {"FifoTopic": "true"} if new["fifoTopic"] else {}
        answer = aws.client("sns").create_topic(
            Name=by_prefix(new), Attributes=attributes, Tags=tag_list(new["tagsAll"])
        )
        return answer["TopicArn"]

    def finish(self, aws: Aws, resource_id: str, new: Properties) -> None:
        """SetTopicAttributes one by one."""
        for key in (*_TEXTS, *_NUMBERS, "contentBasedDeduplication"):
            if new.get(key):
                aws.client("sns").set_topic_attributes(
                    TopicArn=resource_id, AttributeName=_attribute(key), AttributeValue=_text(new[key])
                )

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """GetTopicAttributes."""
        del state
        client = aws.client("sns")
        found = client.get_topic_attributes(TopicArn=resource_id)["Attributes"]
        return {
            "arn": resource_id,
            "name": resource_id.rsplit(":", 1)[1],
            "owner": found.get("Owner", aws.account),
            "tagsAll": tag_map(client.list_tags_for_resource(ResourceArn=resource_id)["Tags"]),
            "region": aws.region,
            **{key: found.get(_attribute(key)) for key in _TEXTS},
            **{key: int(found[_attribute(key)]) for key in _NUMBERS if found.get(_attribute(key))},
            **{key: found.get(_attribute(key), "false") == "true" for key in _FLAGS},
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """SetTopicAttributes one by one, tags."""
        client = aws.client("sns")
        for key in sorted({*changed} & {*_TEXTS, *_NUMBERS, *_FLAGS}):
            if key == "policy" and not new.get("policy"):
                continue
            client.set_topic_attributes(
                TopicArn=resource_id, AttributeName=_attribute(key), AttributeValue=_text(new.get(key, ""))
            )
        retag_resource(client, old, new, changed, ResourceArn=resource_id)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """DeleteTopic."""
        del old
        aws.client("sns").delete_topic(TopicArn=resource_id)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class TopicPolicy(AwsResource):
    """A topic's policy as a resource of its own."""

    type_name = "aws:sns/topicPolicy:TopicPolicy"
    title = "SNS Topic Policy"
    inputs: ClassVar[Inputs] = {
        "arn": Prop(str, required=True, force_new=True, check=is_arn),
        "policy": Prop(str, required=True, same=same_policy, check=is_policy),
    }
    computed = ("owner",)

    def label(self, inputs: Mapping[str, Any], resource_id: str) -> str:
        """The topic."""
        return resource_id or str(inputs.get("arn", ""))

    def create(self, aws: Aws, new: Properties) -> str:
        """SetTopicAttributes."""
        _set_policy(aws, new["arn"], new["policy"])
        return new["arn"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """GetTopicAttributes. A topic always has a policy: taken away by hand, it is SNS's own, and an update puts ours back."""
        del state
        found = aws.client("sns").get_topic_attributes(TopicArn=resource_id)["Attributes"]
        return {
            "arn": resource_id,
            "policy": found.get("Policy") or _default_policy(aws, resource_id),
            "owner": found.get("Owner", aws.account),
            "region": aws.region,
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """SetTopicAttributes again."""
        del old, changed
        _set_policy(aws, resource_id, new["policy"])

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """Back to the policy that SNS gives a new topic: a topic can't be without one."""
        del old
        _set_policy(aws, resource_id, _default_policy(aws, resource_id))


def _set_policy(aws: Aws, topic: str, policy: str) -> None:
    aws.client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)


def _default_policy(aws: Aws, topic: str) -> str:
    """The owner may do everything with it. Source: SNS, the policy of a topic just made."""
    actions = (
        "GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic", "Subscribe",
        "ListSubscriptionsByTopic", "Publish", "Receive",
    )  # fmt: skip
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{action}" for action in actions],
        "Resource": topic,
        "Condition": {"StringEquals": {"AWS:SourceOwner": aws.account}},
    }
    return json.dumps({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]})


_SUBSCRIPTION = {
    "deliveryPolicy": "DeliveryPolicy", "filterPolicy": "FilterPolicy", "filterPolicyScope": "FilterPolicyScope",
    "rawMessageDelivery": "RawMessageDelivery", "redrivePolicy": "RedrivePolicy",
    "subscriptionRoleArn": "SubscriptionRoleArn",
}  # fmt: skip


_PROTOCOLS = ("application", "email", "email-json", "firehose", "http", "https", "lambda", "sms", "sqs")


class TopicSubscription(AwsResource):
    """A subscription; one by e-mail stays pending, as nobody confirms it here."""

    type_name = "aws:sns/topicSubscription:TopicSubscription"
    title = "SNS Topic Subscription"
    inputs: ClassVar[Inputs] = {
        "confirmationTimeoutInMinutes": Prop(int, default=1, unread=True),
        "deliveryPolicy": Prop(str, same=same_json, check=is_json),
        "endpoint": Prop(str, required=True, force_new=True),
        "endpointAutoConfirms": Prop(bool, default=False, unread=True),
        "filterPolicy": Prop(str, same=same_json, check=is_json),
        "filterPolicyScope": Prop(str, computed=True),
        "protocol": Prop(str, required=True, force_new=True, check=one_of(*_PROTOCOLS)),
        "rawMessageDelivery": Prop(bool, default=False),
        "redrivePolicy": Prop(str, same=same_json, check=is_json),
        "subscriptionRoleArn": Prop(str, check=is_arn),
        "topic": Prop(str, required=True, force_new=True, check=is_arn),
    }
    computed = ("arn", "confirmationWasAuthenticated", "ownerId", "pendingConfirmation")

    def label(self, inputs: Mapping[str, Any], resource_id: str) -> str:
        """The topic, when there is no id yet; not the endpoint, which may be a person's address."""
        return resource_id or str(inputs.get("topic", ""))

    def create(self, aws: Aws, new: Properties) -> str:
        """Subscribe."""
        attributes = {theirs: _text(new[ours]) for ours, theirs in _SUBSCRIPTION.items() if new.get(ours)}
        answer = aws.client("sns").subscribe(
            TopicArn=new["topic"],
            Protocol=new["protocol"],
            Endpoint=new["endpoint"],
            Attributes=attributes,
            ReturnSubscriptionArn=True,
        )
        return answer["SubscriptionArn"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """GetSubscriptionAttributes."""
        del state
        found = aws.client("sns").get_subscription_attributes(SubscriptionArn=resource_id)["Attributes"]
        return {
            "arn": resource_id,
            "topic": found["TopicArn"],
            "protocol": found["Protocol"],
            "endpoint": found["Endpoint"],
            "ownerId": found.get("Owner", aws.account),
            "pendingConfirmation": found.get("PendingConfirmation", "false") == "true",
            "confirmationWasAuthenticated": found.get("ConfirmationWasAuthenticated", "false") == "true",
            "region": aws.region,
            **{ours: found.get(theirs) for ours, theirs in _SUBSCRIPTION.items() if ours != "rawMessageDelivery"},
            "rawMessageDelivery": found.get("RawMessageDelivery", "false").lower() == "true",
        }

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """SetSubscriptionAttributes one by one."""
        del old
        for ours in sorted({*changed} & {*_SUBSCRIPTION}):
            value = new.get(ours)
            # "{}" takes a filter away; SNS doesn't accept an empty one.
            text = _text(value) if value is not None else "{}" if ours == "filterPolicy" else ""
            aws.client("sns").set_subscription_attributes(
                SubscriptionArn=resource_id, AttributeName=_SUBSCRIPTION[ours], AttributeValue=text
            )

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """Unsubscribe."""
        del old
        aws.client("sns").unsubscribe(SubscriptionArn=resource_id)


RESOURCES = (Topic(), TopicPolicy(), TopicSubscription())
