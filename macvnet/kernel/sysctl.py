"""Per-interface sysctls, written in the namespace the thread is in.

/proc/sys/net belongs to the namespace of whoever opens it, so the caller enters
the target's namespace and stays in the host's mount namespace, where the files
are writable even if the container has them read-only.
"""

from __future__ import annotations

import errno
import os

from macvnet.errors import KernelRefused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def _path(family: str, ifname: str, key: str) -> str:
    return f"/proc/sys/net/{family}/conf/{ifname}/{key}"


def read(family: str, ifname: str, key: str) -> str | None:
    """The value of net.FAMILY.conf.IFNAME.KEY, or None where the kernel has no such key."""
    try:
        with open(_path(family, ifname, key), encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return None


def write(
    family: str, ifname: str, key: str, value: str, tell: Callable[[str], None] | None = None
) -> bool:
    """Set net.FAMILY.conf.IFNAME.KEY; ``tell`` hears of it as a command first.

    False where the kernel has no such key (IPv6 compiled out, say); raises
    KernelRefused if it cannot be written.
    """
    if tell is not None:
        tell(f"sysctl -w {_path(family, ifname, key)[len('/proc/sys/') :]}={value}")
    try:
        file = os.open(_path(family, ifname, key), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(file, value.encode("ascii"))
        finally:
            os.close(file)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return False
        name = f"net.{family}.conf.{ifname}.{key}"
        refusal = KernelRefused("", error.errno or errno.EIO)
        raise refusal.during(f"set {name} to {value}") from None
    return True
