"""Ignition documents as JSON: syntax, types, positions, versions."""

import pytest

from nodes.ignition.ignition import ADVICE_FOR_2, validate_document

START = '{"ignition": {"version": "3.4.0"}'


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("[]", "error at line 1 col 2: json: cannot unmarshal array into Go value of type util.versionStub"),
        ("3", "error at line 0 col 0: json: cannot unmarshal number into Go value of type util.versionStub"),
        (" ", "error at line 0 col 0: unexpected end of JSON input"),
        ("{", "error at line 0 col 0: unexpected end of JSON input"),
        ('{"a', "error at line 0 col 0: unexpected end of JSON input"),
        ("tru", "error at line 0 col 0: invalid character ' ' in literal true (expecting 'e')"),
        ("-", "error at line 0 col 0: invalid character ' ' in numeric literal"),
        ("\n {a", "error at line 0 col 0: invalid character 'a' looking for beginning of object key string"),
        ("{,}", "error at line 1 col 3: invalid character ',' looking for beginning of object key string"),
        ('{"a" 1}', "error at line 1 col 7: invalid character '1' after object key"),
        ('{"a":1 "b"}', "error at line 1 col 9: invalid character '\"' after object key:value pair"),
        ("[1 2]", "error at line 1 col 5: invalid character '2' after array element"),
        ("[1,]", "error at line 0 col 0: invalid character ']' looking for beginning of value"),
        ("[01]", "error at line 1 col 4: invalid character '1' after array element"),
        ("[1.]", "error at line 0 col 0: invalid character ']' after decimal point in numeric literal"),
        ("[1e]", "error at line 0 col 0: invalid character ']' in exponent of numeric literal"),
        ('"\\x"', "error at line 1 col 4: invalid character 'x' in string escape code"),
        ('"\\u12g"', "error at line 1 col 7: invalid character 'g' in \\u hexadecimal character escape"),
        ('"\n"', "error at line 2 col 1: invalid character '\\n' in string literal"),
        ("{} '", "error at line 0 col 0: invalid character '\\'' after top-level value"),
        ("\ufeff{}", "error at line 1 col 2: invalid character 'ï' looking for beginning of value"),
        (
            '{"ignition": {"version": 3}}',
            "error at line 1 col 27: json: cannot unmarshal number into Go struct field .Ignition.Version of type string",
        ),
        (
            '{"ignition": []}',
            "error at line 1 col 15: json: cannot unmarshal array "
            "into Go struct field versionStub.Ignition of type struct { Version string }",
        ),
        (
            START + ', "storage": {"files": [{"path": 1, "mode": 4.0}]}}',
            "error at line 1 col 68: json: cannot unmarshal number "
            "into Go struct field File.storage.files.Node.path of type string",
        ),
        (
            START + ', "storage": {"files": [{"mode": 420.0}]}}',
            "error at line 1 col 72: json: cannot unmarshal number 420.0 "
            "into Go struct field File.storage.files.FileEmbedded1.mode of type int",
        ),
        (
            START + ', "systemd": {"units": {}}}',
            "error at line 1 col 58: json: cannot unmarshal object "
            "into Go struct field Systemd.systemd.units of type []types.Unit",
        ),
        (
            START + ', "passwd": {"users": [{"sshAuthorizedKeys": [true]}]}}',
            "error at line 1 col 84: json: cannot unmarshal bool "
            "into Go struct field PasswdUser.passwd.users.sshAuthorizedKeys of type types.SSHAuthorizedKey",
        ),
    ],
)
def test_what_cannot_be_read(document: str, told: str) -> None:
    validation = validate_document(document)
    assert validation.report.as_text().strip() == told
    assert (validation.error, validation.exit_code) == (None, 1)


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ("", "not a config (empty)"),
        ("null", "invalid config version (couldn't parse)"),
        ("{}", "invalid config version (couldn't parse)"),
        ('{"ignition": {"version": "3.4"}}', "invalid config version (couldn't parse)"),
        ('{"ignition": {"version": "3.8.0"}}', "unsupported config version"),
        ('{"ignition": {"version": "3.7.0"}}', "unsupported config version"),
        ('{"ignition": {"version": "1.0.0"}}', "unsupported config version"),
    ],
)
def test_what_is_no_known_version(document: str, error: str) -> None:
    validation = validate_document(document)
    assert (validation.error, validation.advice, validation.exit_code) == (error, None, 1)


def test_spec_2_comes_with_advice() -> None:
    validation = validate_document('{"ignition": {"version": "2.3.0"}}')
    assert (validation.error, validation.version) == ("unsupported config version", "2.3.0")
    assert validation.advice == ADVICE_FOR_2


@pytest.mark.parametrize(
    "version", ["3.0.0", "3.1.0", "3.2.0", "3.3.0", "3.4.0", "3.5.0", "3.6.0", "3.7.0-experimental", "03.4.0"]
)
def test_versions(version: str) -> None:
    validation = validate_document(f'{{"ignition": {{"version": "{version}"}}}}')
    assert (validation.exit_code, validation.report.entries, validation.error) == (0, [], None)


def test_fields_of_later_versions_are_not_used() -> None:
    validation = validate_document('{"ignition": {"version": "3.2.0"},\n "kernelArguments": {"shouldExist": [1]}}')
    assert validation.report.as_text() == ("warning at $.kernelArguments, line 2 col 2: unused key kernelArguments\n")
    assert validation.exit_code == 0


def test_keys_without_case_and_repeated_ones() -> None:
    document = (
        '{"Ignition": {"VERSION": "3.4.0"}, "passwd": {"u\u017fers": [{"name": "a", "uid": 1}], '
        '"users": [{"name": "b"}, {"name": "c"}], "groups": null}}'
    )
    config = validate_document(document).config
    assert config is not None
    users = config.record("passwd").records("users")
    assert [(user.text("name"), user.number("uid")) for user in users] == [("b", 1), ("c", None)]


def test_texts_are_made_whole() -> None:
    document = START.encode() + b', "passwd": {"users": [{"name": "\xff\\ud800\\ud83d\\ude00\\u0041"}]}}'
    config = validate_document(document).config
    assert config is not None
    assert config.record("passwd").records("users")[0].text("name") == "\ufffd\ufffd\U0001f600A"


def test_columns_count_bytes_and_containers_stand_behind_their_bracket() -> None:
    document = START + ', "passwd": {"users": [{"name": "é"}, {"name": "é"}, {"é": 1, "name": "x"}]}}'
    assert validate_document(document).report.as_text() == (
        "error at $.passwd.users.1, line 1 col 74: duplicate entry defined\n"
        "warning at $.passwd.users.2.é, line 1 col 90: unused key é\n"
    )


def test_a_number_beyond_floats_takes_the_positions_away() -> None:
    validation = validate_document(START + ', "x": 1e999, "passwd": {"users": [{"name": "a"}, {"name": "a"}]}}')
    assert validation.report.as_text() == "error at $.passwd.users.1: duplicate entry defined\n"
