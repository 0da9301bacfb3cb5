"""What the hooks on live values refuse. tests/sandbox/test_program_live_values.py has them on the engine."""

import json
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from components.live_values import LiveValueError, LiveValues
from components.origins import Origins
from components.restored_values import Held
from config.declarations import Generated, JsonSecret, Supplied, TextSecret
from tests.unit.conftest import Recorder, Recording

ARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:tickets-dev-config-AbCdEf"
RECORD = "0123456789abcdef"
LIVE, PREVIOUS, RESTORED = "pulumi-live-01234567", "pulumi-previous-01234567", "pulumi-restored"
VERSION = "secrets-config-value"
WAYS = ["ops keep config --key SMTP", "is set by no configuration", "update-secret-version-stage"]
"""What a refusal may offer."""


def at(lost: str) -> str:
    """How a refusal names JSON keys; of a whole value it names none."""
    return f" at {lost}" if lost else ""


class Aws:
    """The versions of one secret: by id the staging labels and the value."""

    def __init__(self, versions: Mapping[str, tuple[list[str], Any]]) -> None:
        self.versions = versions
        self.asked: list[str] = []

    @property
    def invokes(self) -> dict[str, Any]:
        prefix = "aws:secretsmanager/getSecretVersion"
        return {f"{prefix}s:getSecretVersions": self.listed, f"{prefix}:getSecretVersion": self.read}

    def listed(self, arguments: Any) -> dict[str, Any]:
        assert arguments["secretId"] == ARN
        found = [{"versionId": version, "versionStages": stages} for version, (stages, _) in self.versions.items()]
        return {"versions": found}

    def read(self, arguments: Any) -> dict[str, Any]:
        assert arguments["secretId"] == ARN
        self.asked.append(arguments["versionId"])
        value = self.versions[arguments["versionId"]][1]
        if isinstance(value, bytes):
            return {"secretBinary": value.decode()}
        return {"secretString": value if isinstance(value, str) else json.dumps(value)}


@pytest.fixture(autouse=True)
def waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long refusals wait for others; here they don't."""
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("components.live_values.asyncio", SimpleNamespace(sleep=wait))
    return waited


def step(name: str, **inputs: Any) -> pulumi.ResourceHookArgs:
    return pulumi.ResourceHookArgs("urn", "id", name, "type", **inputs)


def values(
    recorder: Recorder,
    act: Callable[[LiveValues], Awaitable[None] | None],
    invokes: Mapping[str, Any] | None = None,
    *,
    preview: bool = False,
) -> Recording:
    """Run `act` on the live values of a component, and raise what it raises once the program has ended."""
    raised: list[LiveValueError] = []

    async def acted(live: LiveValues) -> str:
        try:
            waited = act(live)
            if waited is not None:
                await waited
        except LiveValueError as error:
            raised.append(error)
        return "done"

    def program() -> None:
        component = pulumi.ComponentResource("test:index:Secrets", "secrets")
        pulumi.export(
            "done", pulumi.Output.from_input(acted(LiveValues(component, "secrets", recovery_window_in_days=7)))
        )

    recording = recorder(program, invokes=invokes, preview=preview)
    assert recording.exports == {"done": "done"}
    for error in raised:
        raise error
    return recording


async def put(
    live: LiveValues,
    new: Mapping[str, str | pulumi.Output[str]],
    *,
    secret: Any = ARN,
    record: str | pulumi.Output[str] = RECORD,
) -> None:
    """Ask the hook of a version that is about to be put; `smtp` is the configuration key of SMTP."""
    parts = {key: (pulumi.Output.secret(value), "smtp" if key in {"SMTP", ""} else "") for key, value in new.items()}
    binding = live.guard(VERSION, "config", pulumi.Output.from_input(record), parts)
    assert binding.before_create
    (hook,) = binding.before_create
    assert isinstance(hook, pulumi.ResourceHook)
    assert hook.opts
    assert hook.opts.on_dry_run
    asked: Any = hook.callback(step(VERSION, new_inputs={"secretId": secret}))
    await asked


OURS = (["pulumi-live-01234567"], {"TOKEN": "a", "SMTP": "b"})
NEW = {"TOKEN": "n", "SMTP": "m"}


@pytest.mark.parametrize(
    "versions",
    [
        {},
        {"1": ([], {"TOKEN": "x"})},
        {"1": (["AWSCURRENT", LIVE], {"TOKEN": "a", "SMTP": "b"})},
        {"1": (["AWSCURRENT", RESTORED], {"TOKEN": "a", "SMTP": "b"})},
        {"1": (["AWSCURRENT", PREVIOUS], {"TOKEN": "a", "SMTP": "b"})},
        {"1": OURS, "2": (["AWSCURRENT"], {"TOKEN": "a", "SMTP": "b"})},  # the value that Pulumi put, put again by hand
        {"1": OURS, "2": (["AWSCURRENT"], {"TOKEN": "n", "SMTP": "b"})},  # what is to be put is there already
        {"1": OURS, "2": (["AWSCURRENT"], {"TOKEN": "a"})},
    ],
    ids=[
        "none",
        "no current one",
        "ours",
        "restored",
        "the generation before",
        "as ours",
        "as the new one",
        "a key less",
    ],
)
def test_a_version_is_put_over_what_this_program_put_or_an_equal_value(
    record: Recorder, versions: dict[str, tuple[list[str], Any]]
) -> None:
    aws = Aws(versions)
    values(record, lambda live: put(live, NEW), aws.invokes)
    assert aws.asked in ([], ["2", "1"])


@pytest.mark.parametrize(
    ("versions", "lost", "ways"),
    [
        ({"1": OURS, "2": (["AWSCURRENT"], {"TOKEN": "a", "SMTP": "hand"})}, "SMTP", [0, 2]),
        ({"1": OURS, "2": (["AWSCURRENT"], {"TOKEN": "hand", "SMTP": "b"})}, "TOKEN", [1, 2]),
        ({"1": OURS, "2": (["AWSCURRENT"], {"TOKEN": "hand", "SMTP": "hand"})}, "SMTP, TOKEN", [0, 1, 2]),
        ({"1": OURS, "2": (["AWSCURRENT"], {**OURS[1], "MORE": "hand"})}, "MORE", [1, 2]),
        ({"1": OURS, "2": (["AWSCURRENT"], "no JSON")}, "", [1, 2]),
        ({"1": OURS, "2": (["AWSCURRENT"], b"AAE=")}, "", [1, 2]),
        ({"2": (["AWSCURRENT"], {"TOKEN": "a", "SMTP": "hand"})}, "SMTP, TOKEN", [0, 1]),
        # The previous generation is no excuse once a live one was put.
        ({"1": OURS, "2": (["AWSCURRENT", PREVIOUS], {"SMTP": "hand"})}, "SMTP", [0, 2]),
        # Another stack's labels, or those of this one before a destroy, are somebody else's.
        ({"2": (["AWSCURRENT", "pulumi-live-fedcba98"], {"TOKEN": "hand"})}, "TOKEN", [1]),
        # AWSPENDING and AWSPREVIOUS decide nothing.
        ({"1": (["AWSPREVIOUS", LIVE], {}), "2": (["AWSCURRENT"], {"SMTP": "x"}), "3": (["AWSPENDING"], {})}, "SMTP", [0, 2]),
    ],
)  # fmt: skip
def test_what_somebody_else_put_is_never_put_over(
    record: Recorder, versions: dict[str, tuple[list[str], Any]], lost: str, ways: list[int]
) -> None:
    with pytest.raises(LiveValueError) as refused:
        values(record, lambda live: put(live, NEW), Aws(versions).invokes)
    said = str(refused.value)
    assert f"config: somebody else put its live value{at(lost)}, version 2," in said
    assert [number for number, way in enumerate(WAYS) if way in said] == ways
    assert "hand" not in said
    if 2 in ways:
        assert f"--region eu-central-1 --secret-id {ARN}" in said
        assert "--version-stage AWSCURRENT --move-to-version-id 1 --remove-from-version-id 2" in said


def test_a_text_is_compared_as_a_whole(record: Recorder) -> None:
    versions: dict[str, Any] = {"1": ([LIVE], '{"a": "b"}'), "2": (["AWSCURRENT"], '{"a": "b"}')}
    values(record, lambda live: put(live, {"": "new"}), Aws(versions).invokes)
    versions["2"] = (["AWSCURRENT"], '{"b": "a"}')
    with pytest.raises(LiveValueError, match=r"put its live value, version 2, and this would") as refused:
        values(record, lambda live: put(live, {"": "new"}), Aws(versions).invokes)
    assert "python -m ops keep config --stack dev" in str(refused.value)


def test_a_secret_that_is_yet_to_be_made_is_not_asked_about(record: Recorder) -> None:
    values(record, lambda live: put(live, NEW, secret=None))
    values(record, lambda live: put(live, NEW, secret={"a": "secret that is not known"}))


def test_what_is_not_known_yet_in_a_preview_is_no_value(record: Recorder) -> None:
    def act(live: LiveValues) -> Any:
        made = pulumi.Stash("made", None, "x")
        return put(live, {"SMTP": made.id, "TOKEN": "a"}, record=made.id)

    versions: dict[str, Any] = {"2": (["AWSCURRENT"], {"TOKEN": "a"})}
    values(record, act, Aws(versions).invokes, preview=True)
    versions["2"] = (["AWSCURRENT"], {"SMTP": "hand"})
    with pytest.raises(LiveValueError, match="at SMTP, version 2"):
        values(record, act, Aws(versions).invokes, preview=True)


CONFIG = JsonSecret("config", {"TOKEN": Generated("token"), "SMTP": Supplied("smtp")}, variable="CONFIG")
ENTRY = Origins("tickets-dev-config", adopted=False, rotated=False, values={"TOKEN": "generated token 1"})


def restored(live: LiveValues, text: str, new: Mapping[str, str], *, guarded: bool = True) -> Any:
    """Ask the hook of a restored secret, of which `token` is taken over as a generated value."""
    held = Held(ARN, "2", text, {"TOKEN": "taken over"})
    stash = live.record(CONFIG, ENTRY, [], held)
    if guarded:
        parts = {key: (pulumi.Output.secret(value), "smtp" if key == "SMTP" else "") for key, value in new.items()}
        live.guard(VERSION, "config", stash.id, parts)
    asked: Any = live._on_restored.callback(step("secrets-config"))
    return asked


@pytest.mark.parametrize(
    ("held", "lost"),
    [
        ({"TOKEN": "taken over", "SMTP": "m"}, None),
        ({"SMTP": "m"}, None),
        ({"TOKEN": "n"}, None),
        ({"TOKEN": "hand", "SMTP": "m"}, "TOKEN"),
        ({"TOKEN": "taken over", "SMTP": "hand"}, "SMTP"),
        ({"TOKEN": "taken over", "MORE": "hand", "SMTP": "hand"}, "MORE, SMTP"),
        ("no JSON", ""),
    ],
)
def test_all_that_a_restored_secret_holds_is_compared(record: Recorder, held: Any, lost: str | None) -> None:
    text = held if isinstance(held, str) else json.dumps(held)
    if lost is None:
        values(record, lambda live: restored(live, text, NEW))
        return
    with pytest.raises(LiveValueError, match=f"put its live value{at(lost)}, version 2,") as refused:
        values(record, lambda live: restored(live, text, NEW))
    assert "update-secret-version-stage" not in str(refused.value)


def test_a_restored_secret_whose_value_nobody_puts_is_taken_as_it_is(record: Recorder) -> None:
    values(record, lambda live: restored(live, json.dumps({"SMTP": "hand"}), NEW, guarded=False))


def test_the_value_that_a_function_put_is_taken_over_as_it_is(record: Recorder) -> None:
    def act(live: LiveValues) -> None:
        rotated = Origins("tickets-dev-config", adopted=False, rotated=True, values={})
        live.record(CONFIG, rotated, [], Held(ARN, "2", "x", {}))

    assert values(record, act).one("pulumi:index:Stash").options.before_create == ()


@pytest.mark.parametrize("holder", [None, "2"])
def test_a_value_of_somebody_else_s_is_never_generated_over(record: Recorder, holder: str | None) -> None:
    """A secret that was `External()` becomes a generated one: only where nobody has put a value yet."""
    declaration = TextSecret("config", Generated("token"), variable="TOKEN")
    before = Origins(ARN, adopted=False, rotated=False, values={})
    after = Origins(ARN, adopted=False, rotated=False, values={"": "generated token 1"})

    def act(live: LiveValues) -> Any:
        live.record(declaration, after, [])
        old, new = ({"input": entry.record()} for entry in (before, after))
        asked: Any = live._on_record.callback(step("secrets-config", old_inputs=old, new_inputs=new))
        return asked

    aws = Aws({"2": (["AWSCURRENT"] if holder else ["AWSPREVIOUS"], "hand")})
    if holder is None:
        values(record, act, aws.invokes)
        return
    with pytest.raises(LiveValueError, match=r"config: somebody else has put its value") as refused:
        values(record, act, aws.invokes)
    assert "python -m ops keep config --stack dev" in str(refused.value)


@pytest.mark.parametrize(
    ("window", "gone", "refused"),
    [(0, ["jwt"], "jwt"), (7, ["jwt"], ""), (0, ["adopted"], ""), (0, [], "")],
)
def test_a_secret_leaves_the_catalogue_with_a_recovery_window_only(
    record: Recorder, window: int, gone: list[str], refused: str
) -> None:
    names = {"config", "jwt", "adopted"}

    def act(live: LiveValues) -> Any:
        before = {"secrets": sorted(names), "adopted": ["adopted"], "recoveryWindowInDays": window}
        after = {"secrets": sorted(names - {*gone}), "adopted": [], "recoveryWindowInDays": 30}
        asked: Any = live._on_list.callback(step("secrets", old_inputs={"input": before}, new_inputs={"input": after}))
        return asked

    if not refused:
        values(record, act)
        return
    with pytest.raises(LiveValueError, match=r"^jwt: left catalogue.py and would be deleted at once"):
        values(record, act)


def test_another_value_under_the_number_of_a_kept_one_is_refused_with_the_next_number(record: Recorder) -> None:
    def act(live: LiveValues) -> Any:
        live.record(CONFIG, ENTRY, [])
        live.keep("token", 3, pulumi.Output.secret("value"))
        asked: Any = live._on_kept.callback(step("secrets-kept-token-3"))
        return asked

    with pytest.raises(LiveValueError, match=r"^token: .*rotations.token 4$".replace(".*", r"(?s:.*)")):
        values(record, act)


def test_a_refusal_waits_for_those_of_other_secrets(record: Recorder, waiting: list[float]) -> None:
    """After the first error the engine begins nothing more."""
    aws = Aws({"1": OURS, "2": (["AWSCURRENT"], {"TOKEN": "hand"})})
    values(record, lambda live: put(live, {"TOKEN": "hand"}), aws.invokes)
    assert waiting == []
    with pytest.raises(LiveValueError):
        values(record, lambda live: put(live, NEW), aws.invokes)
    assert waiting == [0.5]
