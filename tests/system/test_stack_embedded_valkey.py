"""The embedded Valkey: shared, restarted when it dies, gone when nobody needs it, its data kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from servicekit.embedded_valkey import EmbeddedValkey, ValkeyUnavailable, start_valkey
from servicekit.valkey_process import MAX_SOCKET_PATH_BYTES, answers, socket_path_for
from tests.support.started_stack import REPOSITORY
from tests.support.wait import until

pytestmark = pytest.mark.system

HOLDER = """
import sys
from pathlib import Path
from servicekit.embedded_valkey import EmbeddedValkey
print(EmbeddedValkey.hold(Path(sys.argv[1]), grace_seconds=0).url, flush=True)
sys.stdin.read()
"""


class Holder:
    """Another process that uses the server until it is told to end."""

    def __init__(self, state_dir: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(state_dir)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def url(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.communicate()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def holders(tmp_path: Path) -> Iterator[list[Holder]]:
    started: list[Holder] = []
    yield started
    for holder in started:
        if holder.process.returncode is None:
            holder.kill()
    until(lambda: not answers(socket_path_for(tmp_path / "valkey")))


def client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=2, decode_responses=True)


def test_processes_starting_at_once_share_one_server(tmp_path: Path, holders: list[Holder]) -> None:
    holders += [Holder(tmp_path) for _ in range(4)]
    urls = {holder.url() for holder in holders}
    assert len(urls) == 1
    with client(urls.pop()) as valkey:
        assert valkey.ping()
    assert (tmp_path / "valkey" / "url").read_text().startswith("unix://")


def test_the_server_stays_until_its_last_user_is_gone_however_it_ends(tmp_path: Path, holders: list[Holder]) -> None:
    holders += [Holder(tmp_path), Holder(tmp_path)]
    first, second = holders
    url = first.url()
    second.url()
    first.kill()
    with client(url) as valkey:
        assert valkey.ping()
    second.kill()
    until(lambda: not answers(socket_path_for(tmp_path / "valkey")))
    until(lambda: not (tmp_path / "valkey" / "url").exists())


def test_the_next_user_finds_the_data(tmp_path: Path, holders: list[Holder]) -> None:
    holders.append(Holder(tmp_path))
    with client(holders[0].url()) as valkey:
        valkey.set("key", "kept")
    holders[0].end()
    holders.append(Holder(tmp_path))
    with client(holders[1].url()) as valkey:
        assert valkey.get("key") == "kept"


def test_a_server_that_dies_is_started_anew_with_its_data(tmp_path: Path) -> None:
    hold = EmbeddedValkey.hold(tmp_path, grace_seconds=0)
    with client(hold.url) as valkey:
        valkey.set("key", "kept")
        # While an fsync is under way, on a busy disk, Valkey answers before it writes: a crash may then lose the last
        # second, which appendfsync=everysec admits.
        until(lambda: valkey.info("persistence")["aof_buffer_length"] == 0, timeout=20)
        os.kill(int(valkey.info("server")["process_id"]), signal.SIGKILL)

        def back() -> bool:
            try:
                return bool(valkey.get("key") == "kept")
            except redis.ConnectionError:
                return False

        until(back, timeout=20)
    assert hold.alive()
    hold.release(wait_seconds=5)
    assert not hold.alive()


def test_only_this_user_reaches_the_server(tmp_path: Path) -> None:
    valkey = start_valkey(tmp_path / "valkey")
    assert (tmp_path / "valkey").stat().st_mode & 0o777 == 0o700
    assert valkey.socket_path.stat().st_mode & 0o777 == 0o700
    with client(valkey.url) as connection:
        assert connection.config_get("port") == {"port": "0"}
        assert connection.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    valkey.stop()


def test_a_path_with_unusual_characters_still_makes_a_url(tmp_path: Path) -> None:
    valkey = start_valkey(tmp_path / "a b?c%20")
    with client(valkey.url) as connection:
        assert connection.ping()
    valkey.stop()


def test_a_paused_server_hangs_and_a_stopped_one_is_gone(tmp_path: Path) -> None:
    valkey = start_valkey(tmp_path)
    valkey.pause()
    assert not answers(valkey.socket_path)
    valkey.resume()
    assert answers(valkey.socket_path)
    valkey.stop()
    assert not valkey.running()


def test_a_long_path_gets_a_short_socket_in_a_private_directory(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 30)
    path = socket_path_for(directory)
    assert len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES
    assert path == socket_path_for(directory)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    valkey = start_valkey(directory)
    assert valkey.url == f"unix://{path}?db=0"
    valkey.stop()
    path.parent.rmdir()


def test_a_directory_open_to_others_is_refused_for_the_socket(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 30)
    private = socket_path_for(directory).parent
    private.chmod(0o777)
    with pytest.raises(ValkeyUnavailable, match="REDIS_URL"):
        socket_path_for(directory)
    private.rmdir()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(ValkeyUnavailable, match=r"did not start.*Bad directive.*REDIS_URL"):
        start_valkey(tmp_path, arguments=("--nonsense", "1"))
