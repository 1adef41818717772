"""Imports point downwards only, from room to room, and never in a circle."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the ground up. A room imports itself and what stands before it.
ROOMS = [
    "errors",
    "extras",
    "settings",
    "terminal",
    "cores",
    "memory",
    "files",
    "progress",
    "metrics",
    "audio",
    "layers",
    "losses",
    "models",
    "stores",
    "synth.scores",
    "synth.playing",
    "synth.drawing",
    "data",
    "encoders",
    "catalogues",
    "matching",
    "evaluation",
    "training",
    "configs",
    "cli",
    "synth.sound",
    "server",
    "commands",
    "export",
    "benchmarks.common",
    "benchmarks.accuracy",
    "benchmarks.paper",
    "benchmarks.systems",
    "benchmarks.speed",
    "benchmarks",
]


def modules():
    """The file of each module, by dotted name."""
    found = {}
    for package in ("bytecover_tf", "export", "benchmarks"):
        for path in (ROOT / package).rglob("*.py"):
            if "examples" in path.parts:
                continue
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imported(name):
    """The modules that one imports, at its top or anywhere inside."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in MODULES else node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found & set(MODULES)


IMPORTS = {name: imported(name) for name in MODULES}


def room(name):
    """The room of a module; None for the package itself, which is in all of them."""
    package, *parts = name.split(".")
    if package == "benchmarks" and name not in ("benchmarks", "benchmarks.__main__"):
        return f"benchmarks.{parts[0]}"
    if package != "bytecover_tf":
        return package
    if not parts or parts == ["synth"]:
        return None
    for length in (2, 1):
        if ".".join(parts[:length]) in ROOMS:
            return ".".join(parts[:length])
    return "commands"


def test_every_room_is_in_the_order():
    folders = {
        ".".join(path.parent.relative_to(ROOT / "bytecover_tf").parts)
        for path in MODULES.values()
        if path.name == "__init__.py" and "bytecover_tf" in path.parts
    }
    assert folders - {"", "synth"} <= set(ROOMS)
    assert {room(name) for name in MODULES} - {None} == set(ROOMS)


def test_the_architecture_page_shows_the_rooms_in_their_order():
    page = (ROOT / "docs" / "architecture.md").read_text()
    shown = re.findall(r"^  ([\w/]+)/ ", page, re.M)
    folders = [
        name.replace(".", "/")
        for name in reversed(ROOMS)
        if (ROOT / "bytecover_tf" / name.replace(".", "/")).is_dir()
    ]
    assert shown == [*folders, "weights"]


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_point_downwards(name):
    if room(name) is None:
        assert not IMPORTS[name]
        return
    place = ROOMS.index(room(name))
    upwards = [
        other
        for other in IMPORTS[name]
        if room(other) is not None and ROOMS.index(room(other)) > place
    ]
    assert not upwards


@pytest.mark.parametrize("name", [n for n in sorted(MODULES) if room(n) == "commands"])
def test_no_command_imports_another(name):
    assert not [other for other in IMPORTS[name] if room(other) == "commands"]


@pytest.mark.parametrize(
    "name", [n for n in sorted(MODULES) if n.startswith("benchmarks.")]
)
def test_benchmarks_call_the_engines_of_commands(name):
    assert not [other for other in IMPORTS[name] if room(other) == "commands"]


def test_no_modules_import_each_other_in_a_circle():
    finished = set()

    def visit(name, path):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in finished:
            for other in sorted(IMPORTS[name]):
                visit(other, [*path, name])
            finished.add(name)

    for name in MODULES:
        visit(name, [])
