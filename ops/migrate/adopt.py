"""`ops migrate adopt`: secrets that exist already become the stack's own, with their value, ARN and name."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from components.commands import label_command
from components.labels import OF_PULUMI
from components.references import CURRENT
from ops._ask import confirm
from ops._aws import Aws
from ops._console import counted, print_json, print_table, say, working
from ops._errors import MisuseError, aws_errors
from ops._json import read_json
from ops._options import JsonOption, YesOption, stack_option
from ops._plan import connect_planned, project_directory, read_plan
from ops._pulumi import Configuration, property_path
from ops._secrets import Record, describe
from ops._stack import ROOT, load, uses_local_aws
from ops.migrate.apply import ProjectOption
from ops.migrate.scan import RegionOption

_SECRET = "aws_secretsmanager_secret"  # noqa: S105 - a Terraform type
_ARNS = {
    _SECRET: "arn", f"{_SECRET}_version": "secret_id", f"{_SECRET}_policy": "secret_arn", f"{_SECRET}_rotation": "secret_id",
}  # fmt: skip
"""Terraform's resources of one secret, and the attribute that holds its ARN. Source: Terraform Registry, hashicorp/aws,
Secrets Manager."""

_STATE_VERSION = 4

NOT_FOUND = "not found: the stack creates a new one"
"""Stands for the place of a secret that was not found; `--secret` names one with another name."""

OWN = "the stack has it already"

_RANDOM_SUFFIX = re.compile(r"-?[0-9a-f]{26}$")
"""What Terraform's `name_prefix` adds. Source: terraform-plugin-sdk, id.UniqueId."""


@dataclass(frozen=True)
class Resource:
    """A resource of a Terraform state, without its values.

    Attributes:
        address: What `terraform state rm` takes.
        secret: The ARN of the secret that it is, or is a part of.
        name: The secret's name, for the secret itself.
    """

    address: str
    kind: str
    secret: str
    name: str


@dataclass(frozen=True)
class Adoption:
    """One secret to adopt.

    Attributes:
        name: Its name in the catalogue.
        found: Where: `live`, `Terraform`, `named` by the operator, NOT_FOUND or OWN.
        problem: Why it can't be adopted, empty when it can.
        kms_key_arn: The customer-managed key that it is encrypted with, empty for the AWS-managed one: readers need it.
    """

    name: str
    arn: str
    found: str
    problem: str = ""
    kms_key_arn: str = ""


def adopt(
    terraform_state: Annotated[
        Path | None,
        typer.Option("--from", metavar="TFSTATE", help="A terraform.tfstate (`terraform state pull > FILE`)."),
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option("--secret", metavar="NAME=ARN|NAME", help="Which secret is meant; repeatable."),
    ] = None,
    stack: Annotated[str, stack_option("The stack that adopts them.")] = "dev",
    project: ProjectOption = None,
    region: RegionOption = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be configured.")] = False,
    yes: YesOption = False,
    json_: JsonOption = False,
) -> None:
    """Adopt existing secrets: found live, in a Terraform state, or named with --secret.

    It writes their ARNs into the stack's configuration (`adopt`), with those of their customer-managed keys (`secretKmsKeys`), no
    value; the next `up` imports them and leaves value, ARN, name and key as they are. Exit status 1: one can't be adopted.
    """
    project = project or project_directory()
    short = stack.rpartition("/")[2]
    if not (file := project / f"Pulumi.{short}.yaml").is_file():
        raise MisuseError(f"there is no {file}: is {stack!r} the stack's name?")
    plan = read_plan(short, project)
    aws, account = connect_planned(short, plan, region)
    wanted = {name: one.full_name for name, one in plan.secrets.items() if one.full_name}
    named = _named(secret or (), list(wanted))
    resources = read_terraform(terraform_state) if terraform_state else []
    with working("Looking for the secrets"):
        listed = aws.pages("secretsmanager", "list_secrets", "SecretList", IncludePlannedDeletion=True, MaxResults=100)
        live, own = {secret["Name"]: secret["ARN"] for secret in listed}, _own(stack, project)
        files = {path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in project.glob("Pulumi.*.yaml")}
        found = find(wanted, short, files - {short}, live, resources, named)
        checked = list(_each_once(_checked(aws, adoption, account, own) for adoption in found))
    good = [adoption for adoption in checked if adoption.arn and not adoption.problem]
    removals = [r.address for r in resources if r.secret in {adoption.arn for adoption in good}]
    paths = {property_path("adopt", a.name): a.arn for a in good}
    paths |= {property_path("secretKmsKeys", a.name): a.kms_key_arn for a in good if a.kms_key_arn}
    if json_:
        document = {
            "stack": stack,
            "adopt": {a.name: a.arn for a in good},
            "kms_keys": {a.name: a.kms_key_arn for a in good if a.kms_key_arn},
            "secrets": [asdict(a) for a in checked],
            "sandbox_arguments": [part for path, arn in paths.items() for part in ("-c", f"{path}={arn}")],
            "terraform_state_rm": removals,
        }
        print_json(document)
    else:
        rows = [(a.name, a.arn, a.found, a.problem or ("can be adopted" if a.arn else "")) for a in checked]
        print_table(f"Stack {stack}, account {account}, {aws.region}", ("secret", "ARN", "found", ""), rows)
    if good:
        _configure(paths, len(good), Configuration(stack, project), dry_run=dry_run, yes=yes)
    if removals:
        say("\nAfter the `up` (Terraform then no longer owns them; nothing is deleted):")
        for address in removals:
            say(f"    terraform state rm '{address}'")
    if any(a.problem for a in checked) or not (good or any(a.found == OWN for a in checked)):
        raise typer.Exit(1)


def find(  # noqa: PLR0917 - what it looks at, in the order in which it does
    names: Mapping[str, str],
    stack: str,
    others: Collection[str],
    live: Mapping[str, str],
    resources: Sequence[Resource],
    named: Mapping[str, str],
) -> Iterator[Adoption]:
    """Yield which secret is meant by each entry of the catalogue; with an empty ARN where none is found.

    Args:
        names: The names that the stack would give its secrets, by name in the catalogue.
        stack: The stack's name.
        others: Names of the project's other stacks, whose secrets are not meant.
        live: ARNs of the account's secrets by name.
        resources: Terraform's resources.
        named: ARNs or names by name in the catalogue, from the operator.
    """
    secrets = [resource for resource in resources if resource.kind == _SECRET]
    places = (
        ("Terraform", {resource.name: resource.secret for resource in secrets}),
        ("Terraform", {resource.address: resource.secret for resource in secrets}),
        ("live", live),
    )
    for name, wanted in names.items():
        if given := named.get(name):
            yield Adoption(name, given if given.startswith("arn:") else live.get(given, ""), "named")
            continue
        for where, candidates in places:
            fit = partial(_fits, name=name, stack=stack, others=others, one_environment=where == "Terraform")
            alike = [wanted] if wanted in candidates else sorted(filter(fit, candidates))
            if len(alike) == 1:
                yield Adoption(name, candidates[alike[0]], where)
            elif alike:
                yield Adoption(name, "", where, f"several fit ({', '.join(alike)}): --secret {name}=ARN")
            if alike:
                break
        else:
            yield Adoption(name, "", NOT_FOUND)


def read_terraform(path: Path) -> list[Resource]:
    """Return the Secrets Manager resources of a Terraform state of version 4; values in it are ignored."""
    try:
        state: Any = read_json(path)
    except ValueError:
        raise MisuseError(f"{path} is not a Terraform state: terraform state pull > {path}") from None
    if not isinstance(state, dict) or state.get("version") != _STATE_VERSION:
        raise MisuseError(f"{path} is not a Terraform state of version {_STATE_VERSION}")
    try:
        return [found for raw in state.get("resources", ()) if raw.get("type") in _ARNS for found in _resources(raw)]
    except (AttributeError, KeyError, TypeError):
        raise MisuseError(f"{path} has resources of a form that is not known: terraform state pull > {path}") from None


def _resources(raw: Mapping[str, Any]) -> Iterator[Resource]:
    if raw.get("mode") != "managed":
        return
    base = ".".join(filter(None, (raw.get("module"), raw["type"], raw["name"])))
    for instance in raw.get("instances", ()):
        attributes = instance.get("attributes") or {}
        index = instance.get("index_key")
        suffix = "" if index is None else f"[{json.dumps(index)}]"
        secret = str(attributes.get(_ARNS[raw["type"]]))
        yield Resource(base + suffix, raw["type"], secret, str(attributes.get("name", "")))


def _fits(secret: str, name: str, stack: str, others: Collection[str], *, one_environment: bool) -> bool:
    """Return whether a secret's name or Terraform address means an entry of the catalogue for this stack.

    The last part of its path is the entry's name; the stack's name precedes or follows it, or is a part of the path. A Terraform
    state belongs to one environment: it need not name the stack, and can have anything before the entry's name.
    """
    parts = [_plain(part) for part in re.split(r'[/.:"\[\]]+', _RANDOM_SUFFIX.sub("", secret))]
    parts = [part for part in parts if part and not part.isdecimal()]  # an index has no meaning
    whole = f"-{'-'.join(parts)}-"
    if not parts or any(f"-{_plain(other)}-" in whole for other in others):
        return False
    before, found, after = f"-{parts[-1]}-".partition(f"-{_plain(name)}-")
    before, after, here = before.strip("-"), after.strip("-"), _plain(stack)
    if not found or after not in {"", here}:
        return False
    return one_environment or here == after or f"-{before}".endswith(f"-{here}") or (not before and here in parts)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _named(given: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, secret = text.partition("=")
        if not equals or not secret or name not in known:
            raise MisuseError(f"--secret takes NAME=ARN or NAME=NAME, the first one of {', '.join(known)}")
        found[name] = secret
    return found


def _own(stack: str, project: Path) -> set[str]:
    """Return the ARNs of the secrets that the stack has; none before its first `up`."""
    if project.resolve() != ROOT:
        return set()
    try:
        return set(load(stack, None).secret_arns.values())
    except MisuseError:
        return set()


def _each_once(adoptions: Iterable[Adoption]) -> Iterator[Adoption]:
    """Yield the adoptions; of two that mean the same secret the second has a problem."""
    taken: dict[str, str] = {}
    for adoption in adoptions:
        first = taken.setdefault(adoption.arn, adoption.name) if adoption.arn else adoption.name
        problem = adoption.problem or ("" if first == adoption.name else f"is adopted as {first} already")
        yield replace(adoption, problem=problem)


def _checked(aws: Aws, adoption: Adoption, account: str, own: Collection[str]) -> Adoption:
    if adoption.arn in own:
        return Adoption(adoption.name, "", OWN)
    if adoption.problem or adoption.found == NOT_FOUND:
        return adoption
    record = describe(aws, adoption.arn) if adoption.arn else None
    problem = _problem(aws, adoption, record, account)
    if problem or record is None or record.kms_key_id is None:
        return replace(adoption, problem=problem)
    key = key_arn(aws, record)
    problem = "" if key else f"is encrypted with {record.kms_key_id}, which can't be looked up: ask for kms:DescribeKey"
    return replace(adoption, problem=problem, kms_key_arn=key)


def key_arn(aws: Aws, record: Record) -> str:
    """Return the ARN of a secret's customer-managed key; "" when it has an id or alias that AWS does not resolve."""
    key = record.kms_key_id or ""
    if ":key/" in key:
        return key
    try:
        return str(aws.client("kms", record.arn.split(":")[3]).describe_key(KeyId=key)["KeyMetadata"]["Arn"])
    except aws_errors():
        return ""


def _problem(aws: Aws, adoption: Adoption, record: Record | None, account: str) -> str:  # noqa: PLR0911 - one each
    if record is None:
        return "doesn't exist here (another Region or account? deleted?)"
    fields, at = record.arn.split(":"), f"--secret-id {record.arn} --region {aws.region}"
    if (fields[3], fields[4]) != (aws.region, account):
        return f"is in account {fields[4]}, {fields[3]}; a stack only adopts secrets of its own account and Region"
    if record.arn != adoption.arn:
        return f"needs its full ARN: {record.arn}"
    if record.deleted:
        return f"is pending deletion: aws secretsmanager restore-secret {at}"
    if record.primary_region not in {None, aws.region}:
        return f"is a replica; the original is in {record.primary_region}"
    if service := record.owning_service:  # only that service changes its policy, value, key and name
        return (
            f"is managed by {service}, the only one to change it: declare it in catalogue.py as "
            f'ForeignSecret("{adoption.name}", "{service}") and set foreignSecrets.{adoption.name} to its ARN'
        )
    if record.version(CURRENT) is None:
        return "has no value: python -m ops set after the `up`, or let the stack create its own"
    labels = ((label, version) for version, found in record.stages.items() for label in found)
    for label, version in labels:
        if label.startswith(OF_PULUMI):
            return (
                f"has Pulumi's label {label}: another stack owns it, or its state is lost; if lost, first: "
                f"{label_command(record.arn, aws.region, label, off=version)}"
            )
    return ""


def _configure(paths: Mapping[str, str], count: int, configuration: Configuration, *, dry_run: bool, yes: bool) -> None:
    stack = configuration.stack
    if uses_local_aws():
        arguments = "".join(f" \\\n        -c {path}={arn}" for path, arn in paths.items())
        say("\nLocal AWS: nothing is written. Bring the stack up with them:")
        say(f"    python -m sandbox up --stack {stack}{arguments}")
    elif dry_run:
        say("\nWould write:")
        for path, arn in paths.items():
            say(f"    pulumi config set --stack {stack} --plaintext --path '{path}' {arn}")
    else:
        confirm(f"Write {counted(len(paths), 'ARN')} into the configuration of stack {stack}?", yes=yes)
        for path, arn in paths.items():
            configuration.set_plain(path, arn)
        imports = counted(count, "import")
        say(f"\nWritten. Next: pulumi preview --stack {stack} (it shows {imports} and no replacement), then pulumi up")
