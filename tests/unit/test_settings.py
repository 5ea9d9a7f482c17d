"""config.toml: what it may say, who may have written it, and who wins."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from macvnet import settings
from macvnet.errors import InvalidRequest, MacvnetError, NotFound, PermissionDenied
from macvnet.settings import DOCKER_POOLS, Settings, load
from macvnet.toml_lines import line_of

Config = Callable[[str], str]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    def write(text: str) -> str:
        path = tmp_path / "config.toml"
        path.write_text(text)
        path.chmod(0o600)
        return str(path)

    tmp_path.chmod(0o700)
    return write


def refused(path: str) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        load(config=path, environ={})
    return caught.value


def test_every_key_is_read(config: Config) -> None:
    path = config(
        """
state_dir = "/srv/macvnet"
arp_rate = 5
[[default_pools]]
base = "10.200.0.0/16"
size = 24
[[default_pools]]
base = "fd00:1::/48"
size = 64
[options]
macvlan_mode = "vepa"
mtu = 1400
share_parent = true
"""
    )
    assert load(config=path, environ={}) == Settings(
        state_dir="/srv/macvnet",
        config_path=path,
        default_pools=(("10.200.0.0/16", 24), ("fd00:1::/48", 64)),
        option_defaults={"macvlan_mode": "vepa", "mtu": "1400", "share_parent": "true"},
        arp_rate=5,
    )


def test_pools_of_one_family_leave_the_other_family_alone(config: Config) -> None:
    path = config('default_pools = [{base = "fd00:1::/48", size = 64}]')
    assert load(config=path, environ={}).default_pools == (("fd00:1::/48", 64), *DOCKER_POOLS)


def test_dockers_pools_are_the_default() -> None:
    assert DOCKER_POOLS[0] == ("172.17.0.0/16", 16)
    assert DOCKER_POOLS[14:] == (("172.31.0.0/16", 16), ("192.168.0.0/16", 20))


def test_the_flag_wins_over_environment_over_file_over_default(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config('state_dir = "/from/file"')
    environ = {"MACVNET_CONFIG": path, "MACVNET_STATE_DIR": "/from/environment"}
    assert load(state_dir="/from/flag", environ=environ).state_dir == "/from/flag"
    assert load(environ=environ).state_dir == "/from/environment"
    assert load(environ={"MACVNET_CONFIG": path}).state_dir == "/from/file"
    monkeypatch.setattr(settings, "DEFAULT_CONFIG", "/nonexistent/config.toml")
    assert load(environ={}).state_dir == "/var/lib/macvnet"
    assert load(environ={"MACVNET_STATE_DIR": "", "MACVNET_CONFIG": ""}) == load(environ={})


def test_a_relative_state_directory_is_below_the_working_directory() -> None:
    assert load(state_dir="here", environ={}).state_dir == str(Path.cwd() / "here")


def test_a_missing_file_is_an_error_only_when_it_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DEFAULT_CONFIG", "/nonexistent/config.toml")
    assert load(environ={}).arp_rate == 10
    with pytest.raises(NotFound, match=r"'/nonexistent/config\.toml' does not exist"):
        load(config="/nonexistent/config.toml", environ={})


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("\n\narp_rte = 1", "line 3: unknown key 'arp_rte'", "arp_rate"),
        ('x = """\n\narp_rate = 1\n"""\n', "line 1: unknown key 'x'", "one of state_dir, "),
        ("arp_rate = 'ten'", "line 1: arp_rate must be a number from 1 to 1000, not 'ten'", None),
        ("arp_rate = 0", "line 1: arp_rate must be a number from 1 to 1000, not '0'", None),
        ("\narp_rate = true", "line 2: arp_rate must be a number", None),
        (f"arp_rate = {'9' * 400}", "not so large a number", None),
        ('state_dir = "var"', "line 1: state_dir must be an absolute path, not 'var'", None),
        ("state_dir = 5", "line 1: state_dir must be an absolute path, not '5'", None),
        ("options = 5", "line 1: options must be a table", "[options]"),
        ("[options]\nmtu = 1.5", "line 2: option 'mtu' must be a text or a number", None),
        ("[options.mtu]\na = 1", "line 1: option 'mtu' must be a text or a number", None),
        ("default_pools = 1", "line 1: default_pools must be tables", None),
        ("[[default_pools]]\nbase = '10.0.0.0/8'", "line 1: default_pools needs 'size'", None),
        (
            "[[default_pools]]\nbase='10.0.0.0/8'\nsize=16\n[[default_pools]]\nbse='x'",
            "line 5: unknown key 'bse'",
            "base",
        ),
        (
            "[[default_pools]]\nbase = '10.0.0.5/8'\nsize = 16",
            "line 2: base '10.0.0.5/8' is not a subnet",
            'base = "10.0.0.0/8"',
        ),
        (
            "[[default_pools]]\nbase = '10.0.0.0/8'\nsize = 31",
            "line 3: size must be a prefix length from 8 to 30, not '31'",
            "size = 24",
        ),
        ("[[default_pools]]\nbase = 4\nsize = 31", "line 2: base '4' is not a subnet", None),
        ("a = = 1", "is not TOML: Invalid value (at line 1", None),
        (f"arp_rate = {'9' * 5000}", "is not TOML", None),
        (f"a = {'[' * 50000}", "", None),
        ('a = "\\u001b[31m\\u009b"\n"\\u001b]0;x" = 1', "unknown key", None),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    config: Config, text: str, words: str, hint: str | None
) -> None:
    error = refused(config(text))
    assert words in error.message
    assert error.hint
    assert hint is None or error.hint.startswith(hint)
    assert error.message.isprintable()


def test_a_file_is_bounded_and_is_text(config: Config, tmp_path: Path) -> None:
    assert "larger than 1048576 bytes" in refused(config("#" * (1 << 20) + "#")).message
    path = tmp_path / "config.toml"
    path.write_bytes(b"# a\n# \xff\n")
    assert "line 2: not UTF-8" in refused(str(path)).message


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_can_write_is_refused(config: Config, mode: int) -> None:
    path = config("arp_rate = 5")
    Path(path).chmod(mode)
    with pytest.raises(PermissionDenied, match="can be written by others") as caught:
        load(config=path, environ={})
    assert caught.value.hint == f"chmod go-w {path}"


def test_a_directory_that_others_can_write_is_refused(config: Config, tmp_path: Path) -> None:
    path = config("arp_rate = 5")
    tmp_path.chmod(0o1777)
    with pytest.raises(PermissionDenied, match="directory of the config file"):
        load(config=path, environ={})


def test_somebody_elses_file_is_refused(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    path = config("arp_rate = 5")
    owner = os.stat(path).st_uid
    if owner == 0:
        os.chown(path, 4242, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(PermissionDenied, match="belongs to user"):
        load(config=path, environ={})


def test_what_is_no_file_is_refused_without_waiting(config: Config, tmp_path: Path) -> None:
    config("")
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refused(str(tmp_path / "pipe")).message
    assert "not a regular file" in refused(str(tmp_path)).message


@pytest.mark.parametrize("text", ["", "a\0b"])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="is not a path"):
        load(state_dir=text, environ={})


SOURCE = """\
# a comment = 1
top = 1
"quo.ted" = [1, [2, {a = 1}], 3]
multi = '''
not = 1
'''
many = [
  {inline = 1},  # ] }
  {inline = 2,
   },
]
[table]
a.b = 1
[table."x y"]
k = "]["
[[list]]
k = 1
[list.sub]
k = 2
[[list]]
j = 3
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("quo.ted",), 3),
        (("multi",), 4),
        (("not",), None),
        (("many", 1, "inline"), 9),
        (("table", "a", "b"), 13),
        (("table", "x y", "k"), 15),
        (("list", 0, "sub", "k"), 19),
        (("list", 1, "j"), 21),
    ],
)
def test_keys_are_found_where_they_stand(path: tuple[str | int, ...], line: int | None) -> None:
    assert line_of(SOURCE, path) == line


FRAGMENTS = st.lists(
    st.sampled_from(
        [
            *"""a "b" 'c' = . [ ] { } , 1 # [[ true "10.0.0.0/8" arp_rate options base""".split(),
            *["default_pools", "\\", "default_pools", "\n", " ", '"""', "'''"],
        ]
    ),
    max_size=30,
)


@given(st.lists(st.sampled_from([*'# \t\r\n=a"\x00\x7f\x85\ufeff\u2028é', "\r\n"]), max_size=8))
def test_only_a_file_of_comments_is_taken_without_a_parser(parts: list[str]) -> None:
    source = "".join(parts)
    if settings._is_silent(source):
        assert tomli.loads(source) == {}
    elif all(part in " \t\n#aé" for part in parts):
        assert any(line.strip()[:1] not in ("", "#") for line in source.split("\n"))


def test_a_file_of_comments_is_as_good_as_none(config: Config) -> None:
    path = config("# arp_rate = 10\n\n\t# [options]\r\n")
    assert load(config=path, environ={}) == Settings(config_path=path)


@given(FRAGMENTS)
def test_no_text_leads_to_anything_but_a_refusal(parts: list[str]) -> None:
    try:
        settings._judge("/etc/x", "".join(parts))
    except MacvnetError as error:
        assert error.hint
