"""What is said to LXC's monitor, before it has prepared for it as well."""

from __future__ import annotations

import os
import socket
import struct
import threading
from pathlib import Path

from macvnet.runtimes import lxc


def test_a_monitor_that_asks_late_for_credentials_has_them_all_the_same(tmp_path: Path) -> None:
    """LXC's asks after it has accepted; without them it refuses (af_unix.c, commands.c)."""
    seen: list[tuple[int, ...]] = []
    with socket.socket(socket.AF_UNIX) as listener, open("/dev/null", "rb") as file:
        listener.bind(b"\0" + os.fsencode(tmp_path / "web/command"))
        listener.listen()

        def monitor() -> None:
            with listener.accept()[0] as connection:
                connection.recv(100, socket.MSG_PEEK)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
                _, [(_, _, data)], _, _ = connection.recvmsg(100, socket.CMSG_SPACE(12))
                seen.append(struct.unpack("3i", data))
                socket.send_fds(connection, [bytes(16)], [file.fileno()])

        thread = threading.Thread(target=monitor)
        thread.start()
        os.close(lxc._first_process(str(tmp_path), "web"))
        thread.join()
    assert seen == [(os.getpid(), os.geteuid(), os.getegid())]
