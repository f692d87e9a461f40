"""What a file is for, told from its path."""

import re

_PURPOSES = tuple(
    (purpose, re.compile(pattern + r"\Z"))
    for purpose, pattern in (
        ("hostname", r"/etc/hostname"),
        ("hosts", r"/etc/hosts"),
        ("time_zone", r"/etc/(localtime|timezone)"),
        ("zincati", r"/(etc|run)/zincati/config\.d/[^/]+\.toml"),
        ("flatcar_update", r"/etc/flatcar/update\.conf"),
        ("networkmanager_connection", r"/etc/NetworkManager/system-connections/[^/]+"),
        ("networkmanager", r"/etc/NetworkManager/conf\.d/[^/]+"),
        ("networkd", r"/etc/systemd/network/[^/]+\.(network|netdev|link)"),
        ("nmstate", r"/etc/nmstate/[^/]+\.ya?ml"),
        ("resolver", r"/etc/(resolv\.conf|systemd/resolved\.conf.*)"),
        ("quadlet", r"/etc/containers/systemd/.+\.(container|volume|network|kube|image|build|pod|artifact)"),
        ("registries", r"/etc/containers/(registries\.conf.*|registries\.conf\.d/.+|policy\.json)"),
        ("registry_login", r"(/etc/ostree/auth\.json|/root/\.docker/config\.json|.*/containers/auth\.json)"),
        ("containers", r"/etc/containers/.+"),
        ("docker", r"/etc/docker/.+"),
        ("ssh_server", r"/etc/ssh/sshd_config(\.d/[^/]+)?"),
        ("ssh_host_key", r"/etc/ssh/ssh_host_[^/]+"),
        ("authorized_keys", r"(/home|/var/home|/root|/var/roothome).*/\.ssh/authorized_keys.*"),
        ("sudo", r"/etc/sudoers(\.d/[^/]+)?"),
        ("polkit", r"/etc/polkit-1/.+"),
        ("sysctl", r"/etc/sysctl(\.d/[^/]+|\.conf)"),
        ("modules", r"/etc/(modules-load\.d|modprobe\.d)/[^/]+"),
        ("udev", r"/etc/udev/.+"),
        ("certificates", r"/etc/(pki/ca-trust/source/anchors|ssl/certs)/[^/]+"),
        ("chrony", r"/etc/chrony\.(conf|d/.+)"),
        ("journal", r"/etc/systemd/journald\.conf.*"),
        ("sysupdate", r"/etc/sysupdate\.(d|[^/]+\.d)/[^/]+"),
        ("sysext", r"/etc/extensions/[^/]+|/opt/extensions/.+"),
        ("systemd_unit", r"/etc/systemd/(system|user)/.+"),
        ("systemd", r"/etc/systemd/.+"),
        ("kubernetes", r"/etc/kubernetes/.+"),
        ("rpm_repository", r"/etc/yum\.repos\.d/[^/]+"),
        ("selinux", r"/etc/selinux/.+"),
        ("shell_profile", r"/etc/(profile|bashrc|profile\.d/.+)"),
        ("console", r"/etc/vconsole\.conf"),
        ("wireguard", r"/etc/wireguard/[^/]+"),
        ("boot_loader", r"/boot/grub2?/.+"),
        ("program", r"(/usr/local|/opt)(/.+)?/s?bin/[^/]+"),
    )
)
PURPOSES = tuple(purpose for purpose, _ in _PURPOSES)


def purpose_of(path: str) -> str | None:
    """A word for what the file does; None for a path that means nothing to the system."""
    return next((purpose for purpose, pattern in _PURPOSES if pattern.match(path)), None)
