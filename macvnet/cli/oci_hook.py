"""``macvnet-oci-hook``: connects a container when its runtime makes it, and frees it in the end.

Called by runc, podman and their like with the container's state on standard
input; the container's annotation says which networks. Knows what a hook is
called with; must not load click, for which a container would have to wait.
"""

from __future__ import annotations

import gc
import os
import sys

from macvnet.annotations import ANNOTATION, KEY, parts, wanted
from macvnet.cli import boundary, syntax
from macvnet.cli.invocation import Invocation
from macvnet.errors import InvalidRequest, UsageError
from macvnet.text import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

gc.disable()

NAME = "macvnet-oci-hook"
FLAGS = {
    "--state-dir": syntax.VALUE,
    "--config": syntax.VALUE,
    "--root": syntax.VALUE,
    "--help": syntax.SWITCH,
    "-h": syntax.SWITCH,
    "--version": syntax.SWITCH,
}
HELP = """\
Usage:  macvnet-oci-hook [OPTIONS] < STATE

Connect a container to networks: an OCI hook for createRuntime and poststop.

The container's annotation macvnet.network names the networks, separated by ';':
NET[,KEY=VALUE...], as in 'macvnet attach --network'; blanks do for commas.

Options:
  --state-dir DIR  Where networks and addresses are recorded.
  --config FILE    Configuration file.
  --root DIR       Where the runtime keeps its state, if not in /run/runc or
                   /run/crun: as in 'runc --root'.
  -h, --help       Show this and leave.
  --version        Print the version and leave.

Example, in config.json of a bundle:
  "annotations": {"macvnet.network": "lan ip=192.0.2.10"},
  "hooks": {
    "createRuntime": [{"path": "/usr/local/bin/macvnet-oci-hook"}],
    "poststop": [{"path": "/usr/local/bin/macvnet-oci-hook"}]
  }
"""


def run(arguments: Sequence[str], invocation: Invocation | None = None) -> int:
    """Serve one call of a runtime; the exit status. Never raises."""
    called = invocation or Invocation()
    command: list[str] = []

    def work() -> int:
        line = syntax.normalise(arguments, FLAGS, where=NAME)
        if line.positionals:
            raise UsageError(f"unexpected argument {quoted(line.positionals[0])}", f"{NAME} --help")
        if {"--help", "-h"} & set(line.flags):
            called.out(HELP.rstrip())
            return 0
        if "--version" in line.flags:
            from macvnet import __version__

            called.out(f"{NAME} {__version__}")
            return 0
        words = iter(line.flags)
        given = dict(zip(words, words, strict=True))
        called.given.update(state_dir=given.get("--state-dir"), config=given.get("--config"))
        return _serve(called, _root(given.get("--root", "")), command)

    status = boundary.guarded(called, work)
    boundary.record(called, command, status)
    return status


def _root(text: str) -> str:
    if text and (not text.startswith("/") or os.path.normpath(text) != text):
        raise InvalidRequest(f"--root {quoted(text)} is not an absolute path", "--root /srv/runc")
    return text


def _serve(called: Invocation, root: str, command: list[str]) -> int:
    """Connect or free; ``command`` becomes what the log says: the same, as one could type it."""
    if sys.stdin.isatty():
        raise UsageError("the container's state is read from standard input", f"{NAME} --help")
    from macvnet.runtimes import oci

    oci.refuse_user_namespace()
    told = oci.read(sys.stdin.buffer.read(oci.LARGEST))
    if told.status not in (*oci.CREATING, oci.STOPPED):
        raise InvalidRequest(
            f"the container {quoted(told.id)} is {quoted(told.status)}, neither being created nor "
            "stopped",
            "name the hook in createRuntime and in poststop",
        )
    asked = wanted(told.annotations, ANNOTATION)
    if not asked:
        return 0
    owner = oci.owner(told, root)
    connecting = told.status != oci.STOPPED
    texts = parts(told.annotations[KEY]) if connecting else [term for term, _ in asked]
    command += "attach" if connecting else "detach", *(f"--network={text}" for text in texts)
    command.append(str(owner))
    called.begin_short()
    if connecting:
        target = oci.open_target(told, owner)
        with target.namespace, called.engine() as engine:
            engine.attach_target(target, asked)
    else:
        with called.engine() as engine:
            if not engine.release(owner, [term for term, _ in asked]):
                # Nothing was there, so nothing is to be told.
                called.began = None
    return 0


def main() -> None:
    """Entry point of the executable."""
    from macvnet.cli.calling import standard_streams

    standard_streams()
    boundary.listen()
    boundary.end(run(sys.argv[1:], Invocation(last=True)))
