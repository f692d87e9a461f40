"""A real machine is replaced, by a command and by terraform: it fetches its config, and is known by the key in that."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.installation import installation
from tests.rig import Rig
from tests.test_operations_rig import Fleet
from tests.test_provisioning_rig import approved

pytestmark = [pytest.mark.e2e, pytest.mark.rig]
#: Looks first what it did already under this id, as the documentation asks of it.
COMMAND = """\
#!/usr/bin/python3
import json, pathlib, subprocess, sys, urllib.request
asked = json.load(sys.stdin)
done = pathlib.Path(__file__).with_name(asked["id"])
name = asked["node"]["name"]
if not done.exists():
    with urllib.request.urlopen(asked["ignition"]["url"]) as answer:
        config = pathlib.Path(__file__).with_name(name + ".ign")
        config.write_bytes(answer.read())
    print("recreating", name, file=sys.stderr)
    made = subprocess.run(
        ["{rig}", "recreate", name, "--ignition", config, "--no-rig-key"], check=True, stdout=subprocess.PIPE
    )
    config.unlink()
    done.write_bytes(made.stdout)
print(json.dumps({{"state": "replaced", "sentence": "recreated", "address": json.loads(done.read_text())["address"]}}))
"""
#: The machine is a resource whose provisioner really makes it.
MACHINES = """\
variable "fleetui" {{
  type      = object({{ node = string, ignition_url = string }})
  default   = null
  sensitive = true
}}
resource "terraform_data" "machine" {{
  for_each = toset(["{name}"])
  provisioner "local-exec" {{
    command     = <<-EOT
      test -n "$URL" || exit 0
      curl -sSf "$URL" -o config.ign
      {rig} recreate ${{each.key}} --ignition config.ign --no-rig-key >> made
      rm config.ign
    EOT
    environment = {{ URL = try(var.fleetui.ignition_url, "") }}
  }}
}}
"""


def terraformed(folder: Path, name: str, rig: Rig) -> None:
    """A directory whose state has the machine."""
    if not shutil.which("terraform"):
        missing("terraform is not installed.")
    folder.mkdir()
    (folder / "main.tf").write_text(MACHINES.format(name=name, rig=rig.program))
    for words in (["init"], ["apply", "-auto-approve"]):
        done = subprocess.run(
            ["terraform", words[0], "-input=false", *words[1:]], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_machine_is_replaced(tmp_path: Path, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", "/dev/null")
    (host,) = rig.up(1)
    name, folder = str(host["name"]), tmp_path / "provisioners"
    folder.mkdir()
    (folder / "recreate").write_text(COMMAND.format(rig=rig.program))
    (folder / "recreate").chmod(0o755)
    with installation(tmp_path / "var", FLEETUI_PROVISIONERS_DIR=str(folder), FLEETUI_POLL_INTERVAL_S="900") as started:
        fleet = Fleet(started, rig)
        fleet.take_in([host])
        version = approved(fleet, host)
        given = {"name": "rig", "kind": "hook", "settings": {"command": ["recreate"]}, "base_url": started.url}
        fleet.ask("POST", "provisioners/", {**given, "pools": ["web"]})
        plan = fleet.ask("POST", "operations/", {"kind": "replace", "nodes": [name], "dry_run": True})
        assert plan["operations"][0]["commands"] == [["recreate"]], plan
        before = fleet.node(name)

        operation = fleet.start("replace", name, soak_s=0)
        done = fleet.end(operation)
        assert done["state"] == "succeeded", (done["step"], done["waits_for"], done["result_sentence"])
        after = fleet.node(name)
        assert (after["generation"], after["reachability"]) == (before["generation"] + 1, "reachable")
        assert after["machine_id"] != before["machine_id"]
        made = json.loads((folder / operation.replace("-", "")).read_text())
        assert made["generation"] == host["generation"] + 1, "once"
        assert fleet.ask("GET", f"nodes/{name}/ignition/")["applied"]["id"] == version["id"]
        machine = fleet.ask("GET", f"operations/{operation}/machine/")
        (pinned,) = [key for key in fleet.ask("GET", f"nodes/{name}/host-keys/")["results"] if key["state"] == "pinned"]
        assert (machine["config"], pinned["fingerprint"]) == ("arrived", machine["host_key_fingerprint"])
        text = "\n".join(line["text"] for line in fleet.ask("GET", f"operations/{operation}/log/")["lines"])
        assert f"recreating {name}" in text
        assert "fleetui-ignition_" not in text + started.output

        terraformed(folder / "machines", name, rig)
        (hook,) = fleet.ask("GET", "provisioners/")["results"]
        fleet.ask("DELETE", f"provisioners/{hook['id']}/")
        settings = {"directory": "machines", "address": 'terraform_data.machine["{node}"]'}
        given = {**given, "name": "tf", "kind": "terraform", "settings": settings}
        fleet.ask("POST", "provisioners/", {**given, "pools": ["web"]})
        operation = fleet.start("replace", name, soak_s=0)
        done = fleet.end(operation)
        assert done["state"] == "succeeded", (done["step"], done["waits_for"], done["result_sentence"])
        again = fleet.node(name)
        assert (again["generation"], again["reachability"]) == (after["generation"] + 1, "reachable")
        assert again["machine_id"] != after["machine_id"]
        made = json.loads((folder / "machines" / "made").read_text())
        assert made["generation"] == host["generation"] + 2, "once"
        text = "\n".join(line["text"] for line in fleet.ask("GET", f"operations/{operation}/log/")["lines"])
        assert "Apply complete! Resources: 1 added, 0 changed, 1 destroyed." in text
        assert "fleetui-ignition_" not in text + started.output
