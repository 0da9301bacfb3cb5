"""The configuration of one run: a copy of the stack's file with this run's overrides and the sandbox's stand-ins.

The committed file is never written. A secret that it can't hold in the clear, or that is encrypted with a key which the
sandbox doesn't have, gets a stand-in: derived from the sandbox's passphrase, so it is the same in every run, and written
nowhere but encrypted.
"""

import getpass
import hashlib
import hmac
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox import safe_yaml
from sandbox.errors import MisuseError
from sandbox.home import Home, read_json, write_private
from sandbox.project import Project, yaml_problems
from sandbox.pulumi_process import PulumiProcess

_SECRET = "secret:"  # noqa: S105 - a prefix on the command line
_STEP = re.compile(r"\[(\d+)\]|\.?([^.\[\]]+)")
_KEPT = "kept:"
"""Namespace of the values that the user set for every run, in the file of the stand-ins."""
_OWN_TOP_LEVEL = {"encryptionsalt", "secretsprovider", "encryptedkey"}


@dataclass(frozen=True, repr=False)
class Override:
    """A `-c` of the command line; no repr, for the value may be a secret.

    Attributes:
        path: The key and, for a part of an object or array, the way into it: `("environment", "LOG_LEVEL")`.
        value: The value as given.
        secret: Whether to encrypt it.
    """

    path: tuple[str | int, ...]
    value: str
    secret: bool

    @property
    def key(self) -> str:
        """The configuration key as the user wrote it, without the way into its value."""
        return str(self.path[0])


def parse_override(text: str) -> Override:
    """Read `key=value`, `key.part=value`, `key[0]=value`, `secret:key=value` or `secret:key` (value from the standard input).

    Raises:
        MisuseError: It is none of these; the message never holds the value.
    """
    secret = text.startswith(_SECRET)
    key, equals, value = text.removeprefix(_SECRET).partition("=")
    path = steps(key)
    if not path or not (equals or secret):
        raise MisuseError(
            "-c takes key=value, secret:key=value, or secret:key to read the value from the standard input"
        )
    if not equals:
        value = getpass.getpass(f"{key}: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    return Override(path, value, secret)


def standard_input(key: str) -> str:
    """Read a value without showing it; without its last line break."""
    return getpass.getpass(f"{key}: ") if sys.stdin.isatty() else sys.stdin.read().removesuffix("\n")


class StackConfig:
    """The copy of one stack's file, edited as YAML nodes so that what isn't touched reads the same to Pulumi."""

    def __init__(self, project: Project, stack: str) -> None:
        """Read the committed file and leave out what only its own secrets provider can decrypt."""
        self.project = project
        self.stack = stack
        path = project.stack_file(stack)
        with yaml_problems(path):
            root = yaml.compose(path.read_text(encoding="utf-8"), Loader=safe_yaml.LOADER)
        self.root = root if isinstance(root, yaml.MappingNode) else _node({})
        self.root.value = [(key, value) for key, value in self.root.value if key.value not in _OWN_TOP_LEVEL]
        self.config = _child(self.root, "config")
        if not isinstance(self.config, yaml.MappingNode):
            raise MisuseError(f"{path}: `config` is not a mapping; it takes lines such as: {project.name}:KEY: VALUE")
        self.undecryptable = tuple(_take_encrypted(self.config, ()))

    def has(self, key: str) -> bool:
        """Whether the key is set, in the file or by an override."""
        return any(_same(name.value, self._full(key)) for name, _ in self.config.value)

    def set(self, path: Sequence[str | int], value: Any) -> None:
        """Set a value; a way into an object or array makes what is missing on it."""
        node = self.config
        steps: list[str | int] = [self._full(str(path[0])), *path[1:]]
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            if following is None:
                _put(node, step, _node(value))
            else:
                node = _child(node, step, sequence=isinstance(following, int))

    def update(self, values: Mapping[str, Any]) -> None:
        """Set whole values by their full keys, such as `aws:endpoints`."""
        for key, value in values.items():
            self.set((key,), value)

    def apply(self, override: Override) -> None:
        """Set an override that is not secret; text that is a JSON array or object becomes one, unless the place takes text."""
        value: Any = override.value
        if value[:1] in ("[", "{") and not self._takes_text(override.path):
            try:
                value = json.loads(value)
            except ValueError:
                value = override.value
        self.set(override.path, value)

    def write(self, directory: Path, salt: str | None) -> Path:
        """Write the copy; `salt` belongs to the encrypted values that were set."""
        if salt is not None:
            _put(self.root, "encryptionsalt", _node(salt))
        path = directory / f"Pulumi.{self.stack}.yaml"
        write_private(path, yaml.serialize(self.root, Dumper=safe_yaml.DUMPER))
        return path

    def _takes_text(self, path: Sequence[str | int]) -> bool:
        """A container's variables are text, as is what Pulumi.yaml declares as a string."""
        declared = self.project.declared.get(str(path[0]).removeprefix(f"{self.project.name}:"))
        kind = declared.get("type") if isinstance(declared, dict) else declared
        return kind == "string" if len(path) == 1 else "environment" in path[:-1]

    def _full(self, key: str) -> str:
        return key if ":" in key else f"{self.project.name}:{key}"


@dataclass(frozen=True)
class StandIns:
    """The stand-ins of one stack, kept encrypted in a stack file of their own.

    Its salt serves every run: with a new one each time, Pulumi would encrypt the whole state again.
    """

    home: Home
    project: Project
    stack: str
    pulumi: PulumiProcess

    def encrypted(
        self, keys: Iterable[str], directory: Path, *, new_salt: str | None
    ) -> tuple[str | None, dict[str, str]]:
        """Return the salt and the encrypted stand-in of each key; a new one costs one run of the CLI.

        `new_salt` is taken when there is no file yet.
        """
        keys = tuple(keys)
        if not self._path.exists() and new_salt is not None:
            write_private(self._path, yaml.safe_dump({"encryptionsalt": new_salt}))
        found = self._read()
        for key in keys:
            if self._full(key) not in found.get("config", {}):
                arguments = ["config", "set", "--secret", self._full(key), "--config-file", str(self._path)]
                # The value comes by the standard input: an argument would stand in the process list.
                self.pulumi.execute([*arguments, "--stack", self.stack], directory, stdin=self._value(key))
        found = self._read()
        return self.salt(), {key: found["config"][self._full(key)]["secure"] for key in keys}

    def salt(self) -> str | None:
        """Return the salt of what is kept, None while nothing is."""
        return self._read().get("encryptionsalt")

    def kept(self) -> dict[str, str]:
        """Return what the user set for every run: the encrypted value of each key."""
        config = self._read().get("config") or {}
        return {key.removeprefix(_KEPT): value["secure"] for key, value in config.items() if key.startswith(_KEPT)}

    def keys(self) -> set[str]:
        """Return the keys, with the ways into their values, that the user set for every run."""
        return {*self.kept(), *read_json(self._plain)}

    def plain(self) -> tuple[Override, ...]:
        """Return what the user set for every run and is not secret."""
        return tuple(Override(steps(key), str(value), secret=False) for key, value in read_json(self._plain).items())

    def keep_plain(self, key: str, value: str) -> None:
        """Set a value that is not secret for every run from now on."""
        write_private(self._plain, json.dumps({**read_json(self._plain), key: value}))

    def keep(self, key: str, value: str, directory: Path, *, new_salt: str | None) -> None:
        """Set a value for every run from now on, encrypted."""
        self.encrypted((), directory, new_salt=new_salt)
        # The CLI takes one line break off what it reads.
        self.pulumi.execute([*self._config("set", key), "--secret"], directory, stdin=f"{value}\n")

    def value(self, key: str, directory: Path) -> str:
        """Return a value that was set for every run.

        Raises:
            MisuseError: When there is none.
        """
        if key in read_json(self._plain):
            return str(read_json(self._plain)[key])
        if key not in self.kept():
            raise MisuseError(
                f"{key} is not set for every run of {self.stack}; `python -m sandbox config set` does that"
            )
        return str(json.loads(self.pulumi.execute([*self._config("get", key), "--json"], directory))["value"])

    def forget(self, key: str, directory: Path) -> None:
        """Set a value for no further run.

        Raises:
            MisuseError: `config set` did not set it.
        """
        plain = read_json(self._plain)
        if key in plain:
            write_private(self._plain, json.dumps({name: value for name, value in plain.items() if name != key}))
            return
        if key not in self.kept():
            raise MisuseError(f"`config set` did not set {key}; remove it from Pulumi.{self.stack}.yaml")
        self.pulumi.execute(self._config("rm", key), directory)

    def _config(self, verb: str, key: str) -> list[str]:
        return ["config", verb, f"{_KEPT}{key}", "--config-file", str(self._path), "--stack", self.stack]

    @property
    def _path(self) -> Path:
        return self.home.root / "stand-ins" / f"{self.project.name}.{self.stack}.yaml"

    @property
    def _plain(self) -> Path:
        return self._path.with_suffix(".plain.json")

    def _value(self, key: str) -> str:
        message = f"{self.project.name}/{self.stack}/{key}".encode()
        return hmac.new(self.home.passphrase.read_bytes(), message, hashlib.sha256).hexdigest()[:48]

    def _full(self, key: str) -> str:
        return key if ":" in key else f"{self.project.name}:{key}"

    def _read(self) -> dict[str, Any]:
        if not self._path.exists():
            return {}
        content = safe_yaml.read(self._path)
        return content if isinstance(content, dict) else {}


def write_project_file(project: Project, directory: Path, *, main: Path | None = None) -> None:
    """Copy `Pulumi.yaml` without a backend of its own: the sandbox's is the one that counts. `main` is where the program is."""
    root = yaml.compose((project.directory / "Pulumi.yaml").read_text(encoding="utf-8"), Loader=safe_yaml.LOADER)
    if isinstance(root, yaml.MappingNode):
        root.value = [
            (key, value) for key, value in root.value if key.value not in {"backend", "stackConfigDir", "main"}
        ]
        if main is not None:
            _put(root, "main", _node(str(main)))
    write_private(directory / "Pulumi.yaml", yaml.serialize(root, Dumper=safe_yaml.DUMPER))


def steps(key: str) -> tuple[str | int, ...]:
    """Return the key and the way into its value: `environment.LOG_LEVEL` is `("environment", "LOG_LEVEL")`."""
    # A namespace's colon belongs to the first step: `aws:defaultTags.tags.team`.
    return tuple(int(match[1]) if match[1] is not None else match[2] for match in _STEP.finditer(key))


def _same(one: str, other: str) -> bool:
    # Pulumi also knows the long form `project:config:key`.
    return one.replace(":config:", ":") == other.replace(":config:", ":")


def _node(value: Any) -> Any:
    node: Any = yaml.SafeDumper(io.StringIO()).represent_data(value)
    return node


def _take_encrypted(node: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """Remove every `{secure: ...}` below a node and yield where it was."""
    if isinstance(node, yaml.MappingNode):
        kept: list[tuple[Any, Any]] = []
        for name, value in node.value:
            if _is_encrypted(value):
                yield (*path, name.value)
            else:
                yield from _take_encrypted(value, (*path, name.value))
                kept.append((name, value))
        node.value = kept
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            if _is_encrypted(value):
                node.value[index] = _node("")
                yield (*path, index)
            else:
                yield from _take_encrypted(value, (*path, index))


def _is_encrypted(node: Any) -> bool:
    return isinstance(node, yaml.MappingNode) and [name.value for name, _ in node.value] == ["secure"]


def _put(node: Any, step: str | int, value: Any) -> None:
    if isinstance(step, int):
        if not isinstance(node, yaml.SequenceNode):
            raise MisuseError(f"-c: [{step}] is a place in an array, but the value there is none")
        node.value[step : step + 1] = [value]
        return
    if not isinstance(node, yaml.MappingNode):
        raise MisuseError(f"-c: .{step} is a part of an object, but the value there is none")
    for index, (name, _) in enumerate(node.value):
        if _same(name.value, step):
            node.value[index] = (name, value)
            return
    node.value.append((_node(step), value))


def _child(node: Any, step: str | int, *, sequence: bool = False) -> Any:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if _same(name.value, str(step)) and isinstance(value, yaml.CollectionNode):
                return value
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step]
    made = _node([] if sequence else {})
    _put(node, step, made)
    return made
