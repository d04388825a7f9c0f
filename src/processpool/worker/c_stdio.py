"""C's own `stdout`, whose buffer may contain output of C code that Python cannot see."""

from __future__ import annotations

_UNBUFFERED = 2  # _IONBF


def unbuffer_c_stdout() -> None:
    """Flush C's `stdout`, and make it unbuffered.

    This uses `_ctypes`, since importing `ctypes` takes a third as long as starting Python.
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
        pass  # no such C library: output appears when its buffer is full
