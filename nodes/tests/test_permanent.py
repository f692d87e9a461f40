"""An image that FleetUI gave to a unit is written into the config: as a draft, and only where nothing else changes by it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from nodes.models import IgnitionVersion, Node
from nodes.tests.api.client import Api
from nodes.tests.cast import Cast
from nodes.tests.make import make_config, make_facts, make_node, make_version
from nodes.tests.pages import signed_in
from nodes.tests.test_containers import APP, section

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]
HEAD = "variant: fcos\nversion: 1.5.0\n"
QUADLET = f"[Container]\nImage={APP}:v1\nEnvironment=OF={APP}:v10\n"
INLINE = "".join(f"            {line}\n" for line in QUADLET.splitlines())
FILES = f"""{HEAD}storage:
  files:
    - path: /etc/containers/systemd/other.container
      contents:
        inline: |
{INLINE}    - path: /etc/containers/systemd/web.container
      contents:
        inline: |
{INLINE}"""
UNITS = f"""{HEAD}# {APP}:v1 is the oldest
systemd:
  units:
    - name: web.service
      enabled: true
      contents: |
        [Service]
        ExecStart=/usr/bin/podman run --rm \\
          {APP}:v1 serve
"""
LOCAL = f"""{HEAD}storage:
  files:
    - path: /etc/containers/systemd/web.container
      contents:
        local: web.container
"""
DROPINS = {
    "quadlet": (
        "/etc/containers/systemd/web.container.d/50-fleetui-image.conf",
        "/etc/containers/systemd/web.container",
    ),
    "unit": ("/etc/systemd/system/web.service.d/50-fleetui-image.conf", "/etc/systemd/system/web.service"),
}


def given(cast: Cast, kind: str, source: str, files: dict[str, Any] | None = None) -> tuple[Node, IgnitionVersion, str]:
    config = make_config("shop", cast.web)
    version = make_version(config, source=source, files=files or {})
    node = make_node("changed", pool=cast.web, applied_version=version, applied_how="by_hand")
    path, file = DROPINS[kind]
    unit = {
        "name": "web.service",
        "kind": kind,
        "source": file,
        "container": "web",
        "image": f"{APP}:v2",
        "dropins": [path],
    }
    make_facts(node, **section(units=[unit]))
    return node, version, path


@pytest.mark.parametrize(
    ("kind", "source", "line"),
    [("quadlet", FILES, len(FILES.splitlines()) - 2), ("unit", UNITS, len(UNITS.splitlines()) - 1)],
)
def test_the_draft_changes_the_image_of_this_unit_and_nothing_else(
    cast: Cast, kind: str, source: str, line: int
) -> None:
    _node, version, path = given(cast, kind, source)
    page = signed_in(cast.owner).get("/nodes/changed/ignition/").content.decode()
    assert "Write it into shop" in page
    made = Api(cast.owner).post("nodes/changed/drift/permanent/", {"path": path})
    assert (made.status_code, made.json()["number"], made.json()["state"]) == (201, 2, "draft"), made.json()
    draft = IgnitionVersion.objects.get(config=version.config, number=2)
    lines = source.splitlines()
    lines[line] = lines[line].replace(":v1", ":v2")
    assert draft.source.splitlines() == lines
    again = Api(cast.owner).post("nodes/changed/drift/permanent/", {"path": path})
    assert (again.status_code, "already" in again.json()["detail"]) == (409, True)


def test_a_file_beside_the_source_is_changed(cast: Cast) -> None:
    file = {"base64": base64.b64encode(QUADLET.encode()).decode(), "executable": False}
    _node, version, path = given(cast, "quadlet", LOCAL, {"web.container": file})
    answer = signed_in(cast.owner).post("/nodes/changed/ignition/permanent/", {"path": path})
    assert answer.headers["Location"] == "/ignition/configs/shop/2/", answer.headers
    draft = IgnitionVersion.objects.get(config=version.config, number=2)
    text = base64.b64decode(draft.files["web.container"]["base64"]).decode()
    assert text == QUADLET.replace(":v1\n", ":v2\n")
    assert draft.source == LOCAL


@pytest.mark.parametrize("source", [HEAD, FILES.replace("path: /etc/containers/systemd/web.", "path: /etc/x.")])
def test_what_the_config_says_otherwise_is_left_to_a_person(cast: Cast, source: str) -> None:
    _node, version, path = given(cast, "quadlet", source)
    refused = Api(cast.owner).post("nodes/changed/drift/permanent/", {"path": path})
    assert (refused.status_code, "by hand" in refused.json()["mend"]) == (400, True)
    unknown = Api(cast.owner).post("nodes/changed/drift/permanent/", {"path": "/etc/passwd"})
    assert unknown.status_code == 404
    assert IgnitionVersion.objects.filter(config=version.config).count() == 1


def test_who_may_not_edit_the_config_is_offered_nothing(cast: Cast) -> None:
    _node, version, path = given(cast, "quadlet", FILES)
    page = signed_in(cast.viewer).get("/nodes/changed/ignition/").content.decode()
    assert path in page
    assert "Write it into" not in page
    assert Api(cast.viewer).post("nodes/changed/drift/permanent/", {"path": path}).status_code == 403
    assert IgnitionVersion.objects.filter(config=version.config).count() == 1
