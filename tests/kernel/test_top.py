"""Traffic of real links, for scripts and on a terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import termios
from typing import Any

import pytest

from macvnet.cli.top import HEADERS
from tests.kernel.steps import LAN, create, join, wait_until
from tests.lab import Lab, Machine, executable
from tests.lab.terminal import Terminal

LEAVES_THE_SCREEN = "\x1b[?1049l"


def samples(host: Machine, *words: str) -> list[dict[str, Any]]:
    """What ``top --format json`` prints: for each sample its endpoints by container."""
    lines = host.macvnet("top", "--format=json", *words).checked().lines
    return [{one["container"]: one for one in json.loads(line)["endpoints"]} for line in lines]


def flows(host: Machine, quiet: str) -> bool:
    """Whether two samples in a row show the pings of test_traffic_is_counted_where_it_is."""
    pair = samples(host, "--interval", "0.5", "--count", "2", "lan")
    assert all(set(one) == {"netns:busy", quiet} for one in pair)
    first, second = (one["netns:busy"] for one in pair)
    # Frames of 1042 bytes, at most fifty a second however loaded the machine is.
    assert all(one["tx_packets_per_second"] < 100 for one in (first, second))
    return bool(
        first["tx_bits_per_second"] > 8 * 500 * first["tx_packets_per_second"] > 0
        and second["rx_bytes"] > first["rx_bytes"] > 1000
        and second["tx_bits_per_second"] > pair[1][quiet]["tx_bits_per_second"]
    )


def test_traffic_is_counted_where_it_is(lab: Lab) -> None:
    create(lab.host, "lan", *LAN)
    busy, quiet = lab.named("busy"), lab.container()
    join(lab.host, busy, "lan")
    number = f"pid:{quiet.target}"
    join(lab.host, quiet, "lan")
    stream = busy.start(
        "ping", "-q", "-i", "0.02", "-s", "1000", "172.16.86.1", stdout=subprocess.DEVNULL
    )
    try:
        assert wait_until(lambda: flows(lab.host, number), 30)
        # It is seen from outside: without a name or a process that would lead into it.
        subprocess.run(["ip", "netns", "del", "busy"], check=True)
        assert "netns:busy" in samples(lab.host, "--once", "--interval", "0.1")[0]
    finally:
        stream.kill()
        stream.wait()
    lines = lab.host.macvnet("top", "--once", "--interval", "0.1").checked().lines
    assert re.split(r" {3,}", lines[0]) == list(HEADERS)
    assert {line.split()[0] for line in lines[1:]} == {"netns:busy", number}


def test_who_is_watched_can_end(lab: Lab) -> None:
    """A namespace dies while top runs, as it would if nobody looked."""
    create(lab.host, "lan", *LAN)
    one, other = lab.container(), lab.container()
    numbers = [f"pid:{one.target}", f"pid:{other.target}"]
    join(lab.host, one, "lan")
    join(lab.host, other, "lan")
    watching = lab.host.start(
        executable(), "top", "--format=json", "--interval=0.1", stdout=subprocess.PIPE
    )
    assert watching.stdout is not None

    def seen() -> list[str]:
        assert watching.stdout is not None
        found = json.loads(watching.stdout.readline())["endpoints"]
        return [each["container"] for each in found]

    try:
        assert sorted(seen()) == sorted(numbers)
        one.close()
        assert wait_until(lambda: seen() == numbers[1:])
        assert lab.host.macvnet("check").stdout.count("its process is gone") == 1
        third = lab.container()
        join(lab.host, third, "lan")
        assert wait_until(lambda: f"pid:{third.target}" in seen())
    finally:
        watching.terminate()
        assert watching.wait() == 143
        watching.stdout.close()


@pytest.mark.parametrize(("key", "name"), [("q", "q"), ("\x03", "Ctrl-C")])
def test_the_terminal_is_as_it_was(lab: Lab, key: str, name: str) -> None:
    create(lab.host, "lan", *LAN)
    join(lab.host, lab.named("web"), "lan")
    env = {**os.environ, **lab.host.env, "TERM": "xterm"}
    for variable in ("NO_COLOR", "COLUMNS", "LINES"):
        env.pop(variable, None)
    terminal = Terminal([*lab.host.enter, executable(), "top", "--interval", "0.2"], env=env)
    ended = False
    try:
        terminal.resize(12, 80)
        before = termios.tcgetattr(terminal.fd)
        terminal.expect("macvnet top", 30)
        terminal.expect("1 endpoint,", 30)
        terminal.expect("netns:web", 30)
        assert not terminal.flags & (termios.ICANON | termios.ECHO)
        terminal.type("x\x1a")  # no keys of ours
        terminal.resize(12, 100)
        # Drawn anew over the whole width.
        terminal.wait_for(lambda: bool(re.search(r" {100}", terminal.text)), 30)
        terminal.expect("netns:web", 30)
        terminal.type(key)
        terminal.expect(LEAVES_THE_SCREEN, 30)
        assert terminal.status() == 0
        ended = True
        assert termios.tcgetattr(terminal.fd) == before
        assert "interrupted" not in terminal.text
    finally:
        if ended:
            terminal.close()
        else:
            terminal.end()
