"""Whatever is typed: an exit status of ours, words on stderr, never a traceback."""

from __future__ import annotations

import contextlib
import io
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from macvnet.cli.calling import run
from macvnet.cli.invocation import Invocation
from macvnet.cli.main import ALIASES, walk
from tests.cli.fakes import FakeEngine, network

ALL = list(walk())
NAMES = [*(words for words, _, _ in ALL), *ALIASES]
FLAGS = sorted(
    {
        option
        for _, context, command in ALL
        for param in command.get_params(context)
        for option in param.opts
        if option.startswith("-") and option not in ("--config",)
    }
)
WORDS = st.one_of(
    st.sampled_from(FLAGS),
    st.sampled_from(["lan", "4242", "--", "-", "", "=", "a,b", "k=v", "json", "until=1h", "-itd"]),
    st.sampled_from(["lan,ip=1", '"', "name=(", "true", "false", "--x", "-1", "\udcff", "\x1b[0m"]),
    st.builds("{}={}".format, st.sampled_from(FLAGS), st.text(max_size=8)),
    st.text(max_size=10),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(WORDS, max_size=3), st.sampled_from(NAMES), st.lists(WORDS, max_size=7))
def test_every_command_line_ends_with_a_status_of_ours(
    before: list[str], name: str, after: list[str]
) -> None:
    engine = FakeEngine(network("lan", 1))
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch("sys.stdin", io.TextIOWrapper(io.BytesIO(b"y\n"))),
        mock.patch("macvnet.runner.run", return_value=0),
        mock.patch("macvnet.runner.foresee.foresee", return_value=()),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        status = run([*before, *name.split(), *after], Invocation(engine))
    assert 0 <= status <= 13, err.getvalue()
    assert status != 1, err.getvalue()
    assert status == 0 or err.getvalue().startswith("macvnet: ")
    assert "\x1b" not in err.getvalue()
    # A template's own text is printed as it is: whoever types it means it.
    if name not in ("ls", "list", "inspect") or not any("\x1b" in word for word in after):
        assert "\x1b" not in out.getvalue()
