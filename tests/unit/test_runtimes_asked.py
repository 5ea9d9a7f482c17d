"""A runtime that is asked: answers that count for nothing, or do not come; where docker is."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from macvnet.errors import InvalidRequest, NotFound, PermissionDenied, RuntimeUnavailable
from macvnet.runtimes import docker, engine_api, rest
from macvnet.runtimes.engine_api import Api
from macvnet.runtimes.rest import Place

ID = "0123456789abcdef" * 4


@contextmanager
def listening(path: Path, answer: Callable[[socket.socket], None]) -> Iterator[Place]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.recv(1 << 16)
                        answer(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield Place(f"unix://{path}", "DOCKER_HOST")
        finally:
            ended.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def answering(raw: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(raw)


def response(body: object, status: str = "200 OK") -> bytes:
    return f"HTTP/1.0 {status}\r\nServer: x\r\n\r\n{json.dumps(body)}".encode()


def api(place: Place) -> Api:
    return Api("docker", lambda: place, "systemctl start docker", "docker ps -a")


@pytest.fixture(autouse=True)
def _nobody_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "_silent", {})


def about(**changed: Any) -> dict[str, Any]:
    state = {"Running": True, "Paused": False, "Pid": os.getpid()}
    return {"Id": ID, "Name": "/web", "State": state, "NetworkSettings": {}, **changed}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.0\r\n\r\n{}",
        b"HTTP/1.0 abc\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\n\r\n{",
        b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 100_000,
        b"HTTP/1.0 200 OK\r\n\r\n\xff\xfe",
        response(None),
        response([]),
        response({}),
        response(about(Id="short")),
        response(about(Id=7)),
        response(about(Name="/a b")),
        response(about(Name="/\x1b[31m")),
        response(about(State=None)),
        response(about(State={"Running": True, "Pid": "x"})),
        response(about(State={"Running": True, "Pid": float("inf")})),
        response({"message": "\x1b[31m"}, "500 No"),
        response("x", "301 Moved"),
    ],
)
def test_answer_that_makes_no_sense_is_no_answer(tmp_path: Path, raw: bytes) -> None:
    with (
        listening(tmp_path / "s", answering(raw)) as place,
        pytest.raises(RuntimeUnavailable) as raised,
    ):
        api(place).open_target("web")
    assert raised.value.hint == "systemctl start docker, or unset DOCKER_HOST"
    assert "\x1b" not in raised.value.message


def test_container_that_is_not_proved_is_refused(tmp_path: Path) -> None:
    """However its process is named, in no control group of its, it is not on this machine."""
    for pid in (os.getpid(), 1 << 22, -1, 1 << 70):
        path = tmp_path / str(pid)
        body = about(State={"Running": True, "Pid": pid})
        with (
            listening(path, answering(response(body))) as place,
            pytest.raises(NotFound, match="not proved to be on this machine"),
        ):
            api(place).open_target("web")


def test_answer_that_does_not_end_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where something comes again and again; and nobody is asked twice."""
    monkeypatch.setattr(engine_api, "ANSWER_SECONDS", 0.5)
    asked = []

    def drip(connection: socket.socket) -> None:
        asked.append(connection)
        for _ in range(40):
            connection.sendall(b"HTTP/1.0 200 OK\r\n")
            time.sleep(0.1)

    with listening(tmp_path / "s", drip) as place:
        began = time.monotonic()
        for _ in range(3):
            with pytest.raises(RuntimeUnavailable):
                api(place).open_target("web")
        assert time.monotonic() - began < 3
    assert len(asked) == 1


def test_answer_without_end_is_not_taken_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "LARGEST", 1 << 20)

    def flood(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + bytes(1 << 16))

    with listening(tmp_path / "s", flood) as place, pytest.raises(RuntimeUnavailable):
        api(place).open_target("web")


def test_full_queue_of_a_daemon_that_hangs_is_no_answer(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as waiting:
        server.bind(str(tmp_path / "s"))
        server.listen(0)
        waiting.connect(str(tmp_path / "s"))
        with pytest.raises(RuntimeUnavailable, match="does not answer"):
            api(Place(f"unix://{tmp_path}/s")).open_target("web")


def test_socket_that_nobody_listens_at(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
    with pytest.raises(RuntimeUnavailable, match="Connection refused"):
        api(Place(f"unix://{tmp_path}/s")).open_target("web")


def test_socket_that_may_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise PermissionError

    monkeypatch.setattr(rest, "_exchange", refuse)
    with pytest.raises(PermissionDenied, match="no permission to ask docker"):
        api(Place(f"unix://{tmp_path}/s")).open_target("web")


def test_bare_word_of_a_remote_daemon_is_not_looked_up() -> None:
    assert not api(Place("tcp://192.0.2.1:2375")).knows("web")
    assert not api(Place("ssh://elsewhere", "DOCKER_HOST", "is far away")).knows("web")
    assert api(Place("tcp://192.0.2.1:2375")).listed("", 1.0) == []


def test_tab_key_is_offered_what_runs(tmp_path: Path) -> None:
    body = [
        {"Names": ["/web", "/db/web"], "Image": "box:1"},
        {"Names": ["/wall"]},
        {"Names": ["/other"]},
    ]
    with listening(tmp_path / "s", answering(response(body))) as place:
        found = [(one.name, one.about) for one in api(place).listed("w", 1.0)]
    assert found == [("web", "box:1"), ("wall", "")]


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("unix:///run/x.sock", "/run/x.sock"),
        ("tcp://192.0.2.1:2375", "tcp://192.0.2.1:2375"),
        ("192.0.2.1:2375", "tcp://192.0.2.1:2375"),
    ],
)
def test_docker_host_is_read_as_docker_reads_it(
    monkeypatch: pytest.MonkeyPatch, host: str, place: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    found = docker.place()
    assert (str(found), found.elsewhere, found.said_by) == (place, "", "DOCKER_HOST")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"currentContext": 7}', "\xff", "[" * 100_000])
def test_damaged_configuration_of_docker_s_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    assert docker.place() == Place(docker.SOCKET)


@pytest.mark.parametrize(
    "url", ["tcp://", "tcp://x", "tcp://:1", "tcp://x:0", "tcp://x:99999", "tcp://x:٣", "fd://"]
)
def test_url_that_is_no_place_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="no place to ask"):
        api(Place(url)).open_target("web")


@pytest.mark.parametrize("host", ["tcp://nowhere", "tcp://:99999999", "pigeon://x", "\x1b[31m"])
def test_docker_host_that_is_no_place_is_named(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(InvalidRequest, match="DOCKER_HOST") as refused:
        docker.API.open_target("web")
    assert refused.value.message.isprintable()
