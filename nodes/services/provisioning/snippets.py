"""What a person pastes so that a machine fetches its config from here. Pure: text out.

Arguments as in the live reference and the command reference of coreos-installer (Fedora CoreOS), and in the boot process
of Flatcar; the pointer config is `ignition.config.replace` of the Ignition specification.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass

from nodes.models import IgnitionVersion

_FLATCAR = re.compile(r"""(?m)^variant:\s*["']?flatcar\b""")

_IPXE = """\
#!ipxe
set base {base}
kernel ${{base}}/{kernel} initrd=main {arguments}
initrd --name main ${{base}}/{initrd}
boot
"""


@dataclass(frozen=True)
class Snippets:
    """`install` is empty where the system has no installer that takes an address."""

    kernel_arguments: str
    pointer: str
    install: str
    ipxe: str


def snippets_for(version: IgnitionVersion, *, url: str, sha512: str) -> Snippets:
    """For a version as it is stored: its source says the family, its rendering which Ignition it speaks."""
    spoken = str(json.loads(version.rendered)["ignition"]["version"])
    family = "flatcar" if _FLATCAR.search(version.source) else "fcos"
    return snippets(family=family, url=url, sha512=sha512, ignition_version=spoken)


def snippets(*, family: str, url: str, sha512: str, ignition_version: str) -> Snippets:
    """For one token. `ignition_version` is that of the config: a pointer of another one could not be replaced by it."""
    if family == "flatcar":
        arguments = f"flatcar.first_boot=1 ignition.config.url={url}"
        ipxe = _IPXE.format(
            base="https://stable.release.flatcar-linux.net/amd64-usr/current",
            kernel="flatcar_production_pxe.vmlinuz",
            initrd="flatcar_production_pxe_image.cpio.gz",
            arguments=arguments,
        )
        return Snippets(arguments, _pointer(url, sha512, ignition_version), "", ipxe)
    arguments = f"ignition.firstboot ignition.platform.id=metal ignition.config.url={url}"
    installs = (
        f"coreos.live.rootfs_url=${{base}}/ROOTFS coreos.inst.install_dev=/dev/sda coreos.inst.ignition_url={url}"
    )
    ipxe = _IPXE.format(base="https://BASE", kernel="KERNEL", initrd="INITRAMFS", arguments=installs)
    argv = ["coreos-installer", "install", "/dev/sda", "--ignition-url", url]
    argv += ["--ignition-hash", sha512] if sha512 else []
    # Without TLS the installer asks to be told that this is meant; the hash holds the content either way.
    install = shlex.join(argv if url.startswith("https:") else [*argv, "--insecure-ignition"])
    return Snippets(arguments, _pointer(url, sha512, ignition_version), f"sudo {install}", ipxe)


#: The newest that each supported system reads; taken where no version is chosen yet.
_SPOKEN = "3.4.0"
#: Of a machine that runs: what iPXE calls ${uuid}.
_OWN_UUID = "$(sudo cat /sys/class/dmi/id/product_uuid)"
#: Stands in a line where somebody puts the id of the machine.
ID_PLACE = "MACHINE-ID"


def pool_snippets(version: IgnitionVersion | None, *, url: str, needs_id: bool) -> Snippets:
    """For the token of a pool. No hash of the config: it differs from machine to machine."""
    spoken = str(json.loads(version.rendered)["ignition"]["version"]) if version else _SPOKEN
    family = "flatcar" if version and _FLATCAR.search(version.source) else "fcos"
    by_hand = snippets(
        family=family, url=f"{url}?id={ID_PLACE}" if needs_id else url, sha512="", ignition_version=spoken
    )
    booted = snippets(family=family, url=f"{url}?id=${{uuid}}", sha512="", ignition_version=spoken)
    flags = "" if url.startswith("https:") else " --insecure-ignition"
    install = f'sudo coreos-installer install /dev/sda --ignition-url "{url}?id={_OWN_UUID}"{flags}'
    return Snippets(by_hand.kernel_arguments, by_hand.pointer, install if by_hand.install else "", booted.ipxe)


def _pointer(url: str, sha512: str, version: str) -> str:
    replace = {"source": url, **({"verification": {"hash": sha512}} if sha512 else {})}
    return json.dumps({"ignition": {"version": version, "config": {"replace": replace}}}, indent=2)
