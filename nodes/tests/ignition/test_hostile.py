"""Inputs that are meant to hurt: refused with a sentence, in little memory."""

import gzip
import os
import random
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from nodes.ignition.butane import Conversion, convert
from nodes.ignition.dataurl import Encoder, decode
from nodes.ignition.files import FilesDirectory
from nodes.ignition.ignition import validate_document
from nodes.ignition.limits import DEFAULT, Limits
from nodes.tests.ignition.sources import butane, findings

_MIB = 1024 * 1024


def in_memory(most_mib: int, run: Callable[[], Conversion]) -> Conversion:
    """Run, and hold it to a bound of Python's memory."""
    tracemalloc.start()
    try:
        conversion = run()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most_mib * _MIB, f"{peak // _MIB} MiB"
    return conversion


def error_of(body: str | bytes, *, most_mib: int = 120) -> str:
    return in_memory(most_mib, lambda: convert(body)).error or ""


def test_size() -> None:
    assert (
        error_of(b"a" * (50 * _MIB), most_mib=10) == f"refused: the config is longer than {DEFAULT.source_bytes} bytes"
    )
    assert (
        validate_document(b"[" * (50 * _MIB)).error
        == f"refused: the config is longer than {DEFAULT.source_bytes} bytes"
    )


@pytest.mark.parametrize("nesting", ["[", "{a: ", "- ", "? ", "[{"])
def test_depth(nesting: str) -> None:
    error = error_of(nesting * (7 * _MIB // len(nesting)))
    assert error.endswith("nested more than 100 levels deep")


def test_depth_in_blocks() -> None:
    error = error_of("".join(f"{' ' * depth}a:\n" for depth in range(3000)))
    assert error == "refused: line 101: the config is nested more than 100 levels deep"


@pytest.mark.parametrize("nesting", ["[", '{"a":'])
def test_depth_of_documents(nesting: str) -> None:
    validation = validate_document(nesting * 1_000_000)
    assert validation.error == "refused: the config is nested more than 100 levels deep"


def test_number_of_values() -> None:
    assert error_of("[" + "1," * 200_000 + "]") == f"refused: the config has more than {DEFAULT.values} values"
    assert validate_document("[" + "1," * 200_000).error == f"refused: the config has more than {DEFAULT.values} values"


def test_a_bomb_of_aliases() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{depth}: &a{depth} [{', '.join([f'*a{depth - 1}'] * 9)}]" for depth in range(1, 30)]
    conversion = in_memory(20, lambda: convert(butane("\n".join(lines))))
    # Nothing takes the keys, so nothing is expanded.
    assert conversion.error is None
    assert len(findings(conversion)) == 30


def test_a_bomb_of_aliases_where_they_are_used() -> None:
    file = "{path: /a, contents: {inline: x}, append: *r}"
    body = f"r: &r [{', '.join(['{inline: x}'] * 1000)}]\nf: &f [{', '.join([file] * 1000)}]\nstorage: {{files: *f}}\n"
    assert in_memory(300, lambda: convert(butane(body))).error == "yaml: document contains excessive aliasing"


def test_a_bomb_of_merges() -> None:
    lines = ["a0: &a0 {path: /a}"]
    lines += [f"a{depth}: &a{depth} {{<<: [{', '.join([f'*a{depth - 1}'] * 9)}]}}" for depth in range(1, 30)]
    body = "\n".join([*lines, "storage: {files: [*a29]}", ""])
    assert in_memory(20, lambda: convert(butane(body))).error == "yaml: document contains excessive aliasing"


def test_a_chain_of_merges() -> None:
    lines = ["a0: &a0 {path: /a}", *(f"a{depth}: &a{depth} {{<<: *a{depth - 1}}}" for depth in range(1, 2000))]
    error = error_of(butane("\n".join([*lines, "storage: {files: [*a1999]}", ""])))
    assert error.endswith("the config is nested more than 100 levels deep")


def test_an_anchor_that_contains_itself() -> None:
    assert error_of(butane("storage: {files: [&f {contents: {inline: x}, append: [*f], <<: *f}]}\n")) == (
        "yaml: anchor 'f' value contains itself"
    )
    assert convert(butane("x: &x [*x, {y: *x}]\n")).error is None


def test_a_bomb_of_texts() -> None:
    """A long text that many aliases repeat: few values, many gigabytes."""
    users = "\n".join(f"    - {{name: u{number}, gecos: *t}}" for number in range(5_000))
    body = f"x: &t {'x' * _MIB}\npasswd:\n  users:\n{users}\n"
    assert error_of(butane(body)) == (
        f"refused: the config has more than {DEFAULT.source_bytes} characters in what its aliases repeat"
    )


def test_a_mirror_of_very_many_devices() -> None:
    """Each device makes twenty values of its own."""
    devices = ", ".join(f"/dev/d{number}" for number in range(20_000))
    error = error_of(butane(f"boot_device: {{layout: x86_64, mirror: {{devices: [{devices}]}}}}\n"))
    assert error == f"refused: the mirror of the boot device has more than {DEFAULT.mirror_devices} devices"


@pytest.mark.parametrize(
    "places",
    [pytest.param("x: [{values} {colons}]\n", id="colons"), pytest.param("x: [{values}]\n{comments}", id="tabs")],
)
def test_many_places_that_scanners_read_differently(places: str) -> None:
    """Each makes the source be scanned again, so a long source may have few."""

    def error(values: int) -> str | None:
        body = places.format(values="a, " * values, colons="a:, " * 60, comments="# a\n\t# b\n" * 60)
        return convert(butane(body)).error

    assert error(10) is None
    assert error(90_000) == "refused: the config has too many places that scanners read differently"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_many_directives(encoding: str) -> None:
    def error(count: int) -> str | None:
        directives = "".join(f"%TAG !a{number}! b\n" for number in range(count))
        return convert(f"{directives}---\n{butane()}".encode(encoding)).error

    assert error(DEFAULT.directives) is None
    assert error(50_000) == f"refused: the config has more than {DEFAULT.directives} directives"


def test_many_tags_in_a_long_source() -> None:
    """The source is decoded once, not at each tag."""
    body = butane(f"x: [{'!a , ' * 60_000}]\n#{'x' * 6 * _MIB}\n")
    before = time.process_time()
    assert convert(body).error is None
    assert time.process_time() - before < 8


def test_many_duplicate_keys() -> None:
    error = error_of(butane("passwd: {" + "a: 1, " * 30_000 + "}\n"))
    lines = error.splitlines()
    assert len(lines) == DEFAULT.errors + 2
    assert lines[-1] == f"  and more: only the first {DEFAULT.errors} are listed"


def test_many_keys_are_compared_quickly() -> None:
    keys = ", ".join(f"k{number}: 1" for number in range(40_000))
    assert len(convert(butane(f"passwd: {{{keys}}}\n")).report.entries) == 40_000


def test_huge_numbers() -> None:
    assert error_of(butane(f"storage: {{files: [{{path: /a, mode: {'9' * 1_000_000}}}]}}\n")) == (
        "yaml: unmarshal errors:\n  line 3: cannot unmarshal !!str `9999999...` into int"
    )
    document = f'{{"ignition": {{"version": "3.4.0"}}, "storage": {{"files": [{{"mode": {"9" * 100_000}}}]}}}}'
    assert validate_document(document).report.entries[0].message.endswith("of type int")
    assert error_of(f"variant: fcos\nversion: {'9' * 100_000}.0.0\n") == (
        "error parsing version; must be a valid semver"
    )


def test_many_links_and_long_paths() -> None:
    links = ", ".join(f"{{path: /l{number}, target: x}}" for number in range(5_000))
    files = ", ".join(f"{{path: /{'a/' * 200}{number}}}" for number in range(2_000))
    assert convert(butane(f"storage: {{links: [{links}], files: [{files}]}}\n")).error is None


def test_every_character_for_private_use() -> None:
    everything = "".join(map(chr, range(0xE000, 0xF900)))
    assert error_of(f"[a:, {everything}]") == "refused: the config uses every character for private use"


def test_characters_that_a_document_may_not_have() -> None:
    assert error_of(b"variant: \x00") == "Error unmarshaling yaml: yaml: control characters are not allowed"
    assert error_of("variant: \ud800") == "Error unmarshaling yaml: yaml: invalid Unicode character"
    assert error_of(b"\xfe\xff\xd8\x00").startswith("Error unmarshaling yaml: yaml: ")


def local(name: str, directory: Path, limits: Limits = DEFAULT) -> str:
    """What is told about a file of the directory that a config embeds."""
    conversion = convert(
        butane(f"storage: {{files: [{{path: /f, contents: {{local: {name}}}}}]}}\n"),
        files=FilesDirectory(directory, shown_as="files", limits=limits),
    )
    if conversion.error and conversion.error.startswith("refused: "):
        return conversion.error
    return next((row[-1] for row in findings(conversion)), "")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A files directory beside a secret."""
    (tmp_path / "secret").write_text("top")
    (tmp_path / "files-too").mkdir()
    (tmp_path / "files-too" / "secret").write_text("top")
    files = tmp_path / "files"
    files.mkdir()
    return files


@pytest.mark.parametrize("name", ["../secret", "a/../../secret", "../files-too/secret", "./../files/../secret"])
def test_paths_that_leave_the_directory(outside: Path, name: str) -> None:
    assert local(name, outside) == "local file path traverses outside the files directory"


def test_absolute_paths_stay_inside(outside: Path) -> None:
    assert local("/etc/passwd", outside) == "open files/etc/passwd: no such file or directory"


def test_links_that_leave_the_directory(outside: Path) -> None:
    (outside / "a").symlink_to("../secret")
    (outside / "b").symlink_to("/etc/passwd")
    (outside / "c").symlink_to("..")
    (outside / "d").symlink_to("../files-too")
    for name in ("a", "b", "c/secret", "d/secret"):
        assert local(name, outside) == f"open files/{name}: a symbolic link leads outside the files directory"


def test_links_within_the_directory(outside: Path) -> None:
    (outside / "file").write_text("x")
    (outside / "folder").mkdir()
    (outside / "folder" / "a").symlink_to("../file")
    (outside / "b").symlink_to("folder")
    (outside / "c").symlink_to("c")
    assert local("b/a", outside) == ""
    assert local("c", outside) == "open files/c: too many levels of symbolic links"


def test_what_is_no_file(outside: Path) -> None:
    os.mkfifo(outside / "pipe")
    assert local("pipe", outside) == "read files/pipe: not a regular file"
    (outside / "zero").symlink_to("/dev/null")
    assert local("zero", outside) == "open files/zero: a symbolic link leads outside the files directory"


def test_trees_of_links_and_pipes(outside: Path) -> None:
    (outside / "tree").mkdir()
    (outside / "tree" / "up").symlink_to("../..")
    os.mkfifo(outside / "tree" / "pipe")
    (outside / "away").symlink_to("..")
    conversion = convert(
        butane("storage: {trees: [{local: tree}, {local: away}]}\n"), files=FilesDirectory(outside, shown_as="files")
    )
    assert [row[-1] for row in findings(conversion)] == [
        "trees may only contain files, directories, and symlinks",
        "stat files/away: a symbolic link leads outside the files directory",
    ]


def test_sizes_of_local_files(outside: Path) -> None:
    (outside / "a").write_bytes(b"x" * 101)
    assert local("a", outside, Limits(local_file_bytes=100)) == "refused: files/a has more than 100 bytes"
    assert (
        local("a", outside, Limits(local_total_bytes=100))
        == "refused: the local files have more than 100 bytes together"
    )
    sparse = outside / "sparse"
    with sparse.open("wb") as file:
        file.truncate(10 * 1024 * _MIB)
    assert local("sparse", outside) == f"refused: files/sparse has more than {DEFAULT.local_file_bytes} bytes"


def test_local_keys(outside: Path) -> None:
    (outside / "keys").write_text("a\n\nb\r\n" * 60)

    def error(limits: Limits, names: str) -> str | None:
        source = butane(f"passwd: {{users: [{{name: core, ssh_authorized_keys_local: [{names}]}}]}}\n")
        return convert(source, files=FilesDirectory(outside, shown_as="files", limits=limits)).error

    assert error(Limits(local_keys=120), "keys") == "config generated was invalid"  # of keys that repeat
    refused = "refused: the local files have more than {} SSH keys together"
    assert error(Limits(local_keys=119), "keys") == refused.format(119)
    assert error(Limits(local_keys=120), "keys, keys") == refused.format(120)


def test_long_bodies_of_few_characters() -> None:
    """zlib's best level takes 2.6 seconds for each megabyte of these."""
    body = "".join(random.Random(1).choices("ab", k=4 * _MIB))
    before = time.process_time()
    packed = Encoder().encode(body.encode(), None)
    assert packed.compression == "gzip"
    assert time.process_time() - before < 5
    assert gzip.decompress(decode(packed.url)).decode() == body


def test_sizes_of_trees(outside: Path) -> None:
    deep = outside / "tree"
    for number in range(5):
        deep = deep / f"d{number}"
    deep.mkdir(parents=True)
    source = butane("storage: {trees: [{local: tree}]}\n")

    def error(limits: Limits) -> str | None:
        return convert(source, files=FilesDirectory(outside, shown_as="files", limits=limits)).error

    assert error(DEFAULT) is None
    assert error(Limits(tree_nodes=5)) == "refused: the trees have more than 5 files and directories"
    assert error(Limits(depth=2)) == "refused: files/tree/d0/d1/d2/d3 is nested more than 2 levels deep"
