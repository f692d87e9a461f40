"""Who may sign in, and with what."""

from collections.abc import Iterator

from nodes.ignition.lint.model import CORE, Found, Rule, Severity, Subject, example, file_example
from nodes.ignition.sections.model import Key, User

_SHORT_RSA, _TOO_SHORT_RSA = 3072, 2048
_ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK1v7v7bq3mJx0P3m9cQh6m0aYzY1XqJ8Zr1bXn0nJ2b deploy@example.com"
# Made up: nobody has their private parts.
_RSA_1024 = (
    "ssh-rsa "
    "AAAAB3NzaC1yc2EAAAADAQABAAAAgQDBgg1di692LsZtzVb+0Vx4vyeY1Pm9SS9FU+mbRoSGVJhna4u4TOcmfdUg3spIEcjxClPm"
    "NjUvBph/Qv5CWs7dgASAqT0umwlLieCOAZdgiawYGTr4AsZrYxzI0twbroyIhyHWZO9gCWqlWeGqbHLK8frPXOCLA6ppIe2a9WRd"
    "VA== old@example.com"
)
_DSS = (
    "ssh-dss "
    "AAAAB3NzaC1kc3MAAABBAMEWm1uCPGK2TKfl+EVqE8jV0G9OzlIqWLwrinhNzzYJsPZFUfzW8Hgjy4eXHPuRRGQl2hgoazqx75Ne"
    "DL16afYAAAAVAME0HAo+Z8MUZyD6G5UEkn7OX12uAAAAQQDB8hsO+J2O5dr2umzUQWUqZHIplB6FsVN7XDXt5rTVGahxFDD2Fk6T"
    "gD2TQovB+rgPQeITuxl2iTB96GBtQ3wwAAAAQQDB6imv9Pdjodu+RrxRT8sbMKMkKwekdxF/x54uR2yU5EkD4HabEIhq7w/yFwhR"
    "3WfUF1XIcDfEMZ2ZAef99RjE old@example.com"
)


def _keys(subject: Subject) -> Iterator[tuple[User, Key]]:
    for user in subject.sections.users:
        for key in user.keys:
            yield user, key


def _no_ssh_key(subject: Subject) -> Iterator[Found]:
    """Somebody must be able to come in. Key files count too."""
    if not subject.is_whole or any(node.purpose == "authorized_keys" for node in subject.sections.files):
        return
    if not any(True for _ in _keys(subject)):
        users = subject.sections.users
        yield Found(users[0].at if users else ())


def _password(subject: Subject) -> Iterator[Found]:
    for user in subject.sections.users:
        if user.has_password and not user.is_removed:
            yield Found((*user.at, "passwordHash"), {"user": user.name})


def _password_over_ssh(subject: Subject) -> Iterator[Found]:
    for node in subject.sections.files:
        text = node.content.text if node.purpose == "ssh_server" and node.content else None
        for number, line in enumerate((text or "").split("\n"), start=1):
            words = line.replace("=", " ", 1).replace('"', " ").split()
            if len(words) > 1 and words[0].lower() in _PASSWORD_OPTIONS and words[1].lower() == "yes":
                yield Found(node.content_at, {"path": node.path, "option": words[0]}, number)


_PASSWORD_OPTIONS = ("passwordauthentication", "kbdinteractiveauthentication", "challengeresponseauthentication")


def _key_type(subject: Subject) -> Iterator[Found]:
    for user, one in _keys(subject):
        if one.key.problem is None and one.key.type.startswith("ssh-dss"):
            yield Found(one.at, {"user": user.name, "type": one.key.type})


def _key_short(subject: Subject) -> Iterator[Found]:
    for user, one in _keys(subject):
        key = one.key
        if key.type == "ssh-rsa" and key.bits is not None and key.bits < _SHORT_RSA:
            yield Found(one.at, {"user": user.name, "bits": key.bits, "wanted": _SHORT_RSA})


def _key_unreadable(subject: Subject) -> Iterator[Found]:
    for user, one in _keys(subject):
        if one.key.problem is not None:
            yield Found(one.at, {"user": user.name, "type": one.key.type})


def _key_twice(subject: Subject) -> Iterator[Found]:
    seen: dict[str, str] = {}
    for user, one in _keys(subject):
        if not one.key.fingerprint:
            continue
        other = seen.setdefault(one.key.fingerprint, user.name)
        if other != user.name or one.at[-1] != _first(user, one):
            yield Found(one.at, {"user": user.name, "other": other, "key": one.key.comment or one.key.fingerprint})


def _first(user: User, one: Key) -> object:
    return next(key.at[-1] for key in user.keys if key.key.fingerprint == one.key.fingerprint)


def _root(subject: Subject) -> Iterator[Found]:
    for user in subject.sections.users:
        if user.name == "root" and (user.keys or user.has_password):
            yield Found(user.at)


def _user(*lines: str, name: str = "core") -> str:
    return example("passwd:\n  users:\n    - name: " + name + "\n" + "".join(f"      {line}\n" for line in lines))


def _with_keys(*keys: str) -> str:
    return _user("ssh_authorized_keys:", *(f"  - {key}" for key in keys))


RULES = (
    Rule("no-ssh-key", Severity.ERROR, _no_ssh_key, example(CORE), _user("groups: [wheel]")),
    Rule("password-login", Severity.WARNING, _password, example(CORE), _user("password_hash: $y$j9T$aaa$bbb")),
    Rule(
        "password-over-ssh",
        Severity.WARNING,
        _password_over_ssh,
        file_example("/etc/ssh/sshd_config.d/20-limits.conf", "MaxAuthTries 3"),
        file_example("/etc/ssh/sshd_config.d/20-passwords.conf", "PasswordAuthentication yes"),
    ),
    Rule("key-type", Severity.ERROR, _key_type, _with_keys(_ED25519), _with_keys(_DSS)),
    Rule("key-short", Severity.WARNING, _key_short, _with_keys(_ED25519), _with_keys(_RSA_1024)),
    Rule(
        "key-unreadable",
        Severity.ERROR,
        _key_unreadable,
        _with_keys(_ED25519),
        _with_keys("ssh-ed25519 AAAAC3Nz ops@x"),
    ),
    Rule(
        "key-duplicate",
        Severity.WARNING,
        _key_twice,
        _with_keys(_ED25519),
        example(
            CORE
            + "    - name: deploy\n      ssh_authorized_keys:\n        - ssh-ed25519 "
            + CORE.split("ssh-ed25519 ")[1]
        ),
    ),
    Rule(
        "root-login", Severity.WARNING, _root, example(CORE), _user(f"ssh_authorized_keys: [{_ED25519}]", name="root")
    ),
)
