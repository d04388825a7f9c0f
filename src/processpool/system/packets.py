"""A socket between two processes that carries packets, and descriptors with them."""

from __future__ import annotations

import os


def packet_pair() -> tuple[int, int]:
    """Return the two ends of a socket on which what is written at a time is read at a time."""
    import socket

    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return one.detach(), other.detach()


def receive(end: int, size: int) -> tuple[bytes, int]:
    """Read one packet, and the descriptor that came with it; -1 if none did.

    Raises:
        BlockingIOError: there is none, and the socket does not block.
    """
    import socket

    reader = socket.socket(fileno=end)
    try:
        flags = socket.MSG_CMSG_CLOEXEC
        data, descriptors, _, _ = socket.recv_fds(reader, size, 1, flags)
    finally:
        reader.detach()
    for surplus in descriptors[1:]:
        os.close(surplus)
    return data, descriptors[0] if descriptors else -1
