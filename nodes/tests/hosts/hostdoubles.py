"""Makes probe outputs by hand, and finds the recordings that are read in place."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nodes.hosts import drivers
from nodes.hosts.drivers.base import ProbeReading
from nodes.hosts.probe import ProbeOutput, SectionOutput

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
NONCE = "0123456789abcdef"
BOOT_ID = "4b2d9a52-0f6e-4c38-9b51-6f1f4c2fbb10"
CHECKSUM = {name: name * 64 for name in "abcdef"}

OS_RELEASE = """\
NAME="Fedora Linux"
ID=fedora
VERSION_ID=43
PRETTY_NAME="Fedora CoreOS 43.20251024.3.0"
VARIANT="CoreOS"
VARIANT_ID=coreos
OSTREE_VERSION='43.20251024.3.0'
"""

HEALTHY = {
    "os_release": OS_RELEASE,
    "usr_os_release": OS_RELEASE,
    "uname": "Linux 6.17.4-200.fc43.x86_64 x86_64\n",
    "boot_id": BOOT_ID + "\n",
    "btime": "btime 1782900000\n",
    "boot_order": "1782899980\n",
    "cmdline": "BOOT_IMAGE=(hd0,gpt3)/vmlinuz root=UUID=1 rw ignition.platform.id=qemu\n",
    "boots": " -1 11111111111111111111111111111111 Wed 2026-06-24 10:00:00 UTC Wed 2026-07-01 09:00:00 UTC\n"
    "  0 22222222222222222222222222222222 Wed 2026-07-01 10:00:00 UTC Wed 2026-07-01 12:00:00 UTC\n",
    "hostname": "host-one\n",
    "podman_units": "",
    "system_state": "running\n",
    "failed_units": "",
    "failed_details": "",
    "loadavg": "0.20 0.10 0.05 1/99 1234\n",
    "meminfo": "MemTotal: 2048 kB\nMemFree: 512 kB\nMemAvailable: 1024 kB\n",
    "time": "Timezone=Etc/UTC\nLocalRTC=no\nCanNTP=yes\nNTP=yes\nNTPSynchronized=yes\nTimeUSec=Wed 2026-07-01\n",
    "sessions": "SESSION  UID USER SEAT TTY\n      3 1000 core      pts/0\n      4 1000 core\n\n2 sessions listed.\n",
    "who": "core     pts/0        2026-07-01 11:30 (192.0.2.7)\n",
    "cpu": "Architecture: x86_64\nCPU(s): 4\nModel name: Example CPU\n",
    "cpuinfo": "processor\t: 0\nmodel name\t: Example CPU\n",
    "dmi": "/sys/class/dmi/id/sys_vendor:Example Inc.\n/sys/class/dmi/id/product_name:Box 1\n",
    "virtualization": "kvm\n",
    "selinux": "Enforcing\n",
    "df": "Filesystem Type 1-blocks Used Available Capacity Mounted on\n"
    "composefs overlay 1000 1000 0 100% /\n/dev/vda3 ext4 1000 400 500 45% /boot\n"
    "/dev/vda4 xfs 5000 1000 4000 20% /var\n/dev/vda4 xfs 5000 1000 4000 20% /sysroot\n",
    "df_inodes": "Filesystem Inodes IUsed IFree IUse% Mounted on\n/dev/vda4 100 10 90 10% /var\n- 0 0 0 - /\n",
    "disks": '{"blockdevices":[{"name":"vda","type":"disk","size":10737418240,"model":null,"rota":true},'
    '{"name":"zram0","type":"disk","size":1,"model":null,"rota":false}]}',
    "ip_addr": '[{"ifname":"eth0","address":"52:54:00:00:00:01","operstate":"UP","mtu":1500,"addr_info":'
    '[{"family":"inet","local":"192.0.2.10","prefixlen":24,"valid_life_time":3599}]},'
    '{"ifname":"veth1","link_netnsid":0,"addr_info":[]}]',
    "ip_route": '[{"dst":"default","gateway":"192.0.2.1","dev":"eth0"},{"dst":"10.0.0.0/8","dev":"veth1"}]',
    "nic_drivers": "eth0 virtio_net\n",
    "podman_version": "podman version 5.6.2\n",
    "podman_user_ps": '[{"Id":"c1","Names":["web"],"Image":"quay.io/x/web:1","State":"running",'
    '"StartedAt":1782900100,"Labels":null,"Status":"Up 2 hours"}]',
    "podman_user_images": '[{"Id":"i1","RepoTags":null,"Names":["quay.io/x/web:1"],"Size":10}]',
    "kubernetes_paths": "",
    "rpm_ostree_status": '{"deployments": [{"id": "fedora-coreos-' + "a" * 64 + '.0", "osname": "fedora-coreos",'
    '"checksum": "' + "a" * 64 + '", "booted": true, "version": "43.20251024.3.0", "pinned": false, "staged": false,'
    '"origin": "fedora:fedora/x86_64/coreos/stable"}], "transaction": null, "cached-update": null}',
    "run_ostree": "",
    "ostree_units": "Id=ostree-finalize-staged.service\nActiveState=inactive\nResult=success\n",
    "finalize_journal": "",
    "zincati": "Id=zincati.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n"
    "Result=success\nStatusText=periodically polling for updates (last checked Wed 2026-07-01 11:59:00 UTC)\n",
    "zincati_files": "f 30 /etc/zincati/config.d/50-updates.toml\n",
    "zincati_config": "/etc/zincati/config.d/50-updates.toml\0[updates]\n"
    '/etc/zincati/config.d/50-updates.toml\0strategy = "fleet_lock"\n',
    "machine_id": "3b9e1d5f7c2a4e6880f1a2b3c4d5e6f7\n",
}
_ABSENT = (
    *("podman_root_ps", "podman_root_images", "docker_version", "docker_ps", "docker_images", "crictl_version"),
    *("crictl_ps", "crictl_images", "kubelet_version", "bootc_status", "zincati_id"),
)


def answer(stdout: str = "", status: int = 0, stderr: str = "") -> SectionOutput:
    return SectionOutput(status, stdout.encode(), stderr.encode())


def healthy_output(changes: Mapping[str, str | SectionOutput | None] | None = None) -> ProbeOutput:
    """What a healthy host answers; `changes` replaces sections, None takes one away."""
    sections = {name: answer(text) for name, text in HEALTHY.items()}
    sections |= {name: answer(status=127, stderr="not found") for name in _ABSENT}
    sections["kubernetes_paths"] = answer(status=2, stderr="ls: cannot access: No such file or directory")
    for name, change in (changes or {}).items():
        if change is None:
            sections.pop(name, None)
        else:
            sections[name] = answer(change) if isinstance(change, str) else change
    return ProbeOutput(sections, complete=True)


def read(family: str = "fcos", /, **changes: str | SectionOutput | None) -> ProbeReading:
    return drivers.get(family).parse(healthy_output(changes), NOW)


def corpus(*parts: str) -> Path:
    """A recording that is read in place. In CI the folder must be there."""
    root = os.environ.get("FLEETUI_CORPUS")
    if not root:
        if os.environ.get("CI"):
            pytest.fail("FLEETUI_CORPUS is not set, so the recordings cannot be tried")
        pytest.skip("corpus not present")
    return Path(root, "hosts", *parts)
