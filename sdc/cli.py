"""``sdc COMMAND --option value``: each command is ``run`` of the module of its name in ``sdc.stages`` or ``sdc.tools``.

Nothing is said twice: options are the parameters of ``run``, their types and limits its annotations (``sdc.limits``),
their help its docstring, whose example ends it. What is not allowed is refused in one line before any work, with status
2. All options of a stage have names; of a tool, those parameters that may be given by position are positional.
"""

import argparse
import ast
import importlib
import inspect
import itertools
import json
import logging
import os
import shutil
import sys
import textwrap
import time
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from sdc import __version__, completion, devices, registry
from sdc.docstrings import description, example, section, summary
from sdc.errors import SDCError
from sdc.limits import OUTPUT_FILE, OUTPUT_FOLDER, Range
from sdc.settings import as_json, choices
from sdc.storage import files

# Every command's module by its name, and what it is.
COMMANDS = {
    path.stem.replace("_", "-"): path
    for kind in ("stages", "tools")
    for path in sorted((Path(__file__).parent / kind).glob("*.py"))
    if path.stem != "__init__"
}
_log = logging.getLogger("sdc")


def overview() -> argparse.ArgumentParser:
    """The parser of ``sdc``, which lists all commands and knows no option of theirs."""
    parser = argparse.ArgumentParser("sdc", description="Unsupervised hashing of images, stage by stage.")
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "--print-completion",
        action=_Completion,
        choices=completion.SHELLS,
        help="print what completes words in a shell",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        commands.add_parser(name, help=_help(summary(_docstring(name))))
    return parser


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of a command, which imports its module and no other."""
    docstring = _docstring(command)
    parser = argparse.ArgumentParser(
        f"sdc {command}",
        description=textwrap.fill(description(docstring), shutil.get_terminal_size().columns - 2),
        epilog=f"example:\n{textwrap.indent(example(docstring), '  ')}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    helps = section(docstring, "Args")
    for parameter in _parameters(command):
        _add(parser, parameter, _help(helps[parameter.name]), positional=not _is_stage(command))
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0, or 2 after one line on what is wrong (1: a check found something).
    """
    command, *words = (sys.argv[1:] if arguments is None else arguments) or [""]
    if command not in COMMANDS:
        _without_command([command, *words])
    known = parser_of(command)
    _check_flags(known, words)
    options = vars(known.parse_args(words))
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    began = time.perf_counter()
    outputs = options.get("out") or []
    outputs = outputs if isinstance(outputs, list) else [outputs]
    try:
        for parameter in _parameters(command):
            _check(parameter, options[parameter.name])
        for parameter in _parameters(command) if options.get("on_error") != "skip" else ():
            _check_input(parameter, options[parameter.name])
        if _is_stage(command):
            _log.info("sdc %s %s %s", command, __version__, json.dumps(options, default=str))
        with files.guarding(outputs):
            status = _module(command).run(**options)
    except (SDCError, OSError) as error:
        _log.error("sdc %s: error: %s", command, " ".join(str(error).split()))
        return 2
    if _is_stage(command):
        peak = devices.peak_bytes()
        memory = "" if peak is None else f", {peak / 1e6:.0f} MB of memory at most"
        _log.info("done in %.2f s%s: %s", time.perf_counter() - began, memory, " ".join(map(str, outputs)))
    return status or 0


def _without_command(words: Sequence[str]) -> NoReturn:
    """Print the help, the version or the like, or say what is no command; and exit."""
    general = overview()
    if words[0] and not words[0].startswith("-"):
        general.error(f"{words[0]!r} is no command; {choices(words[0], COMMANDS)}")
    _check_flags(general, words)
    general.parse_args(list(filter(None, words)))
    general.error("the command comes first")


def _check_flags(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Refuse an unknown option by name, before anything else is missed in its place."""
    flags = [flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")]
    for word in itertools.takewhile(lambda word: word != "--", words):
        name = word.partition("=")[0]
        if name.startswith("--") and " " not in word and not any(flag.startswith(name) for flag in flags):
            parser.error(f"{name} is no option; {choices(name, flags)}")


class _Completion(argparse.Action):
    """Print the script of a shell, and exit."""

    def __call__(self, parser: argparse.ArgumentParser, _: Any, shell: Any, __: str | None = None) -> None:
        """Print it; argparse's line and status 2 if it cannot be made."""
        names = {"dataset": registry.DATASETS, "name": registry.DATASETS}
        names |= {"backbone": registry.BACKBONES, "method": registry.METHODS}
        commands = {name: parser_of(name) for name in COMMANDS}
        try:
            print(completion.script(parser, commands, {key: [*known] for key, known in names.items()}, shell))
        except SDCError as error:
            parser.error(str(error))
        parser.exit()


def _docstring(command: str) -> str | None:
    """Of its ``run``; its module is not imported, which would take longer than reading its file."""
    tree = ast.parse(COMMANDS[command].read_text(encoding="utf-8"))
    return ast.get_docstring(
        next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run")
    )


def _is_stage(command: str) -> bool:
    return COMMANDS[command].parent.name == "stages"


def _module(command: str) -> Any:
    return importlib.import_module(f"sdc.{COMMANDS[command].parent.name}.{COMMANDS[command].stem}")


def _parameters(command: str) -> list[inspect.Parameter]:
    return list(inspect.signature(_module(command).run, eval_str=True).parameters.values())


def _check(parameter: inspect.Parameter, value: Any) -> None:
    """Check the value of an option by the parameter's type; and of a file to write, whether it can be."""
    flag, hints = _flag(parameter), list(_leaves(parameter.annotation))
    values = value if isinstance(value, list) else [value]
    texts = [str(each) if isinstance(each, Path) else each for each in values]
    as_json({flag: texts if isinstance(value, list) else texts[0]})
    kinds = (dict, type(None)) if type(None) in hints else dict
    if any(typing.get_origin(hint) is Mapping for hint in hints) and not isinstance(value, kinds):
        raise SDCError(f"{flag}: {json.dumps(value)} is not allowed; give a JSON object, such as {{}}")
    for note, each in itertools.product(itertools.chain.from_iterable(map(_notes, hints)), values):
        if isinstance(note, Range) and isinstance(each, int) and not note.holds(each):
            raise SDCError(f"{flag}: {each} is not allowed; give {note}")
        if note in (OUTPUT_FILE, OUTPUT_FOLDER) and each is not None:
            _check_output(flag, each / "file" if note == OUTPUT_FOLDER else each)


def _check_input(parameter: inspect.Parameter, value: Any) -> None:
    """Check that files to read are there; those to write are annotated."""
    for path in value if isinstance(value, list) else [value]:
        if Path in _leaves(parameter.annotation) and path is not None and not path.exists():
            raise files.missing(path)


def _check_output(label: str, path: Path) -> None:
    if path.is_dir():
        raise SDCError(f"{label} {path}: is a folder; name a file")
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    if not folder.is_dir():
        raise SDCError(f"{label} {path}: {folder} is no folder; name another place")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SDCError(f"{label} {path}: {folder} cannot be written to; make it writable, or name another place")


def _help(text: str) -> str:
    """Text as argparse takes help: of two per cent signs it prints one."""
    return text.replace("%", "%%")


class _Once(argparse.Action):
    """Store a value, but not over another one."""

    given = False

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        """Store it; argparse's line and status 2 if there is one."""
        if self.given:
            raise argparse.ArgumentError(self, "is given twice; leave one out")
        self.given = True
        setattr(namespace, self.dest, values)


def _add(command: argparse.ArgumentParser, parameter: inspect.Parameter, text: str, positional: bool) -> None:
    """Add the option that a parameter is."""
    alternatives, optional = _alternatives(parameter.annotation), parameter.default is not parameter.empty
    default = parameter.default if optional else None
    optional |= type(None) in alternatives
    hints = [hint for hint in alternatives if hint is not type(None)]
    origin = typing.get_origin(hints[0])
    settings: dict[str, Any] = {"default": default}
    if hints == [bool]:
        settings["action"] = "store_true"
    elif origin is Mapping:
        settings |= {"type": _json, "metavar": "JSON", "default": dict(default or {})}
    elif origin is Sequence:
        settings |= {"nargs": "+" if default or not optional else "*", "default": list(default or ())}
        settings |= _value(list(_leaves(hints[0])))
    else:
        settings |= _value(hints)
    notes = [str(note) for hint in _leaves(parameter.annotation) for note in _notes(hint) if isinstance(note, Range)]
    if default not in (None, ()) and default is not False and not isinstance(default, Mapping):
        notes.append(f"default: {' '.join(map(str, default)) if isinstance(default, tuple) else default}")
    text += f" ({'; '.join(notes)})" * bool(notes)
    if positional and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
        settings = ({"nargs": "?"} if optional else {}) | settings
        command.add_argument(parameter.name, help=text, **settings)
    else:
        settings = {"action": _Once} | settings
        command.add_argument(_flag(parameter), dest=parameter.name, required=not optional, help=text, **settings)


def _flag(parameter: inspect.Parameter) -> str:
    """``--json`` for ``json_``: a name that ends in _ would hide a module. ``-k`` for ``k``."""
    return "-" * min(2, len(parameter.name)) + parameter.name.rstrip("_").replace("_", "-")


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _leaves(hint: Any) -> Iterator[Any]:
    """The types that one value may have: of a sequence, its items'."""
    for alternative in _alternatives(hint):
        if typing.get_origin(alternative) is Sequence:
            yield from _leaves(typing.get_args(alternative)[0])
        else:
            yield alternative


def _notes(hint: Any) -> tuple[Any, ...]:
    """What an annotated type says beside what it is."""
    return getattr(hint, "__metadata__", ())


def _value(hints: Sequence[Any]) -> dict[str, Any]:
    """What argparse is told of one value: words, a number or a word, or anything that is made of text."""
    (hint,), rest = hints[:1], hints[1:]
    if typing.get_origin(hint) is Literal:
        return {"choices": typing.get_args(hint)}
    if typing.get_origin(hint) is Annotated:
        hint = hint.__origin__
    words = typing.get_args(rest[0]) if rest else ()

    def convert(text: str) -> Any:
        if not text:
            raise argparse.ArgumentTypeError("is empty")
        return text if text in words else hint(text)

    convert.__name__ = " or ".join([hint.__name__, *words])
    return {"type": convert}


def _json(text: str) -> Any:
    def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if repeated := [key for key in keys if keys.count(key) > 1]:
            raise ValueError(f"key {repeated[0]!r} is there twice")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=without_repeats)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid JSON ({error})") from error
