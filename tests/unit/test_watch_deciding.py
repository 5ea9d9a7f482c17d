"""What the kernel's and the runtimes' words are worth to a watch, hostile ones included."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from macvnet.annotations import KEY
from macvnet.engine.following import _wanted
from macvnet.engine.watch_deciding import Addresses, Links, News, Pause, concerned
from macvnet.errors import InvalidRequest, RuntimeUnavailable
from macvnet.kernel import host_events
from macvnet.kernel.folder_events import FolderEvents
from macvnet.kernel.host_events import AddressChange, LinkChange
from macvnet.model import Owner
from macvnet.runtimes.following import (
    CHANGED,
    REMOVED,
    Container,
    Event,
    Stream,
    StreamEnded,
    containers,
)
from tests.kernel.steps import wait_until

A, B = "a" * 64, "b" * 64


def test_what_came_together_is_looked_at_once_and_removed_for_good() -> None:
    events = [Event(CHANGED, A), Event(CHANGED, B), Event(REMOVED, A), Event(CHANGED, A)]
    assert concerned(events) == (frozenset({B}), frozenset({A}))


def news(known: dict[int, tuple[str, bool]], *changes: LinkChange) -> News:
    return Links(known).news(changes)


def test_a_link_is_news_only_where_it_is_another_than_before() -> None:
    known = {2: ("eth0", True), 3: ("lo", True)}
    assert news(known, LinkChange(2, "eth0", True, False)) == (frozenset(), frozenset())
    assert news(known, LinkChange(9, "gone", True, True)) == (frozenset(), frozenset())
    assert news(known, LinkChange(2, "eth0", True, True)).moved == {"eth0"}
    assert news(known, LinkChange(7, "veth", True, False)).moved == {"veth"}
    assert news(known, LinkChange(2, "lan0", True, False)).moved == {"eth0", "lan0"}
    assert news(known, LinkChange(2, "eth0", False, False)).turned == {"eth0"}
    # Gone and made again between two looks: the name is the same, the link is not.
    again = (LinkChange(2, "eth0", True, True), LinkChange(8, "eth0", True, False))
    assert news(known, *again).moved == {"eth0"}


@pytest.mark.parametrize(
    ("moved", "turned", "waiting", "calls"),
    [
        ("eth0", "", False, True),
        ("veth", "", False, False),
        # It may be the parent under another name.
        ("veth", "", True, True),
        ("", "eth0", False, False),
        ("", "eth0", True, True),
        ("", "veth", True, False),
    ],
)
def test_only_what_may_concern_a_network_calls_for_restoring(
    moved: str, turned: str, waiting: bool, calls: bool
) -> None:
    found = News(frozenset({moved} - {""}), frozenset({turned} - {""}))
    assert found.call_for_restoring({"eth0"}, waiting=waiting) is calls


def test_an_address_is_news_when_it_comes_and_goes_but_not_when_it_is_renewed() -> None:
    known = Addresses()
    come, gone = AddressChange(2, b"abcd", False), AddressChange(2, b"abcd", True)
    assert known.news([come]) == {2}
    assert known.news([come, come]) == frozenset()
    # Of those that were there before, nobody has told.
    assert known.news([gone, AddressChange(3, b"abcd", True)]) == {2, 3}
    assert known.news([come]) == {2}
    assert known.news([gone, come]) == {2}


def test_pause_grows_until_it_succeeds() -> None:
    pause = Pause(1.0, 5.0)
    assert [pause.longer() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    pause.over()
    assert pause.longer() == 1.0


@given(st.binary(max_size=200))
def test_no_message_of_the_kernel_is_too_short_or_too_long(data: bytes) -> None:
    host_events._take(data, [], [], set())
    # The same behind a header that makes it a message on a link, or on a namespace.
    for kind in (host_events.RTM_NEWLINK, host_events.RTM_NEWADDR, host_events.RTM_DELNSID):
        head = struct.pack("=IHHII", 16 + len(data), kind, 0, 0, 0)
        host_events._take(head + data, [], [], set())


def test_port_that_leaves_a_bridge_is_no_link_that_goes() -> None:
    found: list[LinkChange] = []
    for family in (socket.AF_UNSPEC, socket.AF_BRIDGE):
        body = struct.pack("=BxHiII", family, 1, 5, 1, 0) + struct.pack("=HH8s", 12, 3, b"eth0")
        data = struct.pack("=IHHII", 16 + len(body), host_events.RTM_DELLINK, 0, 0, 0) + body
        host_events._take(data, found, [], set())
    assert found == [LinkChange(5, "eth0", True, True)]


def test_folder_tells_of_what_comes_below_it_also_where_it_is_made_later(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "sock"
    for make in ((tmp_path / "a").mkdir, (tmp_path / "a" / "b").mkdir, path.touch):
        events = FolderEvents(str(path))
        with pytest.raises(BlockingIOError):
            os.read(events.fileno(), 4096)
        make()
        assert os.read(events.fileno(), 4096)
        events.drain()
        events.close()


class Daemon:
    """Listens where podman would, and says what a test has it say."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "sock"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.path))
        self._listening.listen()
        self._near = self._listening

    def answer(self, *parts: bytes) -> None:
        self._near, _ = self._listening.accept()
        self._near.recv(1 << 16)
        self.say(*parts)

    def say(self, *parts: bytes) -> None:
        for part in parts:
            self._near.sendall(part)

    def end(self) -> None:
        self._near.close()

    def close(self) -> None:
        self._near.close()
        self._listening.close()


HEAD = b"HTTP/1.0 200 OK\r\nA: b\r\n\r\n"


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    found = Daemon(tmp_path)
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{found.path}")
    yield found
    found.close()


@pytest.fixture
def stream(daemon: Daemon) -> Iterator[Stream]:
    found = Stream("podman")
    yield found
    found.close()


def line(action: str, container: str) -> bytes:
    return json.dumps({"Action": action, "Actor": {"ID": container}}).encode() + b"\n"


def test_stream_has_begun_with_its_head_and_events_may_come_in_pieces(
    daemon: Daemon, stream: Stream
) -> None:
    assert stream.by_root and stream.read() == []
    daemon.answer(HEAD[:9])
    assert (stream.read(), stream.begun) == ([], False)
    one, two = line("start", A), line("remove", B)
    daemon.say(HEAD[9:] + one[:5])
    assert (stream.read(), stream.begun) == ([], True)
    daemon.say(one[5:], b"\n", two, line("exec_die", A), line("die", "../x"), two[:1])
    assert stream.read() == [Event(CHANGED, A), Event(REMOVED, B)]
    daemon.end()
    with pytest.raises(StreamEnded):
        stream.read()


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.0 500 No\r\n\r\n",
        HEAD + b"not json\n",
        HEAD + b"[" * 100_000 + b"\n",
        HEAD + b'{"Action": "start"}\n',
        HEAD + b'{"Action": "start", "Actor": []}\n',
    ],
)
def test_stream_that_is_not_understood_ends(daemon: Daemon, stream: Stream, said: bytes) -> None:
    daemon.answer(said)

    def ends() -> bool:
        try:
            stream.read()
        except StreamEnded:
            return True
        return False

    assert wait_until(ends)


@given(st.text() | st.text(alphabet='lanip=,;" \n\x1b0129.:', max_size=60), st.booleans())
def test_label_is_read_or_refused_whatever_is_in_it(text: str, by_root: bool) -> None:
    container = Container(Owner("docker", "web", A), True, {KEY: text})
    try:
        asked = _wanted(container, by_root=by_root)
    except InvalidRequest as error:
        assert error.message.isprintable()
    else:
        assert by_root and asked and not any(request.driver_options for _, request in asked)


def test_label_of_a_user_s_runtime_and_one_that_is_no_label_of_ours() -> None:
    container = Container(Owner("docker", "web", A), True, {KEY: "lan"})
    with pytest.raises(InvalidRequest, match="only where root runs docker"):
        _wanted(container, by_root=False)
    assert _wanted(container._replace(labels={"other": "lan"}), by_root=False) == ()
    many = container._replace(labels={KEY: ";".join(["lan"] * 17)})
    with pytest.raises(InvalidRequest, match="17 networks"):
        _wanted(many, by_root=True)


def test_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{tmp_path}/none")
    with pytest.raises(RuntimeUnavailable):
        Stream("podman")


def test_list_passes_over_what_has_not_its_shape(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = {"Id": A, "Names": ["/web"], "State": "running", "Labels": {"a": "b", "c": 1}}
    wrong: list[Any] = [
        {**good, "Id": "x"},
        {**good, "Names": []},
        {**good, "Names": ["/\x1b"]},
        [],
        None,
    ]
    body = json.dumps([*wrong, {**good, "Id": B, "State": "exited", "Labels": None}, good])

    def answer() -> None:
        daemon.answer(HEAD, body.encode())
        daemon.end()

    thread = threading.Thread(target=answer)
    thread.start()
    found = containers("podman", [A])
    thread.join()
    assert [(str(one.owner), one.owner.id, one.runs, one.labels) for one in found] == [
        ("podman:web", B, False, {}),
        ("podman:web", A, True, {"a": "b"}),
    ]
