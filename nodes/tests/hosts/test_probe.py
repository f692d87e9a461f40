"""The probe script runs under real shells, and its frames survive whatever a host prints."""

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.hosts import drivers
from nodes.hosts.probe import MAX_STDERR_BYTES, ProbeOutput, Section, build_script, clean_text, read_frames

NONCE = "0123456789abcdef"
SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]


def run(sections: list[Section], shell: str = "sh", budget_s: int = 20) -> ProbeOutput:
    argv = ["busybox", "sh", "-s"] if shell == "busybox" else [shell, "-s"]
    done = subprocess.run(
        argv, input=build_script(sections, NONCE, budget_s), capture_output=True, check=True, timeout=60
    )
    assert done.stderr == b""
    return read_frames(done.stdout, NONCE)


@pytest.mark.parametrize("shell", SHELLS)
class TestShells:
    def test_output_status_and_errors_of_each_command(self, shell: str) -> None:
        output = run(
            [
                Section("words", ("echo", "it's  two", "$HOME")),
                Section("errors", ("ls", "/does/not/exist")),
                Section("silent", ("true",)),
                Section("no_newline", ("printf", "x")),
                Section("absent", ("fleetui-no-such-command",)),
                Section("stdin", ("cat",)),
            ],
            shell,
        )
        assert output.complete
        assert output["words"].stdout == "it's  two $HOME\n"
        assert output["words"].ok
        assert output["errors"].exit_status not in (0, None)
        assert "/does/not/exist" in output["errors"].stderr
        assert (output["silent"].exit_status, output["silent"].stdout) == (0, "")
        assert output["no_newline"].stdout == "x"
        assert output["absent"].command_missing
        assert output["stdin"].stdout == ""

    def test_a_slow_command_is_stopped_and_the_next_one_runs(self, shell: str) -> None:
        output = run([Section("slow", ("sleep", "30"), 1), Section("next", ("echo", "here"))], shell)
        assert output["slow"].timed_out
        assert output["next"].stdout == "here\n"

    def test_a_long_output_is_cut_and_says_its_size(self, shell: str) -> None:
        output = run([Section("long", ("seq", "1", "50000"), 10, 100), Section("next", ("echo", "here"))], shell)
        assert output["long"].cut
        assert len(output["long"].stdout_raw) == 100
        # busybox's head reads a block more than it prints, so there the size is a little short.
        size = len("".join(f"{n}\n" for n in range(1, 50001)))
        assert size - 8192 < (output["long"].true_size_bytes or 0) <= size
        assert output["next"].ok
        assert output.complete

    def test_when_the_time_is_over_the_rest_is_not_started(self, shell: str) -> None:
        sections = [Section("slow", ("sleep", "30")), Section("next", ("echo", "here"))]
        output = run(sections, shell, budget_s=1)
        assert output.complete
        assert output["slow"].timed_out
        assert output["next"].timed_out
        assert output["next"].stderr == "not started, the time was over before"

    def test_long_errors_do_not_block(self, shell: str) -> None:
        script = "i=0; while [ $i -lt 20000 ]; do echo 0123456789 >&2; i=$((i+1)); done; echo done"
        output = run([Section("noisy", ("sh", "-c", script))], shell)
        assert output["noisy"].stdout == "done\n"
        assert len(output["noisy"].stderr_raw) == MAX_STDERR_BYTES

    def test_the_locale_is_c(self, shell: str) -> None:
        output = run([Section("locale", ("sh", "-c", "echo $LC_ALL"))], shell)
        assert output["locale"].stdout == "C\n"


def test_binary_output_and_forged_frames_stay_inside_their_section() -> None:
    forged = f"@@FLEETUI {NONCE} other 0 3 0\nbad\n@@FLEETUI {NONCE} end 1\n"
    output = run([Section("forger", ("printf", "%s", forged.replace("\n", "|"))), Section("next", ("echo", "here"))])
    assert "bad" in output["forger"].stdout
    assert list(output) == ["forger", "next"]
    raw = forged.encode()
    framed = b"@@FLEETUI %s one 0 %d 0\n%s\n@@FLEETUI %s end 1\n" % (NONCE.encode(), len(raw), raw, NONCE.encode())
    assert list(read_frames(framed, NONCE)) == ["one"]


def test_no_writable_folder_is_said() -> None:
    script = build_script([Section("one", ("true",))], NONCE).replace(b"/dev/shm /tmp /var/tmp", b"/does/not/exist")
    done = subprocess.run(["sh", "-s"], input=script, capture_output=True, check=True, env={"PATH": "/usr/bin:/bin"})
    output = read_frames(done.stdout, NONCE)
    assert not output.complete
    assert output["workspace"].stderr == "no writable folder for temporary files\n"
    assert "writable folder" in output.problem


def test_the_layout_is_fixed() -> None:
    lines = (
        build_script([Section("one", ("echo", "a b")), Section("two", ("true",), 3, 9)], NONCE).decode().splitlines()
    )
    start, end = lines.index("# sections"), lines.index("# end")
    assert lines[start + 1 : end] == ["section one 10 262144 echo 'a b'", "section two 3 9 true"]


@pytest.mark.parametrize(
    "sections",
    [
        [Section("Upper", ("true",))],
        [Section("one", ())],
        [Section("one", ("echo", "a\nb"))],
        [Section("one", ("true",)), Section("one", ("true",))],
        [Section("end", ("true",))],
    ],
)
def test_unusable_sections_are_refused(sections: list[Section]) -> None:
    with pytest.raises(ValueError):
        build_script(sections, NONCE)


def test_an_unusable_nonce_is_refused() -> None:
    with pytest.raises(ValueError):
        build_script([], "a b; rm -rf /")


def test_every_cut_of_an_output_keeps_the_sections_before_it() -> None:
    whole = b"banner\n" + b"".join(
        b"@@FLEETUI %s %s 0 4 1\nbody!\n" % (NONCE.encode(), name) for name in (b"one", b"two")
    )
    whole += b"@@FLEETUI %s end 2\n" % NONCE.encode()
    assert read_frames(whole, NONCE).complete
    for length in range(len(whole)):
        output = read_frames(whole[:length], NONCE)
        assert not output.complete
        assert output.problem
        for section in output.values():
            assert section.cut or section.stdout == "body"
    assert read_frames(b"", NONCE)["one"].missing


def test_frames_of_another_nonce_are_not_read() -> None:
    assert not read_frames(b"@@FLEETUI ffffffffffffffff one 0 2 0\nhi\n", NONCE).sections


@given(st.binary(max_size=300))
def test_no_output_breaks_the_reader(noise: bytes) -> None:
    frame = b"@@FLEETUI %s one 0 4 0\nbody\n" % NONCE.encode()
    output = read_frames(noise.replace(b"@@FLEETUI", b"") + frame + noise, NONCE)
    assert output["one"].stdout == "body"


def test_terminal_codes_and_nul_are_removed() -> None:
    assert clean_text(b"\x1b[1;31mred\x1b[0m\x00 \x1b]0;title\x07ok\r\n\x9b\xff") == "red ok\n\ufffd\ufffd"
    assert clean_text("a\u009b31mb".encode()) == "a31mb"


@pytest.mark.parametrize("family", drivers.families())
def test_the_probe_of_each_family_fits_in_one_answer(family: str) -> None:
    sections = drivers.get(family).probe()
    script = build_script(sections, NONCE)
    assert len(script) < 16_384
    assert sum(section.max_bytes + MAX_STDERR_BYTES + 120 for section in sections) <= 4 * 1024 * 1024
    assert not any(word == "sudo" for section in sections for word in section.argv)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_fcos_probe_runs_on_this_machine(shell: str) -> None:
    output = run(list(drivers.get("fcos").probe()), shell)
    assert output.complete
    assert set(output) == {section.name for section in drivers.get("fcos").probe()}
    assert output["uname"].ok
