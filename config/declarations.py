"""What `catalogue.py` can declare (secrets, services, plain variables), and the rules that it must keep.

Pure data: no AWS, no Pulumi. Everything that follows from a secret (creation, grants, references, rotation, checks)
starts from these types.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from components.limits import MAX_NAME_CHARACTERS
from components.names import Names
from components.value_plan import PREVIOUS_SUFFIX

MIN_LENGTH, MAX_LENGTH = 16, 4096
"""Characters of a generated value."""

_SHOWN_CHARACTERS = 40
_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]+")
# AWS advises against any hyphen and six characters, since it may take them for the suffix that it adds to ARNs when it is
# asked by a partial ARN. This project asks by full ARNs only, and its own names end in a plain word (-secret, -config), so
# those are let through; an ending with a digit or a capital is most likely a suffix that was copied along with a name.
_LOOKS_LIKE_ARN_SUFFIX = re.compile(r".*-(?![a-z]{6}$)[A-Za-z0-9]{6}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SERVICE = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_CONFIG_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Server:
    """A server that also checks a value: one command changes the value there and in the secret.

    A rotation function changes it if the configuration's `rotation` names the secret, otherwise `python -m ops rotate` does.

    Attributes:
        name: Its name for people, such as `ElastiCache`.
        host: The plain variable with its host name, by which the command finds it.
    """

    name: str
    host: str

    def record(self) -> dict[str, str]:
        """Return it as plan and outputs have it."""
        return {"server": self.name, "host": self.host}


@dataclass(frozen=True)
class Partner:
    """A third party that checks a value or must know it: people change it there first, then configure it here.

    Attributes:
        name: Whom to ask, such as `Cloudflare`.
    """

    name: str

    def record(self) -> dict[str, str]:
        """Return it as plan and outputs have it."""
        return {"partner": self.name}


Acceptor = Server | Partner


@dataclass(frozen=True)
class Generated:
    """A value from the stack's configuration if it is set, otherwise a random one that is generated once.

    Attributes:
        config_key: The configuration key that overrides the random value.
        length: Characters of the random value when it is generated. A later change does not affect the live value.
        keeps_previous: Whether the application still needs the value before the last rotation (to decrypt, to verify),
            which it then gets as `<NAME>_PREVIOUS`. An explicit False is the step between True and removing the argument: the
            variable goes, and the value stays in the secret for the tasks that still have the variable.
        accepted_by: Who else must accept the value; None when only the application checks it.

    The random value has letters and digits only: every consumer of this project (PostgreSQL, Redis and their URLs, an HTTP
    header, a shell) accepts those unquoted.
    """

    config_key: str
    length: int = field(default=32, kw_only=True)
    keeps_previous: bool | None = field(default=None, kw_only=True)
    accepted_by: Acceptor | None = field(default=None, kw_only=True)

    @property
    def holds_previous(self) -> bool:
        """Whether a JSON secret also holds the previous value."""
        return self.keeps_previous is not None


@dataclass(frozen=True)
class Supplied:
    """A value that only its issuer can create: the stack's configuration must hold it, encrypted.

    Attributes:
        config_key: The configuration key.
        accepted_by: Who else must accept the value, usually its issuer.
    """

    config_key: str
    accepted_by: Acceptor | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Constant:
    """A part of a JSON secret that is not secret itself, such as a user name."""

    value: str


@dataclass(frozen=True)
class External:
    """A value that an operator or a rotation sets: Pulumi creates the secret and never sees its value.

    Attributes:
        accepted_by: Who else must accept the value.
    """

    accepted_by: Acceptor | None = field(default=None, kw_only=True)


Source = Generated | Supplied | Constant | External

Readers = Collection[str] | Mapping[str, Collection[str]]
"""The services that read a secret; a mapping also names the variables of each."""


@dataclass(frozen=True)
class _Referenced:
    """What every kind of entry says of the services that read it."""

    variable: str | None = field(default=None, kw_only=True)
    readers: Readers | None = field(default=None, kw_only=True)

    def references(self, service: str | None = None) -> Iterator[tuple[str, str | None]]:
        """Yield each container variable with the JSON key it takes, None for the whole value; of one service or of all."""
        if self.variable is not None and self._is_read_by(service, self.variable):
            yield self.variable, None

    def _is_read_by(self, service: str | None, variable: str) -> bool:
        if service is None or self.readers is None:
            return True
        if isinstance(self.readers, Mapping):
            return variable in self.readers.get(service, ())
        return service in self.readers


@dataclass(frozen=True)
class _ReferencedByKey(_Referenced):
    """What an entry with a JSON value says of them in addition."""

    variables: Collection[str] | Mapping[str, str] = field(default=(), kw_only=True)

    def references(self, service: str | None = None) -> Iterator[tuple[str, str | None]]:
        """Yield the whole value's variable, then those of single keys."""
        yield from super().references(service)
        by_key = self.variables if isinstance(self.variables, Mapping) else {key: key for key in self.variables}
        for key, variable in sorted(by_key.items()):
            if self._is_read_by(service, variable):
                yield variable, key


@dataclass(frozen=True)
class TextSecret(_Referenced):
    """A secret whose whole value is one string.

    Attributes:
        name: Its name within the stack; AWS knows it as `<project>-<stack>-<name>`.
        source: Where the value comes from.
        variable: The container variable that gets the value, if any.
        readers: The services that get the variables; required if there are several. A mapping from service to variables
            narrows this further; IAM still grants the whole secret to each of them.
    """

    name: str
    source: Generated | Supplied | External

    def sources(self) -> Iterator[Source]:
        """Yield the sources of this secret's value."""
        yield self.source

    def source_of(self, key: str | None) -> Source | None:
        """Return the source of the whole value (None); a text has no JSON keys."""
        return self.source if key is None else None


@dataclass(frozen=True)
class JsonSecret(_ReferencedByKey):
    """A secret whose value is one flat JSON object of strings.

    Attributes:
        name: Its name within the stack; AWS knows it as `<project>-<stack>-<name>`.
        keys: The JSON's keys and where each value comes from, or External() when an operator or a rotation sets the JSON.
        variable: The container variable that gets the whole JSON, if any.
        variables: The keys that the container also gets one by one: a set of keys, each becoming the variable of the
            same name, or a mapping from key to variable.
        readers: The services that get the variables; required if there are several. A mapping from service to variables
            narrows this further; IAM still grants the whole secret to each of them.
    """

    name: str
    keys: Mapping[str, Generated | Supplied | Constant] | External

    def sources(self) -> Iterator[Source]:
        """Yield the sources of this secret's value."""
        yield from (self.keys,) if isinstance(self.keys, External) else self.keys.values()

    def source_of(self, key: str | None) -> Source | None:
        """Return the source of a JSON key, or None for an undeclared key and for the whole."""
        return self.keys.get(key) if key and isinstance(self.keys, Mapping) else None


@dataclass(frozen=True)
class ForeignSecret(_ReferencedByKey):
    """A secret that is owned elsewhere: an AWS service, another stack or another account creates and rotates it.

    The services read it as they read the stack's own. Nothing here creates, changes or deletes it, or gives it a policy or a
    replica. Its ARN differs by stack: `foreignSecrets.<name>` in the stack's configuration; `secretKmsKeys.<name>` names its
    customer-managed key, if it has one.

    Attributes:
        name: What the program calls it.
        owner: The owner, whom people ask for changes, such as `Amazon RDS`.
        keys: The known keys of its JSON, so that references are checked. Empty for a text, or if the keys are not known.
        variable: The container variable that gets the whole value, if any.
        variables: The keys that the container gets one by one: a set of keys, each becoming the variable of the same name, or a
            mapping from key to variable.
        readers: The services that get the variables, required if there are several; see `JsonSecret`.
    """

    name: str
    owner: str
    keys: Collection[str] = field(default=(), kw_only=True)


Problem = tuple[str, str, str]
"""What is wrong with a declaration: its name, what was found, what is allowed."""

Declaration = TextSecret | JsonSecret
"""A secret that the stack created or adopted."""

Entry = Declaration | ForeignSecret
Catalogue = Sequence[Declaration]


@dataclass(frozen=True)
class Service:
    """One ECS service of the application: it gets an execution role, a task role, a task definition and a log group.

    Attributes:
        name: Its name within the stack, which also names its container: letters, digits and hyphens.
    """

    name: str


@dataclass(frozen=True)
class PlainVariable:
    """A plain variable with a host name that every stack must set.

    Attributes:
        name: The container variable.
        config_key: The configuration key that holds the host name.
        readers: The services that get it, by default every service.
    """

    name: str
    config_key: str
    readers: Collection[str] | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Application:
    """Everything that `catalogue.py` declares.

    Attributes:
        services: The services, at least one.
        secrets: The secrets that every stack has or reads.
        variables: The plain variables that every stack must set.
        in_stack: By stack's name, the entries that this stack has in addition to `secrets`, or instead of those of the same
            name.
    """

    services: Sequence[Service]
    secrets: Sequence[Entry]
    variables: Sequence[PlainVariable] = ()
    in_stack: Mapping[str, Sequence[Entry]] = field(default_factory=dict[str, Sequence[Entry]])

    def catalogue(self, stack: str) -> Catalogue:
        """Return the secrets that one stack creates or adopts. They depend only on its name."""
        return own(self._entries(stack))

    def foreign(self, stack: str) -> tuple[ForeignSecret, ...]:
        """Return the foreign secrets that one stack reads."""
        return tuple(entry for entry in self._entries(stack) if isinstance(entry, ForeignSecret))

    def every_secret(self) -> Catalogue:
        """Return the secrets of all stacks together, including those that a stack replaces."""
        return own((*self.secrets, *(entry for entries in self.in_stack.values() for entry in entries)))

    def _entries(self, stack: str) -> Sequence[Entry]:
        further = {entry.name: entry for entry in self.in_stack.get(stack, ())}
        common = tuple(further.pop(entry.name, entry) for entry in self.secrets)
        return (*common, *further.values())


def own(entries: Iterable[Entry]) -> Catalogue:
    """Return the secrets that a stack creates or adopts, without foreign ones."""
    return tuple(entry for entry in entries if not isinstance(entry, ForeignSecret))


def references_of(entries: Iterable[Entry], service: str) -> dict[str, tuple[Entry, str | None]]:
    """Return what a service's container gets: by variable the secret and its JSON key, None for the whole value."""
    return {variable: (entry, key) for entry in entries for variable, key in entry.references(service)}


def accepted_by(source: Source) -> dict[str, str] | None:
    """Return who else must accept a source's value, as plan and outputs have it; None when only the application checks it."""
    named = None if isinstance(source, Constant) else getattr(source, "accepted_by", None)
    return named.record() if isinstance(named, Server | Partner) else None


def secret_config_keys(catalogue: Catalogue) -> tuple[str, ...]:
    """Return every configuration key that may hold a secret's value, sorted."""
    return tuple(sorted({s.config_key for d in catalogue for s in d.sources() if isinstance(s, Generated | Supplied)}))


def generated(catalogue: Catalogue) -> dict[str, Generated]:
    """Return the generated sources by configuration key."""
    return {s.config_key: s for d in catalogue for s in d.sources() if isinstance(s, Generated)}


def adopted(catalogue: Catalogue, names: Collection[str]) -> tuple[Declaration, ...]:
    """Return the catalogue with the named secrets turned external: they exist, and Pulumi must not replace their values."""
    return tuple(_as_external(d) if d.name in names else d for d in catalogue)


def _as_external(declaration: Declaration) -> Declaration:
    if isinstance(declaration, TextSecret):
        return replace(declaration, source=External(accepted_by=declaration.source.accepted_by))
    return replace(declaration, keys=External())


def problems(
    catalogue: Catalogue,
    foreign: Sequence[ForeignSecret] = (),
    *,
    project: str,
    stack: str,
    services: Mapping[str, Collection[str]],
) -> list[Problem]:
    """Return what is wrong with a catalogue as (subject, what was found, what is allowed); empty when nothing is wrong.

    Args:
        catalogue: The secrets of the stack.
        foreign: The foreign secrets that it reads.
        project: The Pulumi project's name, the first part of every secret's name.
        stack: The stack's name, the second part.
        services: By service the names that its plain variables already take.
    """
    entries: Sequence[Entry] = (*catalogue, *foreign)
    found = [problem for d in catalogue for problem in _declaration_problems(d, project, stack)]
    found += [problem for secret in foreign for problem in _foreign_problems(secret)]
    found += [problem for entry in entries for problem in _variable_problems(entry)]
    found += [problem for entry in entries for problem in _reader_problems(entry, services)]
    hosts = {variable for variables in services.values() for variable in variables}
    found += [problem for d in catalogue for problem in _acceptor_problems(d, hosts)]
    found += _partial_arn_problems([d.name for d in catalogue])
    found += _repeated("secret", [entry.name for entry in entries], "each secret needs a different name")
    repeated: dict[Problem, None] = {}
    for service, plain_variables in services.items():
        variables = [variable for entry in entries for variable, _ in entry.references(service)]
        variables += [variable + PREVIOUS_SUFFIX for d in catalogue for variable in with_previous(d, service)]
        rule = "each container variable can be set only once"
        repeated |= dict.fromkeys(_repeated("variable", [*variables, *plain_variables], rule))
    found += repeated
    found += _repeated("configuration key", _owned_keys(catalogue), "each value needs a different configuration key")
    return found


def _owned_keys(catalogue: Catalogue) -> Iterator[str]:
    """Yield each configuration key once for each place of its value.

    A value that moves can stay where no variable refers to it, so that running tasks keep working: that place does not count
    again, as long as the source is the same.
    """
    seen: dict[str, Source] = {}
    left: list[tuple[str, Source]] = []
    for declaration in catalogue:
        keys = declaration.keys if isinstance(declaration, JsonSecret) else None
        referenced = {key for _, key in declaration.references()}
        for key, source in keys.items() if isinstance(keys, Mapping) else [(None, s) for s in declaration.sources()]:
            if not isinstance(source, Generated | Supplied):
                continue
            if key not in referenced:
                left.append((source.config_key, source))
            else:
                seen.setdefault(source.config_key, source)
                yield source.config_key
    yield from (config_key for config_key, source in left if seen.setdefault(config_key, source) != source)


def _declaration_problems(declaration: Declaration, project: str, stack: str) -> Iterator[Problem]:
    yield from _name_problems(declaration.name, Names(project, stack).secret(declaration.name))
    for source in declaration.sources():
        yield from _source_problems(declaration, source)
    if isinstance(declaration, JsonSecret) and not isinstance(declaration.keys, External):
        yield from _json_problems(declaration.name, declaration.keys)


def _foreign_problems(secret: ForeignSecret) -> Iterator[Problem]:
    if not secret.name or not _NAME.fullmatch(secret.name):
        yield secret.name or '""', "is not a name for a secret", "letters, digits and / _ + = . @ -"
    if not secret.owner.strip():
        yield secret.name, "has no owner", "whom people ask for changes, such as Amazon RDS"


def _variable_problems(entry: Entry) -> Iterator[Problem]:
    for variable, key in entry.references():
        if not _VARIABLE.fullmatch(variable):
            yield entry.name, f"sets the variable {variable!r}", "letters, digits and _, no digit first"
        if key is not None:
            yield from _reference_problems(entry, key)


def _name_problems(name: str, full: str) -> Iterator[Problem]:
    if not name or not _NAME.fullmatch(full):
        yield name or '""', "is not a name for a secret", "letters, digits and / _ + = . @ -"
    if len(full) > MAX_NAME_CHARACTERS:
        yield _short(name), f"results in a name of {len(full)} characters", f"at most {MAX_NAME_CHARACTERS} altogether"
    if _LOOKS_LIKE_ARN_SUFFIX.fullmatch(full):
        yield name, "ends in a hyphen and six characters", "another ending, because AWS adds such a suffix to ARNs"


def _source_problems(declaration: Declaration, source: Source) -> Iterator[Problem]:
    name = declaration.name
    if not _is_source(source):
        # Not quoted: a text here might be meant as the value.
        yield name, "has a value that is not a source", 'Generated("configKey"), Supplied("configKey") or External()'
    if isinstance(source, External) and isinstance(declaration, JsonSecret) and declaration.keys is not source:
        yield (
            name,
            "has External() for one of its keys",
            f'all of the JSON or none of it: JsonSecret("{name}", External())',
        )
    if isinstance(source, Generated | Supplied) and not _CONFIG_KEY.fullmatch(source.config_key):
        yield name, f"has the configuration key {source.config_key!r}", "letters, digits, - and _, a letter first"
    if isinstance(source, Generated) and not MIN_LENGTH <= source.length <= MAX_LENGTH:
        yield name, f"generates {source.length} characters", f"{MIN_LENGTH} to {MAX_LENGTH} characters"


def _acceptor_problems(declaration: Declaration, hosts: Collection[str]) -> Iterator[Problem]:
    for source in declaration.sources():
        named: object = getattr(source, "accepted_by", None)
        if isinstance(named, Server) and named.host not in hosts:
            yield (
                declaration.name,
                f"is accepted by a server at {named.host!r}",
                "name the plain variable with its host name",
            )
        if named is not None and not isinstance(named, Server | Partner):
            yield (
                declaration.name,
                f"is accepted by a {type(named).__name__}",
                'Server("name", "VARIABLE") or Partner("name")',
            )


def _is_source(source: object) -> bool:
    return isinstance(source, Generated | Supplied | Constant | External)


def service_problems(services: Sequence[Service]) -> list[Problem]:
    """Return what is wrong with the services themselves."""
    names = [service.name for service in services]
    found = [
        (name or '""', "is not a name for a service", "letters, digits and hyphens, a letter first")
        for name in names
        if not _SERVICE.fullmatch(name)
    ]
    if not names:
        found.append(("SERVICES", "is empty", 'at least one service, such as Service("app")'))
    return found + list(_repeated("service", names, "each service needs a different name"))


def shared_more_than_referenced(
    catalogue: Iterable[Entry], services: Collection[str]
) -> dict[tuple[str, str], list[str]]:
    """Return what services can read beyond their variables: by service and secret, the variables that only others get.

    IAM grants whole secrets, so a service that gets one key of a JSON secret can read the others.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for declaration in catalogue:
        by_service = {service: {v for v, _ in declaration.references(service)} for service in services}
        for service, own in by_service.items():
            others = set[str]().union(*by_service.values()) - own
            if own and others and None not in {key for _, key in declaration.references(service)}:
                found[service, declaration.name] = sorted(others)
    return found


def with_previous(declaration: Declaration, service: str | None = None) -> Iterator[str]:
    """Yield the variables that get a second one, with the previous value, after a rotation."""
    for variable, key in declaration.references(service):
        source = declaration.source_of(key)
        if isinstance(source, Generated) and source.keeps_previous:
            yield variable


def _reader_problems(declaration: Entry, services: Collection[str]) -> Iterator[Problem]:
    readers = declaration.readers
    if readers is None:
        if len(services) > 1 and any(declaration.references()):
            rule = f"readers={{...}} with those of the services that read it: {', '.join(services)}"
            yield declaration.name, "names no readers", rule
        return
    for service in sorted(set(readers) - set(services)):
        yield declaration.name, f"has the reader {service!r}", f"one of the services: {', '.join(services)}"
    if isinstance(readers, Mapping):
        known = {variable for variable, _ in declaration.references()}
        for variable in sorted({v for variables in readers.values() for v in variables} - known):
            yield (
                declaration.name,
                f"gives a reader the variable {variable!r}",
                f"one of the secret's variables: {', '.join(sorted(known))}",
            )


def _reference_problems(declaration: Entry, key: str) -> Iterator[Problem]:
    found = f"references the JSON key {key!r}"
    # ECS splits valueFrom at colons and takes the second field as one top-level key; colons can't be escaped.
    if not key or ":" in key or not key.isprintable():
        yield declaration.name, found, "a key that is not empty and has no colon, because ECS can't reference others"
    elif (known := known_keys(declaration)) and key not in known:
        yield declaration.name, f"names {key} in `variables`, which it lacks", f"it has {', '.join(sorted(known))}"


def known_keys(entry: Entry) -> frozenset[str]:
    """Return the known keys of a secret's JSON; empty for a text, and if the keys are not declared."""
    keys = () if isinstance(entry, TextSecret) else entry.keys
    return frozenset(() if isinstance(keys, External) else keys)


def _json_problems(name: str, keys: Mapping[str, Source]) -> Iterator[Problem]:
    if not keys:
        yield name, "has no keys", "at least one key, or External()"
    for key, source in keys.items():
        if isinstance(source, Generated) and source.holds_previous and key + PREVIOUS_SUFFIX in keys:
            yield (
                name,
                f"has the key {key + PREVIOUS_SUFFIX!r}",
                f"that name is reserved for the previous value of {key}",
            )


def _partial_arn_problems(names: Sequence[str]) -> Iterator[Problem]:
    for name in names:
        for other in names:
            if re.fullmatch(re.escape(other) + "-[A-Za-z0-9]{6}", name):
                yield (
                    name,
                    f"looks like the ARN of {other} with its suffix",
                    "a name that AWS cannot mistake for the other",
                )


def _repeated(kind: str, names: Iterable[str], rule: str) -> Iterator[Problem]:
    for name, count in Counter(names).items():
        if count > 1:
            yield _short(name), f"is the {kind} of {count} entries", rule


def _short(name: str) -> str:
    return name if len(name) <= _SHOWN_CHARACTERS else name[:_SHOWN_CHARACTERS] + "..."
