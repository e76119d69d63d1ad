"""``sdc COMMAND --option value``: each command is ``run`` of the module of its name in ``sdc.stages`` or ``sdc.tools``.

Nothing is said twice: options are the parameters of ``run``, their types its annotations, their help its docstring. All
options of a stage have names; of a tool, those parameters that may be given by position are positional.
"""

import argparse
import ast
import importlib
import inspect
import json
import logging
import sys
import time
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from sdc import __version__
from sdc.docstrings import description, section, summary
from sdc.errors import SDCError

# Every command's module by its name, and what it is.
COMMANDS = {
    path.stem: path
    for kind in ("stages", "tools")
    for path in sorted((Path(__file__).parent / kind).glob("*.py"))
    if path.stem != "__init__"
}
_log = logging.getLogger("sdc")


def parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """The parser of ``sdc``; if it is to know the options of a chosen command, it knows no other command."""
    parser = argparse.ArgumentParser("sdc", description="Unsupervised hashing of images, stage by stage.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in [chosen] if chosen in COMMANDS else COMMANDS:
        # Only the chosen command is imported: a list of all of them takes no more than reading their files.
        tree = ast.parse(COMMANDS[name].read_text(encoding="utf-8"))
        run = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run")
        docstring = ast.get_docstring(run)
        command = commands.add_parser(name, help=_help(summary(docstring)), description=description(docstring))
        if name == chosen:
            helps = section(docstring, "Args")
            for parameter in inspect.signature(_module(name).run, eval_str=True).parameters.values():
                _add(command, parameter, _help(helps[parameter.name]), positional=not _is_stage(name))
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0, or 2 after one line on what is wrong (1: a check found something).
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = vars(parser(arguments[0] if arguments else None).parse_args(arguments))
    command = options.pop("command")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    began = time.perf_counter()
    if _is_stage(command):
        _log.info("sdc %s %s %s", command, __version__, json.dumps(options, default=str))
    try:
        status = _module(command).run(**options)
    except (SDCError, OSError) as error:
        _log.error("sdc %s: error: %s", command, " ".join(str(error).split()))
        return 2
    if _is_stage(command):
        outputs = options["out"] if isinstance(options["out"], list) else [options["out"]]
        _log.info("done in %.2f s: %s", time.perf_counter() - began, " ".join(map(str, outputs)))
    return status or 0


def _is_stage(command: str) -> bool:
    return COMMANDS[command].parent.name == "stages"


def _module(command: str) -> Any:
    return importlib.import_module(f"sdc.{COMMANDS[command].parent.name}.{command}")


def _help(text: str) -> str:
    """Text as argparse takes help: of two per cent signs it prints one."""
    return text.replace("%", "%%")


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
        settings |= _value(_alternatives(typing.get_args(hints[0])[0]))
    else:
        settings |= _value(hints)
    if default not in (None, ()) and default is not False and not isinstance(default, Mapping):
        text += f" (default: {' '.join(map(str, default)) if isinstance(default, tuple) else default})"
    if positional and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
        settings = ({"nargs": "?"} if optional else {}) | settings
        command.add_argument(parameter.name, help=text, **settings)
    else:
        # A name that ends in _ would hide a module.
        flag = "--" + parameter.name.rstrip("_").replace("_", "-")
        command.add_argument(flag, dest=parameter.name, required=not optional, help=text, **settings)


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _value(hints: Sequence[Any]) -> dict[str, Any]:
    """What argparse is told of one value: words, a number or a word, or anything that is made of text."""
    (hint,), rest = hints[:1], hints[1:]
    if typing.get_origin(hint) is Literal:
        return {"choices": typing.get_args(hint)}
    if not rest:
        return {"type": hint}
    words = typing.get_args(rest[0])

    def number_or_word(text: str) -> Any:
        return text if text in words else hint(text)

    number_or_word.__name__ = f"{hint.__name__} or {', '.join(words)}"
    return {"type": number_or_word}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid JSON ({error})") from error
