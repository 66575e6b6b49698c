"""The HTTP front: bytes to a Request, a Reply to bytes, and what holds for every exchange."""

from server.front.front import Front

__all__ = ["Front"]
