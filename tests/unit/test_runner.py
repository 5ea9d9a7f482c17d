"""What ``run`` refuses by its values alone, and the texts it makes."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from macvnet import keys
from macvnet.errors import InvalidRequest, NotFound
from macvnet.kernel.namespaces import boot_id
from macvnet.rules import check_name
from macvnet.runner import RunRequest, libc, resolve_run
from macvnet.runner.request import Identity, judge
from macvnet.runner.sandbox import loopback_resolver, resolv_conf
from macvnet.runtimes.run import start_time
from macvnet.store import Store
from macvnet.store.memory import MemoryBackend

REQUEST = RunRequest(("true",))


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (REQUEST._replace(command=()), "no command"),
        (REQUEST._replace(name="../etc"), "'../etc'"),
        (REQUEST._replace(name="4242"), "'4242'"),
        (REQUEST._replace(dns=("ns1.example",)), "'ns1.example'"),
    ],
)
def test_wrong_values_are_named(request_: RunRequest, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named) as refused:
        judge(request_)
    assert refused.value.hint


def test_terminal_that_is_none_is_refused_in_the_foreground_only() -> None:
    judge(REQUEST._replace(tty=True, interactive=True, detach=True))
    null = os.open(os.devnull, os.O_RDONLY)
    kept = os.dup(0)
    try:
        os.dup2(null, 0)
        with pytest.raises(InvalidRequest, match="the input device is not a TTY"):
            judge(REQUEST._replace(tty=True, interactive=True))
        judge(REQUEST._replace(tty=True))
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(null)


def test_name_nobody_gave_is_valid_and_does_not_return() -> None:
    first, second = Identity.of(REQUEST), Identity.of(REQUEST)
    check_name(first.name, "run")
    assert first.name != second.name
    assert len(first.id) == 64
    assert not first.owner.returns
    assert Identity.of(REQUEST._replace(name="web")).owner[:2] == ("run", "web")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("nameserver 127.0.0.53\n", "127.0.0.53"),
        ("search x\nnameserver 192.0.2.1\n  nameserver\t::1 \n", "::1"),
        ("nameserver 127.9.9.9 # why\n", "127.9.9.9"),
    ],
)
def test_loopback_resolver_is_noted(text: str, address: str) -> None:
    (note,) = loopback_resolver(text)
    assert f"resolver {address}," in note
    assert "--dns" in note


@pytest.mark.parametrize(
    "text",
    ["", "nameserver 192.0.2.1", "#nameserver 127.0.0.1", "nameserver", "nameserver fe80::1%lo"],
)
def test_reachable_resolver_is_not_noted(text: str) -> None:
    assert loopback_resolver(text) == []


def test_dns_replaces_servers_and_nothing_else() -> None:
    before = "# made by x\nnameserver 127.0.0.53\nsearch lan example.org\noptions edns0\n"
    assert resolv_conf(before, ("192.0.2.1", "2001:db8::1")) == (
        "nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch lan example.org\noptions edns0\n"
    )


def test_run_is_found_only_while_it_is_the_same_process() -> None:
    store = Store(MemoryBackend())
    with pytest.raises(NotFound):
        resolve_run(store, "web")
    process = subprocess.Popen(["sleep", "60"])
    try:
        record = {"pid": process.pid, "start": start_time(process.pid), "boot_id": boot_id()}

        def found(**changed: object) -> tuple[int, str]:
            store.transact(lambda tx: tx.put(keys.run("web"), {**record, **changed}))
            return resolve_run(store, "web")

        assert found() == (process.pid, f"/proc/{process.pid}/ns/net")
        for changed in ({"start": 1}, {"boot_id": "another"}, {"pid": 1}):
            with pytest.raises(NotFound, match="'web'"):
                found(**changed)
    finally:
        process.kill()
    # A zombie is no run either.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(NotFound):
        found()
    process.wait()


def test_signals_are_read_with_their_origin() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGRTMAX})
    fd = libc.signal_fd({signal.SIGUSR1, signal.SIGRTMAX})
    try:
        assert libc.read_signals(fd) == []
        # To this thread: another one of the test run may not hold them back.
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGRTMAX)
        received = libc.read_signals(fd)
        assert {one.number for one in received} == {signal.SIGUSR1, signal.SIGRTMAX}
        assert {one.code for one in received} == {-6}  # SI_TKILL
    finally:
        os.close(fd)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
