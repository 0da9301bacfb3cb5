"""What the hooks on live values refuse. tests/sandbox/test_program_live_values.py has them on the engine."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from components.limits import NAME_TAKEN_SECONDS
from components.value_guard import Guard, LiveValueError
from components.value_intent import Record
from components.value_plan import SecretPlan, Value
from tests.unit.conftest import Recorder, Recording

FULL = "tickets-dev-config"
LIVE, PREVIOUS = "pulumi-live", "pulumi-previous"
WAYS = ["ops keep config --key SMTP --stack", "no configuration sets", "update-secret-version-stage"]
"""What a refusal may offer."""

JSON = SecretPlan(
    "config", FULL, values={"TOKEN": Value("generated", "token"), "SMTP": Value("supplied", "smtp", configured=True)}
)
TEXT = SecretPlan("config", FULL, values={"": Value("generated", "smtp", configured=True)})
LAST = {"TOKEN": "a", "SMTP": "b"}
NEW = {"TOKEN": "a", "SMTP": "m"}


class Aws:
    """The versions of one secret: by id the staging labels and the value; an error instead of an answer."""

    def __init__(
        self, versions: Mapping[str, tuple[list[str], Any]], error: str = "", *, only_values: bool = False
    ) -> None:
        self.versions, self.error, self.only_values = versions, error, only_values
        self.asked: list[str] = []

    @property
    def invokes(self) -> dict[str, Any]:
        prefix = "aws:secretsmanager/getSecretVersion"
        return {f"{prefix}s:getSecretVersions": self.listed, f"{prefix}:getSecretVersion": self.read}

    def listed(self, arguments: Any) -> dict[str, Any]:
        assert arguments["secretId"] == FULL
        self.asked.append("list")
        if self.error and not self.only_values:
            raise _RefusedError(self.error)
        found = [{"versionId": version, "versionStages": stages} for version, (stages, _) in self.versions.items()]
        return {"versions": found}

    def read(self, arguments: Any) -> dict[str, Any]:
        self.asked.append(arguments["versionId"])
        if self.error:
            raise _RefusedError(self.error)
        value = self.versions[arguments["versionId"]][1]
        if isinstance(value, bytes):
            return {"secretBinary": value.decode()}
        return {"secretString": value if isinstance(value, str) else json.dumps(value)}


class _RefusedError(Exception):
    def details(self) -> str:
        return str(self)


@pytest.fixture(autouse=True)
def waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long refusals wait for others; here they don't."""
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("components.value_guard.asyncio", SimpleNamespace(sleep=wait, gather=asyncio.gather))
    return waited


@pytest.fixture(autouse=True)
def answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an error of the mocks come as the plugin's."""
    from components import hooks  # noqa: PLC0415

    monkeypatch.setattr(hooks.grpc, "RpcError", _RefusedError)


def step(name: str, **inputs: Any) -> pulumi.ResourceHookArgs:
    return pulumi.ResourceHookArgs("urn", "id", name, "type", **inputs)


def guarded(
    recorder: Recorder,
    act: Callable[[Guard], Awaitable[None] | None],
    aws: Aws | None = None,
    *,
    preview: bool = False,
    window: int = 7,
) -> Recording:
    """Run `act` on the guard of a component, and raise what it raises once the program has ended."""
    raised: list[LiveValueError] = []

    async def acted(guard: Guard) -> str:
        try:
            waited = act(guard)
            if waited is not None:
                await waited
        except LiveValueError as error:
            raised.append(error)
        return "done"

    def program() -> None:
        component = pulumi.ComponentResource("test:index:Secrets", "secrets")
        guard = Guard(component, "secrets", region="eu-central-1", recovery_window_in_days=window)
        pulumi.export("done", pulumi.Output.from_input(acted(guard)))

    recording = recorder(program, invokes=aws.invokes if aws else None, preview=preview)
    assert recording.exports == {"done": "done"}
    for error in raised:
        raise error
    return recording


def outputs(values: Mapping[str, Any]) -> dict[str, pulumi.Output[str]]:
    return {key: pulumi.Output.secret(value) for key, value in values.items()}


def recorded(secrets: Mapping[str, Any], window: int = 7) -> dict[str, Any]:
    return {"secrets": secrets, "recoveryWindowInDays": window}


def put(
    new: Mapping[str, Any] = NEW,
    last: Mapping[str, str] | None = LAST,
    *,
    plan: SecretPlan = JSON,
    before: SecretPlan | None = None,
) -> Callable[[Guard], Any]:
    """Ask the hook of the stash of a secret whose values change from `last` to `new`; None: it is created."""

    async def act(guard: Guard) -> None:
        guard.stash([(plan, outputs(new))])
        state = {**Record.of(before or plan).as_state(), "set": {"values": last}}
        old = None if last is None else {"input": pulumi.Output.secret(recorded({"config": state}))}
        asked: Any = guard._on_values.callback(step("secrets", old_inputs=old))
        await asked

    return act


OURS = (["AWSCURRENT", LIVE], LAST)


@pytest.mark.parametrize(
    "versions",
    [
        {},
        {"1": ([], {"TOKEN": "x"})},
        {"1": OURS},
        {"1": ([LIVE], LAST), "2": (["AWSCURRENT"], LAST)},  # the value that Pulumi set, set again by hand
        {"1": ([LIVE], LAST), "2": (["AWSCURRENT"], {"TOKEN": "a", "SMTP": "m"})},  # what is to be set is there already
        {"1": ([LIVE], LAST), "2": (["AWSCURRENT"], {"TOKEN": "a"})},
        {"1": (["AWSCURRENT", LIVE, "AWSPENDING"], LAST)},  # a rotation that has ended
    ],
    ids=["none", "no current one", "ours", "as ours", "as the new one", "a key less", "rotated"],
)
def test_a_value_is_set_over_what_was_set_last_or_an_equal_one(
    record: Recorder, versions: dict[str, tuple[list[str], Any]]
) -> None:
    aws = Aws(versions)
    guarded(record, put(), aws)
    assert len(aws.asked) <= 2


def test_what_does_not_change_is_not_asked_about(record: Recorder) -> None:
    guarded(record, put(LAST))
    guarded(record, put({}, {}, plan=SecretPlan("config", FULL)))
    rotated = SecretPlan("config", FULL, rotated=True, values=JSON.values)
    guarded(record, put(NEW, plan=rotated))
    guarded(record, put(NEW, None, plan=rotated))
    guarded(record, put({}, LAST, plan=SecretPlan("config", FULL), before=JSON))  # External() from now on


@pytest.mark.parametrize(
    ("versions", "lost", "ways"),
    [
        ({"1": ([LIVE], LAST), "2": (["AWSCURRENT"], {"TOKEN": "a", "SMTP": "hand"})}, "SMTP", [0, 2]),
        ({"1": ([LIVE], LAST), "2": (["AWSCURRENT"], {**LAST, "MORE": "hand"})}, "MORE", [1, 2]),
        ({"1": ([LIVE], LAST), "2": (["AWSCURRENT"], "no JSON")}, "the whole", [1, 2]),
        ({"1": ([LIVE], LAST), "2": (["AWSCURRENT"], b"AAE=")}, "the whole", [1, 2]),
        ({"2": (["AWSCURRENT"], {"SMTP": "hand"})}, "SMTP", [0]),
        ({"1": (["AWSPREVIOUS", LIVE], {}), "2": (["AWSCURRENT", PREVIOUS], {"SMTP": "hand"})}, "SMTP", [0, 2]),
    ],
)
def test_what_somebody_else_set_is_kept(
    record: Recorder, versions: dict[str, tuple[list[str], Any]], lost: str, ways: list[int]
) -> None:
    with pytest.raises(LiveValueError) as refused:
        guarded(record, put(), Aws(versions))
    said = str(refused.value)
    at = "" if lost == "the whole" else f" at {lost}"
    assert f"config: its live value{at}, version 2, was set outside" in said
    assert [number for number, way in enumerate(WAYS) if way in said] == ways
    assert "hand" not in said
    if 2 in ways:
        assert f"--secret-id {FULL} --region eu-central-1" in said
        assert "--version-stage AWSCURRENT --move-to-version-id 1 --remove-from-version-id 2" in said


@pytest.mark.parametrize("server", [None, "ElastiCache"])
def test_what_a_server_checks_is_dropped_there_first(record: Recorder, server: str | None) -> None:
    """`ops rotate` gave the server the live value: the one before would lock the application out."""
    accepted_by = {"server": server, "host": "redisHost"} if server else None
    values = {**JSON.values, "TOKEN": Value("generated", "token", accepted_by=accepted_by)}
    rotated = Aws({"1": ([LIVE], LAST), "2": (["AWSCURRENT"], {**LAST, "TOKEN": "hand"})})
    with pytest.raises(LiveValueError) as refused:
        guarded(record, put(plan=SecretPlan("config", FULL, values=values)), rotated)
    first = f", once {server} accepts its value again" if server else ""
    assert f"To drop it, make the version that Pulumi set last the current one again{first}:" in str(refused.value)


def test_where_nothing_was_set_every_part_must_be_what_is_set_now(record: Recorder) -> None:
    """A secret that was imported, or that others have set until now."""
    live = Aws({"2": (["AWSCURRENT", LIVE], NEW)})
    guarded(record, put(NEW, None), live)
    guarded(record, put(NEW, {}, before=SecretPlan("config", FULL)), live)
    with pytest.raises(LiveValueError, match="at SMTP, version 2") as refused:
        guarded(record, put({**NEW, "SMTP": "other"}, None), live)
    assert WAYS[0] in str(refused.value)
    with pytest.raises(LiveValueError, match="python -m ops recover"):
        guarded(record, put(NEW, None), Aws({"2": (["AWSCURRENT"], {"SMTP": "hand"})}))


@pytest.mark.parametrize("created", [False, True])
def test_a_kept_value_that_has_a_value_before_gets_the_next_number_as_well(record: Recorder, *, created: bool) -> None:
    before, plan = (
        SecretPlan("config", FULL, values={"TOKEN": Value("generated", "token", number=number, keeps_previous=True)})
        for number in (1, 2)
    )
    hand = Aws({"1": ([LIVE], {"TOKEN": "a"}), "2": (["AWSCURRENT"], {"TOKEN": "hand"})})
    new, last = {"TOKEN": "b", "TOKEN_PREVIOUS": "a"}, None if created else {"TOKEN": "a"}
    with pytest.raises(LiveValueError) as refused:
        guarded(record, put(new, last, plan=plan, before=before), hand)
    assert "ops keep config --key TOKEN" in str(refused.value)
    assert ("rotations.token 3\n" in str(refused.value)) is not created


def test_an_up_that_was_cut_off_is_repeated_first(record: Recorder) -> None:
    cut_off = Aws({"1": (["AWSCURRENT", LIVE], {**LAST, "SMTP": "before"})})
    with pytest.raises(LiveValueError, match=r"interrupted before it set the value .* at SMTP") as refused:
        guarded(record, put(), cut_off)
    assert "Run that one again" in str(refused.value)


def test_a_text_is_compared_as_a_whole(record: Recorder) -> None:
    versions: dict[str, Any] = {"1": ([LIVE], "x"), "2": (["AWSCURRENT"], '{"a": "b"}')}
    guarded(record, put({"": "new"}, {"": '{"a": "b"}'}, plan=TEXT), Aws(versions))
    with pytest.raises(LiveValueError, match=r"its live value, version 2, was"):
        guarded(record, put({"": "new"}, {"": '{"b": "a"}'}, plan=TEXT), Aws(versions))


def test_nothing_is_set_while_a_rotation_has_not_ended(record: Recorder) -> None:
    pending = Aws({"1": OURS, "2": (["AWSPENDING"], LAST)})
    with pytest.raises(LiveValueError, match="a rotation is in progress: version 2") as refused:
        guarded(record, put(), pending)
    assert "python -m ops rotate config --stack dev" in str(refused.value)
    secret = f"--secret-id {FULL} --region eu-central-1"
    assert f"aws secretsmanager cancel-rotate-secret {secret}" in str(refused.value)
    label = f"aws secretsmanager update-secret-version-stage {secret} --version-stage AWSPENDING"
    assert f"{label} --remove-from-version-id 2" in str(refused.value)


def test_a_rotation_that_has_not_ended_is_finished_once_a_lost_state_is_recovered(record: Recorder) -> None:
    """`ops rotate` needs the stack's outputs: first what is live is kept and imported."""
    pending = Aws({"1": (["AWSCURRENT"], LAST), "2": (["AWSPENDING"], LAST)})
    guarded(record, put(LAST, None), pending)
    with pytest.raises(LiveValueError, match="To keep it, set it in the configuration") as refused:
        guarded(record, put(NEW, None), pending)
    assert WAYS[0] in str(refused.value)
    assert "rotate" not in str(refused.value)
    # A key that is new would be set amid the rotation, and be lost with its end.
    fewer = Aws({"1": (["AWSCURRENT"], {"TOKEN": "a"}), "2": (["AWSPENDING"], LAST)})
    with pytest.raises(LiveValueError, match="a rotation is in progress") as refused:
        guarded(record, put(LAST, None), fewer)
    ordered = ["Leave out of catalogue.py", "python -m ops recover", "python -m ops rotate config"]
    assert sorted(ordered, key=str(refused.value).index) == ordered
    with pytest.raises(LiveValueError, match="a rotation is in progress"):
        guarded(record, put(LAST, {"TOKEN": "a"}), fewer)


def test_a_change_of_both_sides_that_has_not_ended_is_only_finished(record: Recorder) -> None:
    """The server may have the value already: to take AWSPENDING off its version would lose it."""
    pending = Aws({"1": OURS, "2": (["AWSPENDING", "ops-rotating-20260129T010000Z"], LAST)})
    with pytest.raises(LiveValueError, match="a rotation is in progress: version 2") as refused:
        guarded(record, put(), pending)
    assert str(refused.value).endswith("Finish it:\n  python -m ops rotate config --stack dev")
    assert "cancel" not in str(refused.value)


def numbered(number: int) -> SecretPlan:
    return SecretPlan("config", FULL, values={"TOKEN": Value("generated", "token", number=number)})


@pytest.mark.parametrize("live", ["first", "second"])
def test_a_number_is_lowered_while_the_value_of_the_lower_one_is_live(record: Recorder, live: str) -> None:
    """An `up` that was cut off has recorded the higher one; or the value was rolled back."""
    lowered = put({"TOKEN": "first"}, {"TOKEN": "second"}, plan=numbered(1), before=numbered(2))
    aws = Aws({"1": (["AWSCURRENT", LIVE], {"TOKEN": live})})
    if live == "first":
        guarded(record, lowered, aws)
        return
    with pytest.raises(LiveValueError, match="can only become 3"):
        guarded(record, lowered, aws)


def test_a_number_that_changed_no_value_is_lowered(record: Recorder) -> None:
    configured = [
        SecretPlan("config", FULL, values={"": Value("generated", "token", configured=True, number=n)}) for n in (1, 2)
    ]
    lowered = put({"": "set"}, {"": "set"}, plan=configured[0], before=configured[1])
    guarded(record, lowered, Aws({"1": (["AWSCURRENT", LIVE], "set")}))
    with pytest.raises(LiveValueError, match="can only become 3"):
        guarded(record, lowered, Aws({"1": ([LIVE], "set"), "2": (["AWSCURRENT"], "hand")}))


@pytest.mark.parametrize("has", [True, False])
def test_a_key_of_a_rotated_secret_must_be_live_first(record: Recorder, has: bool) -> None:  # noqa: FBT001
    before = SecretPlan("config", FULL, rotated=True, values={"TOKEN": JSON.values["TOKEN"]})
    after = SecretPlan("config", FULL, rotated=True, values=JSON.values)
    added = put(NEW, {"TOKEN": "a"}, plan=after, before=before)
    aws = Aws({"1": (["AWSCURRENT"], {"TOKEN": "function", **({"SMTP": "set"} if has else {})})})
    if has:
        guarded(record, added, aws)
        return
    with pytest.raises(LiveValueError, match="python -m ops set config --key SMTP"):
        guarded(record, added, aws)


DENIED = "AccessDeniedException: User: x is not authorized to perform: secretsmanager:GetSecretValue on resource: y"


@pytest.mark.parametrize(
    ("error", "right"),
    [
        (DENIED, "secretsmanager:GetSecretValue"),
        ("AccessDeniedException: no", "secretsmanager:GetSecretValue"),
        ("AccessDeniedException: Access to KMS is not allowed", "kms:Decrypt"),
    ],
)
def test_a_denied_question_is_named_and_refused_by_an_up(record: Recorder, error: str, right: str) -> None:
    aws = Aws({"1": OURS}, error, only_values=True)
    with pytest.raises(
        LiveValueError, match=f"config: .* the permission {right} on {FULL} is missing. Nothing was changed"
    ):
        guarded(record, put(), aws)
    (told,) = guarded(record, put(), aws, preview=True).log
    assert f"config: not checked: {right} on {FULL} is missing" in told


def test_a_secret_that_is_pending_deletion_is_recovered(record: Recorder) -> None:
    aws = Aws({"1": OURS}, "InvalidRequestException: ... currently marked deleted", only_values=True)
    with pytest.raises(LiveValueError, match="python -m ops recover --stack"):
        guarded(record, put(), aws)


def test_what_is_not_known_yet_in_a_preview_is_no_value(record: Recorder) -> None:
    plan = SecretPlan("config", FULL, values={"SMTP": Value("generated", "s", number=2), "TOKEN": JSON.values["TOKEN"]})
    before = SecretPlan("config", FULL, values={"SMTP": Value("generated", "s"), "TOKEN": JSON.values["TOKEN"]})

    def act(guard: Guard) -> Any:
        return put({"SMTP": pulumi.Stash("made", None, "x").id, "TOKEN": "a"}, plan=plan, before=before)(guard)

    guarded(record, act, Aws({"1": OURS}), preview=True)
    with pytest.raises(LiveValueError, match="at SMTP, version 2"):
        guarded(record, act, Aws({"1": ([LIVE], LAST), "2": (["AWSCURRENT"], {"SMTP": "hand"})}), preview=True)


def version(new: Mapping[str, Any] = NEW, secret: Any = FULL, *, after: Callable[[Guard], Any] | None = None) -> Any:
    """Ask the hook of a version that is about to be set."""

    async def act(guard: Guard) -> None:
        if after:
            await after(guard)
        else:
            guard.stash([(JSON, outputs(new))])
        asked: Any = guard._on_version.callback(step("secrets-config-value", new_inputs={"secretId": secret}))
        await asked

    return act


@pytest.mark.parametrize(
    ("versions", "refused"),
    [
        ({}, ""),
        ({"1": (["AWSCURRENT", LIVE], LAST)}, ""),  # the `up` before was cut off between stash and version
        ({"1": (["AWSCURRENT", PREVIOUS], "x")}, ""),  # AWS makes the first version of a secret the current one
        ({"1": ([LIVE], LAST), "2": (["AWSCURRENT"], NEW)}, ""),
        ({"1": ([LIVE], LAST), "2": (["AWSCURRENT"], LAST)}, "at SMTP, version 2"),
        ({"1": ([LIVE], {}), "2": (["AWSCURRENT", PREVIOUS], LAST)}, "at SMTP, version 2"),
    ],
)
def test_a_version_is_set_over_one_with_the_label_or_an_equal_one(
    record: Recorder, versions: dict[str, tuple[list[str], Any]], refused: str
) -> None:
    if not refused:
        guarded(record, version(), Aws(versions))
        return
    with pytest.raises(LiveValueError, match=refused):
        guarded(record, version(), Aws(versions))


def test_a_version_that_the_stash_let_through_is_set(record: Recorder) -> None:
    """The value that was set last, set again by hand, has no label."""
    aws = Aws({"1": ([LIVE], LAST), "2": (["AWSCURRENT"], LAST)})
    guarded(record, version(after=put()), aws)
    asked = len(aws.asked)
    guarded(record, version(after=put()), aws, preview=True)
    assert len(aws.asked) == asked + 2, "a preview has the answer already"


def test_a_secret_that_is_yet_to_be_created_is_not_asked_about(record: Recorder) -> None:
    guarded(record, version(secret=None))
    guarded(record, version(secret={"a": "value that is not known"}))


def test_a_secret_that_aws_lost_is_taken_out_of_the_state_first(record: Recorder) -> None:
    for after in (None, put()):
        with pytest.raises(LiveValueError, match="pulumi refresh --stack"):
            guarded(record, version(after=after), Aws({}, "ResourceNotFoundException"))


@pytest.mark.parametrize(
    ("error", "refused"),
    [("", True), ("ResourceNotFoundException: can't find the specified secret", False), (DENIED, False)],
)
def test_a_taken_name_is_refused(record: Recorder, error: str, refused: bool) -> None:  # noqa: FBT001
    def act(guard: Guard) -> Any:
        asked: Any = guard._on_new.callback(step("secrets-config", new_inputs={"name": FULL}))
        return asked

    if not refused:
        guarded(record, act, Aws({}, error))
        return
    with pytest.raises(LiveValueError, match=rf"config: AWS has {FULL} already.*\n  python -m ops recover --stack"):
        guarded(record, act, Aws({}))


class Ending(Aws):
    """A secret that AWS deletes: it still lists it, refuses to read it, and has forgotten it after some questions."""

    def __init__(self, questions: int) -> None:
        super().__init__({"1": (["AWSCURRENT"], LAST)})
        self.questions = questions

    def _gone(self) -> None:
        if self.questions <= 0:
            raise _RefusedError("ResourceNotFoundException: can't find the specified secret")

    def listed(self, arguments: Any) -> dict[str, Any]:
        self._gone()
        return super().listed(arguments)

    def read(self, arguments: Any) -> dict[str, Any]:
        assert arguments["secretId"] == FULL
        self._gone()
        self.questions -= 1
        raise _RefusedError("InvalidRequestException: it was marked for deletion.")


@pytest.mark.parametrize("asked", ["new", "values"])
@pytest.mark.parametrize(("questions", "window", "free"), [(3, 0, True), (100, 0, False), (3, 7, False)])
def test_destroy_then_up_waits_for_the_name_as_long_as_the_provider_does(
    record: Recorder, waiting: list[float], asked: str, questions: int, window: int, *, free: bool
) -> None:
    def act(guard: Guard) -> Any:
        if asked == "values":
            return put(NEW, None)(guard)
        new: Any = guard._on_new.callback(step("secrets-config", new_inputs={"name": FULL}))
        return new

    if free:
        guarded(record, act, Ending(questions), window=window)
        assert 0 < sum(waiting) <= NAME_TAKEN_SECONDS
        return
    with pytest.raises(LiveValueError, match=f"AWS has {FULL} already"):
        guarded(record, act, Ending(questions), window=window)
    assert (sum(waiting) >= NAME_TAKEN_SECONDS) is (window == 0)


def test_a_name_that_was_free_a_moment_ago_is_asked_about_once(record: Recorder) -> None:
    async def create(guard: Guard) -> None:
        await put(NEW, None)(guard)
        asked: Any = guard._on_new.callback(step("secrets-config", new_inputs={"name": FULL}))
        await asked

    aws = Aws({}, "ResourceNotFoundException")
    guarded(record, version(after=create), aws)
    assert aws.asked == ["list"]


def test_a_preview_that_only_lists_refuses_nothing(record: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECS_SECRETS_LIST_ONLY", "1")
    hand = Aws({"2": (["AWSCURRENT"], {"SMTP": "hand"})})
    guarded(record, put(NEW, None), hand, preview=True)
    with pytest.raises(LiveValueError):
        guarded(record, put(NEW, None), hand)


@pytest.mark.parametrize(
    ("window", "gone", "refused"),
    [(0, ["jwt"], "jwt"), (7, ["jwt"], ""), (0, ["adopted"], ""), (0, [], "")],
)
def test_a_secret_leaves_the_catalogue_with_a_recovery_window_only(
    record: Recorder, window: int, gone: list[str], refused: str
) -> None:
    plans = {
        name: SecretPlan(name, name, adopt_arn="arn" if name == "adopted" else None) for name in ("jwt", "adopted")
    }

    async def act(guard: Guard) -> None:
        guard.stash([(plan, {}) for name, plan in plans.items() if name not in gone])
        state = {name: {**Record.of(plan).as_state(), "set": {"values": {}}} for name, plan in plans.items()}
        asked: Any = guard._on_values.callback(step("secrets", old_inputs={"input": recorded(state, window)}))
        await asked

    if not refused:
        guarded(record, act)
        return
    with pytest.raises(LiveValueError, match=r"^jwt: removed from catalogue.py, and would be deleted at once"):
        guarded(record, act)


def test_refusals_of_all_secrets_are_printed_together(record: Recorder) -> None:
    plans = [SecretPlan(name, FULL, values=JSON.values) for name in ("one", "two", "three")]

    async def act(guard: Guard) -> None:
        guard.stash([(plan, outputs(NEW if plan.name != "two" else LAST)) for plan in plans])
        state = {plan.name: {**Record.of(plan).as_state(), "set": {"values": LAST}} for plan in plans}
        asked: Any = guard._on_values.callback(
            step("secrets", old_inputs={"input": recorded({**state, "gone": {"adopted": False}}, 0)})
        )
        await asked

    with pytest.raises(LiveValueError) as refused:
        guarded(record, act, Aws({"1": ([LIVE], LAST), "2": (["AWSCURRENT"], {"SMTP": "hand"})}))
    starts = [line.partition(":")[0] for line in str(refused.value).splitlines() if not line.startswith(" ")]
    assert [name for name in starts if name in {"one", "two", "three", "gone"}] == ["one", "three", "gone"]


def test_a_question_without_an_answer_is_refused_with_the_others(record: Recorder) -> None:
    plans = [SecretPlan(name, name, values=JSON.values) for name in ("one", "two")]

    class Throttled(Aws):
        def listed(self, arguments: Any) -> dict[str, Any]:
            if arguments["secretId"] == "one":
                raise _RefusedError("ThrottlingException: Rate exceeded")
            return super().listed({"secretId": FULL})

    async def act(guard: Guard) -> None:
        guard.stash([(plan, outputs(NEW)) for plan in plans])
        state = {plan.name: {**Record.of(plan).as_state(), "set": {"values": LAST}} for plan in plans}
        asked: Any = guard._on_values.callback(step("secrets", old_inputs={"input": recorded(state)}))
        await asked

    with pytest.raises(LiveValueError) as refused:
        guarded(record, act, Throttled({"1": ([LIVE], LAST), "2": (["AWSCURRENT"], {"SMTP": "hand"})}))
    first, second, *_ = str(refused.value).splitlines()
    assert first.startswith("one: can't be compared with its live value")
    assert first.endswith("ThrottlingException: Rate exceeded")
    assert second.startswith("two: its live value at SMTP, version 2, was set outside this stack")


def test_a_refusal_waits_for_those_of_other_secrets(record: Recorder, waiting: list[float]) -> None:
    """After the first error the engine begins nothing more."""
    aws = Aws({"1": ([LIVE], LAST), "2": (["AWSCURRENT"], {"SMTP": "hand"})})
    guarded(record, put({**NEW, "SMTP": "hand"}), aws)
    assert waiting == []
    with pytest.raises(LiveValueError):
        guarded(record, put(), aws)
    assert waiting == [0.5]


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [("own", "", True), ("own", "AWS's", False), ("AWS's", "", False), ("", "own", False), ("", "", False)],
)
def test_the_stacks_key_leaves_once_the_secrets_are_under_awss(
    record: Recorder, before: str, after: str, *, refused: bool
) -> None:
    async def act(guard: Guard) -> None:
        guard.stash([], key=after)
        state = recorded({}) | ({"kmsKey": before} if before else {})
        asked: Any = guard._on_values.callback(step("secrets", old_inputs={"input": state}))
        await asked

    if not refused:
        guarded(record, act)
        return
    with pytest.raises(LiveValueError, match="encryption returning-to-aws-managed\n  pulumi up"):
        guarded(record, act)
