"""Watching: what happens on the host is followed, and each event leads to what a command does.

The loop only: it waits, and hands on. Each burst of work opens the state anew,
as a command does, so nothing is held while nothing happens, and being killed in
the middle leaves what a killed command leaves.
"""

from __future__ import annotations

import fcntl
import os
import select
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Protocol

from macvnet import failures, signals
from macvnet.engine import following
from macvnet.engine.context import Context, holder
from macvnet.engine.following import Act
from macvnet.engine.shims import PREFIX as SHIM_PREFIX
from macvnet.engine.watch_deciding import Addresses, Links, Pause, concerned
from macvnet.engine.watch_sources import Source
from macvnet.errors import Conflict, MacvnetError, StoreError
from macvnet.kernel import detached, interfaces
from macvnet.kernel.host_events import Heard, HostEvents
from macvnet.runtimes import following as runtimes_followed
from macvnet.store.turns import LOCKS

FIRST_ANSWER_SECONDS = 5.0
"""How long the runtimes may take until the watch says that it is ready without them."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds until everything is looked at again, where the state could not be used."""
FIRST_CALM, LONGEST_CALM = 1.0, 60.0
"""Seconds without restoring after one that failed: what it makes and takes back is an event too."""
LONGEST_WAIT = 86400.0
SHORTEST_WAIT = 0.05
MOST_REFUSALS = 10_000
"""How many refusals are remembered; those beyond are told each time."""


class Report(Protocol):
    """Who is told."""

    def act(self, act: Act) -> None:
        """Something was done, or could not be."""

    def burst(self, began: float) -> None:
        """What belongs together has been done, since ``began`` (time.monotonic())."""


def watch(ctx: Context, report: Report) -> None:
    """Follow the host until an exception ends it. Conflict where another watch does already."""
    ctx.claim()
    ctx.close()
    with ExitStack() as stack:
        stack.enter_context(_alone(ctx))
        watching = _Watch(ctx, report, stack)
        watching.run()


@contextmanager
def _alone(ctx: Context) -> Iterator[None]:
    """Hold the lock that one watch has for each state."""
    path = os.path.join(ctx.settings.state_dir, LOCKS, "watch")
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreError(
            f"cannot lock {path}: {failures.reason(error)}", failures.advice(error, path)
        ) from None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"another macvnet watch{holder(os.fstat(fd))} follows the state in "
                f"{ctx.settings.state_dir}",
                "systemctl status macvnet-watch",
            ) from None
        yield
    finally:
        os.close(fd)


class _Watch:
    def __init__(self, ctx: Context, report: Report, stack: ExitStack) -> None:
        self._ctx = ctx
        self._report = report
        self._sources = {name: Source(name) for name in runtimes_followed.TABLE}
        for source in self._sources.values():
            stack.callback(source.close)
        self._host = stack.enter_context(HostEvents())
        self._links = Links({})
        self._addresses = Addresses()
        self._bell = _Bell(stack)
        self._waiting = False
        self._gone = {name: frozenset[str]() for name in self._sources}
        """IDs of containers that are removed, and whose namespaces live on."""
        self._unsettled = {name: frozenset[str]() for name in self._sources}
        """IDs of containers whose labels could not be followed yet."""
        self._refused: set[Act] = set()
        """What has been told of labels, and need not be told again."""
        self._kept: dict[tuple[str, str], str] = {}
        """Until when the lease of a container in a network is kept, which is told once."""
        self._told: dict[str, Act] = {}
        """How it stood with each runtime when that was last looked at."""
        self._failures: set[Act] = set()
        self._listed: set[str] = set()
        """Runtimes whose containers have been looked at since their stream began."""
        self._end_of_grace: float | None = None
        self._again_at: float | None = None
        self._pause = Pause(FIRST_PAUSE, LONGEST_PAUSE)
        self._calm = Pause(FIRST_CALM, LONGEST_CALM)
        self._calm_until = 0.0
        self._freed = False
        """Whether an address has come free that a label may have been refused."""

    def run(self) -> None:
        # What is wrong from the start ends it; later on, it is looked at again.
        self._burst(self._everything, strict=True)
        for source in self._sources.values():
            source.attempt()
        self._settle_sources()
        began = time.monotonic()
        while self._unanswered() and time.monotonic() < began + FIRST_ANSWER_SECONDS:
            self._turn(began + FIRST_ANSWER_SECONDS)
        for name, source in self._sources.items():
            if source.stream is not None and not source.listening:
                self._tell(Act("absent", runtime=name, reason="it has not answered yet"))
        self._tell(Act("ready"))
        while True:
            self._turn(None)

    def _unanswered(self) -> bool:
        return any(one.stream is not None and not one.listening for one in self._sources.values())

    # -- waiting ---------------------------------------------------------------

    def _turn(self, until: float | None) -> None:
        """Wait for something to happen, or for its time to come, and see to it."""
        poll = select.poll()
        waited: dict[int, Callable[[], None]] = {
            self._host.fileno(): self._hear_host,
            self._bell.fileno(): self._hear_bell,
        }
        for source in self._sources.values():
            if source.fileno() >= 0:
                waited[source.fileno()] = partial(self._hear, source)
        for fd in waited:
            poll.register(fd, select.POLLIN)
        timeout = self._timeout(until)
        for fd, _ in poll.poll(None if timeout is None else int(timeout * 1000) + 1):
            waited[fd]()
        self._see_to_times()

    def _timeout(self, until: float | None) -> float | None:
        times = [until, self._again_at, *(source.retry_at for source in self._sources.values())]
        waits = [at - time.monotonic() for at in times if at is not None]
        if self._end_of_grace is not None:
            waits.append(self._end_of_grace - time.time())
        if not waits:
            return None
        return min(max(min(waits), SHORTEST_WAIT), LONGEST_WAIT)

    def _see_to_times(self) -> None:
        now = time.monotonic()
        if self._again_at is not None and now >= self._again_at:
            self._everything_again()
        for source in self._sources.values():
            if source.retry_at is not None and now >= source.retry_at:
                source.attempt()
        if self._end_of_grace is not None and time.time() >= self._end_of_grace:
            self._burst(self._graces)
        self._settle_sources()
        if self._freed and any(self._unsettled.values()):
            self._burst(self._settle_labels)

    def _hear_bell(self) -> None:
        detached.reap()
        if self._bell.asked():
            self._everything_again()

    def _hear_host(self) -> None:
        heard = self._host.heard()
        news = self._links.news(heard.links)
        addressed = self._addresses.news(heard.addresses)
        shims = frozenset(name for name in news.turned if name.startswith(SHIM_PREFIX))

        def work(ctx: Context) -> Iterable[Act]:
            if heard.dead:
                yield from self._deaths(ctx, heard)
            carriers = following.carriers(ctx) if news.moved or news.turned else ()
            if heard.lost or news.call_for_restoring(carriers, waiting=self._waiting):
                if time.monotonic() < self._calm_until:
                    self._again_at = min(self._again_at or self._calm_until, self._calm_until)
                else:
                    yield from self._everything(ctx)
                    yield from self._settle_labels(ctx)
            elif addressed or shims:
                yield from following.host_access_of(ctx, addressed, shims)

        changed = heard.lost or news.moved or addressed or shims
        if heard.dead or changed or (news.turned and self._waiting):
            self._burst(work)

    def _hear(self, source: Source) -> None:
        events = source.read()
        asked = concerned(events)
        if not source.listening or not events:
            return

        def work(ctx: Context) -> Iterable[Act]:
            if following.recorded(ctx, source.runtime, asked.removed):
                # One that takes the place of another is made before that one is removed.
                there = runtimes_followed.containers(source.runtime)
                gone = following.unlisted(ctx, source.runtime, there)
                yield from self._removed(ctx, source.runtime, gone & asked.removed)
            if asked.changed:
                yield from self._look(ctx, source.runtime, asked.changed)

        # Those who are listed anyway are looked at then.
        if source.runtime in self._listed:
            self._burst(work)

    # -- working ---------------------------------------------------------------

    def _burst(self, work: Callable[[Context], Iterable[Act]], *, strict: bool = False) -> None:
        """Work with the state and the kernel, and tell what was done.

        What cannot be done now is tried again with everything else, after a pause.
        """
        began = time.monotonic()
        ctx = Context(self._ctx.settings, self._ctx.note, self._ctx.trace)
        try:
            for act in work(ctx):
                self._tell(act)
        except MacvnetError as error:
            if strict:
                raise
            self._tell(Act("fail", reason=error.message))
            self._again_at = time.monotonic() + self._pause.longer()
        finally:
            ctx.close()
            self._report.burst(began)

    def _tell(self, act: Act) -> None:
        subject = (act.container, act.network)
        if act.word == "keep":
            if self._kept.get(subject) == act.reason:
                return
            self._kept[subject] = act.reason
        elif act.word == "free":
            self._kept.pop(subject, None)
            self._freed = True
        self._report.act(act)

    def _everything_again(self) -> None:
        self._again_at = None
        self._burst(self._everything)
        self._listed.clear()
        self._settle_sources()
        if self._again_at is None:
            self._pause.over()

    def _everything(self, ctx: Context) -> Iterable[Act]:
        # First what is known of the links: what changes from here on is news.
        heard = self._host.heard()
        self._links = Links(interfaces.links())
        self._addresses.news(heard.addresses)
        if heard.dead:
            yield from self._deaths(ctx, heard)
        yield from following.dead_processes(ctx)
        acts, self._waiting = following.everything(ctx)
        troubles = {act for act in acts if act.word in ("fail", "wait")}
        yield from (act for act in acts if act not in self._failures)
        self._failures = troubles
        if any(act.word == "fail" for act in troubles):
            self._calm_until = time.monotonic() + self._calm.longer()
        else:
            self._calm.over()
        yield from self._all_removed(ctx)
        yield from self._graces(ctx)

    def _graces(self, ctx: Context) -> Iterable[Act]:
        acts, end = following.expired(ctx)
        # The clock of the records is read a little before the one that is waited by.
        self._end_of_grace = None if end is None else end + SHORTEST_WAIT
        return acts

    def _deaths(self, ctx: Context, heard: Heard) -> Iterable[Act]:
        yield from following.died(ctx, heard.dead, frozenset().union(*self._gone.values()))
        yield from self._all_removed(ctx)
        yield from self._graces(ctx)

    def _all_removed(self, ctx: Context) -> Iterable[Act]:
        for name in self._sources:
            yield from self._removed(ctx, name, ())

    def _removed(self, ctx: Context, runtime: str, ids: Iterable[str]) -> Iterable[Act]:
        """Free what removed containers hold, now or as soon as their namespaces are gone."""
        asked = self._gone[runtime].union(ids)
        self._unsettled[runtime] -= asked
        if asked:
            done = following.removed(ctx, runtime, asked)
            self._gone[runtime] = done.unsettled
            yield from done.acts

    def _look(self, ctx: Context, runtime: str, ids: Iterable[str] | None) -> Iterable[Act]:
        """Look at containers by their IDs, or at all of them."""
        source = self._sources[runtime]
        by_root = source.stream is not None and source.stream.by_root
        found = runtimes_followed.containers(runtime, ids)
        if ids is None:
            yield from self._removed(ctx, runtime, following.unlisted(ctx, runtime, found))
        done = following.look(ctx, found, by_root=by_root)
        looked = self._unsettled[runtime] if ids is None else frozenset(ids)
        self._unsettled[runtime] = self._unsettled[runtime] - looked | done.unsettled
        resting = {str(each.owner) for each in found if not each.runs}
        self._refused = {act for act in self._refused if act.container not in resting}
        for act in done.acts:
            if act not in self._refused:
                yield act
            if act.word == "refuse" and len(self._refused) < MOST_REFUSALS:
                self._refused.add(act)
        yield from self._graces(ctx)

    def _settle_labels(self, ctx: Context) -> Iterable[Act]:
        """Try again what labels ask for and could not have."""
        self._freed = False
        for name, ids in self._unsettled.items():
            if ids and self._sources[name].listening:
                yield from self._look(ctx, name, ids)

    def _settle_sources(self) -> None:
        """Tell which runtimes have come and gone, and look at all containers of those that came."""
        for name, source in self._sources.items():
            # Without a reason it is on its way: it has been asked, and has not answered.
            now = Act("follow" if source.listening else "absent", runtime=name, reason=source.why)
            on_its_way = not source.listening and not source.why
            if not on_its_way and now != self._told.get(name):
                self._tell(now)
            self._told[name] = now
            if not source.listening:
                self._listed.discard(name)
            elif name not in self._listed:
                self._listed.add(name)
                self._burst(partial(self._look, runtime=name, ids=None))


class _Bell:
    """Wakes the loop for a signal: SIGUSR1 asks to look at everything, SIGCHLD to reap."""

    def __init__(self, stack: ExitStack) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        stack.callback(os.close, self._read)
        stack.callback(os.close, self._write)
        for number in (signals.SIGUSR1, signals.SIGCHLD):
            stack.callback(signals.signal, number, signals.signal(number, self._ring))

    def fileno(self) -> int:
        return self._read

    def _ring(self, number: int, frame: object) -> None:
        try:
            os.write(self._write, bytes([number]))
        except BlockingIOError:
            return  # so many have come already that one more says nothing new

    def asked(self) -> bool:
        """Whether somebody asked to look at everything, since the last call."""
        return signals.SIGUSR1 in os.read(self._read, 1 << 16)
