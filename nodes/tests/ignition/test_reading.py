"""From YAML to records: positions, type errors, duplicates, anchors, and what a document may not be."""

import pytest

from nodes.ignition.butane import convert
from nodes.tests.ignition.sources import butane, findings, output


def error_of(body: str, *, version: str = "1.5.0") -> str | None:
    return convert(butane(body, version=version)).error


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("", "error parsing variant; must be specified"),
        ("version: 1.5.0\n", "error parsing variant; must be specified"),
        ("variant: fcos\n", "error parsing version; must be a valid semver"),
        ("variant: fcos\nversion: 1.5\n", "error parsing version; must be a valid semver"),
        ("variant: fcos\nversion: v1.5.0\n", "error parsing version; must be a valid semver"),
        ("variant: fcos\nversion: 1.5.1\n", "No translator exists for variant fcos with version 1.5.1"),
        (
            "variant: fcos\nversion: 1.5.0-experimental\n",
            "No translator exists for variant fcos with version 1.5.0-experimental",
        ),
        ("variant: ubuntu\nversion: 01.2.3+x\n", "No translator exists for variant ubuntu with version 1.2.3+x"),
        (
            "[]",
            "Error unmarshaling yaml: yaml: unmarshal errors:\n"
            "  line 1: cannot unmarshal !!seq into config.commonFields",
        ),
        (
            "variant: fcos\nvariant: x\nvariant: y\n",
            "Error unmarshaling yaml: yaml: unmarshal errors:\n"
            '  line 2: mapping key "variant" already defined at line 1\n'
            '  line 3: mapping key "variant" already defined at line 1\n'
            '  line 3: mapping key "variant" already defined at line 2',
        ),
        ("a: [", "Error unmarshaling yaml: yaml: line 1: did not find expected node content"),
        ("a: *b", "Error unmarshaling yaml: yaml: unknown anchor 'b' referenced"),
        (b"a: \xff", "Error unmarshaling yaml: yaml: invalid leading UTF-8 octet"),
    ],
)
def test_headers(source: str | bytes, error: str) -> None:
    conversion = convert(source)
    assert conversion.error == error
    assert conversion.exit_code(strict=False) == 1


@pytest.mark.parametrize(
    ("variant", "what"),
    [("openshift", "OpenShift MachineConfigs"), ("r4e", "RHEL for Edge"), ("fiot", "Fedora IoT")],
)
def test_other_variants_are_refused_by_name(variant: str, what: str) -> None:
    error = convert(butane(variant=variant, version="1.0.0")).error or ""
    assert error.startswith(f"variant {variant} ({what}) is not translated here, only fcos and flatcar are")
    assert "has been removed" in (convert(butane(variant="rhcos", version="0.1.0")).error or "")


def test_all_type_errors_are_told() -> None:
    error = error_of(
        """\
        storage:
          files:
            - path: /a
              mode: abcdefghijkl
              overwrite: 1
              user: root
            - path: [x]
          links: {}
        systemd:
          units:
            - name: a.service
              enabled: "true"
              dropins: !!str x
              mask: !!map x
        """
    )
    assert error == (
        "yaml: unmarshal errors:\n"
        "  line 6: cannot unmarshal !!str `abcdefg...` into int\n"
        "  line 7: cannot unmarshal !!int `1` into bool\n"
        "  line 8: cannot unmarshal !!str `root` into v0_5.NodeUser\n"
        "  line 9: cannot unmarshal !!seq into string\n"
        "  line 10: cannot unmarshal !!map into []v0_5.Link\n"
        "  line 14: cannot unmarshal !!str `true` into bool\n"
        "  line 15: cannot unmarshal !!str `x` into []v0_5.Dropin\n"
        "  line 16: cannot unmarshal !!mapx into bool"
    )


def test_a_cut_value_may_end_within_a_character() -> None:
    error = error_of("storage: {files: [{path: /a, mode: aaaaaa\u0e01\u0e02}]}\n") or ""
    assert error.encode("utf-8", "surrogateescape").endswith(b"`aaaaaa\xe0...` into int")


def test_duplicates_below_the_top() -> None:
    assert error_of('passwd:\n  users:\n    - name: a\n      "na\\u006de": b\n') == (
        'yaml: unmarshal errors:\n  line 6: mapping key "name" already defined at line 5'
    )


def test_strings_are_taken_as_written() -> None:
    assert output(
        """\
        passwd:
          users:
            - name: yes
              gecos: 0123
              shell: ~
              home_dir: 2024-01-02
              groups: [null, 1, "~", !!binary aGk=]
        """
    ) == (
        '{"ignition":{"version":"3.4.0"},"passwd":{"users":[{"gecos":"0123","groups":["1","~","hi"],'
        '"homeDir":"2024-01-02","name":"yes"}]}}'
    )


def test_a_null_in_a_list_moves_what_follows() -> None:
    conversion = convert(butane("passwd:\n  users: [{name: a}, null, {name: b}]\n"))
    assert '"users":[{"name":"a"},{"name":"b"}]' in (conversion.output or "")
    # The second user has the place of the null, which is no mapping.
    assert [row[:4] for row in findings(conversion)] == [("warning", "$.passwd.users.1", 4, 22)]


def test_aliases_of_scalars_and_lists() -> None:
    text = output("passwd:\n  users:\n    - {name: a, shell: &s b, groups: &g [x]}\n    - {name: *s, groups: *g}\n")
    assert '"users":[{"groups":["x"],"name":"a","shell":"b"},{"groups":["x"],"name":"b"}]' in text


def test_an_alias_of_a_mapping_works_with_a_warning() -> None:
    conversion = convert(
        butane("storage:\n  files:\n    - {path: /a, contents: &c {inline: x}}\n    - {path: /b, contents: *c}\n")
    )
    assert (conversion.output or "").count("data:,x") == 2
    assert findings(conversion) == [
        (
            "warning",
            "$.storage.files.1.contents",
            6,
            28,
            "context tree does not match content tree at $.storage.files.1.contents. "
            "Line and column reporting may be inconsistent. Unused keys may not be reported",
        )
    ]


def test_merges() -> None:
    conversion = convert(
        butane(
            """\
            a: &a {mode: 0600, path: /from-a}
            b: &b {mode: 0644, overwrite: false}
            storage:
              files:
                - <<: [*a, *b]
                  path: /own
                - <<: *a
            """
        )
    )
    assert '"files":[{"overwrite":false,"path":"/own","mode":384},{"path":"/from-a","mode":384}]' in (
        conversion.output or ""
    )
    assert [(row[1], row[2], row[3]) for row in findings(conversion)] == [
        ("$.a", 3, 1),
        ("$.b", 4, 1),
        ("$.storage.files.0.<<", 7, 7),
        ("$.storage.files.1.<<", 9, 7),
    ]
    assert conversion.exit_code(strict=False) == 0
    assert conversion.exit_code(strict=True) == 1


@pytest.mark.parametrize("merge", ["3", "[1]", "*n"])
def test_merges_of_what_is_no_mapping(merge: str) -> None:
    error = error_of(f"n: &n [x]\nstorage:\n  files:\n    - <<: {merge}\n")
    assert error == "yaml: map merge requires map or sequence of maps as the value"


def test_flow_collections_are_scanned_as_the_real_tool_does() -> None:
    """What libyaml and yaml.v3 read differently."""
    assert '"groups":["b:","c:"],"name":"a:"' in output("passwd: {users: [{name: a:, groups: [b:,c:]}]}\n")
    conversion = convert(butane("passwd: {users: [{name: a:, x: 1}]}\n"))
    assert [row[1:4] for row in findings(conversion)] == [("$.passwd.users.0.x", 3, 29)]
    head = "Error unmarshaling yaml: yaml: "
    assert error_of("x:\n  y: {source: http://x/a?b=c}\n") == head + "line 3: did not find expected ',' or '}'"
    assert error_of("x: [a?]\n") == head + "line 2: did not find expected ',' or ']'"
    assert error_of("x: [!a , b, !c d]\n") is None
    assert error_of("x: {a:{b: c}}\n") == head + "line 2: did not find expected ',' or '}'"
    assert error_of("x: ['a?', \"b?\"]\ny: a?\n") is None


@pytest.mark.parametrize(
    ("flow", "error"),
    [
        ("[!a, b]", None),
        ("[!!str, b, !!int, c]", None),
        ("{a: !t, b}", None),
        ("{a: !t, b: c}", "line 2: did not find expected ',' or '}'"),
        ("[!a,b]", "line 2: did not find expected ',' or ']'"),
        ("[!a]", "line 2: did not find expected ',' or ']'"),
        ("[!<a>, b]", "line 3: did not find expected whitespace or line break"),
        ("{a: !t}", "line 3: did not find expected whitespace or line break"),
    ],
)
def test_commas_and_brackets_are_part_of_a_tag(flow: str, error: str | None) -> None:
    assert error_of(f"x: {flow}\n") == (f"Error unmarshaling yaml: yaml: {error}" if error else None)


def test_tabs_before_a_comment_that_goes_on() -> None:
    assert error_of("x:\n  # one\n\t  # two\n  y: 1\n") is None
    assert error_of("x:\n\t  # two\n  y: 1\n") == (
        "Error unmarshaling yaml: yaml: line 4: found character that cannot start any token"
    )


def test_versions_of_yaml() -> None:
    assert convert("%YAML 1.1\n---\n" + butane()).error is None
    assert convert("%YAML 1.2\n---\n" + butane()).error == (
        "Error unmarshaling yaml: yaml: found incompatible YAML document"
    )


def test_what_is_wrong_in_a_later_document_is_not_seen() -> None:
    assert convert(butane("---\na: b\n" + "# padding\n" * 100).encode() + b"\xff").error is None
    assert (
        convert(butane("x: y\n").encode() + b"\xff").error
        == "Error unmarshaling yaml: yaml: invalid leading UTF-8 octet"
    )


def test_errors_of_the_scanner_are_seen_two_tokens_ahead() -> None:
    head = "Error unmarshaling yaml: yaml: "
    assert error_of("---\n@x\n") == head + "line 4: found character that cannot start any token"
    assert error_of("---\na: @x\n") is None
    assert error_of('x: [a] "d" @x\n') == head + "line 3: found character that cannot start any token"


def test_positions_count_characters() -> None:
    conversion = convert(butane('passwd: {users: [{name: "ÄÖÜ", bogus: 1}]}\n'))
    assert findings(conversion) == [("warning", "$.passwd.users.0.bogus", 3, 32, "unused key bogus")]


def test_only_the_first_document_counts() -> None:
    assert convert("---\n" + butane() + "---\nvariant: [\n").output == '{"ignition":{"version":"3.4.0"}}'


def test_json_bom_and_line_ends() -> None:
    assert convert('\ufeff{"variant": "fcos", "version": "1.5.0"}').output == '{"ignition":{"version":"3.4.0"}}'
    text = butane("storage:\n  files:\n    - path: /a\n      contents:\n        inline: |\n          a\n          b\n")
    assert "data:,a%0Ab%0A" in (convert(text.replace("\n", "\r\n")).output or "")
