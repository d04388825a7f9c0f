"""The two forms in which pools take work, for type checkers.

A pool of functions takes the function first, and a checker compares the arguments with that one's
parameters. Other pools take data. Which of these a pool is, no type says, so both forms are there.
Nothing in here exists at run time but these classes, which nobody imports then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Protocol, TypeVar, overload

from processpool.api.journal_options import JournalKeywords

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
P = ParamSpec("P")
R = TypeVar("R")

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        Callable,
        Coroutine,
        Generator,
        Iterable,
        Mapping,
    )
    from os import PathLike
    from types import EllipsisType
    from typing import TypeAlias, Unpack

    from processpool.api.futures import PoolFuture
    from processpool.api.outcomes import Outcomes
    from processpool.core.outcome import Outcome

    Data: TypeAlias = str | bytes | float | PathLike[Any] | Mapping[Any, Any] | Iterable[Any] | None
    """What the first of several arguments of a handler usually is, and no function ever."""
    Source: TypeAlias = Iterable[A] | AsyncIterable[A]
    OnError: TypeAlias = Literal["raise", "return", "skip"]
    Keeps: TypeAlias = Literal["raise", "skip"]


class MapKeywords(JournalKeywords, total=False):
    """The keywords of all maps, besides `details` and `on_error`."""

    timeout: float | str | EllipsisType | None
    chunksize: int | None
    priority: int | EllipsisType
    journal: str | PathLike[str] | None


class EagerKeywords(MapKeywords, total=False):
    """Those of `map`."""

    progress: bool | str
    echo: bool


class LazyKeywords(EagerKeywords, total=False):
    """Those of `imap` and `imap_unordered`."""

    buffersize: int | None


class AsyncKeywords(MapKeywords, total=False):
    """Those of `aimap`."""

    buffersize: int | None


class Call(Protocol):
    """`call`: a function with its arguments, or a message."""

    @overload
    def __call__(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, message: object, /) -> Any: ...
    @overload
    def __call__(self, first: Data = ..., /, *others: object, **by_name: object) -> Any: ...


class AsyncCall(Protocol):
    """`acall`."""

    @overload
    def __call__(
        self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, R]: ...
    @overload
    def __call__(self, message: object, /) -> Coroutine[Any, Any, Any]: ...
    @overload
    def __call__(
        self, first: Data = ..., /, *others: object, **by_name: object
    ) -> Coroutine[Any, Any, Any]: ...


class Submit(Protocol):
    """`submit`."""

    @overload
    def __call__(
        self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> PoolFuture[R]: ...
    @overload
    def __call__(self, message: object, /) -> PoolFuture[Any]: ...
    @overload
    def __call__(
        self, first: Data = ..., /, *others: object, **by_name: object
    ) -> PoolFuture[Any]: ...


class Map(Protocol):
    """`map`: a function with its iterables, or iterables of data."""

    @overload
    def __call__(
        self,
        f: Callable[[A], R],
        items: Iterable[A],
        /,
        *,
        details: Literal[False] = ...,
        on_error: Keeps = ...,
        **options: Unpack[EagerKeywords],
    ) -> list[R]: ...
    @overload
    def __call__(
        self,
        f: Callable[[A], R],
        items: Iterable[A],
        /,
        *,
        details: Literal[True],
        on_error: OnError = ...,
        **options: Unpack[EagerKeywords],
    ) -> Outcomes: ...
    @overload
    def __call__(
        self,
        f: Callable[[A, B], R],
        a: Iterable[A],
        b: Iterable[B],
        /,
        *,
        details: Literal[False] = ...,
        on_error: Keeps = ...,
        **options: Unpack[EagerKeywords],
    ) -> list[R]: ...
    @overload
    def __call__(
        self,
        f: Callable[..., R],
        a: Iterable[Any],
        b: Iterable[Any],
        c: Iterable[Any],
        /,
        *more: Iterable[Any],
        details: Literal[False] = ...,
        on_error: Keeps = ...,
        **options: Unpack[EagerKeywords],
    ) -> list[R]: ...
    @overload
    def __call__(
        self,
        f: Callable[..., R],
        a: Iterable[Any],
        /,
        *more: Iterable[Any],
        details: Literal[False] = ...,
        on_error: Literal["return"],
        **options: Unpack[EagerKeywords],
    ) -> list[R | Exception]: ...
    @overload
    def __call__(
        self,
        items: Iterable[Any],
        /,
        *more: Iterable[Any],
        details: Literal[False] = ...,
        on_error: OnError = ...,
        **options: Unpack[EagerKeywords],
    ) -> list[Any]: ...
    @overload
    def __call__(
        self,
        items: Iterable[Any],
        /,
        *more: Iterable[Any],
        details: Literal[True],
        on_error: OnError = ...,
        **options: Unpack[EagerKeywords],
    ) -> Outcomes: ...
    @overload
    def __call__(
        self,
        f: Callable[..., Any],
        a: Iterable[Any],
        b: Iterable[Any],
        /,
        *more: Iterable[Any],
        details: Literal[True],
        on_error: OnError = ...,
        **options: Unpack[EagerKeywords],
    ) -> Outcomes: ...


class LazyMap(Protocol):
    """`imap` and `imap_unordered`."""

    @overload
    def __call__(
        self,
        f: Callable[[A], R],
        items: Iterable[A],
        /,
        *,
        details: Literal[False] = ...,
        on_error: Keeps = ...,
        **options: Unpack[LazyKeywords],
    ) -> Generator[R]: ...
    @overload
    def __call__(
        self,
        f: Callable[[A], R],
        items: Iterable[A],
        /,
        *,
        details: Literal[True],
        on_error: OnError = ...,
        **options: Unpack[LazyKeywords],
    ) -> Generator[Outcome]: ...
    @overload
    def __call__(
        self,
        f: Callable[[A, B], R],
        a: Iterable[A],
        b: Iterable[B],
        /,
        *,
        details: Literal[False] = ...,
        on_error: Keeps = ...,
        **options: Unpack[LazyKeywords],
    ) -> Generator[R]: ...
    @overload
    def __call__(
        self,
        f: Callable[..., R],
        a: Iterable[Any],
        b: Iterable[Any],
        c: Iterable[Any],
        /,
        *more: Iterable[Any],
        details: Literal[False] = ...,
        on_error: Keeps = ...,
        **options: Unpack[LazyKeywords],
    ) -> Generator[R]: ...
    @overload
    def __call__(
        self,
        f: Callable[..., R],
        a: Iterable[Any],
        /,
        *more: Iterable[Any],
        details: Literal[False] = ...,
        on_error: Literal["return"],
        **options: Unpack[LazyKeywords],
    ) -> Generator[R | Exception]: ...
    @overload
    def __call__(
        self,
        items: Iterable[Any],
        /,
        *more: Iterable[Any],
        details: Literal[False] = ...,
        on_error: OnError = ...,
        **options: Unpack[LazyKeywords],
    ) -> Generator[Any]: ...
    @overload
    def __call__(
        self,
        items: Iterable[Any],
        /,
        *more: Iterable[Any],
        details: Literal[True],
        on_error: OnError = ...,
        **options: Unpack[LazyKeywords],
    ) -> Generator[Outcome]: ...
    @overload
    def __call__(
        self,
        f: Callable[..., Any],
        a: Iterable[Any],
        b: Iterable[Any],
        /,
        *more: Iterable[Any],
        details: Literal[True],
        on_error: OnError = ...,
        **options: Unpack[LazyKeywords],
    ) -> Generator[Outcome]: ...


class AsyncMap(Protocol):
    """`aimap`, whose input may be asynchronous, too."""

    @overload
    def __call__(
        self,
        f: Callable[[A], R],
        items: Source[A],
        /,
        *,
        details: Literal[False] = ...,
        on_error: Keeps = ...,
        **options: Unpack[AsyncKeywords],
    ) -> AsyncGenerator[R]: ...
    @overload
    def __call__(
        self,
        f: Callable[[A], R],
        items: Source[A],
        /,
        *,
        details: Literal[True],
        on_error: OnError = ...,
        **options: Unpack[AsyncKeywords],
    ) -> AsyncGenerator[Outcome]: ...
    @overload
    def __call__(
        self,
        f: Callable[[A, B], R],
        a: Source[A],
        b: Source[B],
        /,
        *,
        details: Literal[False] = ...,
        on_error: Keeps = ...,
        **options: Unpack[AsyncKeywords],
    ) -> AsyncGenerator[R]: ...
    @overload
    def __call__(
        self,
        f: Callable[..., R],
        a: Source[Any],
        b: Source[Any],
        c: Source[Any],
        /,
        *more: Source[Any],
        details: Literal[False] = ...,
        on_error: Keeps = ...,
        **options: Unpack[AsyncKeywords],
    ) -> AsyncGenerator[R]: ...
    @overload
    def __call__(
        self,
        f: Callable[..., R],
        a: Source[Any],
        /,
        *more: Source[Any],
        details: Literal[False] = ...,
        on_error: Literal["return"],
        **options: Unpack[AsyncKeywords],
    ) -> AsyncGenerator[R | Exception]: ...
    @overload
    def __call__(
        self,
        items: Source[Any],
        /,
        *more: Source[Any],
        details: Literal[False] = ...,
        on_error: OnError = ...,
        **options: Unpack[AsyncKeywords],
    ) -> AsyncGenerator[Any]: ...
    @overload
    def __call__(
        self,
        items: Source[Any],
        /,
        *more: Source[Any],
        details: Literal[True],
        on_error: OnError = ...,
        **options: Unpack[AsyncKeywords],
    ) -> AsyncGenerator[Outcome]: ...
    @overload
    def __call__(
        self,
        f: Callable[..., Any],
        a: Source[Any],
        b: Source[Any],
        /,
        *more: Source[Any],
        details: Literal[True],
        on_error: OnError = ...,
        **options: Unpack[AsyncKeywords],
    ) -> AsyncGenerator[Outcome]: ...
