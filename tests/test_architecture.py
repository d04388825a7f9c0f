"""The rules of the house, checked: which room may import which, and how large things may be.

Imports are read from the source, those for type checkers and those inside functions included. What
does not hold yet is listed beside its rule; an entry that is no longer needed fails the test too.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PACKAGE = "processpool"
FRONT_DOOR = "__init__"

FLOORS = (
    ("__main__", "joblib", "testing", "pytest_plugin"),
    (FRONT_DOOR,),
    ("cli", "widget", "tracing", "report", "executors", "otel", "prometheus"),
    ("api",),
    ("factory",),
    ("backends",),
    ("config", "engine", "journal"),
    ("core",),
    ("worker",),
    ("wire",),
    ("system",),
    ("errors",),
)
"""The rooms from the top to the bottom; those beside each other import one another just as little
as they import what is above them."""
LEAVES = FLOORS[2]
SEAM = "engine.backend"
"""All that the rooms above an engine know of it."""
PURE_ROOMS = ("config", "core", "journal", "wire", "system")
"""Rooms whose tests stand in a folder of the same name."""
PROCESS_TESTS = ("browser", "cases", "cluster", "contract", "faults", "process", "stress")
"""Folders of tests that start real processes, of whatever room."""
CONFIG_LIBRARIES = {"pydantic", "pydantic_core", "yaml"}
EFFECTS = {
    "asyncio", "concurrent", "fcntl", "io", "logging", "mmap", "multiprocessing", "os", "pathlib",
    "pickle", "random", "select", "selectors", "shutil", "signal", "socket", "subprocess",
    "tempfile", "threading", "time",
}  # fmt: skip
"""Modules of the standard library for I/O, clocks, threads and processes."""
HEAVY = {
    "anywidget", "asyncio", "concurrent", "cloudpickle", "ctypes", "dataclasses", "importlib",
    "inspect", "ipywidgets", "json", "logging", "multiprocessing", "numpy", "pathlib", "pickle",
    "psutil", "pydantic", "random", "re", "shutil", "subprocess", "tempfile", "threading",
    "traceback", "typing", "yaml",
}  # fmt: skip
"""Modules that a worker must not wait for while it starts."""
MOST_LINES_OF_A_MODULE = 400
MOST_LINES_OF_A_CLASS = 250


@dataclass(frozen=True)
class Import:
    """One imported module, and how it is imported."""

    by: str
    module: str
    lazy: bool
    """Inside a function: only when that is called."""
    for_types: bool
    """Only for type checkers."""


@dataclass(frozen=True)
class Module:
    """One module of the package."""

    name: str
    """Without the package's: `engine.local`; the package's own is `__init__`."""
    path: Path
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"


@cache
def modules() -> dict[str, Module]:
    """All modules of the package, by name."""
    top = ROOT / "src" / PACKAGE
    found = {}
    for path in sorted(top.rglob("*.py")):
        parts = list(path.relative_to(top).with_suffix("").parts)
        if parts[-1] == "__init__" and len(parts) > 1:
            parts.pop()
        name = ".".join(parts)
        found[name] = Module(name, path, ast.parse(path.read_text()))
    return found


@cache
def imports() -> tuple[Import, ...]:
    """All imports of the package."""
    return tuple(found for module in modules().values() for found in _imports_of(module))


def _imports_of(module: Module) -> Iterator[Import]:
    def visit(node: ast.AST, *, lazy: bool, for_types: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            inside = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            types = for_types or (isinstance(child, ast.If) and "TYPE_CHECKING" in _names(child))
            for target in _targets(child):
                yield Import(module.name, target, inside, types)
            yield from visit(child, lazy=inside, for_types=types)

    yield from visit(module.tree, lazy=False, for_types=False)


def _named_late(module: Module) -> set[tuple[str, str]]:
    """The names that a module has by `late`, with the modules that define them."""
    calls = [
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "late"
    ]
    return {
        (_inside(home), name)
        for call in calls
        for home, names in ast.literal_eval(call.args[1]).items()
        for name in names.split()
    }


def _names(node: ast.If) -> set[str]:
    return {found.id for found in ast.walk(node.test) if isinstance(found, ast.Name)}


def _targets(node: ast.AST) -> Iterator[str]:
    """The modules that a statement imports, those of the package without its name."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield _inside(alias.name)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        base = node.module or ""
        for alias in node.names:
            whole = _inside(f"{base}.{alias.name}")
            yield whole if whole in modules() else _inside(base)


def _inside(name: str) -> str:
    if name == PACKAGE:
        return FRONT_DOOR
    return name.removeprefix(f"{PACKAGE}.")


def inner_imports() -> Iterator[Import]:
    """Imports of one module of the package by another."""
    return (found for found in imports() if found.module in modules() and found.by != found.module)


def room_of(name: str) -> str:
    return name.partition(".")[0]


def check(found: set[str], known: set[str], rule: str) -> None:
    """Nothing breaks the rule but what is known to, and all of that still does."""
    assert found <= known, f"{rule}:\n" + "\n".join(sorted(found - known))
    assert known <= found, "no longer an exception, so take it out of the list:\n" + "\n".join(
        sorted(known - found)
    )


class TestRooms:
    def test_every_module_is_in_a_room(self) -> None:
        rooms = {room for floor in FLOORS for room in floor}
        assert {module.room for module in modules().values()} == rooms

    def test_imports_go_down(self) -> None:
        floor_of = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
        found = {
            f"{one.by} imports {one.module}"
            for one in inner_imports()
            if room_of(one.by) != room_of(one.module)
            and floor_of[room_of(one.by)] >= floor_of[room_of(one.module)]
        }
        check(found, IMPORTS_UP, "a room imports what is above or beside it")

    def test_no_modules_import_each_other(self) -> None:
        found = {" ".join(sorted(circle)) for circle in _circles()}
        check(found, CIRCLES, "modules import each other")

    def test_the_factory_alone_joins_configuration_and_engine(self) -> None:
        of_config, of_engine = (
            {
                one.by
                for one in inner_imports()
                if room_of(one.module) == room and one.module != SEAM
            }
            for room in ("config", "engine")
        )
        found = {
            name for name in of_config & of_engine if room_of(name) not in ("config", "engine")
        }
        check(found, {"factory"}, "knows both the configuration and an engine")

    def test_an_engine_is_known_by_its_backend(self) -> None:
        found = {
            f"{one.by} imports {one.module}"
            for one in inner_imports()
            if room_of(one.by) not in ("engine", "backends", "factory")
            and room_of(one.module) == "engine"
            and one.module != SEAM
        }
        check(found, BEYOND_THE_SEAM, "knows more of an engine than its backend")

    def test_leaves_touch_nothing_private_of_other_rooms(self) -> None:
        found = {
            f"{module.name}: {what}"
            for module in modules().values()
            if module.room in LEAVES
            for what in _foreign_privates(module)
        }
        check(found, PRIVATES_IN_LEAVES, "a leaf uses what is private elsewhere")


class TestWhatRoomsMayImport:
    def test_the_configuration_libraries_stay_there(self) -> None:
        found = {
            f"{one.by} imports {one.module}"
            for one in imports()
            if room_of(one.module) in CONFIG_LIBRARIES and room_of(one.by) != "config"
        }
        known = {"cli.app imports yaml", "cli.summary imports pydantic"}
        check(found, known, "belongs into config/")

    def test_core_has_no_effects(self) -> None:
        found = _outside("core", EFFECTS)
        check(found, EFFECTS_IN_CORE, "core/ decides, and does nothing")

    def test_core_knows_nothing_of_the_system(self) -> None:
        found = {
            f"{one.by} imports {one.module}"
            for one in inner_imports()
            if room_of(one.by) == "core" and room_of(one.module) in ("system", "worker", "wire")
        }
        check(found, CORE_ON_THE_SYSTEM, "core/ knows only its own facts")

    def test_wire_does_no_io(self) -> None:
        effects = EFFECTS - {"io", "mmap", "pickle"}  # bytes in memory
        found = _outside("wire", effects)
        check(found, EFFECTS_IN_WIRE, "wire/ turns bytes into messages, and does nothing else")

    def test_a_worker_starts_on_little(self) -> None:
        found = set()
        for name in _loaded_by("worker.bootstrap"):
            found |= {
                f"{one.by} imports {one.module}"
                for one in imports()
                if one.by == name and not one.lazy and not one.for_types
                if room_of(one.module) in HEAVY
            }
        check(found, HEAVY_IN_WORKERS, "a Python worker has to wait for it")

    def test_a_worker_takes_only_what_is_below_it(self) -> None:
        rooms = {room_of(name) for name in _loaded_by("worker.bootstrap")}
        assert rooms <= {FRONT_DOOR, "worker", "wire", "system", "errors"}

    def test_what_comes_late_is_imported_for_type_checkers(self) -> None:
        for module in modules().values():
            named = _named_late(module)
            for_types = {
                (_inside(node.module or ""), alias.name)
                for block in ast.walk(module.tree)
                if isinstance(block, ast.If) and "TYPE_CHECKING" in _names(block)
                for node in ast.walk(block)
                if isinstance(node, ast.ImportFrom)
                for alias in node.names
            }
            assert named <= for_types, f"{module.name}: {named - for_types}"

    def test_importing_the_package_loads_nothing_else(self) -> None:
        assert _loaded_by(FRONT_DOOR) == {FRONT_DOOR}


class TestStates:
    def test_a_state_changes_by_its_table(self) -> None:
        found = {
            f"{module.name}: {ast.unparse(node)}"
            for module in modules().values()
            if module.room in ("core", "engine", "api")
            for function in ast.walk(module.tree)
            if isinstance(function, ast.FunctionDef) and function.name != "__init__"
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and _changes_a_state(node)
        }
        check(found, INLINED_STEPS, "changes a state without its table")


class TestSizes:
    def test_modules(self) -> None:
        found = {
            module.name
            for module in modules().values()
            if len(module.path.read_text().splitlines()) > MOST_LINES_OF_A_MODULE
        }
        check(found, LONG_MODULES, f"longer than {MOST_LINES_OF_A_MODULE} lines")

    def test_classes(self) -> None:
        found = {
            f"{module.name}.{node.name}"
            for module in modules().values()
            for node in ast.walk(module.tree)
            if isinstance(node, ast.ClassDef) and _lines(node) > MOST_LINES_OF_A_CLASS
        }
        check(found, LONG_CLASSES, f"longer than {MOST_LINES_OF_A_CLASS} lines")


class TestWords:
    def test_every_public_name_is_documented(self) -> None:
        found = {
            f"{module.name}: {name}"
            for module in modules().values()
            for name in _undocumented(module.tree)
        }
        check(found, set(), "has no docstring")

    def test_every_public_constant_is_documented(self) -> None:
        found = {
            f"{module.name}: {name}"
            for module in modules().values()
            for name in _unexplained_constants(module.tree)
        }
        check(found, UNEXPLAINED_CONSTANTS, "no text below it, or below its group, says what it is")


class TestPaper:
    """ARCHITECTURE.md says what is there, and leaves nothing out."""

    paper = (ROOT / "ARCHITECTURE.md").read_text()

    def test_what_it_names_exists(self) -> None:
        rooms = "|".join(sorted({module.room for module in modules().values() if module.room}))
        named = set(re.findall(rf"(?<![\w/.])(?:{rooms})/[\w/]*(?:\.\w+)?", self.paper))
        named |= {f"{room}.py" for room in ("factory", "errors")}
        top = ROOT / "src" / PACKAGE
        missing = {
            name
            for name in named
            if not (top / name).exists() and not (top / f"{name}.py").exists()
        }
        assert not missing, f"ARCHITECTURE.md names what is not there: {sorted(missing)}"

    def test_every_file_has_its_line(self) -> None:
        top = ROOT / "src" / PACKAGE
        files = {
            module.path.relative_to(top).as_posix()
            for module in modules().values()
            if not module.is_package
        }
        missing = {file for file in files if f"| `{file}`" not in self.paper} - {"__main__.py"}
        assert not missing, f"give these a line in ARCHITECTURE.md: {sorted(missing)}"

    def test_the_methods_that_it_names_exist(self) -> None:
        defined = {
            node.name
            for module in modules().values()
            for node in ast.walk(module.tree)
            if isinstance(node, ast.ClassDef | ast.FunctionDef)
        }
        named = re.findall(r"`([A-Z]\w+)\.(\w+)`", self.paper)
        missing = {f"{one}.{two}" for one, two in named if not {one, two} <= defined}
        assert not missing, f"ARCHITECTURE.md names what is not there: {sorted(missing)}"


class TestTests:
    def test_tests_of_a_pure_room_stand_in_its_folder(self) -> None:
        found = set()
        for path in sorted((ROOT / "tests").rglob("test_*.py")):
            rooms = _rooms_tested(path) - {"errors"}
            folder = path.parent.relative_to(ROOT / "tests").as_posix()
            if folder in PROCESS_TESTS or len(rooms) != 1 or not rooms <= {*PURE_ROOMS}:
                continue
            if rooms != {folder}:
                found.add(path.relative_to(ROOT).as_posix())
        check(found, STRAY_TESTS, "tests one room only, and stands in another folder")

    @pytest.mark.parametrize("room", PURE_ROOMS)
    def test_a_folder_tests_its_room(self, room: str) -> None:
        for path in sorted((ROOT / "tests" / room).glob("test_*.py")):
            assert room in _rooms_tested(path), f"{path} tests nothing of {room}/"


def _circles() -> list[set[str]]:
    """The groups of modules that reach each other by imports."""
    below: dict[str, set[str]] = {name: set() for name in modules()}
    for one in inner_imports():
        below[one.by].add(one.module)
    reach = {name: _reachable(below, name) for name in below}
    seen: set[str] = set()
    circles = []
    for name in below:
        if name not in seen and name in reach[name]:
            circle = {other for other in reach[name] if name in reach[other]}
            circles.append(circle)
            seen |= circle
    return circles


def _reachable(below: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        for name in below[ahead.pop()] - seen:
            seen.add(name)
            ahead.append(name)
    return seen


def _loaded_by(name: str) -> set[str]:
    """The modules of the package that are loaded at once when this one is imported."""
    seen: set[str] = set()
    ahead = [name]
    while ahead:
        name = ahead.pop()
        if name in seen:
            continue
        seen.add(name)
        ahead += [FRONT_DOOR, *(parent for parent in _parents(name) if parent in modules())]
        ahead += [
            one.module
            for one in inner_imports()
            if one.by == name and not one.lazy and not one.for_types
        ]
    return seen


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def _outside(room: str, forbidden: set[str]) -> set[str]:
    return {
        f"{one.by} imports {one.module}"
        for one in imports()
        if room_of(one.by) == room and one.module not in modules() and not one.for_types
        if room_of(one.module.removeprefix("_")) in forbidden
    }


def _foreign_privates(module: Module) -> set[str]:
    """The private attributes that a module takes from others, and that its room does not define."""
    own = _private_names(module.room)
    imported = {room_of(one.module) for one in imports() if one.by == module.name}
    found = set()
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Attribute) or not _is_private(node.attr):
            continue
        is_own = isinstance(node.value, ast.Name) and node.value.id in {"self", *imported}
        if not is_own and node.attr not in own:
            found.add(node.attr)
    return found


@cache
def _private_names(room: str) -> set[str]:
    """What is private, and defined in this room."""
    names: set[str] = set()
    for module in modules().values():
        if module.room != room:
            continue
        for node in ast.walk(module.tree):
            match node:
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    names.add(name)
                case ast.Attribute(attr=name, ctx=ast.Store()) | ast.Name(id=name, ctx=ast.Store()):
                    names.add(name)
                case _:
                    pass
    return {name for name in names if _is_private(name)}


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("_")


def _changes_a_state(node: ast.Assign) -> bool:
    """True if a `.state` is set to anything but what a table of `core.states` says."""
    sets = any(isinstance(one, ast.Attribute) and one.attr == "state" for one in node.targets)
    asks = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) in (
        "after",
        "pool_after",
    )
    return sets and not asks


def _lines(node: ast.ClassDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _undocumented(node: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[str]:
    if not ast.get_docstring(node):
        yield prefix or "the module"
    for child in node.body:
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        name = f"{prefix}.{child.name}".lstrip(".")
        if child.name.startswith("_"):
            continue
        if isinstance(child, ast.ClassDef):
            yield from _undocumented(child, name)
        elif not ast.get_docstring(child) and not _is_told_elsewhere(child):
            yield name


def _is_told_elsewhere(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """True for overloads, setters, and what overrides a method that has a docstring."""
    decorators = map(ast.unparse, node.decorator_list)
    return any(one in ("overload", "override") or one.endswith(".setter") for one in decorators)


def _unexplained_constants(tree: ast.Module) -> Iterator[str]:
    """Public constants without a text right below them, or below the group that they stand in."""
    group: list[str] = []
    for statement in [*tree.body, ast.Pass()]:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if name.isupper() and len(name) > 1 and not _is_private(name):
                    group.append(name)
            case ast.Expr(value=ast.Constant()):
                group.clear()
            case _:
                yield from (name for name in group if name != "TYPE_CHECKING")
                group.clear()


def _rooms_tested(path: Path) -> set[str]:
    """The rooms that a test file imports from; the front door counts as one."""
    return {
        room_of(target)
        for node in ast.walk(ast.parse(path.read_text()))
        for target in _targets(node)
        if target in modules()
    }


# -- what does not hold yet, to be emptied -------------------------------------------------------

INLINED_STEPS = {
    "core.machine: self.state = self._table[self.state, event]",
    "engine.checkout: loan[0].owner.state = CALL",
    "engine.checkout: worker.owner.state = WARM",
    "engine.dispatcher: worker.listening.state = EXPECTING",
    "engine.receiver: worker.listening.state = SILENT",
}
"""Steps that every item goes, and where the state before them is known: no call is made for them.
The first one is the table itself."""
IMPORTS_UP: set[str] = set()
CIRCLES: set[str] = set()
BEYOND_THE_SEAM = {"executors.work imports engine.at_exit"}
PRIVATES_IN_LEAVES: set[str] = set()
EFFECTS_IN_CORE = {"core.replies imports pickle"}
CORE_ON_THE_SYSTEM = {
    "core.jobs imports system.interrupts",
    "core.replies imports system.interrupts",
    "core.replies imports wire.python.raised",
    "core.replies imports wire.python.remote_errors",
}
EFFECTS_IN_WIRE = {
    "wire.framing.template imports os",
    "wire.python.arena imports os",
    "wire.python.arena imports time",
    "wire.python.functions imports threading",
    "wire.python.functions imports time",
    "wire.python.journal imports os",
    "wire.python.layout imports _signal",
    "wire.python.main_source imports os",
    "wire.python.remote_errors imports threading",
    "wire.python.requests imports logging",
    "wire.python.requests imports os",
    "wire.python.source_files imports os",
    "wire.python.sources imports os",
    "wire.python.unfindable imports os",
}
HEAVY_IN_WORKERS: set[str] = set()
LONG_MODULES: set[str] = set()
LONG_CLASSES: set[str] = set()
STRAY_TESTS: set[str] = set()
UNEXPLAINED_CONSTANTS = {
    "core.states: POOL_TRANSITIONS",
    "core.states: TRANSITIONS",
    "system.interrupts: SHIELD",
    "system.limits: UNLIMITED",
}
