"""C's own `stdout`, whose buffer may hold what C code has printed, unseen by Python."""

from __future__ import annotations

_UNBUFFERED = 2  # _IONBF


def unbuffer_c_stdout() -> None:
    """Flush C's `stdout`, and let it buffer nothing from now on.

    It uses `_ctypes`: importing `ctypes` takes a third of a bare interpreter's time to start.
    """
    try:
        import _ctypes

        class Function(_ctypes.CFuncPtr):
            _flags_ = _ctypes.FUNCFLAG_CDECL

        class Pointer(_ctypes._SimpleCData):  # type: ignore[type-arg]
            _type_ = "P"

        library = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]
        stdout = Pointer.from_address(_ctypes.dlsym(library, "stdout"))
        Function(_ctypes.dlsym(library, "fflush"))(stdout)
        Function(_ctypes.dlsym(library, "setvbuf"))(stdout, None, _UNBUFFERED, 0)
    except (ImportError, AttributeError, OSError):
        pass  # no such C library: its output comes when its buffer is full
