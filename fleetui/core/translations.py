"""Catalogs without GNU gettext: collect messages from source and templates, compare, merge and compile. Uses Babel."""

from __future__ import annotations

import ast
import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from babel.messages.catalog import Catalog, Message, TranslationError
from babel.messages.extract import extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

Spec = tuple[int | tuple[int, str], ...]
FAMILIES: dict[str, Spec] = {
    "gettext": (1,),
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
#: Function name -> positions of its msgid and plural; a "c" marks the context. N_ marks a text that is translated later.
KEYWORDS: dict[str, Spec] = {
    **FAMILIES,
    **{f"{name}_lazy": spec for name, spec in FAMILIES.items()},
    **dict.fromkeys(("_", "N_", "gettext_noop"), FAMILIES["gettext"]),
}
SKIPPED_FOLDERS = {"tests", "migrations", "node_modules", "bench", "build", "var", "static", ".venv", "scripts"}
SUFFIXES = (".py", ".html", ".txt")
#: Where a Python file has none of these there is nothing to read in it.
MARKED = re.compile(rb"\b(?:_|N_|\w*gettext\w*)\(")
#: templatize turns every translated piece of a template into such a call, on one line.
TEMPLATE_CALL = re.compile(r"\b(npgettext|ngettext|pgettext|gettext|_)\((?=u?[\"'])")
LITERAL = re.compile(r"\s*u?((?P<quote>[\"'])(?:\\.|(?!(?P=quote)).)*(?P=quote))\s*,?", re.DOTALL)


def collect(root: Path) -> Catalog:
    """Every message that the project's Python files and templates mark for translation."""
    catalog = Catalog(charset="utf-8")
    for path in _files(root):
        for number, message, context in _messages(path):
            catalog.add(message, None, [(path.relative_to(root).as_posix(), number)], context=context)
    return catalog


def _files(root: Path) -> Iterator[Path]:
    found = []
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if name not in SKIPPED_FOLDERS and not name.startswith(".")]
        is_templates = "templates" in Path(folder).relative_to(root).parts
        found += [Path(folder, name) for name in names if name.endswith(".py" if not is_templates else SUFFIXES)]
    yield from sorted(found, key=lambda path: (SUFFIXES.index(path.suffix), path))


def _messages(path: Path) -> Iterator[tuple[int, str | tuple[str, str], str | None]]:
    if path.suffix != ".py":
        yield from _template_messages(path)
        return
    source = path.read_bytes()
    if MARKED.search(source):
        for number, function, arguments, _comments in extract_python(io.BytesIO(source), dict(KEYWORDS), [], {}):
            # One argument comes alone, several as a tuple, whatever Babel's annotation says.
            values = list(arguments) if isinstance(arguments, list | tuple) else [arguments]
            yield from _message(number, str(function), values)


def _template_messages(path: Path) -> Iterator[tuple[int, str | tuple[str, str], str | None]]:
    source = templatize(path.read_text(encoding="utf-8"), origin=str(path))
    for call in TEMPLATE_CALL.finditer(source):
        values: list[str | None] = []
        position = call.end()
        while literal := LITERAL.match(source, position):
            values.append(ast.literal_eval(literal[1]))
            position = literal.end()
        yield from _message(source.count("\n", 0, call.start()) + 1, call[1], values)


def _message(
    number: int, function: str, values: Sequence[str | None]
) -> Iterator[tuple[int, str | tuple[str, str], str | None]]:
    spec = KEYWORDS[function]
    context, texts = None, []
    for part in spec:
        index = (part[0] if isinstance(part, tuple) else part) - 1
        value = values[index] if index < len(values) else None
        if not value:
            return
        if isinstance(part, tuple):
            context = value
        else:
            texts.append(value)
    yield number, (texts[0] if len(texts) == 1 else (texts[0], texts[1])), context


def read_catalog(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parent.parent.name)


def faults(path: Path, template: Catalog) -> list[str]:
    """What keeps a catalog from being complete: one sentence each, with the message it is about."""
    catalog = read_catalog(path)
    found = []
    for wanted in template:
        if not wanted.id:
            continue
        held = catalog.get(wanted.id, wanted.context)
        name = wanted.id if isinstance(wanted.id, str) else wanted.id[0]
        if held is None:
            found.append(f"{wanted.locations[0][0]}:{wanted.locations[0][1]}: {name!r} is not in {path.name}.")
        elif held.fuzzy:
            found.append(f"{path.name}: {name!r} is marked fuzzy.")
        elif not (held.string if isinstance(held.string, str) else all(held.string or ())):
            found.append(f"{path.name}: {name!r} has no translation.")
        else:
            found.extend(f"{path.name}: {name!r}: {error}" for error in _errors(held, catalog))
    return found + [
        f"{path.name}: {message.id!r} is no longer in the source."
        for message in catalog
        if message.id and template.get(message.id, message.context) is None and "keep" not in message.user_comments
    ]


def _errors(held: Message, catalog: Catalog) -> list[TranslationError]:
    """Babel holds the first form against the singular; where there is one form, it stands for the plural too."""
    if held.pluralizable and catalog.num_plurals == 1:
        held = Message(held.id[1], (held.string or ("",))[0], flags=held.flags, context=held.context)
    return held.check(catalog)


def update(path: Path, template: Catalog) -> None:
    """Bring a catalog in line with the source: new messages come untranslated, gone ones leave, those marked "# keep" stay."""
    catalog = read_catalog(path) if path.exists() else Catalog(locale=path.parent.parent.name, charset="utf-8")
    for message in catalog:
        if message.id and "keep" in message.user_comments:
            template.add(message.id, None, context=message.context)
    catalog.update(template, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    buffer = io.BytesIO()
    write_po(
        buffer, catalog, width=120, sort_output=True, omit_header=False, include_lineno=False, ignore_obsolete=True
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())


def compile_stale(locale_folder: Path) -> list[Path]:
    """Write each .mo that is missing or older than its .po; returns what was written."""
    written = []
    for source in sorted(locale_folder.glob("*/LC_MESSAGES/*.po")):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns:
            continue
        # Another process may read or write it meanwhile: a whole file of our own replaces the old one at once.
        part = target.with_suffix(f".mo.{os.getpid()}.part")
        with part.open("wb") as file:
            write_mo(file, read_catalog(source))
        part.replace(target)
        written.append(target)
    return written
