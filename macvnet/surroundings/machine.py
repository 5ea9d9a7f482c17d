"""The machine and this process, as files describe them."""

from __future__ import annotations

import errno
import os

from macvnet.errors import PermissionDenied
from macvnet.records import NamedTuple
from macvnet.surroundings import modules, text_of

CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_ADMIN": 21}
"""What is needed, with its number in capability.h."""
NS_GET_USERNS = 0xB701
AS_ROOT = "run macvnet as root"
NO_RIGHTS = "macvnet runs in a user namespace, where root has no rights over this network"
OUTSIDE = "run macvnet as root of the host, outside of unshare, rootless containers and the like"


class Machine(NamedTuple):
    """The machine and this process. ``lacking``: modules needed that the kernel cannot have.

    ``distribution`` is ID and ID_LIKE of os-release(5), in that order; ``vendor``,
    ``product`` and ``asset_tag`` are DMI's, ``uuid`` is the hypervisor's or DMI's.
    ``capabilities`` are those needed and missing.
    """

    release: str = ""
    distribution: tuple[str, ...] = ()
    modules_there: bool = True
    lacking: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    user_namespace: bool = False
    vendor: str = ""
    product: str = ""
    asset_tag: str = ""
    uuid: str = ""


def look(root: str = "/", kinds: tuple[str, ...] = ()) -> Machine:
    """The facts; ``kinds`` are the kinds of link that are needed."""
    release = os.uname().release if root == "/" else text_of(root, "proc/sys/kernel/osrelease")
    release = release or ""
    dmi = os.path.join(root, "sys/class/dmi/id")
    return Machine(
        release,
        _distribution(root),
        modules.folder_there(root, release),
        modules.lacking(root, release, kinds),
        missing_capabilities(root),
        in_user_namespace(),
        text_of(dmi, "sys_vendor") or "",
        text_of(dmi, "product_name") or "",
        text_of(dmi, "chassis_asset_tag") or "",
        text_of(root, "sys/hypervisor/uuid") or text_of(dmi, "product_uuid") or "",
    )


def _distribution(root: str) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for line in (text_of(root, "etc/os-release") or "").splitlines():
        key, _, value = line.partition("=")
        found[key.strip()] = value.strip().strip("\"'")
    return tuple(f"{found.get('ID', '')} {found.get('ID_LIKE', '')}".split())


def in_user_namespace() -> bool:
    """Whether root here has no rights over this network namespace: another's user namespace

    owns it (ioctl_ns(2), NS_GET_USERNS). One that was made inside is ours.
    """
    import fcntl

    try:
        fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.close(fcntl.ioctl(fd, NS_GET_USERNS))
    except OSError as error:
        return error.errno == errno.EPERM
    finally:
        os.close(fd)
    return False


def missing_capabilities(root: str = "/") -> tuple[str, ...]:
    """Those needed that are not in this process's effective set."""
    for line in (text_of(root, "proc/self/status") or "").splitlines():
        key, _, value = line.partition(":")
        if key == "CapEff":
            try:
                held = int(value, 16)
            except ValueError:
                return ()
            return tuple(name for name, bit in CAPABILITIES.items() if not held >> bit & 1)
    return ()


def not_permitted(capability: str, purpose: str) -> PermissionDenied:
    """EPERM, for want of ``capability``, or because it is worth nothing in a user namespace."""
    if in_user_namespace() and capability not in missing_capabilities():
        return PermissionDenied(f"{NO_RIGHTS}: that is needed {purpose}", OUTSIDE)
    return PermissionDenied(f"the capability {capability} is missing {purpose}", AS_ROOT)
