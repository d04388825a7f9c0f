"""Classes of a script or a cell arrive with their slots, and no code of theirs runs again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cases.conftest import Ran

MISSPELT = """
def misspelt(it):
    try:
        it.mispelt = 1
    except AttributeError:
        return "refused"
    return "taken"

"""


def test_slots_are_kept(run: Callable[..., Ran]) -> None:
    ran = run(
        MISSPELT
        + """
import weakref
from dataclasses import dataclass, field

class A:
    __slots__ = ("x", "__hidden")
    def __init__(self, x): self.x, self.__hidden = x, 5
    def hidden(self): return self.__hidden

@dataclass(slots=True)
class D: a: int; b: list = field(default_factory=list)

@dataclass(slots=True, weakref_slot=True, frozen=True)
class W: a: int = 3

class L(list): __slots__ = ("tag",)
class Named: __slots__ = {"x": "its documentation"}
class One: __slots__ = "only"
class Iterated: __slots__ = iter(["x"])
class Open: __slots__ = ("x", "__dict__")

def look(it): return misspelt(it), hasattr(it, "__dict__")

if __name__ == "__main__":
    with P() as p:
        print([
            p.call(A, 1).x, p.call(A, 2).hidden(), p.call(look, A(1)),
            p.call(D, 1) == D(1), p.call(look, D(1)), p.call(lambda: D.__slots__),
            p.call(W, 1) == W(1), p.call(lambda w: weakref.ref(w)() is w, W()),
            p.call(misspelt, L()), p.call(look, Named()), p.call(lambda: Named.__slots__),
            p.call(look, One()), p.call(lambda: look(Iterated())), p.call(look, Open()),
        ])
"""
    )
    closed = ("refused", False)
    assert ran.value == [
        1, 5, closed, True, closed, ("a", "b"), True, True, "refused", closed,
        {"x": "its documentation"}, closed, closed, ("taken", True),
    ]  # fmt: skip


def test_hooks_of_subclasses_do_not_run_again(run: Callable[..., Ran]) -> None:
    ran = run(
        MISSPELT
        + """
import abc, typing

class B:
    known = {}
    def __init_subclass__(cls, arg, **more):
        super().__init_subclass__(**more)
        if cls.__name__ in B.known: raise ValueError(f"{cls.__name__} already exists")
        B.known[cls.__name__] = cls
        cls.arg = arg

class C(B, arg=1): pass
class Red(B, arg=2): __slots__ = ("shade",)

class S:
    __slots__ = ("z",)
    def __init_subclass__(cls): cls.seen = getattr(cls, "seen", 0) + 1
class T(S): __slots__ = ("y",)
class U(S): pass

class Failure(Exception):
    def __init_subclass__(cls, code): cls.code = code
class Grave(Failure, code=3): pass

class Shape(abc.ABC):
    def __init_subclass__(cls, sides): cls.sides = sides
    @abc.abstractmethod
    def area(self): ...
class Square(Shape, sides=4):
    def area(self): return 16

V = typing.TypeVar("V")
class Box(typing.Generic[V]):
    def __init_subclass__(cls, **more): super().__init_subclass__(); cls.more = more
class IntBox(Box[int], lid=True): pass

def go(red): return type(red) is Red and sorted(B.known)
def abstract():
    try: Shape()
    except TypeError: return True

if __name__ == "__main__":
    with P() as p:
        print([
            p.call(lambda: (C.arg, C.__bases__ == (B,), C.__mro__ == (C, B, object))),
            type(p.call(C)) is C, type(p.call(lambda red: red, Red())) is Red, p.call(go, Red()),
            B.known == {"C": C, "Red": Red},
            p.call(misspelt, T()), p.call(misspelt, U()), p.call(lambda: (T.seen, U.seen)),
            p.call(lambda: type("New", (U,), {}).seen),
            p.call(lambda: Grave.code), p.call(lambda s: (s.area(), s.sides), Square()),
            p.call(abstract), p.call(lambda: issubclass(int, Shape)),
            p.call(lambda: (IntBox.more, IntBox.__orig_bases__ == (Box[int],))),
        ])
"""
    )
    assert ran.value == [
        (1, True, True), True, True, ["C", "Red"], True, "refused", "taken", (1, 1), 2, 3,
        (16, 4), True, False, ({"lid": True}, True),
    ]  # fmt: skip


def test_metaclasses_and_descriptors_do_not_run_again(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        class Meta(type):
            made = []
            def __new__(meta, name, bases, names, *, tag):
                made = super().__new__(meta, name, bases, names)
                made.tag = tag
                Meta.made.append(name)
                return made
            def __init__(cls, name, bases, names, *, tag): super().__init__(name, bases, names)
            def __setattr__(cls, name, value):
                if name != "tag": raise TypeError(name)
                super().__setattr__(name, value)

        class M(metaclass=Meta, tag="t"):
            def seven(self): return 7

        class Field:
            named = 0
            def __set_name__(self, owner, name): self.name = name; Field.named += 1
            def __get__(self, it, owner): return self.name

        class Row: column = Field()

        if __name__ == "__main__":
            with P() as p:
                print([
                    p.call(lambda: (M.tag, M().seven(), Meta.made)), type(p.call(M)) is M,
                    p.call(lambda row: (row.column, Field.named), Row()),
                ])
        """
    )
    assert ran.value == [("t", 7, ["M"]), True, ("column", 1)]


def test_enumerations_keep_what_their_members_have(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        import enum

        class Planet(enum.Enum):
            EARTH = (1, 2); SAME = (1, 2); MARS = (3, 4)
            def __init__(self, mass, radius): self.mass = mass
            @property
            def weight(self): return self.mass * 10

        class Color(str, enum.Enum):
            RED = ("r", "Red")
            def __new__(cls, value, label):
                made = str.__new__(cls, value)
                made._value_, made.label = value, label
                return made

        class Mode(enum.Flag): READ = 1; WRITE = 2; BOTH = 3

        def planet(it):
            return (it.mass, it.weight, it is Planet.EARTH is Planet.SAME, Planet((3, 4)).name,
                    list(Planet.__members__))

        if __name__ == "__main__":
            with P() as p:
                print([
                    p.call(planet, Planet.EARTH), p.call(lambda: Planet.MARS) is Planet.MARS,
                    p.call(lambda it: (it.label, it == "r", Color("r") is it), Color.RED),
                    p.call(lambda it: (it | Mode.WRITE) is Mode.BOTH, Mode.READ),
                ])
        """
    )
    assert ran.value == [
        (1, 10, True, "MARS", ["EARTH", "SAME", "MARS"]), True, ("Red", True, True), True,
    ]  # fmt: skip


def test_an_override_that_is_another_bases_value(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        class Root: x = 1
        class First(Root): pass
        class Second: x = 2
        class Both(First, Second): x = Second.x

        if __name__ == "__main__":
            with P() as p:
                print(p.call(lambda: Both.x))
        """
    )
    assert ran.value == 2


def test_classes_that_typing_makes(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        import typing

        class Pair(typing.NamedTuple): a: int; b: str = "x"
        class Options(typing.TypedDict): a: int
        @typing.runtime_checkable
        class Runs(typing.Protocol):
            def run(self) -> int: ...
        class Runner(Runs):
            def run(self): return 3

        if __name__ == "__main__":
            with P() as p:
                print([
                    p.call(Pair, 1) == Pair(1), p.call(lambda pair: pair._replace(a=2).b, Pair(1)),
                    p.call(lambda: Options(a=1)),
                    p.call(lambda it: (it.run(), isinstance(it, Runs)), Runner()),
                    p.call(isinstance, 3, Runs),
                ])
        """
    )
    assert ran.value == [True, "x", {"a": 1}, (3, True), False]


def test_a_class_that_is_changed_is_sent_as_it_is_now(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        class Settings: level = 1
        def level(): return Settings.level

        if __name__ == "__main__":
            with P() as p:
                before = p.call(level)
                Settings.level = 2
                print([before, p.call(level)])
        """
    )
    assert ran.value == [1, 2]


def test_a_class_whose_attributes_cannot_be_pickled(run: Callable[..., Ran]) -> None:
    ran = run(
        """
        import threading

        def base(): return 40

        class Counter:
            lock = threading.Lock()
            start = base()
            def up(self):
                with self.lock: return Counter.start + other()

        def other(): return 2 if Counter else 3

        if __name__ == "__main__":
            with P() as p:
                print([p.call(lambda: Counter().up()), type(p.call(Counter)) is Counter])
        """
    )
    assert ran.value == [42, True]


def test_structs_of_msgspec(run: Callable[..., Ran]) -> None:
    pytest.importorskip("msgspec")
    ran = run(
        """
        import msgspec

        class S(msgspec.Struct):
            a: str
            b: int = 4
            def up(self): return self.a.upper() + mark()
        class Tagged(S, frozen=True, tag="two"): c: float = 1.5
        Made = msgspec.defstruct("Made", ["a"])
        def mark(): return "!" + S.__name__

        if __name__ == "__main__":
            with P() as p:
                print([
                    p.call(S, "a") == S("a"), type(p.call(S, "a")) is S,
                    p.call(lambda s: (s.up(), s.b), S("x")), p.call(Tagged, "a") == Tagged("a"),
                    p.call(lambda s: msgspec.json.encode(s), Tagged("x")), p.call(Made, 1).a,
                ])
        """
    )
    encoded = b'{"type":"two","a":"x","b":4,"c":1.5}'
    assert ran.value == [True, True, ("X!S", 4), True, encoded, 1]


@pytest.mark.parametrize("future", ["", "from __future__ import annotations"])
def test_declared_classes_of_sqlalchemy(run: Callable[..., Ran], future: str) -> None:
    pytest.importorskip("sqlalchemy")
    ran = run(
        f"""
        import sqlalchemy
        from sqlalchemy.orm import DeclarativeBase, Mapped, declarative_base, mapped_column
        {future and "annotations = __import__('__future__').annotations"}

        class Base(DeclarativeBase): pass
        class User(Base):
            __tablename__ = "user"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str]
            def hello(self): return "hello " + self.name

        Old = declarative_base()
        class Item(Old):
            __tablename__ = "item"
            id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)
            name = sqlalchemy.Column(sqlalchemy.String)

        if __name__ == "__main__":
            with P() as p:
                print([
                    p.call(lambda: User(name="bob").hello()), p.call(User, name="x").name,
                    p.call(lambda user: user.hello(), User(name="al")),
                    type(p.call(User, name="x")) is User,
                    p.call(Item, name="y").name, p.call(lambda: Item.__table__.name),
                ])
        """
    )
    assert ran.value == ["hello bob", "x", "hello al", True, "y", "item"]


def test_classes_of_attrs_ctypes_and_pydantic(run: Callable[..., Ran]) -> None:
    pytest.importorskip("attr")
    ran = run(
        """
        import attr, ctypes, pydantic

        @attr.define
        class Slim: a: int; b: str = "q"

        class Point(ctypes.Structure): _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_int)]

        class Model(pydantic.BaseModel):
            a: int
            b: str = "z"
            @pydantic.field_validator("a")
            @classmethod
            def not_negative(cls, value):
                if value < 0: raise ValueError("negative")
                return value
        class Sub(Model):
            c: list[Model] = []
            _private: int = 5

        def refused():
            try: Model(a=-1)
            except pydantic.ValidationError: return True

        if __name__ == "__main__":
            with P() as p:
                print([
                    p.call(Slim, 1) == Slim(1), p.call(lambda it: hasattr(it, "__dict__"), Slim(2)),
                    p.call(lambda: Point(1, 2).y), p.call(Model, a=1) == Model(a=1),
                    p.call(lambda it: it.model_dump(), Sub(a=2, c=[Model(a=1)])),
                    p.call(refused), p.call(Sub, a=1)._private,
                ])
        """
    )
    dumped = {"a": 2, "b": "z", "c": [{"a": 1, "b": "z"}]}
    assert ran.value == [True, False, 2, True, dumped, True, 5]
