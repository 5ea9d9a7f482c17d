"""Settings: command line, environment and config.toml become one value.

Knows the keys of config.toml and who wins (flag, environment, file, default);
must not know what an ``-o`` key means, nor touch the state directory.
"""

from __future__ import annotations

import os
import stat

from macvnet import option_keys
from macvnet.addresses import WIDTH, Address, Subnet
from macvnet.errors import InvalidRequest, NotFound, PermissionDenied
from macvnet.records import NamedTuple
from macvnet.text import nearest, printable, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

ENV_STATE_DIR = "MACVNET_STATE_DIR"
ENV_CONFIG = "MACVNET_CONFIG"
DEFAULT_STATE_DIR = "/var/lib/macvnet"
DEFAULT_CONFIG = "/etc/macvnet/config.toml"
LARGEST = 1 << 20
FASTEST_ARP = 1000
LONGEST_GRACE = 10 * 365 * 24 * 3600

# Docker's own (libnetwork/ipamutils): 172.17 to 172.31 whole, then 192.168 in slices.
DOCKER_POOLS: tuple[tuple[str, int], ...] = (
    *((f"172.{second}.0.0/16", 16) for second in range(17, 32)),
    ("192.168.0.0/16", 20),
)

TOP_KEYS = ("state_dir", "arp_rate", "grace", "default_pools", "options")
POOL_KEYS = ("base", "size")

Path = tuple[str | int, ...]


class Settings(NamedTuple):
    """What holds for one call of macvnet.

    ``default_pools`` has (base CIDR, prefix length of each pool); a family that
    is missing there has no configured pool (IPv6: the engine derives a unique
    local /48). ``arp_rate`` is in frames per second and parent; ``grace`` in
    seconds: how long a lease is kept for a target that may come back.
    """

    state_dir: str = DEFAULT_STATE_DIR
    config_path: str = DEFAULT_CONFIG
    default_pools: tuple[tuple[str, int], ...] = DOCKER_POOLS
    option_defaults: dict[str, str] = {}
    arp_rate: int = 10
    grace: int = 24 * 3600


def load(
    *,
    state_dir: str | None = None,
    config: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Settings from flags (None where not given), environment and file.

    Raises InvalidRequest for a wrong file, NotFound for a missing one that was
    named, PermissionDenied for one that others could have written.
    """
    env = os.environ if environ is None else environ
    named = config if config is not None else env.get(ENV_CONFIG) or None
    path = _directory_or_file("--config", named) if named is not None else DEFAULT_CONFIG
    source = _read(path, required=named is not None)
    found = Settings() if source is None or _is_silent(source) else _judge(path, source)
    chosen = state_dir if state_dir is not None else env.get(ENV_STATE_DIR) or None
    if chosen is not None:
        found = found._replace(state_dir=_directory_or_file("--state-dir", chosen))
    return found._replace(config_path=path)


def _directory_or_file(flag: str, text: str) -> str:
    if not text or "\0" in text:
        raise InvalidRequest(f"{flag} {quoted(text)} is not a path", f"{flag} /some/path")
    return os.path.abspath(text)


def _read(path: str, *, required: bool) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError) as error:
        if not required:
            return None
        raise NotFound(
            f"config file {quoted(path)} does not exist", "leave out --config and MACVNET_CONFIG"
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        _refuse_foreign(path, os.fstat(descriptor))
        directory = os.path.dirname(os.path.realpath(path))
        _refuse_foreign(directory, os.stat(directory), directory=True)
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(descriptor)
    if len(content) > LARGEST:
        raise InvalidRequest(
            f"config file {quoted(path)} is larger than {LARGEST} bytes", "a smaller file"
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidRequest(
            f"config file {quoted(path)} line {line}: not UTF-8", "save it as UTF-8"
        ) from error


def _unreadable(path: str, error: OSError) -> PermissionDenied | InvalidRequest:
    from macvnet import failures

    kind = PermissionDenied if isinstance(error, PermissionError) else InvalidRequest
    return kind(
        f"config file {quoted(path)} cannot be read: {failures.reason(error)}",
        failures.advice(error, path),
    )


def _refuse_foreign(path: str, status: os.stat_result, *, directory: bool = False) -> None:
    """Only root and we ourselves may have written it: it decides what root does."""
    what = "directory of the config file" if directory else "config file"
    if not directory and not stat.S_ISREG(status.st_mode):
        raise InvalidRequest(f"{what} {quoted(path)} is not a regular file", "--config FILE")
    if status.st_uid not in (0, os.geteuid()):
        raise PermissionDenied(
            f"{what} {quoted(path)} belongs to user {status.st_uid}",
            f"chown root {printable(path)}",
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionDenied(
            f"{what} {quoted(path)} can be written by others", f"chmod go-w {printable(path)}"
        )


def _is_silent(source: str) -> bool:
    """Whether a file has comments alone: it takes no parser to see that, and many files are so."""
    lines = source.replace("\r\n", "\n").replace("\t", " ").split("\n")
    return all(
        not (line := each.strip(" ")) or (line[0] == "#" and line.isprintable()) for each in lines
    )


class _Judge(NamedTuple):
    """Refuses values of one file, naming the line they stand on."""

    path: str
    source: str

    def refuse(self, where: Path, text: str, hint: str) -> InvalidRequest:
        # Only now, on the way to an error, is it worth finding out where things are.
        from macvnet.toml_lines import line_of

        line = line_of(self.source, where)
        at = f" line {line}" if line else ""
        return InvalidRequest(f"config file {quoted(self.path)}{at}: {text}", hint)

    def unknown(self, where: Path, known: tuple[str, ...]) -> InvalidRequest:
        key = str(where[-1])
        hint = nearest(key, known) or "one of " + ", ".join(known)
        return self.refuse(where, f"unknown key {quoted(key)}", hint)


def _judge(path: str, source: str) -> Settings:
    import tomli

    try:
        data = tomli.loads(source)
    except RecursionError as error:
        raise InvalidRequest(
            f"config file {quoted(path)} is nested too deeply", "fewer brackets"
        ) from error
    except ValueError as error:
        # tomli's own words carry the line; an integer too long for Python raises plainly.
        raise InvalidRequest(
            f"config file {quoted(path)} is not TOML: {printable(str(error))[:300]}",
            "https://toml.io/en/v1.0.0",
        ) from error
    judge = _Judge(path, source)
    for key in data:
        if key not in TOP_KEYS:
            raise judge.unknown((key,), TOP_KEYS)
    return Settings(
        state_dir=_state_dir(judge, data.get("state_dir", DEFAULT_STATE_DIR)),
        default_pools=_pools(judge, data.get("default_pools", [])),
        option_defaults=_options(judge, data.get("options", {})),
        arp_rate=_arp_rate(judge, data.get("arp_rate", 10)),
        grace=_grace(judge, data.get("grace", Settings().grace)),
    )


def _state_dir(judge: _Judge, value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise judge.refuse(
            ("state_dir",),
            f"state_dir must be an absolute path, not {_shown(value)}",
            f'state_dir = "{DEFAULT_STATE_DIR}"',
        )
    return os.path.abspath(value)


def _arp_rate(judge: _Judge, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= FASTEST_ARP:
        raise judge.refuse(
            ("arp_rate",),
            f"arp_rate must be a number from 1 to {FASTEST_ARP}, not {_shown(value)}",
            "arp_rate = 10",
        )
    return value


def _grace(judge: _Judge, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LONGEST_GRACE:
        raise judge.refuse(
            ("grace",),
            f"grace must be a number of seconds from 0 to {LONGEST_GRACE}, not {_shown(value)}",
            "grace = 86400",
        )
    return value


def _options(judge: _Judge, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise judge.refuse(("options",), "options must be a table", "[options]")
    defaults = {}
    for key, setting in value.items():
        if key not in option_keys.ALL:
            raise judge.unknown(("options", key), option_keys.ALL)
        if isinstance(setting, bool):
            defaults[key] = "true" if setting else "false"
        elif isinstance(setting, (str, int)):
            defaults[key] = str(setting)
        else:
            raise judge.refuse(
                ("options", key),
                f"option {quoted(key)} must be a text or a number, not {_shown(setting)}",
                f'{printable(key)} = "..."',
            )
    return defaults


def _pools(judge: _Judge, value: Any) -> tuple[tuple[str, int], ...]:
    if not isinstance(value, list) or not all(isinstance(pool, dict) for pool in value):
        raise judge.refuse(
            ("default_pools",),
            "default_pools must be tables",
            "[[default_pools]] with base and size",
        )
    pools = [_pool(judge, number, pool) for number, pool in enumerate(value)]
    # A list that speaks of one family only leaves the other one as it is.
    if not any(":" not in base for base, _ in pools):
        pools.extend(DOCKER_POOLS)
    return tuple(pools)


def _pool(judge: _Judge, number: int, pool: dict[str, Any]) -> tuple[str, int]:
    where: Path = ("default_pools", number)
    for key in pool:
        if key not in POOL_KEYS:
            raise judge.unknown((*where, key), POOL_KEYS)
    for key in POOL_KEYS:
        if key not in pool:
            raise judge.refuse(where, f"default_pools needs {quoted(key)}", f"{key} = ...")
    subnet = _base(judge, (*where, "base"), pool["base"])
    size = pool["size"]
    longest = WIDTH[subnet.family] - 2
    if (
        isinstance(size, bool)
        or not isinstance(size, int)
        or not subnet.prefixlen <= size <= longest
    ):
        raise judge.refuse(
            (*where, "size"),
            f"size must be a prefix length from {subnet.prefixlen} to {longest}, "
            f"not {_shown(size)}",
            f"size = {max(subnet.prefixlen, 24 if subnet.family == 4 else 64)}",
        )
    return str(subnet), size


def _base(judge: _Judge, where: Path, value: Any) -> Subnet:
    try:
        return Subnet.parse(value if isinstance(value, str) else "")
    except ValueError as error:
        base, _, length = str(value).partition("/")
        hint = 'base = "10.200.0.0/16"'
        if "host bits" in str(error):
            address = Address.parse(base)
            mask = (1 << (WIDTH[address.family] - int(length))) - 1
            hint = f'base = "{Subnet(address.family, address.value & ~mask, int(length))}"'
        raise judge.refuse(where, f"base {_shown(value)} is not a subnet", hint) from error


def _shown(value: Any) -> str:
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a table"
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return "so large a number"
    return quoted(value)
