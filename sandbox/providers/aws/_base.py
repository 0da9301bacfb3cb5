"""What the resource types of pulumi-aws have in common: region, tags, names."""

import functools
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import botocore.session

from sandbox.providers._resource import Prop, ProviderError, Resource, given, one_of
from sandbox.providers._values import Properties
from sandbox.providers.aws._session import Aws

REGION: Final = {"region": Prop(str, computed=True, force_new=True)}
TAGS: Final = {"tags": Prop(dict), "tagsAll": Prop(dict, computed=True)}


def tag_list(tags: Mapping[str, str] | None, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Tags as most AWS calls want them."""
    return [{key: name, value: text} for name, text in sorted((tags or {}).items())]


def tag_map(tags: Iterable[Mapping[str, str]] | None, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """Tags as Pulumi has them, without those of AWS's own."""
    found = {item[key]: item.get(value, "") for item in tags or []}
    return {name: text for name, text in found.items() if not name.startswith("aws:")}


@dataclass(frozen=True, slots=True)
class Tagging:
    """How a type's tags are changed: the calls' service, the two calls, and the property of the state that names the resource.

    Without such a property it is the id.
    """

    service: str
    put: Callable[[Any, str, dict[str, str]], Any]
    drop: Callable[[Any, str, list[str]], Any]
    named: str = "arn"


def tagging(  # noqa: PLR0917 - a row of what differs
    service: str,
    by: str,
    form: Callable[[dict[str, str]], Any] = tag_list,
    put: str = "tag_resource",
    drop: str = "untag_resource",
    named: str = "arn",
) -> Tagging:
    """Tags by two calls whose arguments begin like `by`, the one that names the resource; `form` is how tags are written."""
    tags, keys = ("tags", "tagKeys") if by[0].islower() else ("Tags", "TagKeys")
    return Tagging(
        service,
        lambda client, resource, added: getattr(client, put)(**{by: resource, tags: form(added)}),
        lambda client, resource, removed: getattr(client, drop)(**{by: resource, keys: removed}),
        named,
    )


class AwsResource(Resource[Aws]):
    """A resource type of pulumi-aws; `regional` and `tagged` add the properties of the same name."""

    regional: ClassVar[bool] = True
    tagged: ClassVar[Tagging | None] = None
    _every_input: Mapping[str, Prop] | None = None

    def all_inputs(self) -> Mapping[str, Prop]:
        """Own inputs, and region and tags where the type has them."""
        if self._every_input is None:
            self._every_input = {
                **self.inputs,
                **(REGION if self.regional else {}),
                **(TAGS if self.tagged else {}),
            }
        return self._every_input

    def sent(self, new: Mapping[str, Any], names: Collection[str] | None = None) -> dict[str, Any]:
        """The properties with a name of AWS's (all, or those of `names`) as a call takes them; what isn't set is left out."""
        known = {key: prop.aws for key, prop in self.inputs.items() if prop.aws and (names is None or key in names)}
        return given(**{theirs: new.get(ours) for ours, theirs in known.items()})

    def told(self, found: Mapping[str, Any]) -> Properties:
        """The properties with a name of AWS's as an answer holds them."""
        return {key: found.get(prop.aws) for key, prop in self.inputs.items() if prop.aws and not prop.unread}

    def update(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Tags, then the rest, as the official plugin does. Source: internal/provider/sdkv2/tags_interceptor.go."""
        if "tagsAll" in changed:
            self.retag(aws, resource_id, old, new)
        if rest := {*changed} - {"tags", "tagsAll"}:
            self.modify(aws, resource_id, old, new, rest)

    def retag(self, aws: Aws, resource_id: str, old: Properties, new: Properties) -> None:
        """Make the difference between two states' `tagsAll` true."""
        assert self.tagged is not None  # noqa: S101 - only such a type has tags that change
        resource = old[self.tagged.named] if self.tagged.named else resource_id
        client, before, after = aws.client(self.tagged.service), old.get("tagsAll") or {}, new.get("tagsAll") or {}
        if removed := sorted(before.keys() - after.keys()):
            self.tagged.drop(client, resource, removed)
        if added := {key: value for key, value in after.items() if before.get(key) != value}:
            self.tagged.put(client, resource, added)

    def modify(self, aws: Aws, resource_id: str, old: Properties, new: Properties, changed: Collection[str]) -> None:
        """Change what is no tag. A type whose inputs all force replacement, or mean nothing to AWS, leaves this as it is."""


lower_tags: Final = functools.partial(tag_list, key="key", value="value")


def is_arn(value: Any) -> str | None:
    """What is wrong with an ARN; "" is none. Source: terraform-provider-aws 6.x, internal/verify/validate.go."""
    if value == "":
        return None
    parts = value.split(":", 5)
    reason = ""
    if parts[0] != "arn":
        reason = "arn: invalid prefix"
    elif len(parts) < 6:  # noqa: PLR2004 - arn:partition:service:region:account:resource
        reason = "arn: not enough sections"
    elif not re.fullmatch(r"aws(-[a-z]+)*", parts[1]):
        reason = "invalid partition value"
    elif not re.fullmatch(r"([a-z]{2,4}(-[a-z]+)+-\d{1,2})?", parts[3]):
        reason = "invalid region value"
    elif not re.fullmatch(r"(aws|aws-managed|third-party|\d{12}|cw.{10})?", parts[4]):
        reason = "invalid account ID value"
    elif not parts[5]:
        reason = "missing resource value"
    return f"({value}) is an invalid ARN: {reason}" if reason else None


def is_enum(service: str, shape: str) -> Callable[[Any], str | None]:
    """The value is one of those that AWS's model of the service names: the official plugin's are made from the same model."""

    def check(value: Any) -> str | None:
        return one_of(*_values(service, shape))(value)  # not before it is asked: reading a model takes its time

    return check


@functools.cache
def _values(service: str, shape: str) -> tuple[str, ...]:
    model: Any = botocore.session.Session().get_service_model(service).shape_for(shape)
    return tuple(model.enum)


def require_arn(resource_id: str, state: Mapping[str, Any]) -> None:
    """Refuse an import by anything but an ARN.

    Source: terraform-provider-aws 6 (2025), internal/provider/sdkv2/importer/arn.go, for the types with `@ArnIdentity`.
    """
    if state:
        return
    parts = resource_id.split(":", 5)
    if parts[0] != "arn" or len(parts) < 6:  # noqa: PLR2004 - arn:partition:service:region:account:resource
        reason = "not enough sections" if parts[0] == "arn" else "invalid prefix"
        raise ProviderError(f'could not parse import ID "{resource_id}" as ARN: arn: {reason}')


def last_part(arn: str, separator: str = "/") -> str:
    """The part of an ARN (or name) after the last separator."""
    return arn.rsplit(separator, 1)[-1]


def pascal(value: Any, *, keep: Collection[str] = ()) -> Any:
    """CamelCase keys as AWS's PascalCase, at any depth; the values of keys in `keep` stay as they are."""
    if isinstance(value, Mapping):
        return {
            key[:1].upper() + key[1:]: item if key in keep else pascal(item, keep=keep)
            for key, item in value.items()
            if item is not None
        }
    return [pascal(item, keep=keep) for item in value] if isinstance(value, list) else value


def camel(value: Any, *, keep: Collection[str] = ()) -> Any:
    """The opposite of `pascal`; `keep` names camelCase keys."""
    if isinstance(value, Mapping):
        renamed = ((key[:1].lower() + key[1:], item) for key, item in value.items())
        return {key: item if key in keep else camel(item, keep=keep) for key, item in renamed}
    return [camel(item, keep=keep) for item in value] if isinstance(value, list) else value
