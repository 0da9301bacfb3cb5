"""What a run did to AWS, step by step, for whoever comes after it was cut off.

The engine writes its whole state at every step, which takes most of the time of a large `up`. The sandbox lets it write
once, at the end (PULUMI_SKIP_CHECKPOINTS), and keeps a journal meanwhile: what the program registers, and what each call of
a plugin begins and brings. `recovery` puts a journal that was left behind into the state. Inputs and outputs hold secrets,
so every line is encrypted with the sandbox's passphrase.
"""

import base64
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import grpc
from cryptography.fernet import Fernet, InvalidToken
from google.protobuf.json_format import MessageToDict

from sandbox.home import Home
from sandbox.state import SECRET_SIGNATURE, SIGNATURE

_ROOT_TYPE = "pulumi:pulumi:Stack"
_OF_THE_ENGINE = "pulumi:index:"
_REGISTERED = {
    "additionalSecretOutputs", "deletedWith", "dependencies", "ignoreChanges", "parent", "protect", "replaceOnChanges",
    "retainOnDelete",
}  # fmt: skip
"""Fields of a registration that the state keeps under the same name."""


class Journal:
    """The journal of one stack; the file exists from the first step until the engine has written its state."""

    def __init__(self, home: Home, path: Path, project: str, stack: str) -> None:
        key = hashlib.sha256(b"journal:" + home.passphrase.read_bytes()).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(key))
        self._path = path
        self._prefix = f"urn:pulumi:{stack}::{project}::"
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Delete the journal: the state has everything."""
        self._path.unlink(missing_ok=True)

    def entries(self) -> Iterator[dict[str, Any]]:
        """What the journal tells, in the order in which it happened; a last line that was cut off is left out."""
        lines = self._path.read_bytes().splitlines() if self._path.exists() else []
        for line in lines:
            try:
                yield json.loads(self._fernet.decrypt(line))
            except InvalidToken:
                return

    def holds_nothing(self) -> bool:
        """Tell whether no operation had begun: then there is nothing to take up. A preview notes its providers only."""
        return not any(str(entry["step"]).endswith(" begun") for entry in self.entries())

    def watch_program(self, monitor: Any) -> None:
        """Note every resource that the program registers with this monitor, before the engine hears of it."""
        register: Callable[..., Any] = monitor.RegisterResource

        def noted(request: Any, *rest: Any, **options: Any) -> Any:
            self._registered(request)
            answer = register(request, *rest, **options)
            if request.type.startswith(_OF_THE_ENGINE):
                # No plugin makes it: the engine keeps it in its state and nowhere else.
                inputs, outputs = _stored(request.object), _stored(answer.object)
                self._add(step="kept", urn=answer.urn, id=answer.id, inputs=inputs, outputs=outputs)
            return answer

        monitor.RegisterResource = noted

    def watch_call(
        self, method: str, request: Any, context: grpc.ServicerContext, provider: str, call: Callable[[], Any]
    ) -> Any:
        """Carry out a plugin's call, and note what it begins and what it brings.

        `provider` is the reference (`URN::ID`) of the provider whose plugin is called.
        """
        if method == "Configure":
            inputs = {key: value for key, value in _stored(request.args).items() if value is not None}
            self._add(step="configured", urn=request.urn, id=request.id, inputs=inputs)
            return call()
        if method not in {"Create", "Update", "Delete"} or getattr(request, "preview", False):
            return call()
        about: dict[str, Any] = {"urn": request.urn, "provider": provider}
        if method == "Create":
            about["inputs"] = _stored(request.properties)
        else:
            about["id"] = request.id
        if method == "Update":
            about["inputs"] = _stored(request.news)
        self._add(step=f"{method} begun", **about)
        try:
            answer = call()
        except BaseException:
            # Half made, it exists: whoever recovers has to look it up.
            if not context.trailing_metadata():
                self._add(step=f"{method} failed", **about)
            raise
        if method == "Create":
            about["id"] = answer.id
        if method != "Delete":
            about["outputs"] = _stored(answer.properties)
        self._add(step=f"{method} done", **about)
        return answer

    def _registered(self, request: Any) -> None:
        fields: dict[str, Any] = {name: value for name, value in MessageToDict(request).items() if name in _REGISTERED}
        by_property = {key: list(value.urns) for key, value in request.propertyDependencies.items()}
        self._add(
            step="registered",
            urn=self._urn(request),
            custom=request.custom,
            fields=fields | ({"propertyDependencies": by_property} if by_property else {}),
        )

    def _urn(self, request: Any) -> str:
        """The engine's own rule. Source: Pulumi, "Resource names", "URNs"."""
        parents = request.parent.split("::")[2] if request.parent else _ROOT_TYPE
        qualified = request.type if parents == _ROOT_TYPE else f"{parents}${request.type}"
        return f"{self._prefix}{qualified}::{request.name}"

    def _add(self, **entry: Any) -> None:
        line = self._fernet.encrypt(json.dumps(entry).encode()) + b"\n"
        with self._lock:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            # Appended by one write and closed: whatever ends this process, the line is there.
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(file, line)
            finally:
                os.close(file)


def _stored(struct: Any) -> dict[str, Any]:
    """Properties as a state holds them, secrets in the clear; on the wire they look a little different."""
    return cast("dict[str, Any]", _plain_secrets(MessageToDict(struct)))


def _plain_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        if mapping.get(SIGNATURE) == SECRET_SIGNATURE:
            return {SIGNATURE: SECRET_SIGNATURE, "plaintext": json.dumps(_plain_secrets(mapping["value"]))}
        return {key: _plain_secrets(item) for key, item in mapping.items()}
    return [_plain_secrets(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value
