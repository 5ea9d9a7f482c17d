"""Runtimes: what turns a target as the user names it into an open sandbox.

A runtime is a module with a row in ``MODULES``, imported when it is asked for;
the rest of macvnet sees only the ``Target`` it returns. The sandbox, not its
spelling, is the identity.
"""

from __future__ import annotations

import time

from macvnet.blocks import Iterable, Iterator, Mapping
from macvnet.errors import Conflict, NotFound, RuntimeUnavailable
from macvnet.kernel.namespaces import Namespace
from macvnet.loading import module
from macvnet.model import Endpoint, Owner
from macvnet.records import NamedTuple, Protocol
from macvnet.store import Reader, Store
from macvnet.text import HEXADECIMAL, LONGEST, nearest, only, quoted

SPELLINGS = (
    "a PID, a name, docker:NAME, podman:NAME, nspawn:NAME, lxc:NAME, containerd:ID, runc:ID, "
    "netns:NAME, run:NAME or a path such as /run/netns/NAME"
)

MODULES = {
    name: f"macvnet.runtimes.{name}"
    for name in (
        *("pid", "netns", "run", "docker", "podman", "nspawn", "lxc", "containerd", "runc"),
        "path",
    )
}
"""Every runtime. Where one container is known to several, the first that knows it has it."""
OTHER_WORDS = {"machine": "nspawn"}
"""A second word for the same runtime."""
AT_ONCE = ("pid", "netns")
"""Runtimes that ask nobody but the kernel where a sandbox is, and so never keep one waiting."""
WITHOUT_ID = ("pid", "netns", "path")
"""Runtimes that know a target by nothing but its name."""
SHORTEST_ID = 12
"""How many digits of an ID say, without the runtime's name, which container is meant."""


class Target(NamedTuple):
    """An open sandbox, and whose it is. ``pid`` is a process in it where one is known."""

    owner: Owner
    namespace: Namespace
    pid: int | None

    @property
    def enter(self) -> str:
        """What stands before a command to run it in the sandbox, for people to read."""
        if self.owner.runtime == "netns":
            return f"ip netns exec {self.owner.name}"
        path = f"/proc/{self.pid}/ns/net" if self.pid else self.owner.name
        return f"nsenter --net={path}"


class Listed(NamedTuple):
    """A container that is there: its name, and a few words about it ("" where there are none)."""

    name: str
    about: str = ""


class NoSandbox(Conflict):
    """The container is there, but has no network namespace now: it does not run."""


def when_it_starts(start: str, owner: Owner, *, watched: bool = False) -> str:
    """What to type for a container that does not run: ``start``, or what can wait for it.

    ``watched``: whether ``macvnet watch`` hears of its start.
    """
    watch = ", macvnet watch" if watched else ""
    return f"{start}; or for when it starts: macvnet reserve NETWORK {owner}{watch}"


class Runtime(Protocol):
    """What a runtime module offers.

    ``ISOLATED`` is what to type so that a container has a network namespace of its own.
    """

    NAME: str
    ISOLATED: str

    def owner(self, name: str) -> Owner:
        """Whose endpoint a target of that name has, whether or not it is there.

        InvalidRequest for what cannot be a name.
        """

    def open_target(self, name: str, store: Store) -> Target:
        """The open sandbox, with the owner's durable name.

        NotFound if there is none of that name on this machine, NoSandbox while it
        does not run, RuntimeUnavailable where the runtime is absent or does not answer.
        """

    def knows(self, name: str, store: Store) -> bool:
        """Whether a bare word names something here; cheap. Absent runtimes know nothing.

        RuntimeUnavailable where the runtime is there and does not answer in time.
        """

    def present(self, endpoint: Endpoint, store: Store) -> bool:
        """Whether an endpoint's target seems to be there: from /proc and files, no proof.

        The endpoint is of this boot.
        """

    def listed(self, prefix: str, reader: Reader, seconds: float) -> Iterable[Listed]:
        """What is there whose name begins with ``prefix``, for the Tab key.

        Gives up after ``seconds``, with what it has until then. May raise, which
        lists nothing; changes nothing.
        """


class _Table(Mapping[str, Runtime]):
    """The rows by name; a module is imported when its row is taken."""

    def __getitem__(self, name: str) -> Runtime:
        found: Runtime = module(MODULES[name])
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)

    def __contains__(self, name: object) -> bool:
        return name in MODULES


_TABLE = _Table()


def table() -> Mapping[str, Runtime]:
    """Every runtime by its name."""
    return _TABLE


def spelled(text: str) -> tuple[str, str] | None:
    """Runtime and name in it, where the spelling alone says so; None for a bare word."""
    if text.isascii() and text.isdecimal():
        return "pid", text
    scheme, colon, name = text.partition(":")
    scheme = OTHER_WORDS.get(scheme, scheme)
    if colon and scheme in table():
        return scheme, name
    return ("path", text) if "/" in text else None


def split(text: str, store: Store) -> list[tuple[Runtime, str]]:
    """Which runtime a target's spelling belongs to, and its name there.

    Several for a bare word that several know; NotFound for what nothing knows.
    """
    if found := spelled(text):
        return [(table()[found[0]], found[1])]
    silent: list[str] = []
    known: list[tuple[Runtime, str]] = []
    for kind in table().values() if text and ":" not in text else ():
        try:
            if kind.knows(text, store):
                known.append((kind, text))
        except RuntimeUnavailable:
            silent.append(kind.NAME)
    if not known:
        asked = f" ({' and '.join(silent)} did not answer)" if silent else ""
        scheme, colon, name = text.partition(":")
        sayable = colon and len(name) <= LONGEST
        guess = nearest(scheme, (*table(), *OTHER_WORDS)) if sayable else None
        raise NotFound(
            f"there is no container {quoted(text)}{asked}",
            f"did you mean {guess}:{name}?" if guess else f"give {SPELLINGS}",
        )
    return known


def is_at_once(text: str) -> bool:
    """Whether the sandbox that ``text`` names is found without asking another program."""
    found = spelled(text)
    return found is not None and found[0] in AT_ONCE


def owner_of(text: str, store: Store) -> Owner:
    """Whose endpoint a target's spelling means, also when the target is gone."""
    known = split(text, store)
    if len(known) > 1:
        raise _ambiguous(text, [f"{kind.NAME}:{name}" for kind, name in known])
    ((kind, name),) = known
    return kind.owner(name)


def resolve(text: str, store: Store) -> Target:
    """Open the sandbox that ``text`` names; the caller closes ``namespace``.

    Conflict where it names several.
    """
    known = split(text, store)
    if len(known) == 1:
        ((kind, name),) = known
        return kind.open_target(name, store)
    choices: list[str] = []
    opened: list[Target] = []
    try:
        for kind, name in known:
            try:
                target = kind.open_target(name, store)
            except (Conflict, NotFound, RuntimeUnavailable):
                target = None
            # A container of one runtime is often another's too, which that one makes them with.
            if target and any(target.namespace.same_as(other.namespace) for other in opened):
                target.namespace.close()
                continue
            choices.append(f"{kind.NAME}:{name}")
            opened += [target] if target else []
        if len(choices) == len(opened) == 1:
            return opened.pop()
    finally:
        for target in opened:
            target.namespace.close()
    raise _ambiguous(text, choices)


def _ambiguous(text: str, choices: list[str]) -> Conflict:
    return Conflict(f"{quoted(text)} is known to several runtimes", " or ".join(choices))


def reopen(owner: Owner, store: Store) -> Target:
    """The sandbox of an owner recorded earlier; the caller closes ``namespace``.

    A container is the same as long as it has its ID, whatever it is called now;
    once that is gone, the one that has its name. NotFound where there is neither.
    """
    if owner.runtime not in table():
        raise NotFound(f"there is no runtime {quoted(owner.runtime)}", "macvnet ls")
    kind = table()[owner.runtime]
    if is_drawn_by_lot(owner.id):
        try:
            target = kind.open_target(owner.id, store)
        except NotFound:
            pass
        else:
            if target.owner.id == owner.id:
                return target
            target.namespace.close()
    target = kind.open_target(owner.name, store)
    if target.owner.name != owner.name:
        # What was typed may be the beginning of an ID, what is recorded is a name.
        target.namespace.close()
        raise NotFound(f"there is no container {quoted(owner)} any more", "macvnet ls")
    return target


def is_drawn_by_lot(container: str) -> bool:
    """Whether an ID is no other container's, ever: 64 hexadecimal digits."""
    return len(container) == 64 and only(container, HEXADECIMAL)


def listed(typed: str, reader: Reader, seconds: float) -> list[Listed]:
    """The spellings of containers that begin with ``typed``; never raises.

    ``RUNTIME:NAME``, and the bare name where something of it was typed, and it
    means one container only. No runtime takes the time of those after it.
    """
    end = time.monotonic() + seconds
    found: list[Listed] = []
    bare: dict[str, list[Listed]] = {}
    words = {name: name for name in table()}
    if ":" in typed:
        words = {**words, **OTHER_WORDS}
    words = {word: name for word, name in words.items() if _may_begin(f"{word}:", typed)}
    for place, (word, name) in enumerate(words.items()):
        scheme = f"{word}:"
        prefix = "" if scheme.startswith(typed) else typed.removeprefix(scheme)
        kind = table()[name]
        for one in _tried(kind, prefix, reader, (end - time.monotonic()) / (len(words) - place)):
            if (scheme + one.name).startswith(typed):
                found.append(Listed(scheme + one.name, one.about))
            if typed and ":" not in typed and stands_alone(name, one.name):
                bare.setdefault(one.name, []).append(Listed(one.name, one.about or name))
    known_once = [same[0] for same in bare.values() if len(same) == 1]
    return found + [one for one in known_once if one.name.startswith(typed)]


def _may_begin(scheme: str, typed: str) -> bool:
    """Whether a spelling with that scheme, or its bare name, can begin with ``typed``."""
    return ":" not in typed or scheme.startswith(typed) or typed.startswith(scheme)


def stands_alone(runtime: str, name: str) -> bool:
    """Whether ``split`` would take the bare name for a word to look up, or for this one's PID."""
    return not set(name) & set(":/") and (not name.isdecimal() or runtime == "pid")


def _tried(kind: Runtime, prefix: str, reader: Reader, seconds: float) -> list[Listed]:
    try:
        return list(kind.listed(prefix, reader, seconds)) if seconds > 0 else []
    except Exception:  # whatever it is: what one cannot say must not silence the others
        return []
