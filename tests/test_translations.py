"""The Thai catalog is complete, says what the English says, and fills without a fault."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from django.test import Client
from django.utils import translation

from fleetui.core import translations

ROOT = Path(__file__).resolve().parent.parent
CATALOG = ROOT / "locale" / "th" / "LC_MESSAGES" / "django.po"
PLACEHOLDER = re.compile(r"%%\(\w+\)s|%\(\w+\)[sdfr]|%%|%[sdf]|\{\w*\}")
TAG = re.compile(r"</?\w[^>]*>")
THAI = re.compile("[\u0e00-\u0e7f]")
#: Terms that Thai engineers leave in English (docs/translation-glossary.md), alone or as a title.
ENGLISH_TERMS = {
    "%(message)s %(mend)s",
    "%(path)s: %(why)s",
    "%(step)s",
    "%(why)s",
    "%(why)s %(mend)s",
    "(%(code)s)",
    "API server",
    "Access key",
    "Alertmanager",
    "Ansible inventory (INI)",
    "Ansible inventory (YAML)",
    "Audit log",
    "Barrier",
    "Branch",
    "Bucket",
    "CA",
    "CSV",
    "Certbot",
    "cert-manager",
    "Certificate authority",
    "Checksum",
    "Commit",
    "Config",
    "Credential",
    "Dead end",
    "Deploy key",
    "Deployment",
    "Digest",
    "Drain",
    "Endpoint",
    "English",
    "Fact",
    "Facts",
    "Fingerprint",
    "FleetUI",
    "Forge",
    "Front proxy",
    "HAProxy",
    "Host certificate",
    "Host key",
    "Ignition",
    "Ignition config",
    "Ignition version",
    "Ignition: %(state)s",
    "JSON lines",
    "Jump host",
    "Key id",
    "Kubeconfig",
    "Kubelet",
    "Kubernetes",
    "Kubernetes API",
    "Label",
    "Label %(key)s",
    "Log",
    "Machine id",
    "Microsoft Teams",
    "Nginx",
    "OS",
    "Object lock",
    "Operation",
    "Pool",
    "Prefix",
    "Private key",
    "Provisioner",
    "Public key",
    "Quadlet",
    "REST API",
    "Region",
    "Repository",
    "Rollback",
    "Rollout",
    "Runbook",
    "Runtime",
    "SHA-256",
    "Scheduler (beat)",
    "Secret",
    "Secret key",
    "Shell",
    "Slack",
    "Slot",
    "Stream",
    "Tag",
    "Token",
    "Uncordon",
    "Unit",
    "Update agent",
    "User data",
    "Webhook",
    "Zincati",
    "ansible-inventory --list (JSON)",
    "branch",
    "branch %(ref)s",
    "tag %(ref)s",
    "commit",
    "credential",
    "etcd peer",
    "exit status",
    "fingerprint",
    "forge",
    "host certificate",
    "host key",
    "id",
    "jump host",
    "known_hosts",
    "pool",
    "public key",
    "repository",
    "secret",
    "stream",
    "token",
    "“%(description)s”",
}
#: Of several English terms, or a plural whose noun stays English.
WITHOUT_THAI = ENGLISH_TERMS | {
    "%(count)s pool",
    "Audit",
    "Barriers",
    "Provisioners",
    "Commits",
    "Boot id",
    "Credentials",
    "Dead ends",
    "Deployments",
    "Enrolment tokens",
    "Host certificate authorities",
    "Host keys",
    "Host keys…",
    "Id",
    "Ignition configs",
    "Jump hosts",
    "Kubelets",
    "Labels",
    "Operations",
    "Pin a deployment",
    "Polls",
    "Pools",
    "Processes",
    "Releases",
    "Streams",
    "Tokens",
    "Units",
    "Workers",
    "labels",
    "pools",
    "the web process",
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return translations.read_catalog(CATALOG)


def _texts(message: Message) -> tuple[list[str], list[str]]:
    """The English and the Thai forms of a message."""
    english = [message.id] if isinstance(message.id, str) else list(message.id)
    thai = [message.string] if isinstance(message.string, str) else list(message.string or ())
    return english, thai


def _messages(catalog: Catalog) -> list[Message]:
    return [message for message in catalog if message.id]


def test_thai_has_one_plural_form(catalog: Catalog) -> None:
    assert (catalog.num_plurals, catalog.plural_expr) == (1, "0")
    for message in _messages(catalog):
        _english, thai = _texts(message)
        assert len(thai) == 1, message.id
        assert isinstance(message.id, str) == isinstance(message.string, str), message.id


def test_placeholders_and_tags_are_the_same(catalog: Catalog) -> None:
    for message in _messages(catalog):
        english, thai = _texts(message)
        # The one form stands for every number: it holds what the plural does.
        assert set(PLACEHOLDER.findall(thai[0])) == set(PLACEHOLDER.findall(english[-1])), message.id
        assert sorted(TAG.findall(thai[0])) == sorted(TAG.findall(english[-1])), message.id


def test_only_terms_of_the_glossary_stay_english(catalog: Catalog) -> None:
    same = {message.id for message in _messages(catalog) if message.id == message.string}
    assert same == ENGLISH_TERMS
    latin = {_texts(message)[0][0] for message in _messages(catalog) if not THAI.search(_texts(message)[1][0])}
    assert {text for text in latin if re.search("[A-Za-z]{2}", PLACEHOLDER.sub("", text))} <= WITHOUT_THAI


def test_thai_is_written_as_the_glossary_says(catalog: Catalog) -> None:
    for message in _messages(catalog):
        english, thai = _texts(message)
        text = thai[0]
        assert text == text.strip() or english[0] != english[0].strip(), message.id
        assert not (re.match("[A-Z]", english[0]) and re.match("[a-z]", text)), message.id
        assert not text.endswith(".") or text.endswith(("ชม.", "วิ.")), message.id
        for word in ("กรุณา", "!", "ครับ", "ค่ะ", "เซิฟเวอร์", "อัพเดท", "อัปเดท", "เว็ป", "แอพ"):
            # "!=" is an operator of questions about facts.
            assert word not in text.replace("!=", ""), message.id


def test_every_message_fills(catalog: Catalog) -> None:
    class Anything(dict[str, object]):
        def __missing__(self, name: str) -> object:
            return 7

    for message in _messages(catalog):
        english, thai = _texts(message)
        if "%(" in english[0]:
            assert thai[0] % Anything(), message.id


def test_counts_and_times_of_a_page_are_thai() -> None:
    from fleetui.core.templatetags.ui import count_words
    from fleetui.core.templatetags.ui_words import age_words

    translations.compile_stale(ROOT / "locale")
    with translation.override("th"):
        assert count_words(1, "node") == "1 โหนด"
        assert count_words(1204, "node") == "1,204 โหนด"
        assert age_words(300) == "5 นาทีที่แล้ว"


def test_two_processes_may_compile_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "th" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.po").write_bytes((ROOT / "locale" / "th" / "LC_MESSAGES" / "django.po").read_bytes())
    code = "import sys, pathlib; from fleetui.core.translations import compile_stale; compile_stale(pathlib.Path(sys.argv[1]))"
    argv = [sys.executable, "-c", code, str(tmp_path)]
    both = [subprocess.Popen(argv, cwd=ROOT) for _number in range(2)]
    assert [one.wait(120) for one in both] == [0, 0]
    assert sorted(path.name for path in folder.iterdir()) == ["django.mo", "django.po"]


@pytest.mark.django_db
def test_the_sign_in_page_follows_the_language_cookie() -> None:
    client = Client()
    client.cookies["django_language"] = "th"
    page = client.get("/accounts/login/").content.decode()
    assert '<html lang="th"' in page
    assert "เข้าสู่ระบบ" in page


def test_no_mark_hides_behind_another_name() -> None:
    """The collector knows the marks by their names: what is marked with an alias is never translated."""
    alias = re.compile(r"import .*\bu?n?p?n?gettext\w* as (?!_\b)\w+")
    files = [path for app in ("fleetui", "nodes", "ops") for path in (ROOT / app).rglob("*.py")]
    hidden = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in files
        for line in path.read_text().splitlines()
        if alias.search(line)
    ]
    assert hidden == []
