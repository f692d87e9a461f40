"""Take fonts, the style sheet and icons from npm packages into static/vendor and static/icons.

Run without arguments to fetch with `npm pack`; with `--verify` to compare the files with VENDOR.json, offline.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "static"
RECORD = STATIC / "vendor" / "VENDOR.json"


@dataclass(frozen=True)
class Package:
    """One npm package and the files taken from it: path in the package -> path below static/."""

    name: str
    version: str
    licence: str
    files: dict[str, str]


PACKAGES = [
    Package("@tabler/core", "1.6.1", "MIT", {"dist/css/tabler.min.css": "vendor/tabler/tabler.css"}),
    Package(
        "@fontsource-variable/inter",
        "5.3.0",
        "OFL-1.1",
        {
            "files/inter-latin-wght-normal.woff2": "vendor/fonts/inter-latin.woff2",
            "LICENSE": "vendor/fonts/inter.LICENSE",
        },
    ),
    Package(
        "@fontsource-variable/jetbrains-mono",
        "5.3.0",
        "OFL-1.1",
        {
            "files/jetbrains-mono-latin-wght-normal.woff2": "vendor/fonts/jetbrains-mono-latin.woff2",
            "LICENSE": "vendor/fonts/jetbrains-mono.LICENSE",
        },
    ),
    Package(
        "@fontsource-variable/noto-sans-thai",
        "5.3.0",
        "OFL-1.1",
        {
            "files/noto-sans-thai-thai-wght-normal.woff2": "vendor/fonts/noto-sans-thai.woff2",
            "LICENSE": "vendor/fonts/noto-sans-thai.LICENSE",
        },
    ),
    Package(
        "@tabler/icons",
        "3.51.0",
        "MIT",
        {"tabler-nodes-outline.json": "icons/sprite.svg", "LICENSE": "vendor/icons.LICENSE"},
    ),
]

#: Names of the icons in use, one a line.
ICONS = (Path(__file__).parent / "icons.txt").read_text().split()

#: Shapes of a state. They differ without colour: filled circle, half circle, triangle, square, ring.
SHAPES = {
    "state-ok": '<circle cx="8" cy="8" r="5" fill="currentColor"/>',
    "state-info": '<circle cx="8" cy="8" r="4.5" fill="none" stroke="currentColor" stroke-width="1.6"/>'
    '<path d="M8 3.5a4.5 4.5 0 0 1 0 9z" fill="currentColor"/>',
    "state-warn": '<path d="M8 2.2 14.2 13H1.8z" fill="currentColor" stroke="currentColor" stroke-linejoin="round"/>',
    "state-bad": '<rect x="3" y="3" width="10" height="10" rx="1.2" fill="currentColor"/>',
    "state-none": '<circle cx="8" cy="8" r="4.4" fill="none" stroke="currentColor" stroke-width="1.7"/>',
}

#: Component families of the style sheet that FleetUI has no use for; a rule goes when all its selectors name one.
UNUSED = re.compile(
    r"\.(?:carousel|offcanvas|ribbon|chat|star|ts-|tom-select|litepicker|jvm|hugerte|tox|fc-|plyr|dropzone|noUi|apexcharts|"
    r"fslightbox|clr-|countup|signature|flag|payment|social|avatar|popover|otp|signal|strength|calendar|sortable|ratio-|"
    r"form-imagecheck|form-colorinput|form-selectgroup|form-floating|accordion|placeholder|mention|navbar|toast|modal|"
    r"bg-[a-z]+-lt|link-[a-z]|hover-|is-|bs-|was|columns-|float-|object-|prose|markdown|switch-icon|btn-[a-z]*-?"
    r"(?:facebook|twitter|google|youtube|vimeo|dribbble|github|instagram|pinterest|vk|rss|flickr|bitbucket|tabler|x))"
)


def split_rules(css: str) -> list[str]:
    """Top-level rules of a minified style sheet, each with its braces."""
    rules, start, depth, quote = [], 0, 0, ""
    position = 0
    while position < len(css):
        char = css[position]
        if quote:
            position += char == "\\"
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == "{":
            depth += 1
        elif char == "}" or (char == ";" and depth == 0):
            depth -= char == "}"
            if depth == 0:
                rules.append(css[start : position + 1])
                start = position + 1
        position += 1
    return rules


def is_unused(selectors: str) -> bool:
    return all(UNUSED.search(part) for part in re.split(r",(?![^(]*\))", selectors))


def trim(css: str) -> str:
    """The style sheet without the rules of unused components."""
    kept = []
    for rule in split_rules(css):
        head, brace, body = rule.partition("{")
        if head.startswith(("@media", "@supports")):
            inner = trim(body[:-1])
            if inner:
                kept.append(f"{head}{{{inner}}}")
        elif (
            not brace
            or head.startswith("@")
            or not all(UNUSED.search(part) for part in re.split(r",(?![^(]*\))", head))
        ):
            kept.append(rule)
    return "".join(kept)


def read_style(raw: bytes) -> bytes:
    """Trim, and drop source map lines: the manifest storage would look for the map."""
    css = re.sub(r"/\*# sourceMappingURL=.*?\*/", "", raw.decode())
    licence = "/* Tabler (MIT), trimmed by scripts/vendor_assets.py */\n"
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL).replace('@charset "UTF-8";', "")
    return (licence + trim(css).strip() + "\n").encode()


def read_sprite(raw: bytes) -> bytes:
    """One SVG sprite of the icons in use and the state shapes."""
    shapes = json.loads(raw)
    missing = [name for name in ICONS if name not in shapes]
    if missing:
        raise SystemExit(f"icons that the package does not have: {', '.join(missing)}")
    lines = ['<svg xmlns="http://www.w3.org/2000/svg">']
    for name in sorted(ICONS):
        parts = "".join(
            f"<{tag} " + " ".join(f'{key}="{value}"' for key, value in attributes.items()) + "/>"
            for tag, attributes in shapes[name]
        )
        lines.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75"'
            f' stroke-linecap="round" stroke-linejoin="round">{parts}</symbol>'
        )
    lines += [f'<symbol id="{name}" viewBox="0 0 16 16">{shape}</symbol>' for name, shape in sorted(SHAPES.items())]
    return ("\n".join([*lines, "</svg>"]) + "\n").encode()


def convert(target: str, raw: bytes) -> bytes:
    if target.endswith(".css"):
        return read_style(raw)
    return read_sprite(raw) if target.endswith("sprite.svg") else raw


def fetch(package: Package, folder: Path) -> dict[str, bytes]:
    """Files of one package, as they go into static/."""
    packed = subprocess.run(
        ["npm", "pack", "--silent", "--pack-destination", str(folder), f"{package.name}@{package.version}"],
        check=True,
        capture_output=True,
        text=True,
    )
    archive_path = folder / packed.stdout.strip().splitlines()[-1]
    with tarfile.open(archive_path) as archive:
        taken = {}
        for source, target in package.files.items():
            member = archive.extractfile(f"package/{source}")
            if member is None:
                raise SystemExit(f"{package.name} {package.version} has no file {source}")
            taken[target] = convert(target, member.read())
    return taken


def update() -> None:
    record = []
    with tempfile.TemporaryDirectory() as folder:
        for package in PACKAGES:
            for target, content in fetch(package, Path(folder)).items():
                path = STATIC / target
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                print(f"{target}: {len(content):,} bytes")
                record.append(
                    {
                        "file": target,
                        "name": package.name,
                        "version": package.version,
                        "licence": package.licence,
                        "sha256": hashlib.sha256(content).hexdigest(),
                    }
                )
    RECORD.write_text(json.dumps(record, indent=2) + "\n")


def verify() -> int:
    """0 when every recorded file is there with the recorded content."""
    wrong = []
    for entry in json.loads(RECORD.read_text()):
        path = STATIC / entry["file"]
        if not path.is_file():
            wrong.append(f"{entry['file']} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            wrong.append(f"{entry['file']} differs from {entry['name']} {entry['version']}")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verify", action="store_true", help="compare the files with VENDOR.json, without network")
    if parser.parse_args().verify:
        return verify()
    update()
    return 0


if __name__ == "__main__":
    sys.exit(main())
