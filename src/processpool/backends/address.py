"""Where a cluster is, and a client of Dask that is connected to it."""

from __future__ import annotations

import os
from contextlib import suppress
from socket import gaierror
from typing import Any

import distributed

from processpool.errors import WorkerStartFailed

PATIENCE = 10.0
"""Seconds to wait for the scheduler's answer."""
_UNHEARD = (ConnectionRefusedError, TimeoutError, gaierror)
"""Errors before anything was heard of a scheduler."""


class Address:
    """Where a cluster is: a scheduler's address, or that of somebody's client."""

    def __init__(
        self, scheduler: str | None, tls: tuple[str, str, str] | None, client: Any
    ) -> None:
        self._scheduler = scheduler
        self._tls = tls
        self._client = client

    def __str__(self) -> str:
        if self._client is not None and self._client.scheduler is not None:
            return str(self._client.scheduler.address)
        return str(self._scheduler)

    def connect(self) -> Any:
        """Return a new client.

        Raises:
            WorkerStartFailed: no scheduler answers there, or it does not trust this process.
        """
        dask: Any = distributed  # its constructors have no types
        client = dask.Client.__new__(dask.Client)
        try:
            client.__init__(
                str(self),
                timeout=PATIENCE,
                set_as_default=False,
                security=self._security(),
                name="processpool",
            )
        except (OSError, TimeoutError, ValueError, TypeError, ImportError) as error:
            _abandon(client)
            raise WorkerStartFailed(self._failure(error)) from error
        return client

    def _security(self) -> Any:
        if self._tls is None:
            return None if self._client is None else self._client.security
        for name, path in zip(("ca", "cert", "key"), self._tls, strict=True):
            if not os.access(path, os.R_OK):
                raise WorkerStartFailed(f"backend.tls.{name}: there is no readable file {path}")
        ca, cert, key = self._tls
        dask: Any = distributed
        return dask.Security(
            tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key, require_encryption=True
        )

    def _failure(self, error: BaseException) -> str:
        unheard = any(isinstance(one, _UNHEARD) for one in _causes(error))
        if str(self).startswith("tls:") and not unheard:
            mend = "both need certificates of the same authority, which is ca, and key must belong"
            mend = f"check backend.tls: {mend} to cert"
            if self._tls is None and self._client is None:
                mend = "declare backend.tls: {ca: …, cert: …, key: …}, which a tls:// address takes"
            return (
                f"the scheduler at {self} and this process do not trust each other: {said(error)}; "
                f"{mend}"
            )
        return (
            f"no Dask scheduler answers at {self}: {said(error)}; start one there with "
            "`dask scheduler`, or correct backend.scheduler"
        )


def _abandon(client: Any) -> None:
    """End the thread of a client that could not connect, which Dask would keep."""
    with suppress(Exception):
        client.close(timeout=1)
    with suppress(Exception):
        client._loop_runner.stop()


def _causes(error: BaseException) -> list[BaseException]:
    causes = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    return causes


def said(error: BaseException) -> str:
    """Return what an error of Dask comes from, in one line without objects of Dask."""
    text = str(_causes(error)[-1]).partition("\n")[0]
    if text.startswith("in <"):
        text = text.partition(">: ")[2]
    return text or "nothing was heard"
