"""What may happen to a file: bits flip, it is cut, lines and values change."""

import json
import re


def flip(content, draw):
    """One bit, or a few bytes in a row."""
    at = int(draw.integers(len(content)))
    if draw.random() < 0.7:
        bit = int(draw.integers(8))
        return f"bit {bit} of byte {at} flipped", content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]
    size = int(draw.integers(1, 33))
    return f"{size} bytes from {at} overwritten", content[:at] + draw.bytes(size) + content[at + size :]


def cut(content, draw):
    """Its end is missing, or a piece, or it is longer than it was."""
    at = int(draw.integers(len(content)))
    match draw.integers(5):
        case 0 | 1:
            return f"cut to {at} bytes", content[:at]
        case 2:
            size = int(draw.integers(1, 65))
            return f"{size} bytes missing from {at}", content[:at] + content[at + size :]
        case 3:
            size = int(draw.integers(1, 4097))
            return f"{size} zeros from {at}", content[:at] + bytes(size) + content[at + size :]
        case _:
            size = int(draw.integers(1, 65))
            return f"{size} bytes appended", content + draw.bytes(size)


def edit(content, draw):
    """A text in which a value or a line is another, still well-formed more often than not."""
    text = content.decode()
    lines = text.splitlines(keepends=True)
    place = int(draw.integers(len(lines)))
    numbers = list(re.finditer(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", text))
    match draw.integers(8):
        case 0 | 1 if numbers:
            number = numbers[int(draw.integers(len(numbers)))]
            other = str(draw.choice(["0", "1", "-1", "0.5", "nan", "1e999", "", "x", "9" * 20]))
            return f"{number[0]!r} at {number.start()} is {other!r}", text[: number.start()] + other + text[
                number.end() :
            ]
        case 2 if numbers:
            number = numbers[int(draw.integers(len(numbers)))]
            at = number.end() - 1
            return f"last digit of {number[0]!r} at {at}", text[:at] + str(int(draw.integers(10))) + text[at + 1 :]
        case 3:
            return f"line {place} missing", "".join(lines[:place] + lines[place + 1 :])
        case 4:
            return f"line {place} twice", "".join(lines[: place + 1] + lines[place:])
        case 5:
            other = int(draw.integers(len(lines)))
            lines[place], lines[other] = lines[other], lines[place]
            return f"lines {place} and {other} exchanged", "".join(lines)
        case 6:
            return f"{place} lines kept", "".join(lines[:place])
        case _:
            return _edit_json(text, draw) or ("blank lines", text + "\n\n")


def _edit_json(text, draw):
    try:
        values = json.loads(text)
    except ValueError:
        return None
    if not isinstance(values, dict) or not values:
        return None
    key = str(draw.choice(sorted(values)))
    if draw.random() < 0.3:
        values.pop(key)
        return f"key {key!r} missing", json.dumps(values)
    values[key] = [None, 7, -1.5, "other", [], {}, True][int(draw.integers(7))]
    return f"{key!r} is {values[key]!r}", json.dumps(values)


def damaged(content, draw):
    """One of these, drawn: what was done, and the content after it; None for a file that is missing."""
    if draw.random() < 0.01:
        return "missing", None
    if not content or draw.random() < 0.01:
        return "empty", b""
    try:
        content.decode()
        ways = (flip, cut, edit, edit)
    except UnicodeDecodeError:
        ways = (flip, flip, cut)
    what, after = ways[int(draw.integers(len(ways)))](content, draw)
    return what, after.encode() if isinstance(after, str) else after
