"""How a long list of containers is cut into parts that are handled at once."""

from __future__ import annotations

from macvnet.errors import InvalidRequest

PART = 64
"""Containers in one part: their locks are held together, and one fsync records all of them."""

FILES_EACH = 3
FILES_BESIDES = 160
"""Open files of one container (namespace, socket, one more for a moment) and of the rest: locks,
the state, what the caller left open."""


def refuse_too_many(count: int) -> None:
    """Make room for ``count`` containers at once; InvalidRequest where there is none."""
    import resource

    needed = count * FILES_EACH + FILES_BESIDES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= needed:
        return
    if hard != unlimited and hard < needed:
        most = max(0, (hard - FILES_BESIDES) // FILES_EACH)
        raise InvalidRequest(
            f"{count} containers are too many for --atomic here, where a process may have "
            f"{hard} open files: at most {most}",
            f"ulimit -n {needed}",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
