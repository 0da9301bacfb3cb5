"""What a client notices that holds the credentials a task read at its start, until the service is redeployed."""

import threading
import time
from collections.abc import Callable
from typing import Self

from tests.functions.conftest import Rotation, Rotations

RecordProperty = Callable[[str, object], None]


class Client(threading.Thread):
    """Connects without a pause, with the credentials that its task read at its start."""

    def __init__(self, rotation: Rotation) -> None:
        super().__init__()
        self.rotation = rotation
        self.value = rotation.value()
        self.attempts: list[tuple[float, bool]] = []
        """When each attempt ended (seconds), and whether it got in."""
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            accepted = self.rotation.works(self.value)
            self.attempts.append((time.monotonic(), accepted))

    def redeploy(self) -> None:
        """Replace the tasks: the new ones read the secret as it is now."""
        self.value = self.rotation.value()

    def wait_for(self, connections: int) -> None:
        enough = len(self.attempts) + connections
        deadline = time.monotonic() + 30
        while len(self.attempts) < enough:
            assert time.monotonic() < deadline, "the client stands still"
            time.sleep(0.005)

    def __enter__(self) -> Self:
        self.start()
        self.wait_for(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join()


def test_alternating_users_lose_no_connection(rotations: Rotations, record_property: RecordProperty) -> None:
    rotation = rotations.alternating_users()
    with Client(rotation) as client:
        for _ in range(4):
            rotation.rotate()
            client.wait_for(5)  # the tasks are not replaced at once
            client.redeploy()
            client.wait_for(5)
    lost = [at for at, accepted in client.attempts if not accepted]
    record_property(
        "measured", f"alternating-users: {len(lost)} of {len(client.attempts)} connections lost during 4 rotations"
    )
    assert lost == []


def test_single_user_loses_connections_until_the_redeployment_and_none_after(
    rotations: Rotations, record_property: RecordProperty
) -> None:
    rotation = rotations.single_user()
    token = rotation.start()
    with Client(rotation) as client:
        rotation.steps(token, "createSecret", "setSecret")
        dead = time.monotonic()
        rotation.steps(token, "testSecret", "finishSecret")
        current = time.monotonic()
        client.wait_for(5)
        client.redeploy()
        redeployed = time.monotonic()
        client.wait_for(10)
    failures = [at for at, accepted in client.attempts if not accepted]
    back = next(at for at, _ in client.attempts if at > failures[-1])
    record_property(
        "measured",
        f"single-user: the old password was dead {1000 * (current - dead):.0f} ms before the new one was current; clients "
        f"were out for {1000 * (back - failures[0]):.0f} ms, redeployed {1000 * (redeployed - current):.0f} ms after it was",
    )
    assert len([at for at, _ in client.attempts if at >= back]) > 5


def test_open_connections_outlive_a_rotation(rotation: Rotation) -> None:
    with rotation.database.sign_in(*rotation.credentials()) as connection:
        rotation.rotate()
        rotation.rotate()
        assert connection.run("SELECT 1") == [[1]]
