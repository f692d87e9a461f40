"""What each part of a config does, as a sentence of its own."""

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from nodes.wording.sentences import Forms

_PEOPLE: dict[str, Forms] = {
    "user_made": (_("Makes the user %(user)s."),),
    "user_changed": (_("Sets up the user %(user)s, whom the system has already."),),
    "user_removed": (_("Removes the user %(user)s if there is one."),),
    "user_keys": (
        ngettext_lazy(
            "%(user)s signs in with %(count)d SSH key.", "%(user)s signs in with %(count)d SSH keys.", "count"
        ),
    ),
    "user_password": (_("%(user)s has a password."),),
    "user_no_way_in": (_("%(user)s has neither a key nor a password, so nobody signs in as %(user)s."),),
    "user_admin": (_("%(user)s may become root (%(groups)s)."),),
    "user_groups": (_("%(user)s is in %(groups)s."),),
    "user_shell": (_("%(user)s has the shell %(shell)s."),),
    "group_made": (_("Makes the group %(group)s with number %(gid)s."), _("Makes the group %(group)s.")),
    "group_removed": (_("Removes the group %(group)s if there is one."),),
}

_FILES: dict[str, Forms] = {
    "file_written": (
        ngettext_lazy(
            "Writes %(size)d byte to %(path)s, mode %(mode)s.",
            "Writes %(size)d bytes to %(path)s, mode %(mode)s.",
            "size",
        ),
    ),
    "file_empty": (_("Makes the empty file %(path)s."),),
    "file_touched": (_("Makes %(path)s if it is not there, and sets its mode and owner."),),
    "file_appended": (
        ngettext_lazy("Appends %(count)d piece to %(path)s.", "Appends %(count)d pieces to %(path)s.", "count"),
    ),
    "file_fetched": (_("Fetches %(path)s from %(url)s at first boot, and checks it (%(hash)s)."),),
    "file_fetched_unverified": (_("Fetches %(path)s from %(url)s at first boot, and takes whatever comes."),),
    "file_unreadable": (_("The content of %(path)s cannot be shown."),),
    "file_executable": (_("%(path)s can be run as a program."),),
    "file_secret": (_("%(path)s seems to hold a secret."),),
    "file_set_id": (_("%(path)s runs with the rights of its owner or group, whoever starts it."),),
    "directory_made": (_("Makes the directory %(path)s, mode %(mode)s."),),
    "link_made": (_("Makes the link %(path)s to %(target)s."), _("Makes the link %(path)s.")),
    "hard_link_made": (_("Makes %(path)s another name of %(target)s."), _("Makes the hard link %(path)s.")),
    "node_overwrites": (_("Removes what is at %(path)s before."),),
    "node_owner": (_("%(path)s belongs to %(owner)s, group %(group)s."),),
    "node_writable_by_all": (_("Everybody on the host may change %(path)s."),),
}

_PURPOSES: dict[str, Forms] = {
    "purpose_hostname": (_("Sets the name of the host."),),
    "purpose_hosts": (_("Names addresses without DNS."),),
    "purpose_time_zone": (_("Sets the time zone."),),
    "purpose_zincati": (_("Tells Zincati when it may update."),),
    "purpose_flatcar_update": (_("Tells Flatcar's update engine where updates come from and when to reboot."),),
    "purpose_networkmanager_connection": (_("Configures a network connection of NetworkManager."),),
    "purpose_networkmanager": (_("Configures NetworkManager."),),
    "purpose_networkd": (_("Configures an interface of systemd-networkd."),),
    "purpose_nmstate": (_("Describes the network for nmstate."),),
    "purpose_resolver": (_("Tells how names are resolved."),),
    "purpose_quadlet": (_("A Quadlet: Podman makes a unit of it."),),
    "purpose_registries": (_("Tells from which registries images come, and which are trusted."),),
    "purpose_registry_login": (_("Signs in to registries of images."),),
    "purpose_containers": (_("Configures Podman."),),
    "purpose_docker": (_("Configures Docker."),),
    "purpose_ssh_server": (_("Configures the SSH server."),),
    "purpose_ssh_host_key": (_("The key by which the host proves who it is."),),
    "purpose_authorized_keys": (_("Lets owners of keys sign in."),),
    "purpose_sudo": (_("Tells who may become root."),),
    "purpose_polkit": (_("Tells who may do what without being root."),),
    "purpose_sysctl": (_("Sets parameters of the kernel."),),
    "purpose_modules": (_("Loads or blocks modules of the kernel."),),
    "purpose_udev": (_("Names devices, or acts when they appear."),),
    "purpose_certificates": (_("Lets the host trust a certificate authority."),),
    "purpose_chrony": (_("Tells where the time comes from."),),
    "purpose_journal": (_("Tells how long logs are kept."),),
    "purpose_sysupdate": (_("Keeps a system extension up to date."),),
    "purpose_sysext": (_("Adds a system extension."),),
    "purpose_systemd_unit": (_("A unit of systemd, written as a file."),),
    "purpose_systemd": (_("Configures systemd."),),
    "purpose_kubernetes": (_("Configures Kubernetes."),),
    "purpose_rpm_repository": (_("Adds a repository of packages."),),
    "purpose_selinux": (_("Configures SELinux."),),
    "purpose_shell_profile": (_("Runs in every shell that is opened."),),
    "purpose_console": (_("Sets keyboard and font of the console."),),
    "purpose_wireguard": (_("Configures a WireGuard tunnel."),),
    "purpose_boot_loader": (_("Configures the boot loader."),),
    "purpose_program": (_("A program of this host's own."),),
}

_DISKS: dict[str, Forms] = {
    "disk_wiped": (_("Erases the partition table of %(device)s and all that is on it."),),
    "partition_sized": (_("Makes partition %(partition)s of %(size_mib)s MiB on %(device)s."),),
    "partition_rest": (_("Makes partition %(partition)s on %(device)s of the space that is left."),),
    "partition_removed": (_("Deletes partition %(partition)s of %(device)s."),),
    "partition_wiped": (_("Replaces partition %(partition)s of %(device)s if it differs."),),
    "partition_resized": (_("Resizes partition %(partition)s of %(device)s if needed."),),
    "filesystem_none": (_("Erases the file system on %(device)s and makes none."),),
    "filesystem_wiped": (
        _("Formats %(device)s as %(format)s, whatever is on it."),
        _("Formats %(device)s, whatever is on it."),
    ),
    "filesystem_kept_if_equal": (
        _("Formats %(device)s as %(format)s, unless such a file system is there; fails if another one is."),
    ),
    "filesystem_path": (_("%(device)s is for %(path)s."),),
    "raid_made": (_("Makes the RAID %(raid)s (%(level)s) of %(devices)s."), _("Makes the RAID %(raid)s.")),
    "luks_made": (_("Encrypts %(device)s as %(volume)s."),),
    "luks_tpm2": (_("The TPM of the machine opens %(volume)s."),),
    "luks_tang": (_("A Tang server opens %(volume)s."),),
    "luks_cex": (_("A crypto card of the mainframe opens %(volume)s."),),
    "luks_key_file": (_("A key file of the config opens %(volume)s."),),
    "luks_pin": (_("The Clevis pin %(pin)s opens %(volume)s."),),
    "luks_own_key": (_("Ignition makes a key for %(volume)s and keeps it on the root file system."),),
    "luks_wiped": (_("Erases what is on %(device)s."),),
}

_UNITS: dict[str, Forms] = {
    "unit_written": (_("Writes the unit %(unit)s."),),
    "unit_description": (_("“%(description)s”"),),
    "unit_runs_container": (_("Runs a container with %(runtime)s."),),
    "unit_mounts": (_("Mounts %(device)s at %(path)s."), _("Mounts a file system at %(path)s.")),
    "unit_timer": (_("Runs at times (%(when)s)."),),
    "unit_once": (_("Runs once at each start, and ends."),),
    "unit_enabled": (_("Starts %(unit)s at boot."),),
    "unit_disabled": (_("%(unit)s does not start at boot by itself."),),
    "unit_masked": (_("%(unit)s cannot be started at all."),),
    "unit_unmasked": (_("%(unit)s can be started again if it was masked."),),
    "unit_not_switched": (_("Whether %(unit)s starts at boot is left to the presets of the system."),),
    "unit_dropin": (_("Adds %(dropin)s to %(unit)s."),),
}

_NETWORK: dict[str, Forms] = {
    "interface_vlan": (
        _("%(interface)s is VLAN %(number)s on %(parent)s."),
        _("%(interface)s is a VLAN on %(parent)s."),
        _("%(interface)s is VLAN %(number)s."),
        _("%(interface)s is a VLAN."),
    ),
    "interface_bond": (_("%(interface)s is a bond of %(members)s."), _("%(interface)s is a bond.")),
    "interface_bridge": (_("%(interface)s is a bridge of %(members)s."), _("%(interface)s is a bridge.")),
    "interface_team": (_("%(interface)s is a team of %(members)s."), _("%(interface)s is a team.")),
    "interface_wireguard": (_("%(interface)s is a WireGuard tunnel."),),
    "interface_member": (_("%(interface)s belongs to %(controller)s."),),
    "interface_addresses": (_("%(interface)s has the addresses %(addresses)s."),),
    "interface_dhcp": (_("%(interface)s takes its %(family)s address from DHCP."),),
    "interface_auto": (_("%(interface)s takes its %(family)s address from routers."),),
    "interface_link_local": (_("%(interface)s has a %(family)s address for its own segment only."),),
    "interface_shared": (_("%(interface)s hands out %(family)s addresses to others."),),
    "interface_disabled": (_("%(interface)s has no %(family)s."),),
    "interface_gateways": (_("%(interface)s leads to everywhere else by %(gateways)s."),),
    "interface_name_servers": (_("%(interface)s asks %(name_servers)s for names."),),
    "interface_search": (_("%(interface)s completes names with %(domains)s."),),
    "interface_route": (
        _("%(interface)s leads to %(route)s by %(gateway)s."),
        _("%(interface)s leads to %(route)s."),
    ),
    "interface_mtu": (_("%(interface)s sends packets of up to %(mtu)s bytes."),),
}

_REST: dict[str, Forms] = {
    "argument_added": (_("Adds %(argument)s to the kernel's command line."),),
    "argument_removed": (_("Removes %(argument)s from the kernel's command line."),),
    "arguments_reboot": (_("If the command line changes, the machine reboots once more before it is ready."),),
    "merge_fetched": (_("Merges the config at %(url)s into this one at first boot."),),
    "merge_inline": (_("Merges another config, which stands in this one."),),
    "replace_fetched": (_("The config at %(url)s takes the place of all of this."),),
    "replace_inline": (_("A config that stands in this one takes the place of all of this."),),
    "authority_fetched": (_("Trusts the certificate authority at %(url)s while it fetches."),),
    "authority_inline": (_("Trusts a certificate authority of its own while it fetches."),),
    "proxy": (_("Fetches %(kind)s addresses through %(url)s."),),
    "no_proxy": (_("Fetches from %(hosts)s without a proxy."),),
    "timeout_total": (
        ngettext_lazy(
            "Gives up fetching after %(seconds)d second.", "Gives up fetching after %(seconds)d seconds.", "seconds"
        ),
    ),
    "timeout_headers": (
        ngettext_lazy(
            "Waits %(seconds)d second for an answer to begin.",
            "Waits %(seconds)d seconds for an answer to begin.",
            "seconds",
        ),
    ),
}

LINES: dict[str, Forms] = {**_PEOPLE, **_FILES, **_PURPOSES, **_DISKS, **_UNITS, **_NETWORK, **_REST}
