"""How a long list of containers is cut into parts that are handled at once."""

from __future__ import annotations

from macvnet.errors import InvalidRequest

PART = 256
"""Containers in one part: their locks are held together, and one fsync records all of them."""

FILES_EACH = 3
FILES_BESIDES = 160
"""Open files of one container (namespace, socket, one more for a while) and of the rest: locks,
the state, what the caller left open."""


def most_at_once() -> int:
    """How many containers there can be in one part here: PART, unless files may be fewer."""
    limit = _make_room(PART)
    return PART if limit is None else max(1, limit)


def refuse_too_many(count: int) -> None:
    """Make room for ``count`` containers at once; InvalidRequest where there is none."""
    most = _make_room(count)
    if most is not None:
        import resource

        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        raise InvalidRequest(
            f"{count} containers are too many for --atomic here, where a process may have "
            f"{files} open files: at most {most}",
            f"ulimit -n {_needed(count)}",
        )


def _needed(count: int) -> int:
    return count * FILES_EACH + FILES_BESIDES


def _make_room(count: int) -> int | None:
    """Let this process open the files of ``count`` containers, or as many as it may.

    For how many there is room if that is fewer, else None.
    """
    import resource

    needed = _needed(count)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= needed:
        return None
    enough = hard == unlimited or hard >= needed
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed if enough else hard, hard))
    return None if enough else max(0, (hard - FILES_BESIDES) // FILES_EACH)
