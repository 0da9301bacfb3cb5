"""What a journal keeps, and what becomes of a state when one is carried out on it."""

from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from pulumi.runtime.proto import provider_pb2, resource_pb2

from sandbox.home import Home
from sandbox.journal import Journal
from sandbox.providers._values import Secret, encode
from sandbox.replay import in_order, references, replay
from sandbox.state import SECRET_SIGNATURE, SIGNATURE

ROOT = "urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev"
PROVIDER = "urn:pulumi:dev::p::pulumi:providers:aws::default_7"
APP = "urn:pulumi:dev::p::my:index:App::app"
SECRET = "urn:pulumi:dev::p::my:index:App$aws:secretsmanager/secret:Secret::s"
VALUE = "hunter2 of the test"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    home = Home(tmp_path)
    home.prepare()
    return Journal(home, tmp_path / "journals" / "p.dev", "p", "dev")


class _Failed:
    """A call's context whose call left nothing, or half an object."""

    def __init__(self, *metadata: object) -> None:
        self._metadata = metadata

    def trailing_metadata(self) -> tuple[object, ...]:
        return self._metadata


def test_a_run_is_kept_step_by_step_and_nothing_of_it_in_the_clear(journal: Journal, tmp_path: Path) -> None:
    _register(journal, "my:index:App", "app", parent=ROOT)
    _register(journal, "aws:secretsmanager/secret:Secret", "s", parent=APP, custom=True, protect=True)
    _call(
        journal, "Configure", provider_pb2.ConfigureRequest(urn=PROVIDER, id="1", args=encode({"region": "eu-west-1"}))
    )
    inputs = encode({"name": "s", "secretString": Secret(VALUE)})
    created = provider_pb2.CreateResponse(id="arn:s", properties=inputs)
    _call(journal, "Create", provider_pb2.CreateRequest(urn=SECRET, properties=inputs, preview=True), created)
    _call(journal, "Create", provider_pb2.CreateRequest(urn=SECRET, properties=inputs), created)
    _call(journal, "Read", provider_pb2.ReadRequest(urn=SECRET))
    entries = list(journal.entries())
    steps = [(entry["step"], entry["urn"]) for entry in entries]
    assert steps == [
        ("registered", APP), ("registered", SECRET), ("configured", PROVIDER), ("Create begun", SECRET),
        ("Create done", SECRET),
    ]  # fmt: skip
    wrapped = {SIGNATURE: SECRET_SIGNATURE, "plaintext": f'"{VALUE}"'}
    assert entries[-1]["outputs"] == {"name": "s", "secretString": wrapped}
    kept = (tmp_path / "journals" / "p.dev").read_bytes()
    assert VALUE.encode() not in kept
    assert b"secretsmanager" not in kept
    assert (tmp_path / "journals" / "p.dev").stat().st_mode & 0o077 == 0


def test_a_last_line_that_was_cut_off_is_left_out(journal: Journal, tmp_path: Path) -> None:
    for name in ("a", "b"):
        _register(journal, "my:index:App", name)
    path = tmp_path / "journals" / "p.dev"
    path.write_bytes(path.read_bytes()[:-20])
    assert [entry["urn"].rpartition("::")[2] for entry in journal.entries()] == ["a"]


@pytest.mark.parametrize(
    ("context", "steps"),
    [(_Failed(), ["Create begun", "Create failed"]), (_Failed("status-details"), ["Create begun"])],
    ids=["refused", "half made"],
)
def test_what_failed_has_brought_nothing_unless_half_of_it_exists(
    journal: Journal, context: Any, steps: list[str]
) -> None:
    def fail() -> None:
        raise RuntimeError("refused")

    with pytest.raises(RuntimeError):
        journal.watch_call("Create", provider_pb2.CreateRequest(urn=SECRET), context, "", fail)
    assert [entry["step"] for entry in journal.entries()] == steps


def test_a_first_run_becomes_a_whole_state() -> None:
    resources: list[dict[str, Any]] = []
    pending = replay(
        [
            _registered(APP, custom=False, parent=ROOT),
            _registered(SECRET, parent=APP, protect=True, additionalSecretOutputs=["value"]),
            {"step": "configured", "urn": PROVIDER, "id": "1", "inputs": {"region": "eu-west-1"}},
            _step("Create begun", inputs={"name": "s"}),
            _step("Create done", id="arn:s", inputs={"name": "s"}, outputs={"name": "s", "value": "v"}),
        ],
        resources,
    )
    assert pending == []
    assert [r["urn"] for r in resources] == [ROOT, APP, PROVIDER, SECRET]
    hidden = {SIGNATURE: SECRET_SIGNATURE, "plaintext": '"v"'}
    assert resources[-1] == {
        "urn": SECRET, "custom": True, "type": "aws:secretsmanager/secret:Secret", "parent": APP, "protect": True,
        "additionalSecretOutputs": ["value"], "provider": f"{PROVIDER}::1", "id": "arn:s", "inputs": {"name": "s"},
        "outputs": {"name": "s", "value": hidden},
    }  # fmt: skip


def test_what_the_engine_keeps_itself_is_noted_and_put_back_with_its_provider(journal: Journal) -> None:
    stash = "urn:pulumi:dev::p::my:index:App$pulumi:index:Stash::kept"
    answer = resource_pb2.RegisterResourceResponse(urn=stash, id="1-2-3", object=encode({"input": "a", "output": "a"}))
    monitor: Any = SimpleNamespace(RegisterResource=Mock(return_value=answer))
    journal.watch_program(monitor)
    request = resource_pb2.RegisterResourceRequest(
        type="pulumi:index:Stash", name="kept", parent=APP, custom=True, object=encode({"input": "a"})
    )
    assert monitor.RegisterResource(request) is answer
    resources: list[dict[str, Any]] = []
    assert replay(journal.entries(), resources) == []
    provider = "urn:pulumi:dev::p::pulumi:providers:pulumi::default"
    of_engine, kept = in_order(resources)
    assert (of_engine["urn"], of_engine["type"]) == (provider, "pulumi:providers:pulumi")
    assert kept["provider"] == f"{provider}::{of_engine['id']}"
    assert (kept["id"], kept["inputs"], kept["outputs"]) == ("1-2-3", {"input": "a"}, {"input": "a", "output": "a"})
    replay(
        [{"step": "kept", "urn": stash, "id": "1-2-3", "inputs": {"input": "b"}, "outputs": {"input": "b"}}], resources
    )
    assert [r["inputs"] for r in resources if r["urn"] == stash] == [{"input": "b"}]


def test_what_had_begun_is_pending() -> None:
    old = _live("old")
    resources = [old]
    entries = [
        _registered(SECRET, parent=APP),
        _step("Create begun", inputs={"name": "s"}),
        _step("Delete begun", id="old"),
        _step("Update begun", id="other", inputs={}),
        _step("Update failed", id="other", inputs={}),
    ]
    pending = replay(entries, resources)
    assert [(operation["type"], operation["resource"].get("id")) for operation in pending] == [
        ("creating", None),
        ("deleting", "old"),
    ]
    assert pending[0]["resource"]["parent"] == APP
    assert old in resources


def test_updates_and_deletions_are_carried_out() -> None:
    resources = [_live("kept"), _live("gone", name="gone")]
    replay(
        [
            _step("Update begun", id="kept", inputs={"name": "new"}),
            _step("Update done", id="kept", inputs={"name": "new"}, outputs={"name": "new", "arn": "a"}),
            _step("Delete begun", id="gone", urn=resources[1]["urn"]),
            _step("Delete done", id="gone", urn=resources[1]["urn"]),
        ],
        resources,
    )
    assert [(r["id"], r["inputs"], r["outputs"]) for r in resources] == [
        ("kept", {"name": "new"}, {"name": "new", "arn": "a"})
    ]


@pytest.mark.parametrize("first", ["Create", "Delete"])
def test_a_replacement_keeps_the_new_one_and_marks_or_drops_the_old(first: str) -> None:
    steps = {
        "Create": [_step("Create begun", inputs={}), _step("Create done", id="new", inputs={}, outputs={})],
        "Delete": [_step("Delete begun", id="old"), _step("Delete done", id="old")],
    }
    resources = [_live("old")]
    replay(steps[first], resources)
    if first == "Create":
        assert [(r["id"], r.get("delete", False)) for r in resources] == [("new", False), ("old", True)]
    replay(steps["Create" if first == "Delete" else "Delete"], resources)
    assert [(r["id"], r.get("delete", False)) for r in resources] == [("new", False)]


def test_a_journal_that_the_state_holds_already_changes_nothing() -> None:
    resources = [_live("here")]
    replay([_step("Create begun", inputs={}), _step("Create done", id="here", inputs={}, outputs={})], resources)
    assert resources == [_live("here")]


def test_resources_come_after_what_they_refer_to() -> None:
    user = {"urn": "u", "dependencies": ["made", "gone"], "propertyDependencies": {"a": ["made"], "b": ["gone"]}}
    old, made = {"urn": "made", "id": "old", "delete": True}, {"urn": "made", "id": "new", "parent": "root"}
    ordered = in_order([user, made, old, {"urn": "root"}])
    assert [r.get("id", r["urn"]) for r in ordered] == ["root", "new", "u", "old"]
    assert references(ordered[2]) == {"made"}


def _register(journal: Journal, kind: str, name: str, **fields: Any) -> None:
    monitor: Any = SimpleNamespace(RegisterResource=attrgetter("name"))
    journal.watch_program(monitor)
    request = resource_pb2.RegisterResourceRequest(type=kind, name=name, **fields)
    assert monitor.RegisterResource(request) == name


def _call(journal: Journal, method: str, request: Any, answer: Any = None) -> None:
    context: Any = _Failed()
    assert journal.watch_call(method, request, context, f"{PROVIDER}::1", lambda: answer) is answer


def _registered(urn: str, *, custom: bool = True, **fields: Any) -> dict[str, Any]:
    return {"step": "registered", "urn": urn, "custom": custom, "fields": fields}


def _step(step: str, *, urn: str = SECRET, **fields: Any) -> dict[str, Any]:
    return {"step": step, "urn": urn, "provider": f"{PROVIDER}::1", **fields}


def _live(resource_id: str, *, name: str = "s") -> dict[str, Any]:
    urn = f"{SECRET.rpartition('::')[0]}::{name}"
    return {"urn": urn, "custom": True, "type": "aws:x", "id": resource_id, "inputs": {"name": name}, "outputs": {}}
