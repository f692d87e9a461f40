"""Butane sources of our own: where the editor starts, and what the demo ships."""

from __future__ import annotations

FIRST_SOURCE = """\
variant: fcos
version: 1.6.0
passwd:
  users:
    - name: core
      ssh_authorized_keys:
        # The public key of whoever signs in, such as the one of a credential.
        - ssh-ed25519 AAAA...
storage:
  files:
    - path: /etc/hostname
      mode: 0644
      contents:
        inline: edge-01
"""

_HEAD = """\
variant: fcos
version: 1.6.0
# fleetui:variable hostname hostname -- The name of the machine
# fleetui:variable site string = "north" -- Where it stands, for the greeting
"""
_KEYS = {
    "core": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINM2FT/82tAiOfx+ggw5P2CiTa7J1jHm60qe64QsMuYD operations",
    "deploy": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPovN0RDdzZ7emmlhZBDVWnfQ5zAZ3hBblP/UqpIzKlQ deploy",
    "night": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAa4HdZDmjDya3WfrytG+ZZ1XY3aQEx3O+VYuJbOV5pp night-shift",
}
_USERS = f"""\
passwd:
  users:
    - name: core
      ssh_authorized_keys:
        - {_KEYS["core"]}
    - name: deploy
      groups: [wheel]
      ssh_authorized_keys:
        - {_KEYS["deploy"]}
"""
_FILES = """\
storage:
  files:
    - path: /etc/hostname
      mode: 0644
      contents:
        inline: ${fleetui:hostname}
    - path: /etc/motd.d/10-site.motd
      mode: 0644
      contents:
        inline: |
          A shop front of the site ${fleetui:site}.
    - path: /etc/zincati/config.d/51-rollout.toml
      mode: 0644
      contents:
        inline: |
          # Take updates on Saturday night, when the shops are closed.
          [updates]
          strategy = "periodic"

          [[updates.periodic.window]]
          days = ["Sat"]
          start_time = "02:00"
          length_minutes = 90
"""
_UNIT = """\
systemd:
  units:
    - name: shop-front.service
      enabled: true
      contents: |
        [Unit]
        Description=Shop front in a container
        Wants=network-online.target
        After=network-online.target

        [Service]
        ExecStartPre=-/usr/bin/podman rm --force shop-front
        ExecStart=/usr/bin/podman run --rm --name shop-front --publish 8080:8080 registry.example.org/shop/front:2.4
        ExecStop=/usr/bin/podman stop --time 20 shop-front
        Restart=on-failure
        RestartSec=5

        [Install]
        WantedBy=multi-user.target
"""
_NIGHT_SHIFT = f"""\
    - name: night
      ssh_authorized_keys:
        - {_KEYS["night"]}
"""
_DATA_DISK = """\
  disks:
    - device: /dev/disk/by-id/virtio-data
      wipe_table: true
      partitions:
        - label: containers
          number: 1
  filesystems:
    - device: /dev/disk/by-partlabel/containers
      path: /var/lib/containers
      format: xfs
      with_mount_unit: true
"""

#: What the demo's pool should have.
DEMO_SOURCE = _HEAD + _USERS + _FILES + _UNIT
#: What it should have had before.
DEMO_EARLIER_SOURCE = DEMO_SOURCE.replace("front:2.4", "front:2.3")
#: What waits for review there: one more user, the containers on a disk of their own, a longer window.
DEMO_NEXT_SOURCE = (
    _HEAD
    + _USERS
    + _NIGHT_SHIFT
    + _FILES.replace("length_minutes = 90", "length_minutes = 180")
    + _DATA_DISK
    + _UNIT.replace("front:2.4", "front:2.5")
)
