"""What only LXC's containers have: monitors that are asked, in whatever directory they are."""

from __future__ import annotations

import sys
import time

from tests.kernel.steps import CONFLICT, NOT_FOUND, refused
from tests.runtimes.containers import Lxc
from tests.runtimes.ground import Ground, wait_until
from tests.runtimes.test_every_runtime import attach, looked_up

PERMISSION, UNAVAILABLE = 7, 10


class Elsewhere(Lxc):
    path = "/run/far/lxc"


class Third(Lxc):
    path = "/run/third"


def test_container_in_another_directory_is_found_by_its_monitor(ground: Ground, lxc: Lxc) -> None:
    """Its name alone will do; where the usual directory has one too, that is meant."""
    other = Elsewhere(ground)
    spelled = "lxc:/run/far/lxc/web"
    try:
        other.make("web")
        assert looked_up(ground, "lxc:") == [spelled]
        before = attach(ground, "lxc:web")
        lxc.make("web")
        attach(ground, "lxc:web")
        other.restart("web")
        assert ground.macvnet("restore").checked().lines == [
            f"{spelled} in network net {before.addresses[0]}"
        ]
        assert other.link("web") == (before.mac, before.addresses)
        other.stop("web")
        hint = refused(ground.macvnet("connect", "net", spelled), CONFLICT, "does not run")
        assert hint.startswith(
            "lxc-start -P /run/far/lxc web; or for when it starts: macvnet reserve"
        )
    finally:
        other.clear()


def test_name_in_two_other_directories_is_ambiguous(ground: Ground, lxc: Lxc) -> None:
    two = (Elsewhere(ground), Third(ground))
    try:
        for kind in two:
            kind.make("web")
        hint = refused(ground.macvnet("connect", "net", "lxc:web"), CONFLICT, "2 containers")
        assert hint == "lxc:/run/far/lxc/web or lxc:/run/third/web"
        ground.macvnet("connect", "net", "lxc:/run/third/web").checked()
        assert two[1].links("web") == ["lo", "eth0"]
    finally:
        for kind in two:
            kind.clear()


def test_container_whose_monitor_s_name_is_too_long_for_a_socket(ground: Ground, lxc: Lxc) -> None:
    """LXC hashes it then, from a certain length on."""
    for length in (105, 106, 107, 200):
        name = "x" * (length - len("/var/lib/lxc//command"))
        target = lxc.make(name)
        joined = attach(ground, target)
        assert lxc.link(name) == (joined.mac, joined.addresses)
        lxc.clear()


def test_monitor_that_hangs(ground: Ground, lxc: Lxc) -> None:
    target = lxc.make("web")
    status = ground.file(f"/proc/{lxc.pid('web')}/status").read_text()
    monitor = status.partition("\nPPid:")[2].split()[0]
    ground.signal("STOP", monitor)
    try:
        began = time.monotonic()
        hint = refused(ground.macvnet("connect", "net", target), UNAVAILABLE, "5 s")
        assert hint == "lxc-info web" and 5 <= time.monotonic() - began < 15
    finally:
        ground.signal("CONT", monitor)
    ground.macvnet("connect", "net", target).checked()


LISTENER = """
import os, socket, sys
os.setuid(4321)
sock = socket.socket(socket.AF_UNIX)
sock.bind("\\0/var/lib/lxc/web/command")
sock.listen()
connection, _ = sock.accept()
connection.recv(100)
socket.send_fds(connection, [bytes(16)], [os.pidfd_open(int(sys.argv[1]))])
connection.recv(100)
"""


def test_monitor_of_somebody_else_is_not_believed(ground: Ground, lxc: Lxc) -> None:
    """Any user can listen at such a name, and hand out any process."""
    lxc.make("victim")
    listener = ground.daemon(sys.executable, "-c", LISTENER, str(lxc.pid("victim")))
    try:
        wait_until(lambda: "lxc:web" in looked_up(ground, "lxc:"), "nobody listens")
        hint = refused(ground.macvnet("connect", "net", "lxc:web"), PERMISSION, "user 4321")
        assert "lxc-info" in hint
    finally:
        listener.kill()
        listener.wait()
    assert lxc.links("victim") == ["lo"]


def test_container_that_is_not_configured_is_not_found(ground: Ground, lxc: Lxc) -> None:
    refused(ground.macvnet("connect", "net", "lxc:/run/nowhere/web"), NOT_FOUND, "/run/nowhere/web")
