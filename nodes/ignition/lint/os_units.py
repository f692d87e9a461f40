"""Units that the operating systems bring along, as far as configs enable, mask or extend them."""

import re

_COMMON = (
    *(
        "sshd.service",
        "sshd.socket",
        "sshd-keygen.target",
        "chronyd.service",
        "getty@.service",
        "serial-getty@.service",
    ),
    *("autovt@.service", "console-getty.service", "debug-shell.service", "tmp.mount", "fstrim.timer", "fstrim.service"),
    *("systemd-networkd.service", "systemd-networkd.socket", "systemd-networkd-wait-online.service"),
    *("systemd-resolved.service", "systemd-timesyncd.service", "systemd-oomd.service", "systemd-oomd.socket"),
    *("systemd-journald.service", "systemd-journald.socket", "systemd-journal-gatewayd.socket"),
    *("systemd-journal-remote.service", "systemd-journal-remote.socket", "systemd-journal-upload.service"),
    *("systemd-homed.service", "systemd-userdbd.socket", "systemd-sysext.service", "systemd-confext.service"),
    *("systemd-sysupdate.timer", "systemd-sysupdate.service", "systemd-sysupdate-reboot.timer"),
    *("systemd-sysupdate-reboot.service", "systemd-tmpfiles-clean.timer", "systemd-tmpfiles-setup.service"),
    *("systemd-udevd.service", "systemd-udev-settle.service", "systemd-logind.service", "systemd-pstore.service"),
    *("systemd-coredump.socket", "systemd-coredump@.service", "systemd-rfkill.service", "systemd-rfkill.socket"),
    *(
        "systemd-modules-load.service",
        "systemd-sysctl.service",
        "systemd-random-seed.service",
        "systemd-repart.service",
    ),
    *("systemd-machine-id-commit.service", "systemd-firstboot.service", "systemd-boot-update.service"),
    *("systemd-time-wait-sync.service", "systemd-update-utmp.service", "systemd-vconsole-setup.service"),
    *("logrotate.timer", "logrotate.service", "dbus.service", "dbus.socket", "dbus-broker.service", "polkit.service"),
    *(
        "docker.service",
        "docker.socket",
        "containerd.service",
        "rpcbind.service",
        "rpcbind.socket",
        "rpc-statd.service",
    ),
    *(
        "nfs-client.target",
        "nfs-server.service",
        "nfs-utils.service",
        "iscsid.service",
        "iscsid.socket",
        "iscsi.service",
    ),
    *("multipathd.service", "multipathd.socket", "mdmonitor.service", "lvm2-monitor.service", "smartd.service"),
    *("ip6tables.service", "iptables.service", "nftables.service", "audit-rules.service", "auditd.service"),
    *("sssd.service", "irqbalance.service", "rngd.service", "gssproxy.service", "wg-quick@.service"),
    *("qemu-guest-agent.service", "vmtoolsd.service", "user@.service", "emergency.service", "rescue.service"),
    *("multi-user.target", "graphical.target", "network-online.target", "remote-fs.target", "local-fs.target"),
    *("timers.target", "sockets.target", "swap.target", "sleep.target", "suspend.target", "hibernate.target"),
    *("hybrid-sleep.target", "ctrl-alt-del.target", "kdump.service", "tuned.service"),
)
_FCOS = (
    *("zincati.service", "NetworkManager.service", "NetworkManager-wait-online.service"),
    *("NetworkManager-dispatcher.service", "podman.service", "podman.socket", "podman-auto-update.service"),
    *("podman-auto-update.timer", "podman-restart.service", "podman-kube@.service", "podman-clean-transient.service"),
    *("rpm-ostreed.service", "rpm-ostreed-automatic.timer", "rpm-ostreed-automatic.service"),
    *("rpm-ostree-countme.timer", "rpm-ostree-countme.service", "rpm-ostree-bootstatus.service"),
    *("ostree-finalize-staged.service", "ostree-remount.service", "fwupd.service", "fwupd-refresh.timer"),
    *("coreos-migrate-to-systemd-resolved.service", "coreos-warn-invalid-mounts.service", "afterburn.service"),
    *("coreos-ignition-delete-config.service", "ignition-delete-config.service"),
    *("coreos-generate-iscsi-initiatorname.service", "coreos-ignition-firstboot-complete.service"),
    *("coreos-check-ssh-keys.service", "coreos-check-ignition-config.service", "coreos-platform-chrony-config.service"),
    *("coreos-update-ca-trust.service", "afterburn-sshkeys@.service"),
    *(
        "afterburn-checkin.service",
        "afterburn-firstboot-checkin.service",
        "console-login-helper-messages-gensnippet-os-release.service",
    ),
    *(
        "console-login-helper-messages-issuegen.service",
        "clevis-luks-askpass.path",
        "bootupd.service",
        "bootupd.socket",
    ),
    *("bootloader-update.service", "raid-check.timer", "raid-check.service", "unbound-anchor.timer"),
    *("selinux-autorelabel-mark.service", "samba-lock-directories.service", "nmstate.service"),
    *("keepalived.service", "systemd-zram-setup@.service", "dnsmasq.service"),
)
_FLATCAR = (
    *(
        "update-engine.service",
        "locksmithd.service",
        "etcd-member.service",
        "flanneld.service",
        "flannel-docker-opts.service",
    ),
    *("update-engine-stub.service", "update-engine-stub.timer", "flatcar-setup-environment.service", "motdgen.service"),
    *(
        "coreos-metadata.service",
        "coreos-metadata-sshkeys@.service",
        "oem-cloudinit.service",
        "user-cloudinit@.service",
    ),
    *("ntpd.service", "ntpdate.service", "kubelet.service", "iptables-restore.service"),
    *("ip6tables-restore.service", "iptables-store.service", "ip6tables-store.service", "ensure-sysext.service"),
    *("enable-oem-cloudinit.service", "waagent.service", "oem-gce.service"),
    *(
        "xe-daemon.service",
        "tcsd.service",
        "podman.service",
        "podman.socket",
        "nvidia.service",
        "clean-ca-certificates.service",
    ),
    *("update-ca-certificates.service"),
)
_BY_VARIANT = {"fcos": frozenset((*_COMMON, *_FCOS)), "flatcar": frozenset((*_COMMON, *_FLATCAR))}
_ALL = _BY_VARIANT["fcos"] | _BY_VARIANT["flatcar"]
_INSTANCE = re.compile(r"([^@]+@).*(\.[a-z]+)\Z")


def template_name(name: str) -> str:
    """`getty@tty1.service` to `getty@.service`; another name as it is."""
    match = _INSTANCE.match(name)
    return match[1] + match[2] if match else name


def is_of_os(name: str, variant: str | None) -> bool:
    """Whether the system has the unit, as far as is known. Without a variant any of the systems will do."""
    return template_name(name) in _BY_VARIANT.get(variant or "", _ALL)
