"""Amazon Simple Notification Service.

Source: terraform-provider-aws 6.x, internal/service/sns/topic.go, topic_policy.go and topic_subscription.go.
"""

import json
import re
from collections.abc import Collection, Iterable
from typing import ClassVar

from sandbox.providers._diff import same_policy
from sandbox.providers._resource import Autoname, Inputs, Prop, is_policy, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws._base import AwsResource, is_arn, tag_list, tag_map, tagging
from sandbox.providers.aws._session import Aws

_NAME = re.compile(r"[0-9A-Za-z_-]{1,256}")


class Topic(AwsResource):
    """A standard topic."""

    type_name = "aws:sns/topic:Topic"
    title = "SNS Topic"
    tagged = tagging("sns", "ResourceArn")
    autoname = Autoname(max_length=80)
    inputs: ClassVar[Inputs] = {
        "contentBasedDeduplication": Prop(bool, default=False, unread=True, check=one_of(False)),
        "fifoTopic": Prop(bool, default=False, unread=True, check=one_of(False)),
        "kmsMasterKeyId": Prop(str, aws="KmsMasterKeyId"),
        "name": Prop(str, computed=True, force_new=True),
    }
    computed = ("arn", "owner")

    def check(self, new: Properties) -> Iterable[tuple[str, str]]:
        name = new.get("name")
        if isinstance(name, str) and not _NAME.fullmatch(name):
            yield "name", f"invalid name: {name}"

    def create(self, aws: Aws, new: Properties) -> str:
        answer = aws.client("sns").create_topic(Name=new["name"], Attributes={}, Tags=tag_list(new["tagsAll"]))
        return answer["TopicArn"]

    def finish(self, aws: Aws, resource_id: str, new: Properties) -> None:
        if new.get("kmsMasterKeyId"):
            _set(aws, resource_id, "KmsMasterKeyId", new["kmsMasterKeyId"])

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        client = aws.client("sns")
        found = client.get_topic_attributes(TopicArn=resource_id)["Attributes"]
        return {
            **self.told(found),
            "arn": resource_id,
            "name": resource_id.rsplit(":", 1)[1],
            "owner": found.get("Owner", aws.account),
            "tagsAll": tag_map(client.list_tags_for_resource(ResourceArn=resource_id)["Tags"]),
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        _set(aws, resource_id, "KmsMasterKeyId", new.get("kmsMasterKeyId", ""))

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        aws.client("sns").delete_topic(TopicArn=resource_id)


def _set(aws: Aws, topic: str, name: str, value: str) -> None:
    aws.client("sns").set_topic_attributes(TopicArn=topic, AttributeName=name, AttributeValue=value)


class TopicPolicy(AwsResource):
    """A topic's policy as a resource of its own."""

    type_name = "aws:sns/topicPolicy:TopicPolicy"
    title = "SNS Topic Policy"
    named_by = "arn"
    inputs: ClassVar[Inputs] = {
        "arn": Prop(str, required=True, force_new=True, check=is_arn),
        "policy": Prop(str, required=True, same=same_policy, check=is_policy),
    }
    computed = ("owner",)

    def create(self, aws: Aws, new: Properties) -> str:
        _set(aws, new["arn"], "Policy", new["policy"])
        return new["arn"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        """A topic always has a policy: taken away by hand, it is SNS's own, and an update puts ours back."""
        found = aws.client("sns").get_topic_attributes(TopicArn=resource_id)["Attributes"]
        return {
            "arn": resource_id,
            "policy": found.get("Policy") or _default_policy(aws, resource_id),
            "owner": found.get("Owner", aws.account),
        }

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        self.create(aws, new)

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        """Back to the policy that SNS gives a new topic: a topic can't be without one."""
        _set(aws, resource_id, "Policy", _default_policy(aws, resource_id))


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


_PROTOCOLS = ("application", "email", "email-json", "firehose", "http", "https", "lambda", "sms", "sqs")


class TopicSubscription(AwsResource):
    """A subscription; one by e-mail stays pending, as nobody confirms it here."""

    type_name = "aws:sns/topicSubscription:TopicSubscription"
    title = "SNS Topic Subscription"
    # Not by the endpoint, which may be a person's address.
    named_by = "topic"
    inputs: ClassVar[Inputs] = {
        "confirmationTimeoutInMinutes": Prop(int, default=1, unread=True),
        "endpoint": Prop(str, aws="Endpoint", required=True, force_new=True),
        "endpointAutoConfirms": Prop(bool, default=False, unread=True),
        "protocol": Prop(str, aws="Protocol", required=True, force_new=True, check=one_of(*_PROTOCOLS)),
        "rawMessageDelivery": Prop(bool, default=False, unread=True, check=one_of(False)),
        "topic": Prop(str, aws="TopicArn", required=True, force_new=True, check=is_arn),
    }
    computed = ("arn", "confirmationWasAuthenticated", "ownerId", "pendingConfirmation")

    def create(self, aws: Aws, new: Properties) -> str:
        answer = aws.client("sns").subscribe(**self.sent(new), Attributes={}, ReturnSubscriptionArn=True)
        return answer["SubscriptionArn"]

    def read(self, aws: Aws, resource_id: str, state: Properties) -> Properties | None:
        found = aws.client("sns").get_subscription_attributes(SubscriptionArn=resource_id)["Attributes"]
        return {
            **self.told(found),
            "arn": resource_id,
            "ownerId": found.get("Owner", aws.account),
            "pendingConfirmation": found.get("PendingConfirmation", "false") == "true",
            "confirmationWasAuthenticated": found.get("ConfirmationWasAuthenticated", "false") == "true",
        }

    def delete(self, aws: Aws, resource_id: str, old: Properties) -> None:
        aws.client("sns").unsubscribe(SubscriptionArn=resource_id)


RESOURCES = (Topic(), TopicPolicy(), TopicSubscription())
