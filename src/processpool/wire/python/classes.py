"""Pickling of classes by value, without running any of the user's code again.

The effects that `__init_subclass__`, `__set_name__`, a metaclass or a decorator had when the class
statement ran are in the class's attributes, and travel with them. Running these hooks again would
have the effects twice: registries would reject a second class of the same name. It would also lack
the keyword arguments of the class statement. So a class is created by `type.__new__` alone, empty
except for its slots, and then given its attributes. This also breaks cycles, as methods refer to
their class.

A class that cannot be created this way, because its metaclass is written in C or its attributes
cannot be pickled, is declared again from its source; see `declarations`.
"""

from __future__ import annotations

from _abc import _abc_init  # type: ignore[import-not-found]
from _weakrefset import WeakSet
from abc import ABCMeta
from enum import Enum, EnumType
from types import GetSetDescriptorType, MemberDescriptorType

from cloudpickle import cloudpickle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    State = dict[str, Any]

_MADE_WITH_IT = (GetSetDescriptorType, MemberDescriptorType)
_NOT_ATTRIBUTES = frozenset({"__slots__", "_abc_impl"})
"""Entries of a class's dictionary that are created along with the class."""
_ANNOTATIONS = frozenset({"__annotate_func__", "__annotate__", "__annotations_cache__"})
"""The entries for annotations in Python 3.14, which refer to the class's dictionary itself."""
_ENUM_OWN = frozenset(
    {"_member_names_", "_member_map_", "_value2member_map_", "_generate_next_value_",
     "_member_type_", "_hashable_values_", "_unhashable_values_", "_unhashable_values_map_"}
)  # fmt: skip
"""Entries that the metaclass of enumerations creates from their members."""
_MEMBER_OWN = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_"})
_new: WeakSet[type] = WeakSet()
"""Classes that were created here and have no attributes yet."""
_LINE = "__firstlineno__"
"""An attribute of Python 3.13 that is removed when another one is set, so it is set last."""


def reduce_class(cls: type, fill: Callable[[type, State], None]) -> tuple[Any, ...]:
    """Return the reduction of a class, as for `__reduce__`.

    Args:
        cls: the class.
        fill: the function that sets the attributes in the reading process.
    """
    number = cloudpickle._get_or_create_tracker_id(cls)
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    if issubclass(cls, Enum):
        members = {name: member._value_ for name, member in cls.__members__.items()}
        enum = number, cls.__name__, cls.__bases__, names, members
        return make_enum, enum, _enum_state(cls), None, None, fill
    slots = _slots(cls)
    if slots is not None:
        names["__slots__"] = slots  # type: ignore[assignment]
    made = number, type(cls), cls.__name__, cls.__bases__, names
    return make_class, made, _state(cls), None, None, fill


def can_be_made(metaclass: type) -> bool:
    """Return whether `type.__new__` can create classes of this metaclass: it is not in C."""
    if metaclass is type or metaclass is ABCMeta or issubclass(metaclass, EnumType):
        return True
    try:
        type.__new__(metaclass, "probe", (), {})
    except TypeError:
        return False
    return True


def make_class(
    number: str, metaclass: type, name: str, bases: tuple[type, ...], names: dict[str, Any]
) -> type:
    """Return the class with this number in this process, or create it without attributes."""
    known: type | None = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(number)
    if known is not None:
        return known
    made = _make(lambda bases: type.__new__(metaclass, name, bases, dict(names)), bases)
    if issubclass(metaclass, ABCMeta):
        _abc_init(made)
    return track(number, made)


def make_enum(
    number: str,
    name: str,
    bases: tuple[type, ...],
    names: dict[str, Any],
    members: dict[str, Any],
) -> type:
    """As `make_class`, for enumerations, whose members only their metaclass can create."""
    known: type | None = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(number)
    if known is not None:
        return known
    metaclass = type(bases[-1])

    def make(bases: tuple[type, ...]) -> type:
        namespace = metaclass.__prepare__(name, bases)
        for key, value in {**names, **members}.items():
            namespace[key] = value
        made: type = metaclass.__new__(metaclass, name, bases, namespace)  # type: ignore[call-overload]
        return made

    return track(number, _make(make, bases))


def track(number: str, made: type) -> type:
    """Register a class that was created here under its number."""
    _new.add(made)
    tracked: type = cloudpickle._lookup_class_or_track(number, made)
    return tracked


def fill_class(made: type, state: State) -> None:
    """Set the attributes of a class; those of a class that was sent before are updated."""
    _new.discard(made)
    state = dict(state)
    line = state.pop(_LINE, None)
    for cls in state.pop("_abc_impl", ()):
        ABCMeta.register(made, cls)  # type: ignore[arg-type]
    for name, attributes in state.pop("_members_", {}).items():
        made[name].__dict__.update(attributes)  # type: ignore[index]
    for name, value in state.items():
        type.__setattr__(made, name, value)
    if line is not None:
        type.__setattr__(made, _LINE, line)


def is_new(made: type) -> bool:
    """Return whether a class was created here and has no attributes yet; True only once."""
    new = made in _new
    _new.discard(made)
    return new


def _make(make: Callable[[tuple[type, ...]], type], bases: tuple[type, ...]) -> type:
    """Create a class with these bases, without calling any `__init_subclass__`.

    `type.__new__` calls that of the first base that has one. So a base whose method does nothing
    is put first, and removed afterwards. CPython allows that only if both have the same layout.
    """
    if not any("__init_subclass__" in vars(kind) for base in bases for kind in base.__mro__[:-1]):
        return make(bases)
    made = make((_quiet(bases[0]), *bases))
    made.__bases__ = bases
    return made


def _quiet(base: type) -> type:
    """Return a class with an empty `__init_subclass__`, and the same instance layout as `base`."""
    while base.__base__ is not None and _layout(base) == _layout(base.__base__):
        base = base.__base__
    below = base.__base__ or object
    names = ("__dict__", base.__dictoffset__), ("__weakref__", base.__weakrefoffset__)
    had = {"__dict__": below.__dictoffset__, "__weakref__": below.__weakrefoffset__}
    slots = tuple(name for name, offset in names if offset and not had[name])
    namespace = {"__slots__": slots, "__init_subclass__": classmethod(_do_nothing)}
    return _make(lambda bases: type.__new__(type(below), "Quiet", bases, dict(namespace)), (below,))


def _do_nothing(cls: type, /, **keywords: Any) -> None:
    """Replace the `__init_subclass__` of the bases after it."""


def _layout(kind: type) -> tuple[int, int, int, int]:
    return kind.__basicsize__, kind.__itemsize__, kind.__dictoffset__, kind.__weakrefoffset__


def _slots(cls: type) -> tuple[str, ...] | None:
    """Return the slots of the class itself, by their names in its dictionary; None without any."""
    names = vars(cls)
    if "__slots__" not in names:
        return None
    return tuple(name for name, value in names.items() if _is_made(value, cls))


def _is_made(value: Any, cls: type) -> bool:
    """True for the descriptor of a slot of this class itself, or of `__dict__`, `__weakref__`."""
    return type(value) in _MADE_WITH_IT and value.__objclass__ is cls


def _state(cls: type) -> State:
    """Return the attributes of the class itself.

    All of them: even one that equals a base's may override another base's. The names are copied, so
    that the pickle does not depend on whether they are interned.
    """
    state = {
        "".join(name): value
        for name, value in sorted(vars(cls).items())
        if name not in _NOT_ATTRIBUTES and name not in _ANNOTATIONS and not _is_made(value, cls)
    }
    if "__slots__" in vars(cls):
        written = vars(cls)["__slots__"]
        known = isinstance(written, str | tuple | list | dict)
        state["__slots__"] = written if known else _slots(cls)
    if _ANNOTATIONS & vars(cls).keys():
        state["__annotations__"] = cls.__annotations__
    if isinstance(cls, ABCMeta):
        state["_abc_impl"] = [found for known in _registered(cls) if (found := known()) is not None]
    return state


def _registered(cls: type) -> Any:
    """Return weak references to the classes registered with an abstract class."""
    from _abc import _get_dump

    return sorted(_get_dump(cls)[0], key=lambda known: str(known()))


def _enum_state(cls: type[Enum]) -> State:
    """As `_state`, for enumerations, with the members' further attributes."""
    members = {
        name: {key: value for key, value in vars(member).items() if key not in _MEMBER_OWN}
        for name, member in cls.__members__.items()
    }
    state = {
        name: value
        for name, value in _state(cls).items()
        if name not in _ENUM_OWN and name not in members
    }
    return {**state, "_members_": {name: more for name, more in members.items() if more}}
