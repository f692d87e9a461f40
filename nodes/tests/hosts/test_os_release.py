"""Which operating system an os-release names, and which driver that needs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.hosts import drivers
from nodes.hosts.drivers.os_release import detect, os_facts, parse_os_release
from nodes.tests.hosts.hostdoubles import answer, corpus, read

# Recording: (family, name, relative, version)
RECORDINGS = {
    "bottlerocket-0.4.0": ("bottlerocket", "Bottlerocket", False, "0.4.0"),
    "bottlerocket-1.12.0-partial": ("bottlerocket", "Bottlerocket", False, "1.12.0 (aws-k8s-1.25)"),
    "bottlerocket-1.47.0": ("bottlerocket", "Bottlerocket", False, "1.47.0"),
    "coreos-cl-766.3.0": ("unknown", "CoreOS Container Linux", False, "766.3.0"),
    "fcos-37.20230126.20.0": ("fcos", "Fedora CoreOS", False, "37.20230126.20.0"),
    "fedora-silverblue-34.20210721.0.partial": ("silverblue", "Fedora Silverblue", True, "34.20210721.0"),
    "flatcar-2079.6.0": ("flatcar", "Flatcar Container Linux", False, "2079.6.0"),
    "flatcar-2905.2.3": ("flatcar", "Flatcar Container Linux", False, "2905.2.3"),
    "flatcar-3227.2.4": ("flatcar", "Flatcar Container Linux", False, "3227.2.4"),
    "rhcos-10.1": ("rhcos", "Red Hat Enterprise Linux CoreOS", True, "10.1.20251005-0"),
    "rhcos-4.12-rhel8.6": ("rhcos", "Red Hat Enterprise Linux CoreOS", True, "412.86.202301311551-0"),
    "scos-10": ("scos", "CentOS Stream CoreOS", True, "10.0.20260614-0"),
    "scos-4.12": ("scos", "CentOS Stream CoreOS", True, "412.9.202211241749-0"),
    "talos-template-v1.0.0-fields": ("talos", "Talos Linux", False, "v1.0.0"),
    "talos-v1.14.0-beta.1": ("talos", "Talos Linux", False, "v1.14.0-beta.1"),
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_recordings(name: str) -> None:
    text = corpus("os-release", f"{name}.txt").read_text()
    found = detect(text)
    facts = os_facts(parse_os_release(text), "x86_64")
    assert (found.family, found.name, found.relative, facts.version) == RECORDINGS[name]
    assert drivers.get(found.family).family == found.family
    assert found.reason


def test_every_recording_is_in_the_table() -> None:
    assert {path.stem for path in corpus("os-release").iterdir()} == set(RECORDINGS)


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ('ID=fedora\nVARIANT_ID=server\nPRETTY_NAME="Fedora Linux 43 (Server Edition)"\n', "unknown"),
        ("ID=fedora\nVARIANT_ID=coreos\n", "fcos"),
        ("ID='fedora'\nVARIANT_ID='coreos'\n", "fcos"),
        ("ID=fedora\nVARIANT_ID=iot\n", "iot"),
        ("ID=fedora\nVARIANT_ID=kinoite\n", "silverblue"),
        ("ID=rhel\nVARIANT_ID=edge\nOSTREE_VERSION=9.4\n", "rpmostree"),
        ("ID=centos\nVERSION_ID=9\nOSTREE_VERSION='stream9.2024'\n", "rpmostree"),
        ("ID=rhel\nVERSION_ID=9.4\n", "unknown"),
        ("ID=debian\n", "unknown"),
        ("ID=nixos\n", "nixos"),
        ("", "unknown"),
        ("\x00\x01 garbage = =\nID", "unknown"),
    ],
)
def test_families(text: str, family: str) -> None:
    assert detect(text).family == family


def test_fedora_server_is_named_and_not_changed() -> None:
    text = 'ID=fedora\nVERSION_ID=43\nVARIANT_ID=server\nPRETTY_NAME="Fedora Linux 43 (Server Edition)"\n'
    found = detect(text)
    assert found.name == "Fedora Linux 43 (Server Edition)"
    assert not any(one.supported for one in drivers.get(found.family).capabilities.values())


def test_quotes_comments_and_odd_lines() -> None:
    text = '# comment\nID="fed\\"ora"\nNAME=\'a b\'\n\nBAD LINE\nlower=1\nOPEN="x\nEMPTY=\n'
    assert parse_os_release(text) == {"ID": 'fed"ora', "NAME": "a b", "OPEN": "x", "EMPTY": ""}


def test_the_copy_in_usr_is_used_when_etc_has_none() -> None:
    reading = read(os_release=answer(status=1, stderr="cat: /etc/os-release: No such file or directory"))
    assert reading.facts.os.family == "fcos"


def test_an_unknown_family_is_refused_with_a_sentence() -> None:
    with pytest.raises(drivers.UnknownFamily, match=r"There is no driver for 'beos'; the families are fcos"):
        drivers.get("beos")


@given(st.text(max_size=400))
def test_no_text_escapes(text: str) -> None:
    assert detect(text).family in drivers.families()
